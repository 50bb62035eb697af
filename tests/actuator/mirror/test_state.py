"""What is known of copies and of runs: their age, their metrics, when the next is due, what rsync and gates say."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from locum_actuator.domain.mirror_run import MirrorResult, Outcome, TreeCount
from locum_actuator.engine.mirror_schedule import Schedule, next_time
from locum_actuator.journal.journal import Journal
from locum_actuator.mirror.freshness import copies, words
from locum_actuator.mirror.gate_commands import GateCommands, GateVerdict, MirrorArguments
from locum_actuator.mirror.manager import MirrorManager
from locum_actuator.mirror.metrics import MirrorCollector
from locum_actuator.mirror.rsync_output import complaints, progress, statistics
from locum_inventory.site.mirror import Mirror
from locum_inventory.site.model import Site
from tests.support.set_time import SetTime, set_time

NOW = 1_800_000_000.0
HOUR = 3600.0


def site(**mirror: Any) -> Site:
    return Site.model_validate(
        {
            "hosts": {
                name: {"address": f"192.0.2.{n}", "ssh": {"user": "locum"}} for n, name in enumerate("abc", 1)
            },
            "services": {
                "www": {
                    "hosts": ["a", "b", "c"], "addresses": ["192.0.2.100/24"], "interface": "eth0",
                    "standby": "running", "takeover": {"when_unreachable": "takeover"},
                    "mirror": {"source": "/srv/www", **mirror},
                }
            },
            "witnesses": ["192.0.2.254"],
            "actuator": {"host": "c"},
        }
    )  # fmt: skip


@pytest.fixture
def clocks() -> Iterator[SetTime]:
    with set_time(NOW) as clocks:
        yield clocks


@pytest.fixture
def journal(tmp_path: Path, clocks: SetTime) -> Iterator[Journal]:
    journal = Journal(tmp_path / "journal.sqlite")
    journal.set_holder("www", "a", 3)
    yield journal
    journal.close()


def record(journal: Journal, outcome: Outcome | None, hours_ago: float, destination: str = "b") -> None:
    """Write down a run that began so long ago and took a minute; one without an outcome goes on."""
    began = NOW - hours_ago * HOUR
    run = int(time.strftime("%Y%m%d%H%M%S", time.gmtime(began)))
    number = journal.mirrors.begin("www", "a", destination, run, began)
    if outcome is not None:
        count = TreeCount(100, 7, 2, 4096)
        result = MirrorResult("www", "a", destination, run, outcome, "because", began, 60.0, count)
        journal.mirrors.end(number, result, began + 60)


def take_over(journal: Journal, before: str, hours_ago: float, *, done: bool = True) -> None:
    """Write down that another host took the service over."""
    incident = journal.open_incident("www", "test")
    journal._db.execute("UPDATE incidents SET holder_before=? WHERE id=?", (before, incident))
    journal.counts.count_takeover("www", incident)
    journal._db.execute(
        "UPDATE takeovers SET at=?, done_at=? WHERE incident=?",
        (NOW - hours_ago * HOUR, NOW if done else None, incident),
    )
    journal.close_incident(incident, "takeover", "test")


# name: (mode, what was recorded of b, age in hours, stale, in words)
AGES: dict[str, tuple[str, list[tuple[Outcome | None, float]], float | None, bool, str]] = {
    "never mirrored": ("in_place", [], None, True, "no copy: it was never mirrored"),
    "of this morning": ("in_place", [("done", 5)], 5, False, "a copy of 5 h ago (run "),
    "of the day before yesterday": ("in_place", [("done", 50)], 50, True, "a copy of 2 days ago (run "),
    "refused since": ("in_place", [("done", 5), ("refused", 1)], 5, False, "a copy of 5 h ago"),
    "broken off since": (
        "in_place",
        [("done", 5), ("failed", 1)],
        None,
        True,
        "an incomplete copy (run ",
    ),
    "broken off, then whole": ("in_place", [("failed", 5), ("done", 1)], 1, False, "a copy of 60 min ago"),
    "being written": ("in_place", [("done", 5), (None, 0)], None, True, "an incomplete copy"),
    "broken off, then refused": (
        "in_place",
        [("done", 5), ("failed", 2), ("refused", 1)],
        None,
        True,
        "an incomplete copy",
    ),
    "staged, broken off since": ("staged", [("done", 5), ("failed", 1)], 5, False, "a copy of 5 h ago"),
    "staged, being written": ("staged", [("done", 5), (None, 0)], 5, False, "a copy of 5 h ago"),
    "staged, never whole": ("staged", [("failed", 5)], None, True, "no copy: it was never mirrored"),
}


@pytest.mark.parametrize(("mode", "runs", "hours", "stale", "text"), AGES.values(), ids=AGES)
def test_a_copy_is_as_old_as_the_start_of_its_last_whole_run(
    journal: Journal,
    mode: str,
    runs: list[tuple[Outcome | None, float]],
    hours: float | None,
    stale: bool,
    text: str,
) -> None:
    for outcome, ago in runs:
        record(journal, outcome, ago)
    copy = copies(journal.mirrors, "www", site(mode=mode).services["www"], "a", NOW)["b"]
    assert (copy.age_seconds, copy.stale) == (None if hours is None else hours * HOUR, stale)
    assert copy.text.startswith(text)


def test_a_former_holder_has_its_data_from_then(journal: Journal) -> None:
    record(journal, "done", 30, "a")
    take_over(journal, "a", hours_ago=3)
    known = copies(journal.mirrors, "www", site().services["www"], "b", NOW)
    assert known.keys() == {"a", "c"}
    assert (known["a"].age_seconds, known["a"].stale) == (3 * HOUR, False)
    assert known["a"].text == "the data it had when it was the holder, 3 h ago"


def test_a_takeover_that_was_undone_makes_nobodys_data_new(journal: Journal) -> None:
    record(journal, "done", 30)
    take_over(journal, "b", hours_ago=1, done=False)
    assert copies(journal.mirrors, "www", site().services["www"], "a", NOW)["b"].age_seconds == 30 * HOUR


def test_a_former_holder_that_was_mirrored_back_is_as_new_as_that(journal: Journal) -> None:
    take_over(journal, "a", hours_ago=3)
    record(journal, "done", 1, "a")
    assert copies(journal.mirrors, "www", site().services["www"], "b", NOW)["a"].age_seconds == HOUR


def test_where_nobody_is_known_to_hold_no_copy_is_older_than_another(journal: Journal) -> None:
    assert copies(journal.mirrors, "www", site().services["www"], None, NOW) == {}


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0 s"), (119, "119 s"), (120, "2 min"), (7199, "120 min"), (7200, "2 h"), (200_000, "2 days")],
)
def test_times_in_words(seconds: float, said: str) -> None:
    assert words(seconds) == said


def test_the_ledger_forgets_old_runs_and_never_the_one_a_copy_is_of(journal: Journal) -> None:
    record(journal, "done", 5000)
    with journal._write() as db:
        db.executemany(
            "INSERT INTO mirror_runs (service, source, destination, run, started_at, ended_at, outcome, text)"
            " VALUES ('www','a','b',?,?,?,'refused','')",
            [(number, number, number) for number in range(1, 1500)],
        )
    record(journal, "refused", 1)
    assert len(journal.mirrors.runs("www", limit=5000)) == 1002
    assert journal.mirrors.last_done("www", "b") is not None


# -- metrics --------------------------------------------------------------------------------------------------


def test_metrics_of_every_copy(journal: Journal) -> None:
    values = site()
    record(journal, "done", 5)
    record(journal, "refused", 1)
    mirrors = MirrorManager(lambda: values, journal, lambda site: GateCommands(site, "c"))
    samples = {
        (sample.name.removeprefix("locum_mirror_"), *list(sample.labels.values())[1:]): sample.value
        for family in MirrorCollector(mirrors).collect()
        for sample in family.samples
    }
    assert samples == {
        ("max_age_seconds",): 26 * HOUR,
        ("running",): 0,
        ("last_success_timestamp_seconds", "b"): NOW - 5 * HOUR,
        ("age_seconds", "b"): 5 * HOUR,
        ("stale", "b"): 0,
        ("stale", "c"): 1,
        ("last_result", "b", "done"): 0,
        ("last_result", "b", "refused"): 1,
        ("last_result", "b", "failed"): 0,
        ("last_result", "c", "done"): 0,
        ("last_result", "c", "refused"): 0,
        ("last_result", "c", "failed"): 0,
        ("last_duration_seconds", "b"): 60,
        ("last_files", "b"): 100,
        ("last_copied_files", "b"): 7,
        ("last_deleted_files", "b"): 2,
        ("last_sent_bytes", "b"): 4096,
    }


# -- the schedule ---------------------------------------------------------------------------------------------


def at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


# name: (schedule, jitter, after, chance, due)
DUE = {
    "at four": ("0 4 * * *", "60s", "2026-11-23T03:00:00", 0.0, "2026-11-23T04:00:00"),
    "the next day": ("0 4 * * *", "60s", "2026-11-23T04:00:00", 0.0, "2026-11-24T04:00:00"),
    "a little later, by chance": ("0 4 * * *", "10m", "2026-11-23T03:00:00", 0.5, "2026-11-23T04:05:00"),
    "every quarter of an hour": ("*/15 * * * *", "60s", "2026-11-23T03:01:00", 0.0, "2026-11-23T03:15:00"),
    "on Sundays": ("0 4 * * sun", "60s", "2026-11-23T05:00:00", 0.0, "2026-11-29T04:00:00"),
}


@pytest.mark.parametrize(("schedule", "jitter", "after", "chance", "due"), DUE.values(), ids=DUE)
def test_when_a_run_is_due(schedule: str, jitter: str, after: str, chance: float, due: str) -> None:
    mirror = Mirror.model_validate({"source": "/srv/www", "schedule": schedule, "jitter": jitter})
    with set_time() as clocks:
        clocks.chance = chance
        assert next_time(mirror, at(after)) == at(due)


class Recorded:
    """Mirrors that write down which runs were begun."""

    def __init__(self, site: Site, journal: Journal, outcome: Outcome = "done") -> None:
        self.site = lambda: site
        self.journal = journal
        self.outcome: Outcome = outcome
        self.begun: list[str] = []

    def run(self, service: str, source: str, destination: str) -> MirrorResult:
        self.begun.append(f"{source} to {destination}")
        return MirrorResult(service, source, destination, 1, self.outcome, "", 0.0, 0.0)

    def cancel_all(self, why: str) -> None:
        """Nothing goes on."""


def ticked(schedule: Schedule, clocks: SetTime, text: str) -> None:
    """Set the clock, look once, and wait for what was begun."""
    clocks.wall = at(text)
    schedule.begin_due()
    for thread in schedule._runs.values():
        thread.join(5)


def test_a_service_is_mirrored_when_it_is_due_and_to_every_standby(journal: Journal, clocks: SetTime) -> None:
    mirrors = Recorded(site(jitter="1s"), journal)
    schedule = Schedule(mirrors, lambda _: None)  # type: ignore[arg-type]
    ticked(schedule, clocks, "2026-11-23T03:59:59")
    assert mirrors.begun == []
    ticked(schedule, clocks, "2026-11-23T04:00:02")
    assert mirrors.begun == ["a to b", "a to c"]
    ticked(schedule, clocks, "2026-11-23T04:00:04")
    assert len(mirrors.begun) == 2
    journal.set_holder("www", "b", 4)
    ticked(schedule, clocks, "2026-11-24T04:00:02")
    assert mirrors.begun[2:] == ["b to a", "b to c"]


def test_what_is_to_be_left_alone_is_not_mirrored(journal: Journal, clocks: SetTime) -> None:
    mirrors = Recorded(site(jitter="1s"), journal)
    held_back = SimpleNamespace(why="it is paused")
    schedule = Schedule(mirrors, lambda _: held_back.why)  # type: ignore[arg-type]
    ticked(schedule, clocks, "2026-11-23T03:59:59")
    ticked(schedule, clocks, "2026-11-23T04:00:02")
    assert mirrors.begun == []
    held_back.why = None
    ticked(schedule, clocks, "2026-11-23T04:10:00")
    assert mirrors.begun == []  # the next time, not as soon as it may
    ticked(schedule, clocks, "2026-11-24T04:00:02")
    assert len(mirrors.begun) == 2


def test_a_run_that_was_missed_while_no_actuator_ran_is_made_up_for(
    journal: Journal, clocks: SetTime
) -> None:
    number = journal.mirrors.begin("www", "a", "b", 1, at("2026-11-22T04:00:00"))
    nothing = MirrorResult("www", "a", "b", 1, "done", "", at("2026-11-22T04:00:00"), 0.0)
    journal.mirrors.end(number, nothing, at("2026-11-22T04:01:00"))
    mirrors = Recorded(site(jitter="1s"), journal)
    ticked(Schedule(mirrors, lambda _: None), clocks, "2026-11-23T09:00:00")  # type: ignore[arg-type]
    assert len(mirrors.begun) == 2


def test_a_run_that_failed_is_tried_again_three_times(journal: Journal, clocks: SetTime) -> None:
    mirrors = Recorded(site(jitter="1s"), journal, "failed")
    schedule = Schedule(mirrors, lambda _: None)  # type: ignore[arg-type]
    ticked(schedule, clocks, "2026-11-23T03:59:59")
    for minute in range(40):
        ticked(schedule, clocks, f"2026-11-23T04:{minute:02}:02")
    assert len(mirrors.begun) == 2 * 4


def test_a_run_that_was_refused_waits_for_its_schedule(journal: Journal, clocks: SetTime) -> None:
    mirrors = Recorded(site(jitter="1s"), journal, "refused")
    schedule = Schedule(mirrors, lambda _: None)  # type: ignore[arg-type]
    ticked(schedule, clocks, "2026-11-23T03:59:59")
    for minute in range(40):
        ticked(schedule, clocks, f"2026-11-23T04:{minute:02}:02")
    assert len(mirrors.begun) == 2


# -- words ----------------------------------------------------------------------------------------------------


def test_progress_as_rsync_tells_it() -> None:
    assert progress("      1,238,099  99%  146.38kB/s    0:01:08 (xfr#5, to-chk=169/396)") == (
        1_238_099,
        99,
        68.0,
    )
    assert progress("Number of files: 5") is None
    assert progress("") is None


def test_statistics_as_rsync_tells_them() -> None:
    said = (
        "Number of files: 101033 (reg: 100000, dir: 1033)\nNumber of created files: 0\n"
        "Number of deleted files: 12 (reg: 12)\n"
        "Number of regular files transferred: 1,234\nTotal bytes sent: 2\nTotal bytes received: 1030453795\n"
    )
    assert statistics(said) == TreeCount(101033, 1234, 12, 1030453795)
    assert statistics("rsync error: some files\n") == TreeCount()


def test_d6_what_went_wrong_is_named() -> None:
    said = "locum-gate 1 1\nrsync: [receiver] write failed: No space left on device (28)\nrsync error: (code 11)\n"
    assert complaints(said) == "rsync: [receiver] write failed: No space left on device (28)"
    assert complaints("locum-gate 1 1\nNumber of files: 2\nend ok\n") == ""
    # Where the destination has the summary alone, the source says what it is about.
    assert (
        complaints("rsync error: some files (code 23)\n", "filename overflows: x\n")
        == "filename overflows: x"
    )
    assert complaints("rsync error: some files (code 23)\n") == "rsync error: some files (code 23)"


def test_d6_the_first_ten_are_named_and_nothing_is_long_or_unprintable() -> None:
    said = "".join(
        f'rsync: [sender] send_files failed to open "/{n}\x1b[31m": x (13)\n' * 2 for n in range(30)
    )
    shown = complaints(said)
    assert shown.count("send_files") == 10
    assert shown.endswith("; and 20 more")
    assert shown.isprintable()
    assert len(complaints("rsync: " + "d/" * 20_000 + "deep\n")) < 250
    assert complaints("rsync: " + "d/" * 20_000 + "deep\n").endswith("d/deep")


VERDICTS = {
    "ok": ("locum-gate 1 1\nstats\nend ok\n", GateVerdict("ok", "")),
    "refused, with its reason": (
        "locum-gate 1 1\nend refused it is empty\n",
        GateVerdict("refused", "it is empty"),
    ),
    "none": ("locum-gate 1 1\nrsync: lost\n", GateVerdict("", "")),
    "a file's name is none": ("rsync: cannot delete end ok\n", GateVerdict("", "")),
    "the last one counts": ("end refused a\nend failed b\n", GateVerdict("failed", "b")),
    "in printable words": ("end failed \x1b[31mred\n", GateVerdict("failed", "[31mred")),
}


@pytest.mark.parametrize(("said", "verdict"), VERDICTS.values(), ids=VERDICTS)
def test_verdicts(said: str, verdict: GateVerdict) -> None:
    assert GateVerdict.of(said) == verdict


def test_the_line_to_another_host_takes_no_other_key_and_no_other_host_key() -> None:
    values = site()
    line = " ".join(
        GateCommands(values, "c").command("a", "mirror-send", "www", replace(MirrorArguments(7, 1), run=2))
    )
    for option in (
        "BatchMode=yes", "StrictHostKeyChecking=yes", "IdentitiesOnly=yes", "IdentityAgent=none",
        'UserKnownHostsFile="/etc/locum/known_hosts"', "-i /etc/locum/id_ed25519", "-F none",
    ):  # fmt: skip
        assert option in line
    assert line.endswith("-l locum -- 192.0.2.1 mirror-send www 7 1 2 0 0 0 0")
