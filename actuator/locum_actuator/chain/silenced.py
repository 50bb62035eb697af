"""Report silences in Alertmanager that keep alerts from the actuator, as a part of the chain."""

from __future__ import annotations

from locum_actuator.chain.health import PartHealth
from locum_actuator.chain.silences import Silences
from locum_actuator.system.local_time import local_time
from locum_actuator.system.printable import printable

SILENCES = "silences"
NAMED_AT_MOST = 3
LONGEST_WORDS = 80  # of a silence's comment


def judge_silences(silences: Silences) -> PartHealth:
    """Evaluate the silences that Alertmanager reported."""
    if silences.fault is not None:
        return PartHealth(None, f"could not check: {silences.fault}")
    found = []
    for service, rows in silences.services.items():
        for row in rows:
            until = local_time(row.until)
            by = f" by {_short(row.by)}" if row.by else ""
            why = f" ({_short(row.comment)})" if row.comment else ""
            may = "keeps" if row.sure else "may keep"
            found.append(
                f"a silence{by}{why} {may} {', '.join(row.alerts)} of {service} from locum until {until}"
            )
    if not found:
        return PartHealth(True, "no silence keeps an alert from locum")
    more = f"; and {len(found) - NAMED_AT_MOST} more" if len(found) > NAMED_AT_MOST else ""
    return PartHealth(False, "; ".join(found[:NAMED_AT_MOST]) + more)


def _short(text: str) -> str:
    words = printable(text)
    return words if len(words) <= LONGEST_WORDS else f"{words[: LONGEST_WORDS - 3]}..."
