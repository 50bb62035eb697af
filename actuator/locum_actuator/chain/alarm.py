"""Send an alert straight to Alertmanager when no rule can: Prometheus, its rules or its samples are missing.

The alert has the same labels as the rule of that name, so Alertmanager treats both as one alert. It is repeated
while the fault lasts and expires soon after the last repetition, so it also ends if the actuator dies.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Protocol

import aiohttp

from locum_actuator.chain.access import Access

log = logging.getLogger(__name__)

PART_ALERT = "LocumChainPartMissing"
TOLD_BY_US = (
    "prometheus",
    "rules",
    "samples",
)  # all other parts have a rule, which works as long as these do
AGAIN_SECONDS = 5.0
LASTS_SECONDS = 30.0
_TO_DO = {
    "prometheus": "Start Prometheus, and read its log.",
    "samples": (
        "Correct the clock of its host (NTP). Prometheus stores samples again once the clock has caught up, or with"
        " an empty data directory."
    ),
    "rules": "`locum generate rules` prints them; then have Prometheus reload its configuration.",
}


class AlertPart(Protocol):
    """The state of one part."""

    @property
    def name(self) -> str:
        """The name of the part."""

    @property
    def up(self) -> bool | None:
        """Whether the part is ok; None if that is not known."""

    @property
    def text(self) -> str:
        """The result of its last check."""


class Alarm:
    """The alerts that were sent, and when."""

    def __init__(self) -> None:
        self._told: dict[str, dict[str, Any]] = {}
        self._told_at = float("-inf")

    async def sound(
        self, session: aiohttp.ClientSession, access: Access, parts: Iterable[AlertPart], runbook: str
    ) -> None:
        """Send alerts for faults that are new or due for repetition, and the end of those that are over."""
        now = {
            part.name: _alert(part.name, part.text, runbook)
            for part in parts
            if part.name in TOLD_BY_US and part.up is False
        }
        if now.keys() == self._told.keys() and (not now or time.monotonic() - self._told_at < AGAIN_SECONDS):
            return
        ended = [alert for name, alert in self._told.items() if name not in now]
        body = [*(_until(alert, LASTS_SECONDS) for alert in now.values()), *(_until(one, 0) for one in ended)]
        self._told, self._told_at = now, time.monotonic()
        await asyncio.gather(*(_post(session, url, body, access) for url in access.parts.alertmanagers))


def _alert(part: str, text: str, runbook: str) -> dict[str, Any]:
    return {
        "labels": {"alertname": PART_ALERT, "part": part, "severity": "critical"},
        "annotations": {
            "summary": f"a part of the monitoring chain is missing or faulty: {part}",
            "description": text,
            "action": "Meanwhile, locum acts only on faults that its own periodic checks detect.",
            "todo": _TO_DO[part],
            "runbook_url": f"{runbook}#{PART_ALERT.lower()}",
        },
    }


def _until(alert: dict[str, Any], seconds: float) -> dict[str, Any]:
    """Return an alert that ends that many seconds from now."""
    return {**alert, "endsAt": datetime.fromtimestamp(time.time() + seconds, UTC).isoformat()}


async def _post(
    session: aiohttp.ClientSession, alertmanager: str, body: list[dict[str, Any]], access: Access
) -> None:
    url = f"{alertmanager}/api/v2/alerts"
    try:
        shown = access.options(url)
        async with session.post(url, json=body, allow_redirects=False, **shown) as answer:
            if answer.status != 200:
                log.warning(
                    "%s does not accept our alert: %s",
                    alertmanager,
                    answer.status,
                    extra={"event": "alarm_not_taken"},
                )
    except (aiohttp.ClientError, OSError, ValueError, TimeoutError):
        # The chain watch reports a missing Alertmanager itself.
        log.debug("%s does not answer", alertmanager, extra={"event": "alarm_not_sent"})
