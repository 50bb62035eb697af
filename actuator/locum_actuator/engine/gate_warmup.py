"""Log in at every gate before the first look: a login takes longer than a look gives a gate.

A kept connection answers in milliseconds; a new one needs key exchange and login first, on a busy machine for
longer than a look lasts. Right after a start every gate would seem silent, and a host whose gate is silent while
it returns echoes is one to be fenced.
"""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor, wait

from locum_actuator.engine.context import Context
from locum_inventory.gate.protocol import GateError

log = logging.getLogger(__name__)

GREET_SECONDS = 2.0  # for all hosts at once; one that returns no echo is not waited for


def warm_up(context: Context) -> None:
    """Ask the gate of each other host that returns an echo; return when all have answered, or after 2 s."""
    hosts = [host for host in context.service.hosts if host != context.site.actuator.host]
    if not hosts:
        return
    pool = ThreadPoolExecutor(len(hosts), thread_name_prefix=f"greet-{context.name}")
    try:
        wait([pool.submit(_greet, context, host) for host in hosts], timeout=GREET_SECONDS)
    finally:
        pool.shutdown(wait=False)  # what is still asked ends by its own deadline


def _greet(context: Context, host: str) -> None:
    try:
        if context.observer.echoes(host):
            context.gates[host].status(deadline_seconds=GREET_SECONDS)
    except GateError as fault:
        log.info(
            "the gate of %s is not there yet: %s",
            host,
            fault,
            extra={"event": "gate_silent", "service": context.name, "host": host},
        )
    except Exception:
        # The look that follows says what is so.
        log.exception(
            "%s could not be greeted",
            host,
            extra={"event": "unexpected_error", "service": context.name, "host": host},
        )
