"""Check whether Prometheus stores what it scrapes, by comparing its newest sample with its own clock.

After a clock was set back by N seconds, Prometheus drops every sample for N seconds as out of order, while it still
reports that it is ready and its targets are up. Its rules then evaluate old samples and detect no fault.
"""

from __future__ import annotations

import re
from email.utils import parsedate_to_datetime

AHEAD_SECONDS = 5.0  # the Date header has whole seconds
BEHIND_SECONDS = 60.0  # no interval in a site file is longer than 15 s

_NEWEST = re.compile(r"^prometheus_tsdb_head_max_time_seconds (\S+)$", re.MULTILINE)


def judge_samples(exposition: str, date: str | None) -> tuple[bool, str] | None:
    """Return whether samples are stored, with a text; None if an answer of `/metrics` does not show that.

    `date` is the Date header of that answer (RFC 9110), so no other clock is involved.
    """
    found = _NEWEST.search(exposition)
    if found is None or date is None:
        return None
    try:
        newest, now = float(found[1]), parsedate_to_datetime(date).timestamp()
    except ValueError:
        return None
    if newest <= 0:
        return None  # no sample yet: it has just been started
    ahead = newest - now
    if ahead > AHEAD_SECONDS:
        text = f"its newest sample is {ahead:.0f} s ahead of its clock, which was set back: until then it drops all"
        return False, text
    if -ahead > BEHIND_SECONDS:
        return False, f"it has stored no sample for {-ahead:.0f} s"
    return True, "Prometheus stores what it scrapes"
