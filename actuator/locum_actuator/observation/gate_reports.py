"""Ask the gates of hosts for the state of services. Calls block, so each runs in a thread of a pool."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from locum_actuator.domain.ports import Gates
from locum_actuator.observation.life_signs import LifeSigns
from locum_actuator.observation.prompt_gate import is_prompt
from locum_actuator.system import runtime
from locum_inventory.gate.host_macs import HostMacs
from locum_inventory.gate.protocol import GateError, GateStatus, ServiceStatus

GATE_SECONDS = 0.4


@dataclass(frozen=True, slots=True)
class NoGateAnswer:
    """The reason why a gate did not report a service's state; `asked` is False if the cause is on this host."""

    text: str
    asked: bool = True
    answered: bool = False  # it answered, but does not know the service

    @property
    def sign_of_life(self) -> str:
        """The message that a gate answers, although it did not report the service's state."""
        return f"its gate answers ({self.text})"


class GateReports:
    """The gates of a site, with what each reported last."""

    def __init__(self, gates: Gates, pool: runtime.Executor) -> None:
        self._gates = gates
        self._pool = pool
        self._life = LifeSigns()
        self._last: dict[str, GateStatus] = {}
        self.macs = HostMacs()  # of every interface that gates report

    async def ask(
        self, service: str, host: str, seconds: float = GATE_SECONDS
    ) -> ServiceStatus | NoGateAnswer:
        """Return what a host's gate reports about a service, or why it does not."""
        loop, begun = asyncio.get_running_loop(), runtime.event()

        def call() -> GateStatus:
            begun.set()
            return self._gates[host].status(deadline_seconds=seconds)

        try:
            status = await asyncio.wait_for(loop.run_in_executor(self._pool, call), seconds + 0.2)
        except GateError as fault:
            return NoGateAnswer(str(fault), fault.asked)
        except TimeoutError:
            if not begun.is_set():
                return NoGateAnswer(
                    f"could not be asked: no thread was free within {seconds:g} s", asked=False
                )
            return NoGateAnswer(f"no answer within {seconds:g} s")
        except Exception as fault:
            # For example no threads or descriptors left: all other checks must still be made.
            return NoGateAnswer(f"could not be asked: {type(fault).__name__}: {fault}", asked=False)
        self._life.gate_answered(host)
        self.macs.learn(host, status.macs)
        self._last[host] = status
        known = status.services.get(service)
        return known or NoGateAnswer(
            f"the gate does not know {service}: run `locum enrol {host}`", answered=True
        )

    def last(self, host: str) -> GateStatus | None:
        """Return the last answer of a host's gate; None if it has never answered."""
        return self._last.get(host)

    def seconds_since_answer(self, host: str) -> float | None:
        """Return how long ago a host's gate last answered; None if that is no longer a sign of life."""
        return self._life.gate_seconds(host)

    async def is_prompt(self, host: str, during: asyncio.Future[Any], spacing_seconds: float) -> bool:
        """Call a gate many times until `during` is done; return whether every call ended in time."""

        def call(deadline_seconds: float) -> bool:
            try:
                self._gates[host].status(deadline_seconds=deadline_seconds)
            except Exception:  # whatever the cause, this is no proof of a clean line
                return False
            return True

        return await is_prompt(call, self._pool, during, spacing_seconds)
