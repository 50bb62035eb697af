"""Make another host announce its addresses to the network, by a claim over its gate."""

from __future__ import annotations

from locum_inventory.gate.protocol import GateClient
from locum_inventory.site.model import Service

ANNOUNCE_SECONDS = 2.0


def announce_over_gate(gate: GateClient, name: str, service: Service, epoch: int) -> bool:
    """Announce the addresses on a host whose gate reports that it holds them; raises `GateError`.

    Return False if it does not hold all of them, or if its gate is of version 1, which no longer claims.
    """
    host = gate.status(deadline_seconds=ANNOUNCE_SECONDS)
    status = host.services.get(name)
    if host.clock is None or status is None or not all(status.held.values()):
        return False
    permit = host.clock.permit(host.clock.answered_at + ANNOUNCE_SECONDS, service.addresses)
    gate.run_verb("claim", name, epoch, deadline_seconds=ANNOUNCE_SECONDS, permit=permit)
    return True
