"""The pictures of incidents for the documents: what is in them, in marks and in words."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from lab.demo import write_incidents
from lab.trial import FAULTS, Trial
from tools.incident_diagram import main, svg

# Recorded in the lab: a did not answer the actuator, was fenced, and b took over.
INCIDENT: dict[str, Any] = json.loads((Path(__file__).parent / "takeover.json").read_text(encoding="utf-8"))
_SVG = "{http://www.w3.org/2000/svg}"


def _drawn(incident: dict[str, Any]) -> ET.Element:
    return ET.fromstring(svg(incident))


def _rows(drawn: ET.Element) -> list[tuple[str | None, ...]]:
    """Return of each row its name, its time and the sentence behind it."""
    return [
        (*(text.text for text in row.findall(f"{_SVG}text")), row.findtext(f"{_SVG}title"))
        for row in drawn.findall(f"{_SVG}g")
    ]


def test_each_alert_decision_and_step_has_a_row_in_the_order_of_time() -> None:
    assert [row[:2] for row in _rows(_drawn(INCIDENT))] == [
        ("LocumServiceDown on a", "8 ms"),
        ("decision: takeover", "at 980 ms"),
        ("fence on a", "2.33 s"),
        ("LocumAddressUnheld", "135 ms"),
        ("confirm on b", "152 ms"),
        ("start on b", "370 ms"),
        ("claim on b", "154 ms"),
        ("confirm on b", "0 ms"),
        ("prove on b", "82 ms"),
    ]


def test_its_words_say_what_the_picture_shows() -> None:
    drawn = _drawn(INCIDENT)
    assert drawn.findtext(f"{_SVG}title") == "www taken over by b"
    words = drawn.findtext(f"{_SVG}desc") or ""
    assert words.startswith("locum was woken by LocumServiceDown; www taken over by b: ")
    assert "claim on b: eth0 holds 192.0.2.100, announced; " in words
    assert drawn.get("aria-labelledby") == "title words"


def test_every_mark_lies_within_the_picture() -> None:
    drawn = _drawn(INCIDENT)
    width = float(drawn.get("width", ""))
    for mark in drawn.iterfind(f"{_SVG}g/{_SVG}rect"):
        assert 0 <= float(mark.get("x", "")) < float(mark.get("x", "")) + float(mark.get("width", "")) < width


def test_a_step_that_failed_says_so() -> None:
    failed = copy.deepcopy(INCIDENT)
    failed["events"][-1] |= {"kind": "failed", "text": "no answer"}
    assert _rows(_drawn(failed))[-1] == ("prove on b failed", "82 ms", "no answer")


def test_what_others_wrote_is_no_markup() -> None:
    forged = copy.deepcopy(INCIDENT)
    forged["events"][-1]["text"] = "</title><script>x</script>"
    assert _rows(_drawn(forged))[-1][2] == "</title><script>x</script>"


def test_an_open_incident_is_refused() -> None:
    with pytest.raises(ValueError, match="incident 2 is still open"):
        svg({**INCIDENT, "closed_at": None})


def test_the_picture_is_written_next_to_the_incident(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "hung.json"
    file.write_text(json.dumps(INCIDENT), encoding="utf-8")
    assert main([str(file)]) == 0
    assert (tmp_path / "hung.svg").read_text(encoding="utf-8") == svg(INCIDENT)
    assert capsys.readouterr().out == f"{tmp_path / 'hung.svg'}\n"


def test_a_file_that_is_no_incident_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "hung.json"
    file.write_text("{}", encoding="utf-8")
    assert main([str(file)]) == 1
    assert str(file) in capsys.readouterr().err


def test_the_demo_writes_incidents_that_can_be_drawn(tmp_path: Path) -> None:
    trials = [
        Trial(fault, 0.0, 1.2, 60, fault.answered_by, 0.0, INCIDENT)
        for fault in (FAULTS["hung"], FAULTS["crashed"])
    ]
    write_incidents(tmp_path / "diagrams", trials)
    written = sorted((tmp_path / "diagrams").iterdir())
    assert [file.name for file in written] == ["crashed.json", "hung.json"]
    assert main([str(file) for file in written]) == 0
