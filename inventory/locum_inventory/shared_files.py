"""Files that travel with the package: the example of a site file, rules, dashboards, docs."""

from __future__ import annotations

from pathlib import Path

EXAMPLE = "locum.example.yml"


def shared(name: str) -> Path:
    """Return the path of a shipped file, as installed with the package or as it lies in a checkout."""
    here = Path(__file__).resolve()
    installed = here.parent / "share" / name
    return installed if installed.exists() else here.parents[2] / name
