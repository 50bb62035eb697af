"""What a mirror refuses: each row leaves the copy byte for byte as it was, and says why in one line."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench.mirror_hosts import READABLE_BY_1235, MirrorHosts, forget, in_memory, make_hosts, picture
from tests.actuator.mirror.prepared_hosts import PreparedHosts
from tests.support.polling import wait_for

pytestmark = pytest.mark.integration

FILES = {f"page{number}.html": f"page {number}\n" for number in range(10)}
SERVER_SIDE = "b's own, written while it served\n"


@pytest.fixture
def base() -> Iterator[Path]:
    """A directory in memory: a run syncs the file system of its copy, which others may be writing to."""
    with in_memory() as directory:
        yield directory


def after_a_good_run(base: Path) -> MirrorHosts:
    hosts = make_hosts(base, {"max_delete": {"share": "40%", "number": 5}})
    for name, text in FILES.items():
        (hosts.tree("a") / name).write_text(text)
    assert hosts.run().done
    return hosts


@pytest.fixture(scope="module")
def prepared() -> Iterator[PreparedHosts]:
    """The run is the same for all tests: it is made once."""
    prepared = PreparedHosts(after_a_good_run)
    yield prepared
    prepared.remove()


@pytest.fixture
def hosts(prepared: PreparedHosts) -> Iterator[MirrorHosts]:
    """Two hosts after a good run."""
    with prepared.copied() as hosts:
        yield hosts


def unmounted(hosts: MirrorHosts) -> None:
    hosts.tree("a").rename(hosts.base / "a disk")
    hosts.tree("a").mkdir()


def copy_unmounted(hosts: MirrorHosts) -> None:
    hosts.tree("b").rename(hosts.base / "b disk")
    hosts.tree("b").mkdir()


def never_marked(hosts: MirrorHosts) -> None:
    hosts.mark_file("a").unlink()


def source_missing(hosts: MirrorHosts) -> None:
    shutil.rmtree(hosts.tree("a"))


def source_empty(hosts: MirrorHosts) -> None:
    forget(hosts.tree("a"))


def source_of_another_service(hosts: MirrorHosts) -> None:
    hosts.mark_file("a").rename(hosts.mark_file("a", service="mail"))
    hosts.mark_file("a").write_text(hosts.mark_file("a", service="mail").read_text())


def copy_of_another_service(hosts: MirrorHosts) -> None:
    hosts.mark_file("b").rename(hosts.mark_file("b", service="mail"))


def four_of_twelve_more_than_share(hosts: MirrorHosts) -> None:
    for number in range(5):
        (hosts.tree("a") / f"page{number}.html").unlink()


def all_renamed(hosts: MirrorHosts) -> None:
    for number in range(10):
        (hosts.tree("a") / f"page{number}.html").rename(hosts.tree("a") / f"seite{number}.html")


def changed_on_b(hosts: MirrorHosts) -> None:
    (hosts.tree("b") / "page3.html").write_text(SERVER_SIDE)


def new_on_b(hosts: MirrorHosts) -> None:
    (hosts.tree("b") / "upload").mkdir()
    (hosts.tree("b") / "upload" / "cat.jpg").write_text(SERVER_SIDE)


def deleted_on_b(hosts: MirrorHosts) -> None:
    (hosts.tree("b") / "page3.html").unlink()


def b_has_the_address(hosts: MirrorHosts) -> None:
    text = hosts.gates["b"].host_file.read_text().removeprefix("locum-gate 1\n")
    hosts.gates["b"].write_host_file(text.replace("203.0.113.9", "127.0.0.1"))


def b_is_the_holder(hosts: MirrorHosts) -> None:
    hosts.journal.set_holder("www", "b", 4)


def b_has_seen_a_later_epoch(hosts: MirrorHosts) -> None:
    (hosts.gates["b"].state / "www.epoch").write_text("9\n")


def nobody_enrolled_b_again(hosts: MirrorHosts) -> None:
    hosts.gates["b"].write_host_file("service www\naddress 203.0.113.9/32\ninterface lo\nstandby running\n")


def before_fails(hosts: MirrorHosts) -> None:
    gate = hosts.gates["a"]
    text = gate.host_file.read_text().removeprefix("locum-gate 1\n")
    gate.write_host_file(text + "mirror_before exit 3\n")


def not_a_mount_point(hosts: MirrorHosts) -> None:
    gate = hosts.gates["a"]
    text = gate.host_file.read_text().removeprefix("locum-gate 1\n")
    gate.write_host_file(f"{text}mirror_mounted {hosts.tree('a')}\n")


def a_gate_is_gone(hosts: MirrorHosts) -> None:
    hosts.gates["a"].gate.unlink()


ROWS: dict[str, tuple[Callable[[MirrorHosts], None], str]] = {
    "the trap of 2001: the source is not mounted": (
        unmounted,
        "www tree 1 (A): the source is another directory than the one that was marked: is it mounted? If it is the "
        "right one: locum mirror www --mark",
    ),
    "the source was never marked": (
        never_marked,
        "www tree 1 (A): the source is not marked: if it is the right directory: locum mirror www --mark",
    ),
    "the copy is not mounted": (
        copy_unmounted,
        "www tree 1 (B): the destination is another directory than the one that was marked: is it mounted? If it "
        "may be overwritten: locum mirror www --mark",
    ),
    "the source is missing": (source_missing, "www tree 1 (A): the source is not there"),
    "the source is empty": (source_empty, "www tree 1 (A): the source is empty"),
    "the source is another's": (
        source_of_another_service,
        "www tree 1 (A): it is marked as mail tree 1: if that is over, remove ROOT/mirror/mail.1.mark",
    ),
    "the copy is another's": (
        copy_of_another_service,
        "www tree 1 (B): it is marked as mail tree 1: if that is over, remove ROOT/mirror/mail.1.mark",
    ),
    "nothing is mounted where something must be": (
        not_a_mount_point,
        "www tree 1 (A): nothing is mounted on A",
    ),
    "more would be deleted than the share": (
        four_of_twelve_more_than_share,
        "www tree 1 (B): it would delete 5 of 11, and the limit is 4 (page0.html page1.html page2.html ): "
        "if that is right: locum mirror www --allow-deletions 5",
    ),
    "as many files as before, and none of them the same": (
        all_renamed,
        "www tree 1 (B): it would delete 10 of 11, and the limit is 4 (page0.html page1.html page2.html ): "
        "if that is right: locum mirror www --allow-deletions 10",
    ),
    "a file was changed on the copy": (
        changed_on_b,
        "www tree 1 (B): 1 changed on this host since it had the same data (page3.html ): see both sides, "
        "then locum mirror www --discard-changes",
    ),
    "files are new on the copy": (
        new_on_b,
        "www tree 1 (B): 3 changed on this host since it had the same data (. upload upload/cat.jpg ): "
        "see both sides, then locum mirror www --discard-changes",
    ),
    "a file was deleted on the copy": (
        deleted_on_b,
        "www tree 1 (B): 1 changed on this host since it had the same data (. ): see both sides, "
        "then locum mirror www --discard-changes",
    ),
    "the destination has the address on its card": (
        b_has_the_address,
        "www: this host holds 127.0.0.1, and nothing is mirrored onto it",
    ),
    "the journal names the destination": (
        b_is_the_holder,
        "b holds www; data is never mirrored onto the holder",
    ),
    "an epoch that is over": (b_has_seen_a_later_epoch, "www: epoch 3 is older than 9"),
    "the gate knows of no mirror": (nobody_enrolled_b_again, "www has no tree 1 here"),
    "what is to run before fails": (before_fails, "www tree 1 (A): before returned 3"),
}


@pytest.mark.parametrize(("break_it", "text"), ROWS.values(), ids=ROWS)
def test_is_refused_and_the_copy_is_untouched(
    hosts: MirrorHosts, break_it: Callable[[MirrorHosts], None], text: str
) -> None:
    break_it(hosts)
    before = picture(hosts.tree("b"))
    result = hosts.run()
    said = result.text.replace(str(hosts.tree("a")), "A").replace(str(hosts.tree("b")), "B")
    for host in ("a", "b"):
        said = said.replace(str(hosts.gates[host].state), "ROOT")
    assert (result.outcome, said) == ("refused", text)
    assert picture(hosts.tree("b")) == before


def test_a_deletion_on_the_copy_is_seen_in_the_directory_it_left(base: Path) -> None:
    hosts = make_hosts(base)
    (hosts.tree("a") / "pages").mkdir()
    (hosts.tree("a") / "pages" / "one.html").write_text("one\n")
    assert hosts.run().done
    (hosts.tree("b") / "pages" / "one.html").unlink()
    result = hosts.run()
    assert (result.outcome, "1 changed on this host" in result.text) == ("refused", True)


def test_a_source_that_cannot_be_asked_is_no_source(hosts: MirrorHosts) -> None:
    a_gate_is_gone(hosts)
    before = picture(hosts.tree("b"))
    assert hosts.run().outcome == "refused"
    assert picture(hosts.tree("b")) == before


def test_a_copy_that_is_nobodys_is_never_overwritten(base: Path) -> None:
    hosts = make_hosts(base)
    hosts.tree("b").mkdir()
    (hosts.tree("b") / "mine").write_text("mine\n")
    result = hosts.run()
    assert (result.outcome, result.text.replace(str(hosts.tree("b")), "B")) == (
        "refused",
        "www tree 1 (B): the destination is not empty and is not marked: if it may be overwritten: "
        "locum mirror www --mark",
    )
    assert picture(hosts.tree("b")).keys() == {"mine"}


def test_what_a_person_allows_goes_on(hosts: MirrorHosts) -> None:
    all_renamed(hosts)
    changed_on_b(hosts)
    assert hosts.run(allowed_deletions=10).outcome == "refused"
    assert hosts.run(discard_changes=True).outcome == "refused"
    result = hosts.run(allowed_deletions=10, discard_changes=True)
    assert (result.outcome, result.count.deleted) == ("done", 10)
    kept = hosts.tree("b") / ".locum-kept" / str(result.run)
    assert (kept / "page3.html").read_text() == SERVER_SIDE


def test_one_run_at_a_time_writes_on_a_host(hosts: MirrorHosts) -> None:
    lock = hosts.gates["b"].run_directory / "www.mirror"
    with lock.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert hosts.run().text == "www: another run writes on this host"


def test_every_refusal_is_in_the_journal(hosts: MirrorHosts) -> None:
    unmounted(hosts)
    result = hosts.run()
    entry, before = hosts.journal.mirrors.runs("www")
    assert (entry.outcome, entry.text, entry.run) == ("refused", result.text, result.run)
    assert before.outcome == "done"
    assert hosts.mirrors.data_age_seconds("www", "b") is not None


def test_d3_a_link_of_an_administrators_is_not_replaced(base: Path) -> None:
    hosts = make_hosts(base, {"mode": "staged"})
    (base / "b disk" / "www").mkdir(parents=True)
    hosts.tree("b").symlink_to(base / "b disk" / "www")
    for _ in range(2):
        result = hosts.run()
        assert (result.outcome, result.text.replace(str(hosts.tree("b")), "B")) == (
            "refused",
            "www tree 1 (B): it is a symbolic link that locum has not made, and a staged run would replace it: "
            "give the directory that it leads to as the destination",
        )
        assert hosts.tree("b").readlink() == base / "b disk" / "www"
        assert not (hosts.tree("b").parent / ".srv1.locum").exists()
        hosts.mark("b")  # a person's word that this is the directory does not change it
    hosts.close()


@pytest.mark.parametrize(
    "target", [".srv1.locum/..", ".srv1.locum/", "../b disk", "/nowhere", ".srv1.locum/1/../.."]
)
def test_d3_nor_one_that_looks_like_locums_own(base: Path, target: str) -> None:
    hosts = make_hosts(base, {"mode": "staged"})
    (base / "b disk").mkdir()
    hosts.tree("b").symlink_to(target)
    assert "a symbolic link that locum has not made" in hosts.run().text
    assert str(hosts.tree("b").readlink()) == str(Path(target))
    hosts.close()


def test_d3_a_link_above_the_tree_stays_and_the_copies_are_made_behind_it(base: Path) -> None:
    hosts = make_hosts(base, {"mode": "staged", "destination": str(base / "HOST" / "way" / "srv1")})
    (base / "b disk").mkdir()
    (base / "b" / "way").symlink_to(base / "b disk")
    assert hosts.run().done
    assert (base / "b" / "way").readlink() == base / "b disk"
    assert (base / "b disk" / "srv1" / "index.html").exists()
    hosts.close()


@contextmanager
def without_attributes(directory: Path) -> Iterator[None]:
    """Mount a file system that keeps no extended attributes."""
    directory.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "ramfs", "locum-test", directory], check=True)
    try:
        yield
    finally:
        # What an ended run has killed may stand in it for a moment longer.
        wait_for(
            lambda: subprocess.run(["umount", directory], check=False).returncode == 0, "it is unmounted"
        )


@pytest.mark.parametrize("mode", ["in_place", "staged"])
def test_d4_a_file_system_without_extended_attributes_is_refused_before_the_first_run(
    base: Path, mode: str
) -> None:
    destination = base / "HOST" / "disk" / "srv1"
    hosts = make_hosts(base, {"mode": mode, "destination": str(destination)})
    disk = base / "b" / "disk"
    os.setxattr(hosts.tree("a") / "index.html", "user.note", b"x")
    with without_attributes(disk):
        result = hosts.run()
        assert (result.outcome, result.text) == (
            "refused",
            f"www tree 1 ({disk / 'srv1'}): the file system of the copy keeps no extended attributes: in the site "
            "file set xattrs: false (and acls: false) in the mirror of www",
        )
        assert not (disk / "srv1" / "index.html").exists()
    hosts.close()


@pytest.mark.parametrize("mode", ["in_place", "staged"])
def test_d4_a_key_turns_them_off(base: Path, mode: str) -> None:
    destination = base / "HOST" / "disk" / "srv1"
    hosts = make_hosts(base, {"mode": mode, "destination": str(destination), "xattrs": False, "acls": False})
    os.setxattr(hosts.tree("a") / "index.html", "user.note", b"x")
    os.setxattr(hosts.tree("a") / "index.html", "system.posix_acl_access", READABLE_BY_1235)
    with without_attributes(base / "b" / "disk"):
        for _ in range(2):
            result = hosts.run()
            assert result.done, result.text
        assert result.count.copied == 0
        assert (base / "b" / "disk" / "srv1" / "index.html").read_text() == "tree 1\n"
    hosts.close()


def test_d4_acls_that_cannot_be_kept_are_named_with_their_key(base: Path) -> None:
    hosts = make_hosts(base, {"destination": str(base / "HOST" / "disk" / "srv1"), "xattrs": False})
    os.setxattr(hosts.tree("a") / "index.html", "system.posix_acl_access", READABLE_BY_1235)
    with without_attributes(base / "b" / "disk"):
        result = hosts.run()
    assert result.outcome == "failed"
    assert "index.html" in result.text
    assert "set acls: false in its mirror" in result.text
    hosts.close()


def test_d4_attributes_that_are_kept_are_copied(base: Path) -> None:
    hosts = make_hosts(base, {"xattrs": False})
    os.setxattr(hosts.tree("a") / "index.html", "user.note", b"x")
    assert hosts.run().done
    assert os.listxattr(hosts.tree("b") / "index.html") == []
    hosts.close()


@pytest.mark.parametrize("shell", [("bash", "--posix"), ("busybox", "sh")])
def test_a_run_under_another_shell_than_dash(base: Path, shell: tuple[str, ...]) -> None:
    hosts = make_hosts(base, {"exclude": ["*.tmp"], "max_delete": {"number": 1}})
    for gate in hosts.gates.values():
        object.__setattr__(gate, "shell", shell)
    for number in range(3):
        (hosts.tree("a") / f"page{number}").write_text(f"{number}\n")
    assert hosts.run().done, hosts.results[-1].text
    (hosts.tree("a") / "page0").unlink()
    assert hosts.run().done, hosts.results[-1].text
    (hosts.tree("a") / "page1").unlink()
    (hosts.tree("a") / "page2").unlink()
    assert "it would delete 2 of 3" in hosts.run().text
    assert picture(hosts.tree("b")).keys() == {"index.html", "page1", "page2"}
    hosts.close()


def test_a_mark_holds_whatever_the_time_zone_and_whether_a_kernel_tells_births(base: Path) -> None:
    hosts = make_hosts(base)
    mark = hosts.mark_file("a")
    identity, path = mark.read_text().splitlines()
    inode, kind, *birth = identity.split()
    assert birth[-1] == "+0000"
    # A kernel that reports no times of creation; an overlay, which numbers its directories again at each mount.
    for same in (f"{inode} {kind} -", f"{inode}1 {kind} {' '.join(birth)}"):
        mark.write_text(f"{same}\n{path}\n")
        assert hosts.run().done, hosts.results[-1].text
    for other in (f"{inode}1 {kind} -", f"{inode} {kind}1 -", f"{inode} {kind} 2001-01-01 00:00:00.0 +0000"):
        mark.write_text(f"{other}\n{path}\n")
        assert "another directory than the one that was marked" in hosts.run().text
    hosts.close()


def test_a_mark_holds_on_an_overlay_that_was_mounted_again(base: Path) -> None:
    """The disk of a container or of a live system: its directories have other inode numbers after each boot."""
    hosts = make_hosts(base, {"destination": str(base / "HOST" / "disk" / "srv" / "srv1")})
    for name in ("upper", "work", "lower/srv", "b/disk"):
        (base / name).mkdir(parents=True)
    disk = base / "b" / "disk"
    options = f"lowerdir={base}/lower,upperdir={base}/upper,workdir={base}/work"
    for boot in range(3):
        subprocess.run(["mount", "-t", "overlay", "locum-test", "-o", options, disk], check=True)
        try:
            for number in range(boot):  # the number of a directory depends on what was asked for before it
                (disk / f"earlier {number}").mkdir(exist_ok=True)
            assert hosts.run().done, hosts.results[-1].text
        finally:
            subprocess.run(["umount", "-l", disk], check=True)
    hosts.close()
