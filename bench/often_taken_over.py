"""locum in a lab whose service is taken over again and again, and brought back by a planned move."""

from __future__ import annotations

import time

from lab.lab import Lab
from lab.locum import Locum
from lab.site_text import TAKEOVER, after
from lab.trial import Trial

CALM_SECONDS = 4.0  # between a failback and the next fault: the alert must have resolved
START_SECONDS = 120.0
TRIES = 10


class OftenTakenOver(Locum):
    """locum without the brakes that would end a benchmark after three takeovers."""

    def own_site(self, text: str) -> str:
        """Return the site file without brakes."""
        return after(super().own_site(text), TAKEOVER, "      cooldown: 0s\n      max_per_hour: 60\n")


def bring_back(lab: Lab, locum: Locum) -> None:
    """Bring the service back; on a busy machine a check may fail."""
    for _ in range(TRIES):
        if locum.command("failback", "www", "--yes", check=False).returncode == 0:
            break
        time.sleep(1.0)
    lab.client.wait_good()
    time.sleep(CALM_SECONDS)


def takeover_line(what: str, one: Trial) -> str:
    """Return a line about the result of one takeover."""
    seconds = "none" if one.seconds_without_service is None else f"{one.seconds_without_service:.2f}"
    return f"{what}: {seconds} s without service {'; '.join(one.faults())}"
