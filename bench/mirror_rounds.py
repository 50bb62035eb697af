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
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path

import click
from hypothesis import HealthCheck, Phase, given, seed, settings

from bench.mirror_draws import FAULTS, MODES, Round, Trial, rounds
from bench.mirror_faults import apply_change, run_with_fault, small_disk, wait_until_quiet
from bench.mirror_hosts import KEPT, MirrorHosts, in_memory, make_hosts, picture

RESULTS = Path(__file__).parent / "results" / "mirror_rounds.json"
BATCH = 25  # rounds of one seed
# How a fault must have ended at least once, in each mode, for the rounds to have shown something.
SHOWS = {
    **dict.fromkeys(FAULTS, "failed"), "none": "done", "source changes": "done", "not mounted": "refused"
}  # fmt: skip


@dataclass
class Tally:
    """How often each fault ended in which way."""

    ended: Counter[str] = field(default_factory=Counter)
    rounds: int = 0


def play(drawn: Round, tally: Tally | None = None) -> None:
    """Play one round; raises AssertionError where a promise does not hold."""
    with in_memory() as base, small_disk(base / "b"):
        # A slow line, so that there is something to interrupt; the limits of deletions are tested elsewhere.
        hosts = make_hosts(
            base,
            {"mode": drawn.mode, "bandwidth_limit": "1M", "max_delete": {"share": "100%"}, "keep_runs": 9},
        )
        try:
            _Game(hosts, drawn.mode, tally or Tally()).play(drawn)
        finally:
            wait_until_quiet(hosts)
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
            apply_change(self._hosts.tree("a"), change)
        if drawn.copied_first:
            first = self._hosts.run()
            assert first.done, first.text
            self._is_whole()
        for trial in drawn.trials:
            for change in trial.changes:
                apply_change(self._hosts.tree("a"), change)
            self._try(trial)
        result = self._hosts.run()
        assert result.done, result.text
        _assert_same(self._hosts)
        assert self._hosts.mirrors.data_age_seconds("www", "b") is not None

    def _try(self, trial: Trial) -> None:
        copy = self._hosts.tree("b")
        before = picture(copy)
        result = run_with_fault(self._hosts, trial)
        wait_until_quiet(self._hosts)
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
