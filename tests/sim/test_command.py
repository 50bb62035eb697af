"""`python -m sim`: what it prints, what it writes, and how it ends."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from locum_actuator.journal.journal import Journal
from sim.__main__ import main

pytestmark = pytest.mark.simulation


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["sim", *arguments])
    return main()


def test_a_campaign_without_a_violation(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    arguments = (
        "--seed",
        "1",
        "--faults",
        "4",
        "--in-each",
        "2",
        "--jobs",
        "1",
        "--into",
        str(tmp_path / "v"),
    )
    assert run(monkeypatch, *arguments) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("seeds from 1 on, 2 faults in each scenario, 1 processes\n")
    assert "2 scenarios, 4 faults" in printed
    assert not (tmp_path / "v").exists()


def test_a_violation_is_shrunk_written_reported_and_replayed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    # Alerts are answered and not written down.
    monkeypatch.setattr(Journal, "accept", lambda self, alerts: [0 for _ in alerts])
    into = tmp_path / "violations"
    asked = ("--seed", "1", "--profile", "takeover", "--in-each", "3", "--jobs", "1", "--into", str(into))
    assert run(monkeypatch, *asked, "--until-broken") == 1
    printed = capsys.readouterr().out
    (path,) = into.iterdir()
    assert "VIOLATION: answered with 202 and lost: alert 1" in printed
    assert f"again: python -m sim --replay {path}" in printed
    assert len(json.loads(path.read_text())["faults"]) == 1
    assert run(monkeypatch, "--replay", str(path)) == 1
    assert capsys.readouterr().out.splitlines()[-1].startswith("answered with 202 and lost")
