"""Check right before a takeover whether other holder hosts are silent too, without waiting for alerts.

Alerts of two simultaneous faults arrive through Prometheus up to a second apart, and the first must not be mistaken
for a single fault (storm.py knows only the faults that have been reported).
"""

from __future__ import annotations

from collections.abc import Iterable

from locum_actuator.domain.ports import Gates, Observer
from locum_actuator.system import runtime
from locum_inventory.gate.protocol import GateError

GATE_SECONDS = 0.4
_SILENT = {"unreachable", "timeout", "closed"}  # any other fault of a gate is an answer of its host


def silent_ones(hosts: Iterable[str], observer: Observer, gates: Gates) -> frozenset[str]:
    """Return the hosts that return no echo and whose gate is silent too."""
    asked = sorted(hosts)
    if not asked:
        return frozenset()
    with runtime.pool(len(asked), name="others") as pool:
        return frozenset(
            host
            for host, silent in zip(
                asked, pool.map(lambda host: _is_silent(host, observer, gates), asked), strict=True
            )
            if silent
        )


def _is_silent(host: str, observer: Observer, gates: Gates) -> bool:
    if observer.echoes(host) != 0:  # None: no echo could be sent
        return False
    try:
        gates[host].status(deadline_seconds=GATE_SECONDS)
    except GateError as fault:
        return fault.reason in _SILENT
    return False
