"""Rounds of mirror runs with drawn trees and drawn faults: nothing is ever lost that is not deleted at the source.

    python -m bench.mirror_rounds --rounds 500

Each round makes two hosts with real gates and rsync and, mostly, a whole copy; then it lets a few runs go wrong in
drawn ways at a drawn moment, from the begin of the run or from its first write: `kill -9` of either end or of a
part of it, a cut line, a full disk, a source that changes meanwhile or is not mounted. After each run

* one that was refused has left the copy byte for byte as it was;
* one that is done has made the copy what the source is;
* one that failed has lost nothing: what each file of the last whole copy was is still there, or kept aside; what is
  there is as it was or as the source had it since; and the copy counts as not whole.

Staged, the copy in use is always a whole one, byte for byte. At the end a run without a fault makes it whole.
Writes bench/results/mirror_rounds.json: how often which fault ended how. Exit 1 where a promise did not hold, or
where a fault never broke a run off: then the rounds have shown nothing of it.
"""

from __future__ import annotations

import json
import logging
import os
import random
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path

import click
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from bench.mirror_hosts import KEPT, MirrorHosts, in_memory, make_hosts, picture
from locum_actuator.domain.mirror_run import MirrorResult

RESULTS = Path(__file__).parent / "results" / "mirror_rounds.json"
DISK_BYTES = 6_000_000
BATCH = 25  # rounds of one seed
MODES = ("in_place", "staged")
QUIET_SECONDS = 20.0  # for what a kill left behind to end
NAMES = (
    "index.html",
    "käse",
    "with space",
    "-n",
    "*",
    "new\nline",
    "deep/er/file",
    "deep/other",
    "x" * 120,
    "link",
)
FAULTS = (
    "none", "kill source", "kill destination", "kill its gate", "kill its rsync", "cut", "disk full",
    "source changes", "not mounted",
)  # fmt: skip
# How a fault must have ended at least once, in each mode, for the rounds to have shown something.
SHOWS = {
    **dict.fromkeys(FAULTS, "failed"), "none": "done", "source changes": "done", "not mounted": "refused"
}  # fmt: skip


@dataclass(frozen=True)
class Change:
    """What happens to one name at the source."""

    name: str
    kind: str  # write, delete, symlink or twin (a hard link)
    size: int
    salt: int


@dataclass(frozen=True)
class Trial:
    """Changes at the source, then a run with a fault so many seconds after its begin, or after its first write."""

    changes: tuple[Change, ...]
    fault: str
    after_seconds: float
    from_first_write: bool = True


@dataclass(frozen=True)
class Round:
    """What is drawn for one round."""

    mode: str
    begin: tuple[Change, ...]
    trials: tuple[Trial, ...]
    copied_first: bool = True  # whole, before anything goes wrong


@dataclass
class Tally:
    """How often each fault ended in which way."""

    ended: Counter[str] = field(default_factory=Counter)
    rounds: int = 0


_changes = st.lists(
    st.builds(
        Change,
        st.sampled_from(NAMES),
        st.sampled_from(("write", "write", "write", "delete", "symlink", "twin")),
        st.sampled_from((0, 1, 1000, 60_000, 200_000)),
        st.integers(0, 3),
    ),
    max_size=8,
).map(tuple)
rounds = st.builds(
    Round,
    st.sampled_from(("in_place", "in_place", "staged")),
    _changes,
    st.lists(
        st.builds(
            Trial,
            _changes,
            st.sampled_from(FAULTS),
            st.floats(0.0, 0.4),
            st.sampled_from((True, True, False)),
        ),
        min_size=1,
        max_size=3,
    ).map(tuple),
    st.sampled_from((True, True, True, False)),
)


def play(drawn: Round, tally: Tally | None = None) -> None:
    """Play one round; raises AssertionError where a promise does not hold."""
    with in_memory() as base, _disk(base / "b"):
        # A slow line, so that there is something to interrupt; the limits of deletions are tested elsewhere.
        hosts = make_hosts(
            base,
            {"mode": drawn.mode, "bandwidth_limit": "1M", "max_delete": {"share": "100%"}, "keep_runs": 9},
        )
        try:
            _Game(hosts, drawn.mode, tally or Tally()).play(drawn)
        finally:
            _wait_until_quiet(hosts)
            hosts.close()


class _Game:
    """One round as it goes on."""

    def __init__(self, hosts: MirrorHosts, mode: str, tally: Tally) -> None:
        self._hosts, self._mode, self._tally = hosts, mode, tally
        self._good: dict[str, tuple[object, ...]] = {}  # the last whole copy
        self._since: dict[str, set[object]] = {}  # what the source had of each name since

    def play(self, drawn: Round) -> None:
        # A source without any file would be refused, and rightly.
        (self._hosts.tree("a") / "always").write_text("always\n")
        for change in drawn.begin:
            _apply(self._hosts.tree("a"), change)
        if drawn.copied_first:
            first = self._hosts.run()
            assert first.done, first.text
            self._is_whole()
        for trial in drawn.trials:
            for change in trial.changes:
                _apply(self._hosts.tree("a"), change)
            self._try(trial)
        result = self._hosts.run()
        assert result.done, result.text
        _assert_same(self._hosts)
        assert self._hosts.mirrors.data_age_seconds("www", "b") is not None

    def _try(self, trial: Trial) -> None:
        copy = self._hosts.tree("b")
        before = picture(copy)
        result = _run_with(self._hosts, trial)
        _wait_until_quiet(self._hosts)
        self._tally.ended[f"{self._mode}, {trial.fault}: {result.outcome}"] += 1
        there, source = picture(copy), picture(self._hosts.tree("a"))
        for name, entry in source.items():
            self._since.setdefault(name, set()).add(entry[3])
        age = self._hosts.mirrors.data_age_seconds("www", "b")
        if result.outcome == "refused":
            assert there == before, ("a refusal changed the copy", result.text)
        elif result.outcome == "done":
            assert age is not None
            if trial.fault != "source changes":
                _assert_same(self._hosts)
            self._is_whole()
        elif self._mode == "staged":
            # Killed after the switch and before it could say so: then it is the new whole one that is in use.
            assert there == before or picture(copy) == picture(self._hosts.tree("a")), result.text
        else:
            assert age is None, ("a broken copy counts as whole", result.text)
            self._nothing_is_lost(there, changing=trial.fault == "source changes")

    def _is_whole(self) -> None:
        self._good, self._since = picture(self._hosts.tree("b")), {}

    def _nothing_is_lost(self, there: dict[str, tuple[object, ...]], *, changing: bool) -> None:
        kept = _kept(self._hosts.tree("b"))
        for name, was in self._good.items():
            if _is_directory(was):
                continue
            content, aside = was[3], kept.get(name, set())
            if name in there and not _is_directory(there[name]) and not changing:
                had = {content, *self._since.get(name, set())}
                assert there[name][3] in had, f"{name!r} is neither as it was nor as the source had it"
            # Between keeping the old one aside and putting the new one there a name may be missing.
            assert (name in there and there[name][3] == content) or content in aside, (
                f"what {name!r} was is lost"
            )


def _assert_same(hosts: MirrorHosts) -> None:
    copy, source = picture(hosts.tree("b")), picture(hosts.tree("a"))
    differ = [name for name in copy.keys() | source.keys() if copy.get(name) != source.get(name)]
    assert not differ, {name: (copy.get(name), source.get(name)) for name in differ}


def _is_directory(entry: tuple[object, ...]) -> bool:
    return isinstance(entry[0], int) and (entry[0] & 0o170000) == 0o040000


def _kept(copy: Path) -> dict[str, set[object]]:
    """Return what is kept of each name, over all runs."""
    found: dict[str, set[object]] = {}
    for run in copy.glob(f"{KEPT}/2*"):
        for name, entry in picture(run).items():
            found.setdefault(name, set()).add(entry[3])
    return found


def _apply(tree: Path, change: Change) -> None:
    """Change the source as a program would, which replaces a file by another one."""
    path = tree / change.name
    with suppress(OSError):
        if change.kind == "delete":
            path.unlink()
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_name(".new")
        if change.kind == "symlink":
            new.symlink_to("index.html" if change.salt else "/nowhere")
        elif change.kind == "twin":
            if (tree / "index.html").is_symlink():
                return  # rsync does not keep the time of symbolic links with two names
            new.hardlink_to(tree / "index.html")
        else:
            new.write_bytes(random.Random(change.salt).randbytes(change.size))
        new.rename(path)


def _run_with(hosts: MirrorHosts, trial: Trial) -> MirrorResult:
    """Let a run go wrong; return what came of it."""
    box: list[MirrorResult] = []
    thread = threading.Thread(target=lambda: box.append(hosts.run()))
    before = _state(hosts)
    with _WORLDS[trial.fault](hosts) if trial.fault in _WORLDS else nullcontext():
        thread.start()
        ended = threading.Event()
        if trial.fault == "source changes":
            threading.Thread(target=_go_on_changing, args=(hosts.tree("a"), thread, ended)).start()
        else:
            ended.set()
            while trial.from_first_write and _state(hosts) == before and thread.is_alive():
                time.sleep(0.005)
            time.sleep(trial.after_seconds)
            _FAULTS.get(trial.fault, _nothing)(hosts)
        thread.join(60)
        assert not thread.is_alive(), "the run did not end"
        ended.wait(5)
    return box[0]


def _go_on_changing(tree: Path, run: threading.Thread, ended: threading.Event) -> None:
    number = 0
    while run.is_alive():
        number += 1
        _apply(
            tree,
            Change(NAMES[number % len(NAMES)], ("write", "delete", "symlink")[number % 3], 5000, number % 4),
        )
        time.sleep(0.005)
    ended.set()


def _state(hosts: MirrorHosts) -> str:
    """Return what b has written down of its copy; it does so before it writes anything else."""
    path = hosts.gates["b"].state / "mirror" / "www.1.state"
    return path.read_text() if path.exists() else ""


def _processes(hosts: MirrorHosts, host: str) -> Iterator[tuple[int, str]]:
    """Yield those that work for a host's end of a run: its gate by name, rsync by the directory it stands in.

    The destination's rsync is in a mount namespace of its own: it is known by the lock that it has open.
    """
    disk, gate = str(hosts.base / host) + "/", str(hosts.gates[host].gate)
    lock = hosts.gates[host].run_directory / "www.mirror"
    for directory in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (directory / "cmdline").read_bytes().decode(errors="replace").split("\0")
            if gate in words:
                yield int(directory.name), "gate"
            elif str((directory / "cwd").readlink()).startswith(disk) or _has_open(directory, lock):
                yield int(directory.name), words[0]


def _has_open(process: Path, lock: Path) -> bool:
    with suppress(OSError):
        return (process / "fd" / "8").samefile(lock)
    return False


def _kill(host: str, *names: str) -> Callable[[MirrorHosts], None]:
    def kill(hosts: MirrorHosts) -> None:
        for pid, name in list(_processes(hosts, host)):
            if not names or name in names:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    return kill


def _nothing(_hosts: MirrorHosts) -> None:
    """Let it go on."""


_FAULTS: dict[str, Callable[[MirrorHosts], None]] = {
    "kill source": _kill("a"),
    "kill destination": _kill("b"),
    "kill its gate": _kill("b", "gate"),
    "kill its rsync": _kill("b", "rsync"),
    "cut": lambda hosts: hosts.mirrors.cancel_all("cut"),
}


def _wait_until_quiet(hosts: MirrorHosts) -> None:
    """Wait until nothing that a kill left behind still writes."""
    end_by = time.monotonic() + QUIET_SECONDS
    while any(True for _ in _processes(hosts, "b")):
        assert time.monotonic() < end_by, list(_processes(hosts, "b"))
        time.sleep(0.02)


@contextmanager
def _disk(directory: Path) -> Iterator[None]:
    """Give a host a small disk of its own."""
    directory.mkdir()
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "locum-mirror", directory], check=True
    )
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", directory], check=True)


@contextmanager
def _full_disk(hosts: MirrorHosts) -> Iterator[None]:
    """Leave a few pages of b's disk."""
    ballast = hosts.base / "b" / "ballast"
    free = os.statvfs(hosts.base / "b")
    ballast.write_bytes(b"\0" * max(0, free.f_bavail * free.f_frsize - 40_000))
    try:
        yield
    finally:
        ballast.unlink()


@contextmanager
def _unmounted(hosts: MirrorHosts) -> Iterator[None]:
    """Leave an empty directory where the source was, as what is not mounted does."""
    tree = hosts.tree("a")
    tree.rename(tree.with_name("away"))
    tree.mkdir()
    try:
        yield
    finally:
        tree.rmdir()
        tree.with_name("away").rename(tree)


_WORLDS = {"disk full": _full_disk, "not mounted": _unmounted}  # faults that are there before the run begins


def play_many(count: int, start: int) -> Tally:
    """Play drawn rounds; return how often which fault ended how. `start` seeds what is drawn."""
    tally = Tally()
    logging.disable(logging.CRITICAL)  # most runs are meant to fail

    @seed(start)
    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    @given(rounds)
    def play_all(drawn: Round) -> None:
        play(drawn, tally)
        tally.rounds += 1

    play_all()
    return tally


@click.command()
@click.option("--rounds", "count", type=click.IntRange(min=1), default=500, show_default=True)
@click.option("--seed", "start", type=int, default=1, show_default=True)
@click.option("--jobs", type=click.IntRange(min=1), default=4, show_default=True, help="side by side")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), default=RESULTS, show_default=True)
def main(count: int, start: int, jobs: int, out: Path) -> None:
    """Play drawn rounds, and write down how the runs ended."""
    ended, played, begun = Counter[str](), 0, time.monotonic()
    sizes = [min(BATCH, count - done) for done in range(0, count, BATCH)]
    with ProcessPoolExecutor(jobs) as pool:
        for batch in as_completed([pool.submit(play_many, size, start + n) for n, size in enumerate(sizes)]):
            ended += batch.result().ended
            played += batch.result().rounds
            click.echo(f"{played} rounds, {time.monotonic() - begun:.0f} s", err=True)
    runs = dict(sorted(ended.items()))
    values = {
        "rounds": played,
        "seed": start,
        "runs_with_a_fault": sum(runs.values()),
        "lost": 0,
        "runs": runs,
    }
    out.write_text(json.dumps(values, indent=2) + "\n")
    click.echo(f"{played} rounds, {sum(runs.values())} runs, nothing lost")
    for name, times in runs.items():
        click.echo(f"  {name}: {times}")
    if unseen := [f"{mode}, {fault}: {how}" for mode in MODES for fault, how in SHOWS.items()
                  if not ended[f"{mode}, {fault}: {how}"]]:  # fmt: skip
        raise click.ClickException(f"not shown, since it never happened: {'; '.join(unseen)}")


if __name__ == "__main__":
    main()
