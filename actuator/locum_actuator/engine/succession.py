"""Order the workers of a reload: one worker at a time per address, whatever its service is called.

A service may be renamed, removed and added again, or swap its address with another while a plan is under way. The
new worker of an address waits for all its earlier workers, and continues with what the journal knows about the
address.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping

from locum_actuator.journal.journal import Holder, Journal
from locum_actuator.system import runtime
from locum_inventory.site.model import Service

log = logging.getLogger(__name__)


def shared(one: Service, other: Service) -> int:
    """Return how many addresses two services have in common; equal address commands count as one."""
    addresses = {address.ip for address in one.addresses} & {address.ip for address in other.addresses}
    by_command = one.address_commands is not None and one.address_commands == other.address_commands
    return len(addresses) + by_command


def predecessor(name: str, service: Service, before: Iterable[tuple[str, Service]]) -> str | None:
    """Return the earlier name of the service with this address; None if it is the same, or there was none."""
    known, most = name, 0
    for other, values in before:
        count = shared(service, values)
        if count > most or (count == most and other == name):
            known, most = other, count
    return known if most and known != name else None


class Succession:
    """The state that workers of a new reading of the site file take over. Threads may share it."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._lock = runtime.lock()
        self._replaced: dict[str, Holder] = {}  # the journal's rows before a worker overwrote them

    def inherit(self, name: str, before: str, services: Mapping[str, Service]) -> None:
        """Take over what the journal knows about an address under its service's earlier name."""
        journal = self._journal
        with self._lock:
            self._replaced[name] = journal.holder(name)
            old = self._replaced.get(before) or journal.holder(before)
            if old.host is not None and old.host in services[name].hosts:
                journal.set_holder(name, old.host, old.epoch)
            else:
                journal.set_epoch(name, old.epoch)
            pause = journal.pauses.current(before)
            if pause is not None and before not in services and journal.pauses.current(name) is None:
                seconds = pause.until - journal.clock.on_the_wall(journal.clock.now())
                journal.pauses.begin(name, max(0.0, seconds), pause.reason)
        log.info(
            "its address belonged to %s before, held by %s",
            before,
            old.host or "no known host",
            extra={"event": "address_renamed", "service": name, "before": before},
        )
