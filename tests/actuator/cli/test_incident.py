"""`locum incident` and `locum incidents` with a real journal behind the real API: a respawn that did not help."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from locum_actuator.cli import main
from locum_actuator.cli.incident_report.post_mortem import post_mortem
from locum_actuator.domain.alerts import WOKE
from locum_actuator.domain.mirror_run import MirrorResult
from locum_actuator.engine.context import Context
from locum_actuator.engine.engine import Engine
from locum_actuator.engine.incident import Incident
from locum_actuator.journal.journal import AlertRow, Journal
from locum_actuator.metrics import Metrics
from locum_inventory.site.mirror import Mirror
from tests.actuator.fakes import FakeGate, FakeWorld, KeptFakes, site
from tests.actuator.shortcuts import in_no_time, kernel_of
from tests.support.http_server import served_api

FORGED = "a | b\n# forged <b>`"
_ANSI = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True)
class Reported:
    """Where an actuator answers, and what came of its incident."""

    url: str
    number: int
    row: dict[str, Any]

    def run(self, *words: str, columns: int = 100, **environment: str) -> str:
        env = {"COLUMNS": str(columns), "NO_COLOR": None, "FORCE_COLOR": None, **environment}
        done = CliRunner().invoke(main, [*words, "--actuator", self.url], env=env)
        assert done.exit_code == 0, done.output
        return done.stdout


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reported]:
    with pytest.MonkeyPatch.context() as patch:
        journal = Journal(tmp_path_factory.mktemp("state") / "journal.sqlite")
        world = FakeWorld(
            {"a": FakeGate(held=True, processes=0, start_works=False, epoch=1), "b": FakeGate()}
        )
        kernel_of(world.gates["b"], patch)
        in_no_time(patch)
        journal.set_holder("www", "a", 1)
        number = _taken_over(journal, world)
        engine = Engine(site(), journal, Metrics(), lambda _: KeptFakes(world), lambda _s, _h: world)
        row = journal.incident(number)
        assert row is not None
        with served_api(engine) as url:
            yield Reported(url, number, row)
        engine.stop()
        journal.close()


def _taken_over(journal: Journal, world: FakeWorld) -> int:
    starts_at = datetime.fromtimestamp(time.time() - 0.5, UTC).isoformat()
    alerts = journal.accept(
        [
            AlertRow("LocumServiceDown", "www", "a", "firing", starts_at, "f", WOKE),
            AlertRow(FORGED, "www", None, "firing", None, "f", "ignored"),
        ]
    )
    number = journal.open_incident("www", "LocumServiceDown")
    journal.attach(alerts, number)
    metrics = Metrics()
    metrics.init_service("www", ("a", "b"))
    Incident(Context(site(), "www", journal, metrics, world.gates, world), number).handle(threading.Event())
    journal.note(number, "hook", "after_prove worked: \x1b[2J\x9b[/b] no \\", step="prove", host="b")
    return number


FIELDS = {
    "id", "service", "opened_at", "trigger", "closed_at", "outcome", "reason", "holder_before", "holder_after",
    "looks", "impact", "planned", "alerts", "alert_count", "events",
}  # fmt: skip


def test_json_is_what_the_api_gives(reported: Reported) -> None:
    assert json.loads(reported.run("incident", str(reported.number), "--json")) == reported.row
    assert json.loads(reported.run("incidents", "www", "--json")) == [reported.row]
    assert reported.row.keys() == FIELDS
    assert (reported.row["holder_before"], reported.row["holder_after"], reported.row["alert_count"]) == (
        "a",
        "b",
        2,
    )
    assert 0.5 <= reported.row["impact"]["seconds"] < 60


@pytest.mark.parametrize("columns", [40, 60, 80, 120, 250])
def test_the_picture_fits_its_terminal(reported: Reported, columns: int) -> None:
    drawn = reported.run("incident", str(reported.number), columns=columns)
    lines = drawn.splitlines()
    assert [line for line in lines if len(line) > columns] == []
    assert lines[0] == f"incident {reported.number}: www taken over by b"
    words = " ".join(drawn.split())
    for what in ("alert", "webhook", "respawn", "release", "claim", "closed"):
        assert what in words
    marks = [line.index(mark) for line in lines[1:] for mark in "●✗" if mark in line]
    assert marks == sorted(marks), "what comes later stands farther to the right"
    assert len(marks) > 8


def test_nothing_is_told_by_colour_alone(reported: Reported) -> None:
    plain = reported.run("incident", str(reported.number))
    coloured = reported.run("incident", str(reported.number), FORCE_COLOR="1", TERM="xterm")
    assert "\x1b[" not in plain, "no colour where there is no terminal"
    assert "\x1b[" in coloured
    assert _ANSI.sub("", coloured) == plain
    failed = next(line for line in plain.splitlines() if "respawn on a failed" in line)
    assert "✗" in failed


def test_a_terminal_without_such_characters(reported: Reported) -> None:
    done = CliRunner(charset="ascii").invoke(
        main, ["incident", str(reported.number), "--actuator", reported.url]
    )
    assert (done.exit_code, done.stdout.isascii()) == (0, True)
    assert "=x" in done.stdout or "-x" in done.stdout


def test_incidents_with_their_pictures(reported: Reported) -> None:
    drawn = reported.run("incidents", "--timeline")
    assert drawn == reported.run("incident", str(reported.number)) + "\n"


def test_words_from_outside_steer_no_terminal_and_are_no_markup(reported: Reported) -> None:
    listed = reported.run("incidents", "www", columns=200)
    assert "[/b] no \\" in listed
    drawn = reported.run("incident", str(reported.number), columns=200)
    assert "[/b] no \\" in drawn
    assert [text for text in (listed, drawn) if "\x1b" in text or "\x9b" in text] == []


HEADINGS = [
    "# Incident 1: www taken over by b",
    "## Impact", "## Timeline", "## What was seen at each decision", "## Alerts", "## What people saw",
    "## Why it happened", "## What went well, and what did not", "## What is to be done",
]  # fmt: skip


def test_the_post_mortem(reported: Reported) -> None:
    text = reported.run("incident", str(reported.number), "--markdown")
    assert [line for line in text.splitlines() if re.match("#{1,2} ", line)] == HEADINGS
    assert "apache2 is not running on a and a respawn did not help (not proven from outside)." in text
    seconds = reported.row["impact"]["seconds"]
    assert (
        f"| from the first alert to the proof | {seconds:.2f} s, until a check proved that the service answers |"
        in text
    )
    assert ("| holder before | a |" in text, "| holder after | b |" in text) == (True, True)
    decided = [event for event in reported.row["events"] if event["kind"] == "decided"]
    assert len(re.findall("^### ", text, re.MULTILINE)) == len(decided) >= 2
    assert re.search(r"^- a: \d+/\d+ echoes, gate: answers, processes: 0$", text, re.MULTILINE)
    assert re.search(r"^ *\d+ ms  ─*━*✗ +respawn on a failed$", text, re.MULTILINE)


def test_every_table_of_the_post_mortem_is_one(reported: Reported) -> None:
    text = reported.run("incident", str(reported.number), "--markdown")
    tables = re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)
    assert len(tables) == 3
    for table in tables:
        cells = {len(re.split(r"(?<!\\)\|", line)) for line in table.splitlines()}
        assert len(cells) == 1, table
    assert r"a \| b \# forged \<b\>\`" in text, "words from outside are no Markdown"


def test_a_file_of_it_and_never_over_another(reported: Reported, tmp_path: Path) -> None:
    file = tmp_path / "incident.md"
    words = ["incident", str(reported.number), "--output", str(file)]
    assert reported.run(*words) == f"wrote {file}\n"
    assert file.read_text() == reported.run("incident", str(reported.number), "--markdown")
    again = CliRunner().invoke(main, [*words, "--actuator", reported.url])
    assert (again.exit_code, again.stderr) == (
        1,
        f"locum incident: {file} exists already and is not overwritten: people may have edited it\n",
    )


def test_how_old_the_data_were(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(tmp_path / "journal.sqlite")
    world = FakeWorld({"a": FakeGate(held=True, processes=3, epoch=1), "b": FakeGate()}, dead={"a"})
    kernel_of(world.gates["b"], monkeypatch)
    in_no_time(monkeypatch)
    journal.set_holder("www", "a", 1)
    begun = journal.clock.now() - 2.1 * 3600
    run = journal.mirrors.begin("www", "a", "b", 20260101040000, begun)
    done = MirrorResult("www", "a", "b", 20260101040000, "done", "", begun, 60.0)
    journal.mirrors.end(run, done, begun + 60)
    mirrored = site().services["www"].model_copy(update={"mirror": Mirror(source="/srv/www")})
    values = site().model_copy(update={"services": {"www": mirrored}})
    number, metrics = journal.open_incident("www", "LocumServiceDown"), Metrics()
    metrics.init_service("www", ("a", "b"))
    Incident(Context(values, "www", journal, metrics, world.gates, world), number).handle(threading.Event())
    row = journal.incident(number)
    assert row is not None
    assert row["outcome"] == "takeover"
    decided = next(event for event in row["events"] if event["kind"] == "decided")
    copy = decided["data"]["copies"]["b"]
    assert (copy["stale"], copy["text"]) == (False, "a copy of 2 h ago (run 20260101040000)")
    assert copy["age_seconds"] == pytest.approx(2.1 * 3600, abs=120)
    assert "| data | b had a copy of 2 h ago (run 20260101040000) |" in post_mortem(row)


WRONG: dict[str, tuple[list[str], int, str]] = {
    "no such incident": (["99"], 2, "locum: no incident 99"),
    "no number": (["www"], 2, "Error: Invalid value for 'NUMBER': 'www' is not a valid integer range."),
    "both": (
        ["1", "--json", "--markdown"],
        2,
        "locum incident: --json cannot be combined with --markdown or --output",
    ),
    "no directory": (
        ["1", "--output", "/nonexistent/it.md"], 1,
        "locum incident: /nonexistent/it.md cannot be written: No such file or directory",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("words", "code", "line"), WRONG.values(), ids=WRONG)
def test_what_it_cannot_tell(reported: Reported, words: list[str], code: int, line: str) -> None:
    done = CliRunner().invoke(main, ["incident", *words, "--actuator", reported.url])
    assert (done.exit_code, done.stderr.splitlines()[-1]) == (code, line)
