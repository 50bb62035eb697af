"""How a command ends that did not do what it was asked to: its lines on standard error, and its exit code."""

from __future__ import annotations

import sys
from typing import NoReturn

from locum_actuator.system.printing import say

DID_NOT_WORK, WRONG_USE = 1, 2


def did_not_work(*lines: str) -> NoReturn:
    """End with exit code 1: it did not work."""
    _end(DID_NOT_WORK, lines)


def wrong_use(*lines: str) -> NoReturn:
    """End with exit code 2: wrong use, or a faulty site file."""
    _end(WRONG_USE, lines)


def _end(code: int, lines: tuple[str, ...]) -> NoReturn:
    for line in lines:
        say(line, err=True)
    sys.exit(code)
