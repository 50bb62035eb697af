"""What rsync says of a run: its progress (--info=progress2) and its statistics (--stats)."""

from __future__ import annotations

import re

from locum_actuator.mirror.result import TreeCount

# "  1234567  42%   10.51MB/s    0:00:12 (xfr#5, to-chk=169/396)", one after the other on one line, with \r between
_PROGRESS = re.compile(r"^ *([0-9,]+) +([0-9]{1,3})% +\S+ +([0-9]+):([0-9]{2}):([0-9]{2})")
_STATS = {
    "files": re.compile(r"^Number of files: ([0-9,]+)", re.MULTILINE),
    "copied": re.compile(r"^Number of regular files transferred: ([0-9,]+)", re.MULTILINE),
    "deleted": re.compile(r"^Number of deleted files: ([0-9,]+)", re.MULTILINE),
    "bytes_sent": re.compile(r"^Total bytes received: ([0-9,]+)", re.MULTILINE),
}


def progress(line: str) -> tuple[int, int, float] | None:
    """Return bytes done, percent and seconds left; None for a line that tells no progress."""
    found = _PROGRESS.match(line)
    if found is None:
        return None
    hours, minutes, seconds = (int(found[number]) for number in (3, 4, 5))
    return _number(found[1]), int(found[2]), hours * 3600.0 + minutes * 60 + seconds


def statistics(said: str) -> TreeCount:
    """Return what was copied; what rsync did not say is 0."""
    found = {name: pattern.search(said) for name, pattern in _STATS.items()}
    return TreeCount(**{name: _number(match[1]) if match else 0 for name, match in found.items()})


def complaint(said: str) -> str:
    """Return the first line in which rsync or ssh says what went wrong; "" where none does."""
    lines = [
        line
        for line in said.splitlines()
        if re.match(r"rsync: |rsync error: |@ERROR|ssh: |.*Permission", line)
    ]
    return lines[0].strip() if lines else ""


def _number(text: str) -> int:
    return int(text.replace(",", ""))
