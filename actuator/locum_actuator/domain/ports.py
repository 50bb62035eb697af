"""What others need of the gates and of what looks, as protocols."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from locum_actuator.domain.reach import Reach
from locum_actuator.domain.situation import CheckOutcome
from locum_inventory.gate.protocol import GateClient


class Gates(Protocol):
    """The gates, by host."""

    def __getitem__(self, host: str) -> GateClient:
        """Return the gate of a host of the site."""


@dataclass(frozen=True, slots=True)
class Confirmed:
    """What was seen right before something is claimed."""

    witnessed: bool
    owners: (
        tuple[frozenset[str], frozenset[str]] | None
    )  # hosts, strangers' MACs; None: nobody could be asked
    heard_by: tuple[str, ...] = ()  # the other vantage points that get an echo of the host that was silent
    silent_to: tuple[str, ...] = ()  # … that asked it and got none; one that could not ask is in neither


class Observer(Protocol):
    """What steps need to see: the service on a host, through its addresses, the witnesses, the wire."""

    def service_on(self, service: str, host: str) -> CheckOutcome:
        """Run the deciding checks against a host's own address, from here."""

    def reach(self, service: str) -> Reach | None:
        """Run the deciding checks through the service addresses, from here and from every other vantage point.

        None where there is no address that could be asked through.
        """

    def witness_answers(self, source: str | None = None) -> bool:
        """Ping the witnesses, from a given source address where one is named."""

    def echoes(self, host: str) -> int | None:
        """Ping a host; return how many echoes came back, None where none could be sent."""

    def late_echo(self, host: str, since: float, seconds: float) -> bool:
        """Return whether an echo of a host came since a moment of time.monotonic, waiting so long for one."""

    def confirm(self, service: str, silent: str | None = None) -> Confirmed:
        """Ask at once whether a witness answers, who has the addresses, and who hears a host that was silent."""
