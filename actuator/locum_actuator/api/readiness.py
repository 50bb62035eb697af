"""Check whether the actuator is ready: no background thread is failing, and every part of the chain is ok."""

from __future__ import annotations

from collections.abc import Sequence

from locum_actuator.chain.watch import HEARTBEAT, ChainPart, judge_heartbeat
from locum_actuator.engine.engine import Engine


def unready(engine: Engine, chain: Sequence[ChainPart] = ()) -> str | None:
    """Return why the actuator is not ready, or None."""
    stuck = engine.hung_workers()
    missing = {part.name: part.text for part in chain if part.up is not True}
    # The heartbeat is evaluated now, and not at the last check of the chain.
    heartbeat = judge_heartbeat(engine.heartbeat_age_seconds)
    missing.pop(HEARTBEAT, None)
    if heartbeat.up is not True:
        missing[HEARTBEAT] = heartbeat.text
    found = [*([stuck] if stuck else []), *engine.health.failing()]
    return "; ".join([*found, *(f"{name}: {text}" for name, text in missing.items())]) or None
