"""Format points in time for people, in the time zone of this host."""

from __future__ import annotations

import time


def local_time(at: float) -> str:
    """Format seconds since the epoch, such as `2026-11-29 04:00:00`."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))


def utc_stamp(at: float) -> str:
    """Format seconds since the epoch for the name of a file, such as `20261129T040000Z`."""
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(at))
