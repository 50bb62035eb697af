"""End a command that failed: print lines on standard error and exit with a code."""

from __future__ import annotations

import sys
from typing import NoReturn

from locum_actuator.system.printing import say

DID_NOT_WORK, WRONG_USE = 1, 2


def did_not_work(*lines: str) -> NoReturn:
    """Exit with code 1: the command failed."""
    _end(DID_NOT_WORK, lines)


def wrong_use(*lines: str) -> NoReturn:
    """Exit with code 2: wrong usage, or a faulty site file."""
    _end(WRONG_USE, lines)


def _end(code: int, lines: tuple[str, ...]) -> NoReturn:
    for line in lines:
        say(line, err=True)
    sys.exit(code)
