"""Root in a tree that belongs to another user, with links of every kind at every name (row E2).

Real gates under dash, real rsync. The owner of the tree makes the links, as far as the kernel lets him; what he
must not reach is a directory next to it that is root's alone.
"""

from __future__ import annotations

import ctypes
import os
import random
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from bench.mirror_hosts import MirrorHosts, in_memory, make_hosts
from tests.actuator.mirror.prepared_hosts import PreparedHosts
from tests.support.marks import needs_root

pytestmark = [needs_root, pytest.mark.integration]

OWNER = 65534
SECRET = "SECRET-OF-ROOT\n"
RENAME_EXCHANGE = 2
_LIBC = ctypes.CDLL(None, use_errno=True)

# Every name that a gate, or a gate of version 0.1.0, or rsync uses in a tree, and some of the data's own.
NAMES = (
    ".locum-mirror", ".locum-mirror.new", ".locum-kept", ".locum-kept/partial", ".locum-kept/again",
    ".locum-kept/probe.from", ".locum-kept/probe.to", ".locum-kept/20200101000000", "index.html", "sub",
    "sub/page.html", "probe.from", "partial", "new", "0",
)  # fmt: skip

Plant = Callable[[Path, Path], None]  # the name in the tree, and the directory of root's


def to_a_file(name: Path, outside: Path) -> None:
    name.symlink_to(outside / "secret")


def to_a_directory(name: Path, outside: Path) -> None:
    name.symlink_to(outside)


def to_what_is_not_there(name: Path, outside: Path) -> None:
    name.symlink_to(outside / "made by root")


def relative_and_out_of_the_tree(name: Path, outside: Path) -> None:
    name.symlink_to(os.path.relpath(outside, name.parent))


def by_way_of_another_link(name: Path, outside: Path) -> None:
    step = name.with_name(f"{name.name}.step")
    step.symlink_to(outside)
    name.symlink_to(step.name)


def to_itself(name: Path, outside: Path) -> None:
    name.symlink_to(name.name)


def hard_link(name: Path, outside: Path) -> None:
    """Link a file of the owner's own; the kernel lets him link no other (fs.protected_hardlinks)."""
    own = name.with_name(f"{name.name}.own")
    own.write_text("the owner's own\n")
    os.chown(own, OWNER, OWNER)
    name.hardlink_to(own)


def pipe(name: Path, outside: Path) -> None:
    os.mkfifo(name)


def directory_of_links(name: Path, outside: Path) -> None:
    name.mkdir()
    for inner in ("partial", "again", "20200101000000", "1", "probe.from", "probe.to", "page.html"):
        (name / inner).symlink_to(outside)


KINDS: tuple[Plant, ...] = (
    to_a_file, to_a_directory, to_what_is_not_there, relative_and_out_of_the_tree, by_way_of_another_link,
    to_itself, hard_link, pipe, directory_of_links,
)  # fmt: skip


@pytest.fixture
def base() -> Iterator[Path]:
    """A directory in memory that other users can pass through."""
    with in_memory() as directory:
        directory.chmod(0o755)
        yield directory


def make_outside(base: Path) -> Path:
    """Make what is root's alone."""
    outside = base / "outside"
    outside.mkdir(mode=0o700)
    (outside / "secret").write_text(SECRET)
    (outside / "secret").chmod(0o600)
    (outside / "20200101000000").mkdir()
    (outside / "20200101000000" / "inner").write_text(SECRET)
    return outside


def portrait(outside: Path) -> dict[str, object]:
    """Return all that can be changed about a directory: names, inodes, modes, owners, contents, times of change."""
    return {
        str(path): (
            path.lstat().st_ino, path.lstat().st_mode, path.lstat().st_uid, path.lstat().st_nlink,
            path.lstat().st_ctime_ns, path.read_bytes() if path.is_file() else None,
        )
        for path in (outside, *sorted(outside.rglob("*")))
    }  # fmt: skip


@contextmanager
def as_owner() -> Iterator[None]:
    os.setegid(OWNER)
    os.seteuid(OWNER)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


def give_to_owner(tree: Path) -> None:
    for path in (tree, *tree.rglob("*")):
        os.chown(path, OWNER, OWNER, follow_symlinks=False)


def plant(tree: Path, outside: Path, choice: Sequence[tuple[str, Plant]]) -> None:
    """Put links at names, as the owner of the tree can: what is in the way he moves away."""
    with as_owner():
        for number, (at, kind) in enumerate(choice):
            name = tree / at
            if name.parent.is_symlink():
                continue
            try:
                if name.is_symlink() or name.exists():
                    name.rename(tree / f"moved away {number}")
                kind(name, outside)
            except (PermissionError, FileNotFoundError, NotADirectoryError):
                continue  # inside a directory of root's, or below a name that is no directory any more


def say_everything(hosts: MirrorHosts, host: str, run: int) -> str:
    """Have the gate of a host do each short verb; return all of its answers."""
    said = []
    numbers = ("www", "3", "1", str(run), "0", "0", "0", "0")
    short = [(f"mirror-{verb}", *numbers) for verb in ("look", "changes", "restore", "mark", "halt")]
    for words in (*short, ("status", "www"), ("release", "www", "3")):
        answer = subprocess.run(
            hosts.gates[host].command("actuator", *words), check=False, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, errors="replace", timeout=60,
        )  # fmt: skip
        said.append(answer.stdout + answer.stderr)
        assert answer.stdout.splitlines()[-1].startswith("end "), (words, answer)
    return "".join(said)


def two_hosts(base: Path, mode: str) -> MirrorHosts:
    """Return hosts after two runs, whose trees belong to another user on both."""
    hosts = make_hosts(base, {"mode": mode})
    tree = hosts.tree("a")
    (tree / "sub").mkdir()
    (tree / "sub" / "page.html").write_text("page\n")
    give_to_owner(tree)
    assert hosts.run().done
    (tree / "index.html").write_text("changed\n")
    assert hosts.run().done
    return hosts


TwoHosts = Callable[[str], AbstractContextManager[MirrorHosts]]


@pytest.fixture(scope="module")
def after_two_runs() -> Iterator[TwoHosts]:
    """Hosts of a mode after two runs, as often as they are asked for."""
    made: dict[str, PreparedHosts] = {}

    def copied(mode: str) -> AbstractContextManager[MirrorHosts]:
        if mode not in made:
            made[mode] = PreparedHosts(lambda base: two_hosts(base, mode))
        return made[mode].copied()

    yield copied
    for one in made.values():
        one.remove()


def run_everything(hosts: MirrorHosts, host: str, run: int) -> str:
    """Do all that a gate does with the tree of a host; return what it said."""
    said = say_everything(hosts, host, run)
    said += hosts.run().text + hosts.run(discard_changes=True, allowed_deletions=1000).text
    hosts.journal.set_holder("www", "b", 3)
    said += hosts.run("b", "a", discard_changes=True, allowed_deletions=1000).text
    hosts.journal.set_holder("www", "a", 3)
    return said + say_everything(hosts, host, run)


def check_all(hosts: MirrorHosts, host: str, choice: Sequence[tuple[str, Plant]]) -> None:
    outside = make_outside(hosts.base)
    before = portrait(outside)
    plant(hosts.tree(host), outside, choice)
    said = run_everything(hosts, host, hosts.results[-1].run)
    assert portrait(outside) == before
    assert "SECRET" not in said
    for tree in (hosts.tree("a"), hosts.tree("b")):
        for path in tree.rglob("*"):
            assert (
                path.is_symlink() or not path.is_file() or "SECRET" not in path.read_text(errors="replace")
            ), path


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize(("mode", "host"), [("in_place", "b"), ("staged", "b"), ("in_place", "a")])
def test_e2_root_follows_no_link_at_any_name(
    after_two_runs: TwoHosts, mode: str, host: str, kind: Plant
) -> None:
    with after_two_runs(mode) as hosts:
        check_all(hosts, host, [(name, kind) for name in NAMES if name != ".locum-kept"])


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_e2_what_another_user_put_at_the_name_of_the_kept_files_is_not_used(
    after_two_runs: TwoHosts, kind: Plant
) -> None:
    with after_two_runs("in_place") as hosts:
        check_all(hosts, "b", [(".locum-kept", kind)])


def test_e2_root_follows_no_link_of_a_drawn_mixture(after_two_runs: TwoHosts) -> None:
    """A new seed each time; the message has it."""
    seed = random.SystemRandom().randrange(10**6)
    draw = random.Random(seed)
    for number in range(6):
        choice = [(name, draw.choice(KINDS)) for name in NAMES if draw.random() < 0.5]
        mode, host = draw.choice((("in_place", "b"), ("staged", "b"), ("in_place", "a")))
        try:
            with after_two_runs(mode) as hosts:
                check_all(hosts, host, choice)
        except AssertionError as fault:
            raise AssertionError(f"seed {seed}, number {number}: {mode} on {host}, {choice}") from fault


def test_e2_version_0_1_0_wrote_through_a_link_at_its_marker(base: Path) -> None:
    """The smallest input: the marker's scratch name, in a tree that was never marked."""
    hosts, outside = make_hosts(base), make_outside(base)
    hosts.tree("b").mkdir()
    give_to_owner(hosts.tree("b"))
    (hosts.tree("b") / ".locum-mirror.new").symlink_to(outside / "secret")
    before = portrait(outside)
    hosts.mark("b")
    hosts.run()
    assert portrait(outside) == before
    assert hosts.mark_file("b").stat().st_uid == 0
    hosts.close()


def test_e2_what_the_marker_of_version_0_1_0_says_counts_for_nothing(base: Path) -> None:
    hosts = make_hosts(base)
    hosts.tree("b").mkdir()
    (hosts.tree("b") / ".locum-mirror").write_text("www tree 1\n")
    (hosts.tree("b") / "mine").write_text("mine\n")
    result = hosts.run()
    assert (result.outcome, "is not empty and is not marked" in result.text) == ("refused", True)
    hosts.mark_file("a").unlink()
    (hosts.tree("a") / ".locum-mirror").write_text("\x1b[31mwww tree 1 SECRET\n")
    result = hosts.run()
    assert (result.outcome, "SECRET" in result.text) == ("refused", False)
    # One `locum mirror www --mark` adopts both.
    hosts.mark("a")
    hosts.mark("b")
    assert hosts.run(allowed_deletions=10).done
    hosts.close()


@pytest.mark.parametrize("mode", ["in_place", "staged"])
def test_e2_the_tree_itself_is_no_link_of_another_user(base: Path, mode: str) -> None:
    """The directory above the tree is the user's too, and the tree's name leads out of it."""
    hosts, outside = make_hosts(base, {"mode": mode}), make_outside(base)
    above = hosts.tree("b").parent
    os.chown(above, OWNER, OWNER)
    before = portrait(outside)
    for name in (hosts.tree("b"), above / ".srv1.locum")[: 2 if mode == "staged" else 1]:
        with as_owner():
            name.symlink_to(outside)
        for answer in (hosts.run().text, say_everything(hosts, "b", 1)):
            assert "link" in answer or "only root can change" in answer, answer
        assert portrait(outside) == before
        name.unlink()
    hosts.close()


def test_e2_a_link_of_roots_is_followed(base: Path) -> None:
    hosts = make_hosts(base)
    (base / "other disk").mkdir()
    hosts.tree("b").symlink_to(base / "other disk")
    assert hosts.run().done
    assert (base / "other disk" / "index.html").exists()
    hosts.close()


@contextmanager
def swapped(one: Path, other: Path) -> Iterator[None]:
    """Exchange two names as fast as possible, until the end of the block."""
    ended = threading.Event()

    def swap() -> None:
        while not ended.is_set():
            _LIBC.renameat2(-100, os.fsencode(one), -100, os.fsencode(other), RENAME_EXCHANGE)

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def test_e2_a_directory_that_becomes_a_link_while_root_works_in_it(after_two_runs: TwoHosts) -> None:
    """A race, run for some rounds: a directory and a link change places as fast as they can."""
    with after_two_runs("in_place") as hosts:
        run, outside, tree = hosts.results[-1].run, make_outside(hosts.base), hosts.tree("b")
        for number in range(40):
            (hosts.tree("a") / "sub" / f"page{number}").write_text(f"{number}\n")
            (outside / f"page{number}").write_text(SECRET)
        before = portrait(outside)
        for name in ("sub", ".locum-kept"):
            link = tree / f"{name}.link"
            link.symlink_to(outside)
            with swapped(tree / name, link):
                for number in range(4):
                    page = hosts.tree("a") / "sub" / f"page{number}"
                    page.write_text(f"changed for {name}, {number}\n")
                    hosts.run(discard_changes=True, allowed_deletions=1000)
                    say_everything(hosts, "b", run)
            assert portrait(outside) == before
        for path in tree.rglob("*"):
            assert not path.is_file() or path.is_symlink() or "SECRET" not in path.read_text(), path


def test_e2_other_users_cannot_take_the_gates_locks(base: Path) -> None:
    hosts = make_hosts(base)
    assert hosts.run().done
    for directory in (hosts.gates["b"].run_directory, hosts.gates["b"].state / "mirror"):
        assert (directory.stat().st_uid, directory.stat().st_mode & 0o077) == (0, 0)
    hosts.close()
