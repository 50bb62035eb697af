"""The clock by which evidence grows old: seconds since this machine booted.

CLOCK_BOOTTIME (clock_gettime(2)) is not set by anybody and also counts while the machine is suspended. A hypervisor
that pauses this machine without its clock counting is not noticed: docs/trust.md.
"""

from __future__ import annotations

import time


def seconds() -> float:
    """Return the seconds since this machine booted."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
