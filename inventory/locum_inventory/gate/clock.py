"""Until when a gate may still carry out a verb, by the clock of its own host.

Two hosts have no clock in common, and SSH may deliver a verb long after it was sent. So the actuator says until
when its evidence is good in the other host's own time: the boot id and the uptime of its last answer, plus what
remains.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from locum_inventory.site.model import Interface


@dataclass(frozen=True, slots=True)
class Permit:
    """What a verb that moves something is sent with: it is refused in another boot, or after this uptime."""

    boot_id: str
    good_until_hundredths: int  # of the uptime of the gate's host
    addresses: tuple[Interface, ...] = ()  # that the host file must have, these and no others

    @property
    def words(self) -> tuple[str, ...]:
        """Return the words that follow the epoch."""
        return self.boot_id, str(self.good_until_hundredths), *map(str, self.addresses)


@dataclass(frozen=True, slots=True)
class GateClock:
    """The uptime of a gate's host, as its last answer had it."""

    boot_id: str
    uptime_hundredths: int
    answered_at: float  # since_boot.seconds() here, when the answer had come

    def permit(self, good_until: float, addresses: tuple[Interface, ...] = ()) -> Permit:
        """Return a permit that ends at a moment of this machine's own clock, or somewhat before.

        The host read its uptime at some moment before its answer came. To take it for that of the answer makes the
        permit end early by what the answer took on its way, and never late.
        """
        left_hundredths = math.floor((good_until - self.answered_at) * 100)
        return Permit(self.boot_id, max(0, self.uptime_hundredths + left_hundredths), addresses)
