"""The time until which a gate may carry out a verb, by the clock of its own host.

Two hosts share no clock, and SSH may deliver a verb long after it was sent. So the actuator expresses the end of
validity of its evidence in the other host's time: the boot id and uptime of that host's last answer, plus the time
that remains.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from locum_inventory.site.model import InterfaceAddress


@dataclass(frozen=True, slots=True)
class Permit:
    """Sent with a verb that moves something: the gate refuses it after a reboot or after this uptime."""

    boot_id: str
    good_until_hundredths: int  # of the uptime of the gate's host
    addresses: tuple[InterfaceAddress, ...] = ()  # the host file must have exactly these

    @property
    def words(self) -> tuple[str, ...]:
        """Return the words that follow the epoch in the protocol."""
        return self.boot_id, str(self.good_until_hundredths), *map(str, self.addresses)


@dataclass(frozen=True, slots=True)
class GateClock:
    """The uptime of a gate's host according to its last answer."""

    boot_id: str
    uptime_hundredths: int
    answered_at: float  # since_boot.seconds() of this machine when the answer arrived

    def permit(self, good_until: float, addresses: tuple[InterfaceAddress, ...] = ()) -> Permit:
        """Return a permit that ends at a time of this machine's clock, or slightly earlier.

        The host read its uptime some time before its answer arrived here. Treating it as the time of arrival ends
        the permit early by the answer's travel time, and never late.
        """
        left_hundredths = math.floor((good_until - self.answered_at) * 100)
        return Permit(self.boot_id, max(0, self.uptime_hundredths + left_hundredths), addresses)
