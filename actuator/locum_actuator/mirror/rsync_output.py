"""Parse rsync's output: progress (--info=progress2), statistics (--stats) and errors."""

from __future__ import annotations

import re

from locum_actuator.domain.mirror_run import TreeCount
from locum_actuator.domain.numbers import MAX_DIGITS
from locum_inventory.gate.answers import clean

MOST_LINES = 10  # of errors
LINE_LENGTH = 200
SAID_LIMIT = 65536

# "  1234567  42%   10.51MB/s    0:00:12 (xfr#5, to-chk=169/396)", one after the other on one line, with \r between
_PROGRESS = re.compile(r"^ *([0-9,]+) +([0-9]{1,3})% +\S+ +([0-9]+):([0-9]{2}):([0-9]{2})")
_STATS = {
    "files": re.compile(r"^Number of files: ([0-9,]+)", re.MULTILINE),
    "copied": re.compile(r"^Number of regular files transferred: ([0-9,]+)", re.MULTILINE),
    "deleted": re.compile(r"^Number of deleted files: ([0-9,]+)", re.MULTILINE),
    "bytes_sent": re.compile(r"^Total bytes received: ([0-9,]+)", re.MULTILINE),
}
_VANISHED = re.compile(r"(?:file|directory) has vanished: (.+)")
_USUAL = re.compile(
    r"locum-gate |locum-mirror |end (ok|refused|failed|old_epoch)|names \d|Number of |Total |Literal data|"
    r"Matched data|File list |sent [0-9,]+ bytes|total size is |skipping non-regular file"
)
_SUMMARY = re.compile(r"rsync (error|warning): |IO error encountered")
_HINTS = (
    (
        "set_acl",
        "if the file system has no access control lists, set acls: false in its mirror",
    ),
    (
        "rsync_xal_set",
        "if the file system has no extended attributes, set xattrs: false in its mirror",
    ),
)


def progress(line: str) -> tuple[int, int, float] | None:
    """Return bytes done, percent and seconds left; None for a line without progress."""
    found = _PROGRESS.match(line)
    if found is None:
        return None
    hours, minutes, seconds = (_number(found[number]) for number in (3, 4, 5))
    return _number(found[1]), int(found[2]), hours * 3600.0 + minutes * 60 + seconds


def statistics(said: str) -> TreeCount:
    """Return what was copied; figures missing from rsync's output are 0."""
    found = {name: pattern.search(said) for name, pattern in _STATS.items()}
    return TreeCount(**{name: _number(match[1]) if match else 0 for name, match in found.items()})


def vanished(said: str) -> str:
    """Return the first few files that vanished at the source while they were read; "" if none did."""
    names = [found[1] for line in said.splitlines() if (found := _VANISHED.match(line.strip()))]
    return _few(names)


def complaints(said: str, said_by_source: str = "") -> str:
    """Return the first few error lines of rsync, ssh and hooks; "" if there are none.

    Every line that is neither from a gate nor a figure of rsync's counts as an error. rsync's last line ("some
    files were not transferred, see previous errors") counts only if there is no other.
    """
    lines = _unusual(said)
    named = [line for line in lines if not _SUMMARY.match(line)]
    if not named:
        lines += _unusual(said_by_source)
        named = [line for line in lines if not _SUMMARY.match(line)]
    hint = next((f"; {text}" for mark, text in _HINTS if any(mark in line for line in named)), "")
    return _few(named or lines[:1]) + hint


def _unusual(said: str) -> list[str]:
    lines = (line.strip() for line in said.splitlines())
    return [line for line in lines if line and not _USUAL.match(line) and not _PROGRESS.match(line)]


def _few(lines: list[str]) -> str:
    """Join lines into one, bounded, without repetitions and without control characters."""
    different = list(dict.fromkeys(_short(clean(line, 2 * SAID_LIMIT)) for line in lines))
    more = f"; and {len(different) - MOST_LINES} more" if len(different) > MOST_LINES else ""
    return "; ".join(different[:MOST_LINES]) + more


def _short(line: str) -> str:
    """Shorten a long line in its middle: a path may have 4,096 bytes and more."""
    return (
        line
        if len(line) <= LINE_LENGTH
        else f"{line[: LINE_LENGTH * 2 // 3]} ... {line[-LINE_LENGTH // 3 :]}"
    )


def _number(text: str) -> int:
    """Return a number printed by the other host's rsync; 0 if it has too many digits to be real."""
    digits = text.replace(",", "")
    return int(digits) if 0 < len(digits) <= MAX_DIGITS else 0
