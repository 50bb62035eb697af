"""The version stands in pyproject.toml alone; the changelog has a heading for it."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).parents[1]
VERSION: str = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
HEADINGS = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)


def test_the_programs_have_the_version_of_the_project() -> None:
    assert version("locum") == VERSION


def test_the_changelog_has_what_is_unreleased_and_then_this_version_with_its_date() -> None:
    assert HEADINGS[0] == "Unreleased"
    assert re.fullmatch(rf"{re.escape(VERSION)} \(\d{{4}}-\d\d-\d\d\)", HEADINGS[1])


def test_no_program_repeats_the_version() -> None:
    repeated = re.compile(rf"""["']{re.escape(VERSION)}["']""")
    files = [
        file
        for folder in ("inventory", "exporter", "actuator", "lab", "bench", "grafana", "tools", "tests")
        for file in (ROOT / folder).rglob("*.py")
    ]
    assert [str(file) for file in files if repeated.search(file.read_text(encoding="utf-8"))] == []
