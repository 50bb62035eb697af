"""Identify the tested revision, without which results are useless."""

from __future__ import annotations

import subprocess
from pathlib import Path

CHECKOUT = Path(__file__).parent.parent.parent
LOCUM = (
    "inventory",
    "exporter",
    "actuator",
    "alert_rules",
)  # what runs on hosts; not the lab, nor this bench


def of_locum() -> str:
    """Return the commit that changed locum last, with a + where files differ from it; `unknown` without git."""
    try:
        commit = _said("git", "log", "-1", "--format=%h", "--", *LOCUM)
        changed = _said("git", "status", "--porcelain", "--", *LOCUM)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return f"{commit or 'unknown'}{'+' if changed else ''}"


def of_keepalived() -> str:
    """Return the version of Debian's package."""
    return _said("dpkg-query", "-W", "-f", "${Version}", "keepalived")


def _said(*words: str) -> str:
    done = subprocess.run(words, cwd=CHECKOUT, check=True, capture_output=True, text=True, timeout=30)
    return done.stdout.strip()
