"""Files that are installed with the package: the example site file, rules, dashboards, docs."""

from __future__ import annotations

from pathlib import Path

EXAMPLE = "locum.example.yml"


def shared(name: str) -> Path:
    """Return the path of a shipped file, installed with the package or in a checkout."""
    here = Path(__file__).resolve()
    installed = here.parent / "share" / name
    return installed if installed.exists() else here.parents[2] / name
