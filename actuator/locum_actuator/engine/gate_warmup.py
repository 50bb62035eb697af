"""Log in at every gate before the first check, because a login takes longer than a check allows.

A kept connection answers in milliseconds. A new one first needs key exchange and login, which on a busy machine
take longer than a check. Right after a start every gate would seem silent, and a host that returns echoes while its
gate is silent may be fenced.
"""

from __future__ import annotations

import logging

from locum_actuator.engine.context import Context
from locum_actuator.system import runtime
from locum_inventory.gate.protocol import GateError

log = logging.getLogger(__name__)

GREET_SECONDS = 2.0  # for all hosts at once; hosts that return no echo are not waited for


def warm_up(context: Context) -> None:
    """Ask the gate of each other host that returns an echo; return when all have answered, or after 2 s."""
    hosts = [host for host in context.service.hosts if host != context.site.actuator.host]
    if not hosts:
        return
    pool = runtime.pool(len(hosts), name=f"greet-{context.name}")
    try:
        runtime.all_done([pool.submit(_greet, context, host) for host in hosts], GREET_SECONDS)
    finally:
        pool.shutdown(wait=False)  # what is still asked ends by its own deadline


def _greet(context: Context, host: str) -> None:
    try:
        if context.observer.echoes(host):
            context.gates[host].status(deadline_seconds=GREET_SECONDS)
    except GateError as fault:
        log.info(
            "the gate of %s does not answer yet: %s",
            host,
            fault,
            extra={"event": "gate_silent", "service": context.name, "host": host},
        )
    except Exception:
        # The first check that follows reports the gate's state.
        log.exception(
            "the gate of %s could not be contacted",
            host,
            extra={"event": "unexpected_error", "service": context.name, "host": host},
        )
