"""The clock for the age of evidence: seconds since this machine booted.

CLOCK_BOOTTIME (clock_gettime(2)) cannot be set and also counts while the machine is suspended. If a hypervisor
pauses this machine and its clock, that is not detected: docs/trust.md.
"""

from __future__ import annotations

import time


def seconds() -> float:
    """Return the seconds since this machine booted."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
