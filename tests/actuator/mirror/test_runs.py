"""Mirror runs between two real gates: what is copied, kept, put back, and what a run that is broken off leaves."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.mirror_hosts import READABLE_BY_1235, MirrorHosts, in_memory, make_hosts, picture
from locum_actuator.domain.mirror_run import Progress
from tests.inventory.gate.gate_host import HEAD
from tests.support.polling import wait_for

pytestmark = pytest.mark.integration

ODD_NAMES = ("with space", "-rf", "*", "new\nline", "käse", "back\\slash", "$(reboot)", ".hidden", "a" * 200)


@pytest.fixture
def base() -> Iterator[Path]:
    """A directory in memory: a run syncs the file system of its copy, which others may be writing to."""
    with in_memory() as directory:
        yield directory


@pytest.fixture
def hosts(base: Path) -> Iterator[MirrorHosts]:
    """Two hosts, nothing mirrored yet."""
    hosts = make_hosts(base)
    yield hosts
    hosts.close()


def limit_bandwidth(hosts: MirrorHosts, kib: int) -> None:
    """Give the runs to b so many KiB a second: few for one that is to be broken off. 0: as many as there are."""
    gate = hosts.gates["b"]
    lines = gate.host_file.read_text().removeprefix(HEAD).splitlines()
    limits = [line for line in lines if line.startswith("mirror_bandwidth_kib ")]
    assert len(limits) == 1
    gate.write_host_file(
        "".join(f"{line}\n" for line in lines).replace(limits[0], f"mirror_bandwidth_kib {kib}")
    )


def kept(hosts: MirrorHosts) -> dict[str, list[str]]:
    """Return what is kept on b, by run: the files."""
    runs = hosts.tree("b") / ".locum-kept"
    return {
        run.name: sorted(str(path.relative_to(run)) for path in run.rglob("*") if not path.is_dir())
        for run in sorted(runs.iterdir())
    }


def test_all_of_it_goes_along(hosts: MirrorHosts) -> None:
    tree = hosts.tree("a")
    for name in ODD_NAMES:
        (tree / name).write_text(name)
    (tree / "secret").write_text("secret\n")
    (tree / "secret").chmod(0o640)
    os.chown(tree / "secret", 1234, 4321)
    os.utime(tree / "secret", ns=(1, 987654321012345678))
    (tree / "twin").hardlink_to(tree / "secret")
    (tree / "dangling").symlink_to("/nowhere/at all")
    (tree / "up").symlink_to("..")
    (tree / "empty directory").mkdir(mode=0o2711)
    os.mkfifo(tree / "fifo")
    os.setxattr(tree / "index.html", "system.posix_acl_access", READABLE_BY_1235)
    os.setxattr(tree / "index.html", "user.note", b"hello")
    result = hosts.run()
    assert (result.outcome, result.count.copied) == ("done", len(ODD_NAMES) + 2)
    assert picture(hosts.tree("b")) == picture(tree)
    assert (hosts.tree("b") / "twin").stat().st_ino == (hosts.tree("b") / "secret").stat().st_ino
    copy = hosts.tree("b") / "index.html"
    assert os.getxattr(copy, "system.posix_acl_access") == READABLE_BY_1235
    assert os.getxattr(copy, "user.note") == b"hello"


def test_a_second_run_copies_what_changed_and_keeps_what_went(hosts: MirrorHosts) -> None:
    tree = hosts.tree("a")
    (tree / "old").write_text("old\n")
    (tree / "same").write_text("same\n")
    assert hosts.run().done
    (tree / "old").unlink()
    (tree / "index.html").write_text("another\n")
    (tree / "new").write_text("new\n")
    result = hosts.run()
    assert (result.outcome, result.count.copied, result.count.deleted) == ("done", 2, 1)
    assert kept(hosts) == {str(result.run): ["index.html", "old"]}
    assert (hosts.tree("b") / ".locum-kept").stat().st_mode & 0o777 == 0o700


def test_a_change_within_the_same_second_and_of_the_same_size_is_one(hosts: MirrorHosts) -> None:
    page = hosts.tree("a") / "index.html"
    for number, nanoseconds in ((1, 100), (2, 900)):
        page.write_text(f"{number}\n")
        os.utime(page, ns=(0, 1_800_000_000_000_000_000 + nanoseconds))
        assert hosts.run().done
        assert (hosts.tree("b") / "index.html").read_text() == f"{number}\n"


def test_what_a_run_deleted_or_overwrote_can_be_put_back(hosts: MirrorHosts) -> None:
    hosts.run()
    (hosts.tree("a") / "index.html").write_text("a mistake\n")
    mistaken = hosts.run()
    assert hosts.mirrors.restore("www", "b", mistaken.run) == [
        f"b: directory 1: restored what run {mistaken.run} deleted or overwrote"
    ]
    assert (hosts.tree("b") / "index.html").read_text() == "tree 1\n"
    # What was put back is the mirror's own work, and no change that would hold the next run back.
    assert hosts.run().done
    assert (hosts.tree("b") / "index.html").read_text() == "a mistake\n"


def test_only_the_last_runs_are_kept(base: Path) -> None:
    hosts = make_hosts(base, {"keep_runs": 2})
    runs = []
    for number in range(5):
        (hosts.tree("a") / "index.html").write_text(f"{number}\n" * (number + 1))
        runs.append(str(hosts.run().run))
    assert list(kept(hosts)) == runs[-2:]
    hosts.close()


def test_what_is_excluded_is_neither_copied_nor_deleted_nor_counted(base: Path) -> None:
    hosts = make_hosts(base, {"exclude": ["/cache/", "*.tmp"], "max_delete": {"number": 1}})
    for name in ("cache/a", "b.tmp"):
        (hosts.tree("a") / name).parent.mkdir(exist_ok=True)
        (hosts.tree("a") / name).write_text("a's\n")
    assert hosts.run().done
    assert picture(hosts.tree("b")).keys() == {"index.html"}
    (hosts.tree("b") / "cache").mkdir()
    for number in range(5):
        (hosts.tree("b") / "cache" / f"page{number}").write_text("b's\n")
    (hosts.tree("b") / "cache" / "c.tmp").write_text("b's\n")
    result = hosts.run()
    # The directory that they were made in has changed by that.
    assert "1 changed on this host since it had the same data (. )" in result.text
    assert hosts.run(discard_changes=True).done
    (hosts.tree("b") / "cache" / "page9").write_text("b's\n")
    assert hosts.run().done
    assert len(list((hosts.tree("b") / "cache").iterdir())) == 7
    hosts.close()


def test_a_name_that_no_terminal_should_see_is_told_printably(hosts: MirrorHosts) -> None:
    assert hosts.run().done
    (hosts.tree("b") / "bell\a\x1b[31m\n").write_text("x")
    assert "(. bell[31m? )" in hosts.run().text


def test_several_directories_are_one_run(base: Path) -> None:
    hosts = make_hosts(base, trees=3)
    result = hosts.run()
    assert (result.outcome, result.count.copied) == ("done", 3)
    assert [(hosts.tree("b", number) / "index.html").read_text() for number in (1, 2, 3)] == [
        "tree 1\n",
        "tree 2\n",
        "tree 3\n",
    ]
    hosts.mark_file("a", 3).unlink()
    result = hosts.run()
    # The first two are newer than the third now.
    assert (result.outcome, hosts.mirrors.data_age_seconds("www", "b")) == ("failed", None)
    hosts.close()


def test_commands_run_before_and_after(base: Path) -> None:
    dump, reloaded = base / "a" / "srv1" / "dump", base / "reloaded"
    hosts = make_hosts(
        base, {"before": f"echo dumped > {dump}", "after": f"echo reloaded > {reloaded}; exit 4"}
    )
    for host, mark in (("a", "mirror_before"), ("b", "mirror_after")):
        assert mark in hosts.gates[host].host_file.read_text()
    assert hosts.run().done
    assert (hosts.tree("b") / "dump").read_text() == "dumped\n"
    assert reloaded.read_text() == "reloaded\n"
    hosts.close()


def test_a_source_that_is_mounted_on_the_standby_is_read_there(base: Path) -> None:
    hosts = make_hosts(base, {"mounted_source": str(base / "mounted" / "srv1")})
    (base / "mounted").symlink_to(base / "a")
    hosts.gates["a"].gate.unlink()
    assert "the source is not marked" in hosts.run().text
    hosts.mark("b")
    assert hosts.run().done
    assert (hosts.tree("b") / "index.html").read_text() == "tree 1\n"
    (base / "mounted").unlink()
    hosts.journal.set_holder("www", "a", 5)
    assert "the source is not there" in hosts.run().text
    hosts.close()


def test_back_again_goes_the_same_way(hosts: MirrorHosts) -> None:
    assert hosts.run().done
    hosts.journal.set_holder("www", "b", 4)
    (hosts.tree("b") / "written.html").write_text("written while b served\n")
    found = hosts.mirrors.divergence("www", "a", "b")
    assert (found.one.count, found.other.count, found.both) == (0, 2, False)
    assert found.other.examples == (
        f"{hosts.tree('b').parent.parent}/HOST/srv1/.",
        f"{hosts.tree('b').parent.parent}/HOST/srv1/written.html",
    )
    assert hosts.run("b", "a").done
    assert (hosts.tree("a") / "written.html").read_text() == "written while b served\n"
    assert hosts.mirrors.divergence("www", "a", "b").other.count == 0


@pytest.mark.timed
def test_both_sides_changed_is_told_and_never_settled_by_itself(hosts: MirrorHosts) -> None:
    assert hosts.run().done
    (hosts.tree("a") / "lost.html").write_text("acknowledged by a after the last run\n")
    hosts.journal.set_holder("www", "b", 4)
    (hosts.tree("b") / "written.html").write_text("written while b served\n")
    assert hosts.mirrors.divergence("www", "a", "b").both
    before = picture(hosts.tree("a"))
    result = hosts.run("b", "a")
    assert (result.outcome, "2 changed on this host" in result.text) == ("refused", True)
    assert picture(hosts.tree("a")) == before
    result = hosts.run("b", "a", discard_changes=True)
    assert result.done
    assert (hosts.tree("a") / ".locum-kept" / str(result.run) / "lost.html").exists()


class TestStaged:
    """A copy that is made next to the one in use."""

    @pytest.fixture
    def staged(self, base: Path) -> Iterator[MirrorHosts]:
        hosts = make_hosts(base, {"mode": "staged", "keep_runs": 2})
        yield hosts
        hosts.close()

    def test_is_switched_to_once_it_is_whole(self, staged: MirrorHosts) -> None:
        (staged.tree("a") / "same").write_text("same\n")
        first = staged.run()
        (staged.tree("a") / "index.html").write_text("another\n")
        second = staged.run()
        assert staged.tree("b").readlink() == Path(f".srv1.locum/{second.run}")
        assert picture(staged.tree("b")) == picture(staged.tree("a"))
        old = staged.tree("b").parent / ".srv1.locum" / str(first.run)
        assert (old / "index.html").read_text() == "tree 1\n"
        assert (old / "same").stat().st_ino == (staged.tree("b") / "same").stat().st_ino

    def test_takes_the_place_of_a_directory(self, staged: MirrorHosts) -> None:
        staged.tree("b").mkdir()
        (staged.tree("b") / "index.html").write_text("tree 1\n")
        staged.mark("b")
        assert staged.run().done
        assert picture(staged.tree("b"), times=False) == picture(staged.tree("a"), times=False)
        assert staged.run().done

    def test_an_older_one_can_be_put_in_use_again(self, staged: MirrorHosts) -> None:
        first = staged.run()
        (staged.tree("a") / "index.html").write_text("a mistake\n")
        staged.run()
        staged.mirrors.restore("www", "b", first.run)
        assert (staged.tree("b") / "index.html").read_text() == "tree 1\n"
        assert staged.run().done

    def test_keeps_so_many_beside_the_one_in_use(self, staged: MirrorHosts) -> None:
        runs = [staged.run().run for _ in range(5)]
        assert (
            sorted(int(path.name) for path in (staged.tree("b").parent / ".srv1.locum").iterdir())
            == runs[-3:]
        )

    def test_what_changed_on_b_holds_it_back(self, staged: MirrorHosts) -> None:
        staged.run()
        staged.run()
        (staged.tree("b") / "index.html").write_text("b's\n")
        assert staged.run().outcome == "refused"


class TestBrokenOff:
    """A run that writes when something ends it."""

    @pytest.fixture
    def slow(self, base: Path) -> Iterator[MirrorHosts]:
        """A run of some seconds: 3 MiB at 1 MiB a second."""
        hosts = make_hosts(base)
        assert hosts.run().done
        limit_bandwidth(hosts, 1024)
        for number in range(30):
            (hosts.tree("a") / f"file{number}").write_bytes(os.urandom(100_000))
        yield hosts
        hosts.close()

    def _begin(self, hosts: MirrorHosts) -> threading.Thread:
        thread = threading.Thread(target=hosts.run)
        thread.start()
        wait_for(
            lambda: "writing" in self._state(hosts) and len(list(hosts.tree("b").glob("file*"))) >= 2,
            "the run writes to the copy", 20, state=lambda: self._state(hosts),
        )  # fmt: skip
        return thread

    def _state(self, hosts: MirrorHosts) -> str:
        file = hosts.gates["b"].state / "mirror" / "www.1.state"
        return file.read_text() if file.exists() else ""

    def test_a_host_that_is_to_be_the_holder_is_written_to_no_more(self, slow: MirrorHosts) -> None:
        thread = self._begin(slow)
        begun = time.monotonic()
        assert slow.mirrors.halt("www", "b")
        assert time.monotonic() - begun < 3
        there = picture(slow.tree("b"))
        thread.join(15)
        assert picture(slow.tree("b")) == there
        assert slow.results[-1].outcome == "failed"
        assert slow.results[-1].text == "cancelled: b takes over www"
        assert slow.mirrors.data_age_seconds("www", "b") is None

    def test_a_claim_over_the_gate_ends_it_too(self, slow: MirrorHosts) -> None:
        # An address of this test's own: other tests that run now must not find the others' on a card.
        text = slow.gates["b"].host_file.read_text().removeprefix("locum-gate 1\n")
        slow.gates["b"].write_host_file(text.replace("203.0.113.9", "203.0.113.77"))
        thread = self._begin(slow)
        said = slow.gates["b"].run("claim", "www", "3")
        assert said[-1].startswith("end ")
        there = picture(slow.tree("b"))
        thread.join(15)
        assert picture(slow.tree("b")) == there
        assert (
            slow.results[-1].outcome,
            "ended because this host is to be the holder" in slow.results[-1].text,
        ) == (
            "failed",
            True,
        )
        subprocess.run(
            ["ip", "address", "del", "203.0.113.77/32", "dev", "lo"], check=False, capture_output=True
        )

    def test_what_was_written_there_afterwards_is_not_the_mirrors(self, slow: MirrorHosts) -> None:
        """b takes over with a copy that is not whole, and serves: its writes must hold the next run back."""
        thread = self._begin(slow)
        assert slow.mirrors.halt("www", "b")
        thread.join(15)
        time.sleep(0.02)
        (slow.tree("b") / "file1").write_text("written while b served\n")
        result = slow.run()
        assert (result.outcome, "changed on this host" in result.text) == ("refused", True)

    def test_the_next_run_makes_it_whole(self, slow: MirrorHosts) -> None:
        thread = self._begin(slow)
        slow.mirrors.cancel_all("the actuator ends")
        thread.join(15)
        assert (slow.results[-1].outcome, slow.results[-1].text) == ("failed", "the actuator ends")
        limit_bandwidth(slow, 0)
        assert slow.run().done
        assert picture(slow.tree("b")) == picture(slow.tree("a"))
        assert slow.mirrors.data_age_seconds("www", "b") is not None

    def test_a_first_run_is_taken_up_again(self, base: Path) -> None:
        hosts = make_hosts(base, {"bandwidth_limit": "1M"})
        for number in range(30):
            (hosts.tree("a") / f"file{number}").write_bytes(os.urandom(100_000))
        thread = self._begin(hosts)
        hosts.mirrors.cancel_all("the actuator ends")
        thread.join(15)
        assert hosts.results[-1].outcome == "failed"
        limit_bandwidth(hosts, 0)
        assert hosts.run().done
        assert picture(hosts.tree("b")) == picture(hosts.tree("a"))
        hosts.close()

    def test_a_run_whose_end_nobody_wrote_down_is_settled(self, slow: MirrorHosts) -> None:
        ledger = slow.journal.mirrors
        limit_bandwidth(slow, 0)
        result = slow.run()
        assert result.done
        slow.journal._db.execute(
            "UPDATE mirror_runs SET ended_at=NULL, outcome=NULL WHERE run=?", (result.run,)
        )
        ledger.begin("www", "a", "b", result.run + 1, slow.journal.clock.now())
        assert slow.mirrors.data_age_seconds("www", "b") is None
        slow.mirrors.settle()
        assert [(run.outcome, run.text) for run in ledger.runs("www", 2)] == [
            ("refused", "interrupted by a stop of the actuator"),
            ("done", "ended while no actuator ran"),
        ]
        assert slow.mirrors.data_age_seconds("www", "b") is not None


def test_a_first_run_that_is_killed_before_it_has_marked_its_copy_is_taken_up_again(
    hosts: MirrorHosts,
) -> None:
    gate = hosts.gates["b"].gate
    whole, rename = gate.read_text(), 'mv -f "$1.new" "$1"'
    assert rename in whole
    gate.write_text(whole.replace(rename, f"kill -KILL $$; {rename}"))
    assert hosts.run().outcome == "refused"  # nothing has been written into it yet
    gate.write_text(whole)
    result = hosts.run()
    assert result.done, result.text
    assert picture(hosts.tree("b")) == picture(hosts.tree("a"))


TAKEN_UP = {
    "a new file": ("new", False, True),
    "a file that was large already": ("large", False, True),
    "a small one that grew": ("index.html", False, False),
    "the same, where a run was broken off before": ("index.html", True, True),
}


@pytest.mark.parametrize(("name", "again", "is_kept"), TAKEN_UP.values(), ids=TAKEN_UP)
def test_what_came_of_a_file_before_the_line_was_cut_is_kept_where_it_may_be_much(
    base: Path, name: str, again: bool, is_kept: bool
) -> None:
    hosts = make_hosts(base)
    gate = hosts.gates["b"].gate
    gate.write_text(gate.read_text().replace("LARGE_KIB=16384", "LARGE_KIB=100"))
    if name == "large":
        (hosts.tree("a") / name).write_bytes(os.urandom(200_000))
    assert hosts.run().done
    limit_bandwidth(hosts, 1024)
    (hosts.tree("a") / name).write_bytes(os.urandom(1_200_000))
    partial = hosts.tree("b") / ".locum-kept" / "partial" / name
    for _ in range(1 + again):
        thread = threading.Thread(target=hosts.run)
        thread.start()
        wait_for(
            lambda: any(path.stat().st_size > 150_000 for path in hosts.tree("b").glob(f".{name}.??????")),
            f"{name} is copied in part", 20,
        )  # fmt: skip
        # As a line does that is cut: the destination's own gate detects its end, and it is not killed.
        hosts.mirrors.cancel_all("cut")
        thread.join(15)
        assert hosts.results[-1].outcome == "failed"
    assert partial.exists() == is_kept
    limit_bandwidth(hosts, 0)
    result = hosts.run()
    assert result.done, result.text
    assert (result.count.bytes_sent < 1_200_000) == is_kept
    assert picture(hosts.tree("b")) == picture(hosts.tree("a"))
    hosts.close()


def test_progress_is_told_to_who_asks(base: Path) -> None:
    hosts = make_hosts(base, {"bandwidth_limit": "1M"})
    (hosts.tree("a") / "large").write_bytes(os.urandom(2_000_000))
    reports: list[Progress] = []
    assert hosts.run(on_progress=reports.append).done
    assert reports[-1].percent == 100
    assert [one.bytes_done for one in reports] == sorted(one.bytes_done for one in reports)
    hosts.close()


def test_d6_a_path_too_long_to_be_copied_is_named(hosts: MirrorHosts) -> None:
    here = Path.cwd()
    os.chdir(hosts.tree("a"))
    try:
        for _ in range(25):
            Path("d" * 200).mkdir()
            os.chdir("d" * 200)
        Path("deep").write_text("5,000 bytes down\n")
    finally:
        os.chdir(here)
    result = hosts.run()
    assert result.outcome == "failed"
    assert "rsync returned 23: filename overflows" in result.text, result.text
    assert "previous errors" not in result.text
    assert len(result.text) < 2000


def test_d1_files_renamed_while_a_run_reads_are_in_the_copy(hosts: MirrorHosts) -> None:
    """The real thing: rsync lists the files, and some have another name by the time that it opens them."""
    limit_bandwidth(hosts, 1024)
    source, copy = hosts.tree("a") / "pages", hosts.tree("b") / "pages"
    source.mkdir()
    for number in range(20):
        # The first ten take a second; the others have time enough to be renamed before rsync comes to them.
        (source / f"{number:02}").write_bytes(os.urandom(100_000 if number < 10 else 1000))
    thread = threading.Thread(target=hosts.run)
    thread.start()
    while thread.is_alive() and not (copy / "00").exists():
        time.sleep(0.005)
    for number in range(10, 20):
        (source / f"{number:02}").rename(source / f"renamed {number:02}")
    thread.join()
    assert hosts.results[-1].done, hosts.results[-1].text
    assert picture(hosts.tree("b")) == picture(hosts.tree("a"))


def let_vanish(hosts: MirrorHosts, passes: int) -> Path:
    """Have rsync end as it does where files vanish, in the first passes of the next run; return the list of passes.

    Between two passes a page of the source changes once more.
    """
    gate, log = hosts.gates["b"].gate, hosts.base / "passes"
    ended = '    wait "$rsync_pid"\n    code=$?\n'
    vanish = (
        f"    echo pass >>{log}; n=$(wc -l <{log})\n"
        f"    if [ $n -le {passes} ]; then code=24; echo pass $n >{hosts.tree('a')}/index.html\n"
        "        for f in 1 2 3 4 5 6 7 8 9 10 11 12; do\n"
        '            echo "file has vanished: \\"/pages/$f.$n\\" (in tree)"; done\n'
        "    fi\n"
    )
    text = gate.read_text()
    assert text.count(ended) == 1
    gate.write_text(text.replace(ended, ended + vanish))
    return log


def test_d1_another_pass_follows_and_keeps_what_was_there_before_the_run(hosts: MirrorHosts) -> None:
    assert hosts.run().done
    (hosts.tree("a") / "index.html").write_text("pass 0\n")
    log = let_vanish(hosts, passes=2)
    result = hosts.run()
    assert result.done, result.text
    assert log.read_text().count("pass") == 3
    assert (hosts.tree("b") / "index.html").read_text() == "pass 2\n"
    # The later passes replaced the first one's work; what is kept is what was there before the run.
    assert (hosts.tree("b") / ".locum-kept" / str(result.run) / "index.html").read_text() == "tree 1\n"
    assert not (hosts.tree("b") / ".locum-kept" / "again").exists()


@pytest.mark.parametrize("mode", ["in_place", "staged"])
def test_d1_what_vanishes_in_each_pass_is_named_and_the_copy_is_not_whole(base: Path, mode: str) -> None:
    hosts = make_hosts(base, {"mode": mode})
    assert hosts.run().done
    (hosts.tree("a") / "index.html").write_text("pass 0\n")
    log = let_vanish(hosts, passes=9)
    result = hosts.run()
    assert log.read_text().count("pass") == 3
    names = "; ".join(f'"/pages/{number}.3" (in tree)' for number in range(1, 11))
    assert result.outcome == "failed"
    assert result.text.partition("): ")[2] == (
        f"files vanished at the source while they were read: {names}; and 2 more "
        "(in each of 3 passes: exclude files that come and go all the time)"
    )
    assert (hosts.mirrors.data_age_seconds("www", "b") is None) == (mode == "in_place")
    if mode == "staged":
        assert (
            hosts.tree("b") / "index.html"
        ).read_text() == "tree 1\n"  # the last whole copy is still in use
    hosts.close()


def test_d1_a_later_pass_runs_no_hook_before(base: Path) -> None:
    hosts = make_hosts(base, {"before": f"echo ran >>{base}/before"})
    let_vanish(hosts, passes=1)
    result = hosts.run()
    assert result.done, result.text
    assert (base / "before").read_text() == "ran\n"
    hosts.close()


def test_d2_a_sparse_file_stays_sparse(hosts: MirrorHosts) -> None:
    with (hosts.tree("a") / "image").open("wb") as file:
        file.truncate(300 * 1024 * 1024)
        file.seek(150 * 1024 * 1024)
        file.write(b"x" * 4096)
    result = hosts.run()
    assert result.done, result.text
    copy = (hosts.tree("b") / "image").stat()
    assert (copy.st_size, copy.st_blocks * 512 < 2**20) == (300 * 1024 * 1024, True)
    assert result.count.bytes_sent < 2**20
