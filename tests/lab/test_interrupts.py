"""B14: SIGINT ends a program of the lab also where a script started it in the background, with SIGINT ignored."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import os, signal
from lab.interrupts import hear_interrupts
{before}
hear_interrupts()
try:
    os.kill(os.getpid(), signal.SIGINT)
    print("goes on")
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.parametrize(
    ("before", "words"),
    [("", "interrupted"), ("signal.signal(signal.SIGINT, lambda *_: print('its own'))", "its own\ngoes on")],
    ids=["no handler", "a handler of its own"],
)
def test_b14_sigint_that_was_ignored_is_heard(before: str, words: str) -> None:
    done = subprocess.run(
        ["sh", "-c", 'trap "" INT; exec "$@"', "sh", sys.executable, "-c", PROGRAM.format(before=before)],
        capture_output=True, text=True, check=True, timeout=60, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert done.stdout == f"{words}\n"
