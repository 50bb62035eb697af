"""A wall clock that jumps: programs of a host read a different time of day, and only the time of day.

libfaketime (Debian's `faketime`) intercepts calls to the C library: real time is shifted, the monotonic clocks and
the time since boot are not, as when a machine's clock is set. The kernel cannot do this: a time namespace shifts
the other clocks and not this one. Programs that call the kernel directly, such as those written in Go (Prometheus,
Alertmanager), are not affected.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

from lab.host import Host
from lab.needs import LabError

LIBRARY = "libfaketimeMT.so.1"
PLACES = "/usr/lib/*/faketime"
SHIFT = "/etc/faketimerc"  # libfaketime's default file
PYTHON_PATH = "/usr/local/lib/lab-clock"

# libfaketime 0.9.10 fails clock_nanosleep(2) with an absolute monotonic time (EINVAL), which Python uses to sleep
# from 3.11 on. Waiting with select(2) is equivalent.
_SITECUSTOMIZE = """\
import select, time

def sleep(seconds):
    if seconds < 0:
        raise ValueError("sleep length must be non-negative")
    select.select((), (), (), seconds)

time.sleep = sleep
"""


class Clock:
    """The time of day that programs of a host read if they were started with `environment`."""

    def __init__(self, host: Host) -> None:
        found = sorted(Path("/").glob(f"{PLACES[1:]}/{LIBRARY}"))
        if not found:
            raise LabError(f"{LIBRARY} missing: apt-get install faketime")
        self._host = host
        self._library = str(found[0])
        self.jump(0)
        place = host.root / PYTHON_PATH.lstrip("/")
        place.mkdir(parents=True, exist_ok=True)
        (place / "sitecustomize.py").write_text(_SITECUSTOMIZE, encoding="ascii")

    @property
    def environment(self) -> Mapping[str, str]:
        """The variables with which a program follows each jump within a second. Not for another user."""
        return {
            "LD_PRELOAD": self._library,
            "FAKETIME_TIMESTAMP_FILE": SHIFT,
            "FAKETIME_CACHE_DURATION": "1",  # seconds; reading the file at every call would slow everything down
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            # Otherwise each wait for the monotonic clock ends at once, and threads that wait for the global
            # interpreter lock spin: a host took five times the processor time, and on a busy machine locum did not
            # come up.
            "FAKETIME_FORCE_MONOTONIC_FIX": "0",
            "NO_FAKE_STAT": "1",
            "PYTHONPATH": PYTHON_PATH,
        }

    def jump(self, seconds: float) -> float:
        """Set the clock this far ahead of or behind the true time; return when (time.time())."""
        shift, moment = self._host.root / SHIFT.lstrip("/"), time.time()
        new = shift.with_name("faketimerc.new")  # a half-written file would be a wrong time
        new.write_text(f"{seconds:+.0f}\n", encoding="ascii")
        new.replace(shift)
        return moment
