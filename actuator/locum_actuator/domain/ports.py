"""Protocols for the gates and for the observer."""

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
    """The evidence gathered right before a claim."""

    witnessed: bool
    owners: (
        tuple[frozenset[str], frozenset[str]] | None
    )  # hosts, strangers' MACs; None: it could not be checked
    heard_by: tuple[str, ...] = ()  # the other vantage points that get an echo from the silent host
    silent_to: tuple[str, ...] = ()  # … that pinged it and got none; one that could not ping is in neither


class Observer(Protocol):
    """The checks that steps need: the service on a host and through its addresses, witnesses, the network.

    What this host is too busy to check counts as not checked. Where a result has no word for that, a method raises
    `TimeoutError`.
    """

    def service_on(self, service: str, host: str) -> CheckOutcome:
        """Run the deciding checks against a host's own address, from here."""

    def reach(self, service: str) -> Reach | None:
        """Run the deciding checks through the service addresses, from here and from every other vantage point.

        None if there is no address to check through.
        """

    def witness_answers(self, source: str | None = None) -> bool:
        """Ping the witnesses, from `source` if it is given; return whether any answered. Raises `TimeoutError`."""

    def echoes(self, host: str) -> int | None:
        """Ping a host; return how many echoes came back, None if none could be sent."""

    def late_echo(self, host: str, since: float, seconds: float) -> bool:
        """Return whether an echo from a host arrived since `since` (runtime.monotonic), waiting up to `seconds`.

        Raises `TimeoutError`.
        """

    def confirm(self, service: str, silent: str | None = None) -> Confirmed:
        """Check at once whether a witness answers, who has the addresses, and who gets echoes from `silent`."""
