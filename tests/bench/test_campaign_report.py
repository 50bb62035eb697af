"""The campaign's results: added up over seeds, kept when a run is broken off, and put into a page."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from bench.campaign import report
from bench.campaign.invariants import Held, Taken
from bench.campaign.schedule import scenario
from bench.campaign.side_by_side import TRIES, Job, run_all
from bench.campaign.systems import CANDIDATES
from bench.campaign.trial import Result


def result(
    name: str, *, faults: int = 3, by_two: float = 0.0, taken: int = 0, without: float = 1.5
) -> Result:
    return Result(
        scenario=name, faults=faults, held=Held(by_two=by_two, returning=0.25),
        healthy_taken=[Taken(1.0, "a", "b", 1.0, 50)] * taken, takeovers=1 + taken,
        lost_alerts=[], unfinished=[], left_down=None, refusal=None, seconds_without_service=without,
        wire_held_by_two_seconds=by_two, gap_seconds=0.2, longest_gap_seconds=0.1, unheard_packets=0,
    )  # fmt: skip


def test_a_new_revision_starts_from_nothing() -> None:
    results: dict[str, object] = {}
    report.add(results, "locum refuse", "1234567", [result("1/0", by_two=0.5)])
    report.add(results, "locum refuse", "89abcde", [result("2/0")])
    assert results["locum refuse"]["revision"] == "89abcde"  # type: ignore[index]
    assert list(results["locum refuse"]["scenarios"]) == ["2/0"]  # type: ignore[index]


def test_the_seeds_of_a_revision_are_added_up() -> None:
    results: dict[str, object] = {}
    report.add(results, "locum refuse", "1234567", [result("1/0"), result("1/1", by_two=0.5)])
    report.add(results, "locum refuse", "1234567", [result("2/0", taken=2)])
    assert results["locum refuse"] == {
        "faults": 9,
        "seed": [1, 2],
        "revision": "1234567",
        "violations": {"held_by_two": 1, "healthy_taken": 2, "alert_lost": 0, "left_down": 0},
        "held_by_two_seconds": 0.5,
        "held_while_cut_off_seconds": 0.0,
        "returning_seconds": 0.75,
        "seconds_without_service": 4.5,
        "observer_gap_seconds": 0.6,
        "observer_longest_gap_seconds": 0.1,
        "longest_return_seconds": 0.25,
        "takeovers": 5,
        "refused_at_end": 0,
        "scenarios": results["locum refuse"]["scenarios"],  # type: ignore[index]
    }


def test_a_scenario_that_is_run_again_replaces_what_was_there() -> None:
    results: dict[str, object] = {}
    report.add(results, "locum refuse", "1234567", [result("1/0", taken=1)])
    report.add(results, "locum refuse", "89abcde", [result("1/0")])
    assert results["locum refuse"]["violations"]["healthy_taken"] == 0  # type: ignore[index]
    assert report.done(results, "locum refuse", "89abcde") == {"1/0"}
    assert report.done(results, "locum refuse", "1234567") == frozenset()
    assert report.done(results, "locum three", "89abcde") == frozenset()


def test_two_campaigns_add_to_one_file(tmp_path: Path) -> None:
    path = tmp_path / "results" / "campaign.json"

    def one(system: str) -> None:
        for number in range(20):
            with report.kept(path) as results:
                report.add(results, system, "1234567", [result(f"1/{number}")])

    threads = [threading.Thread(target=one, args=(system,)) for system in ("locum refuse", "locum three")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert {system: row["faults"] for system, row in report.load(path).items()} == {
        "locum refuse": 60, "locum three": 60,
    }  # fmt: skip


def test_results_of_a_run_that_is_broken_off_stay(tmp_path: Path) -> None:
    path = tmp_path / "campaign.json"
    with report.kept(path) as results:
        report.add(results, "locum refuse", "1234567", [result("1/0")])

    def broken_off() -> None:
        with report.kept(path) as results:
            report.add(results, "locum refuse", "1234567", [result("1/1")])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        broken_off()
    assert list(json.loads(path.read_text())["locum refuse"]["scenarios"]) == ["1/0"]


def test_tables_go_into_their_places(tmp_path: Path) -> None:
    page = tmp_path / "trust.md"
    page.write_text("Before\n<!-- campaign: locum -->\nold\n<!-- campaign: end of locum -->\nAfter\n")
    results: dict[str, object] = {}
    report.add(results, "locum refuse", "1234567", [result("1/0")])
    report.fill(page, "locum", report.markdown(report.rows(results, ["locum refuse", "locum three"])))
    lines = page.read_text().splitlines()
    assert lines[0] == "Before"
    assert lines[4] == "| locum refuse | 3 | 1 | 0.0 | 0.0 | 0.25 | 0 | 0 | 0 | 2 | 1 |"
    assert lines[-1] == "After"
    assert report.markdown(report.rows({}, ["locum refuse"])) == "Not run yet."
    with pytest.raises(ValueError, match="has no place for beside"):
        report.fill(page, "beside", "")


def test_what_could_not_be_run_is_tried_again_and_told_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker process that has no lab to run in: nothing of that is a result."""
    job = Job("no-system", scenario(1, 0))
    assert job.system not in CANDIDATES
    outcomes = list(run_all([job], labs=1, keep=None))
    assert [found for found, _ in outcomes] == [job] * TRIES
    assert {words for _, words in outcomes} == {"could not be run: KeyError: 'no-system'"}
