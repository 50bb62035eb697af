"""The tests that other versions of Python run are there: pytest finds none at all where one path is missing."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_path_is_there() -> None:
    paths = re.findall(r"tests/[\w/.]+", (ROOT / "tools/pythons.sh").read_text())
    assert len(paths) > 30
    assert [path for path in paths if not (ROOT / path).exists()] == []
