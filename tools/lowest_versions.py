"""Print constraints for pip: each dependency at the lowest version that pyproject.toml declares.

What only the tests need keeps the version of constraints.txt.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]


def _name(requirement: str) -> str:
    return re.sub(r"[-_.]+", "-", re.split(r"[<>=!~\[; ]", requirement, maxsplit=1)[0]).lower()


def lowest() -> list[str]:
    """Return the lines."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    own: list[str] = project["dependencies"]
    for requirement in own:
        if not re.fullmatch(r"[A-Za-z0-9_.-]+>=[0-9.]+", requirement):
            raise SystemExit(f"pyproject.toml: '{requirement}' should be NAME>=VERSION")
    of_tests = {_name(requirement) for requirement in project["optional-dependencies"]["test"]}
    pinned = (ROOT / "constraints.txt").read_text().splitlines()
    return [
        *(line.replace(">=", "==") for line in own),
        *(line for line in pinned if _name(line) in of_tests),
    ]


if __name__ == "__main__":
    print("\n".join(lowest()))
