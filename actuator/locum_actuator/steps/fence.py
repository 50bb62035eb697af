"""Fence: switch a host off from outside, and verify it by its device's status and by ping.

docs/fencing.md describes what counts as proof.
"""

from __future__ import annotations

from locum_actuator.domain.plan import PlannedStep
from locum_actuator.steps.base import Step, StepError
from locum_actuator.system import runtime
from locum_actuator.system.fence_agent import FenceAgent, FenceAgentError
from locum_inventory.errors import LocumError
from locum_inventory.site.model import FenceDevice

STATUS_SECONDS = 5.0  # for a status query before anything is done
SHARE_OF_OFF = 0.75  # of a device's time; the rest is for its status, should `off` hang
PAUSE_SECONDS = 0.1  # between two status queries; it grows
LONGEST_PAUSE_SECONDS = 2.0
ON_SECONDS = 30.0
LATE_SECONDS = 0.3  # how long to wait for an echo before a host that seems silent is switched off

# Plans of several services may fence one host at once: one does it, the others wait and find it off.
_locks: dict[str, runtime.Lock] = {}
_seen_off_at: dict[str, float] = {}  # by host, runtime.monotonic()


class _NotConfirmedError(LocumError):
    """One device failed."""


class Fence(Step):
    """Make sure from outside that a host can neither serve nor hold an address."""

    def already(self) -> bool:
        """Return whether a device already reports off and the host is silent."""
        if any(self._is_off(FenceAgent(self.host, device)) for device in self._devices()):
            self.context.evidence.seen_off(self.host)
            return True
        return False

    def do(self) -> str:
        """Try the devices in order until one proves that the host is off; return what was found."""
        devices = self._devices()
        if self.host == self.context.local_host or not devices:
            raise StepError(f"there is no way to fence {self.host} from here")
        self.context.require_silence(self.host, LATE_SECONDS)
        asked = runtime.monotonic()
        lock = _locks.setdefault(self.host, runtime.lock())
        if not lock.acquire(timeout=sum(device.timeout for device in devices) + ON_SECONDS):
            raise StepError(f"another service has been fencing {self.host} for too long")
        faults = []
        try:
            if _seen_off_at.get(self.host, float("-inf")) > asked:
                self.context.evidence.seen_off(self.host)
                return f"{self.host} was found off after waiting: another service's plan fenced it"
            for device in devices:
                try:
                    return self._with(device)
                except (_NotConfirmedError, FenceAgentError) as fault:
                    faults.append(f"{device.name}: {fault}")
        finally:
            lock.release()
        why = f"it could not be confirmed that {self.host} is off ({'; '.join(faults)})"
        if self.context.service.takeover.when_fence_unconfirmed == "takeover":
            return f"{why}; continuing because takeover.when_fence_unconfirmed is takeover"
        raise StepError(f"{why}: make sure that it is, then move the service by hand")

    def undo(self) -> None:
        """Do nothing: whether the host may run again is for a person to decide."""
        return

    def _devices(self) -> tuple[FenceDevice, ...]:
        return self.context.site.hosts[self.host].fence

    def _with(self, device: FenceDevice) -> str:
        """Switch the host off with one device, and wait until it is found off."""
        agent, end = FenceAgent(self.host, device), runtime.monotonic() + device.timeout
        fault: FenceAgentError | None = None
        # Right before the device is used: a host that was silent when it was checked may be well by now.
        self.context.evidence.require_due(PlannedStep("fence", self.host))
        try:
            agent.turn("off", deadline_seconds=device.timeout * SHARE_OF_OFF)
        except FenceAgentError as failed:
            fault = failed
        # An agent that failed may still have switched the host off: the status is queried once.
        seen = self._watch(
            agent, end if fault is None else min(end, runtime.monotonic() + STATUS_SECONDS), fault
        )
        if seen is not None:
            raise _NotConfirmedError(f"{fault}; {seen}" if fault else seen)
        _seen_off_at[self.host] = runtime.monotonic()
        self.context.evidence.seen_off(self.host)
        off = f"{device.name} says that {self.host} is off, and it answers no ping"
        return f"{off}{self._on_again(agent)}"

    def _watch(self, agent: FenceAgent, end: float, failed: FenceAgentError | None) -> str | None:
        """Query the status until the host is found off; return None then, otherwise what was found."""
        pause = PAUSE_SECONDS
        while True:
            try:
                power = agent.power(deadline_seconds=max(0.1, end - runtime.monotonic()))
                seen = "status says on" if power == "on" else self._still_answers()
            except FenceAgentError as fault:
                seen = str(fault)
            if seen is None or failed is not None or runtime.monotonic() + pause >= end:
                return seen
            runtime.sleep(pause)
            pause = min(pause * 1.5, LONGEST_PAUSE_SECONDS)

    def _still_answers(self) -> str | None:
        """Return why a host may still be on although its device reports off; None if it is silent."""
        echoes = self.context.observer.echoes(self.host)
        if echoes is None:
            return f"status says off, and {self.host} could not be pinged"
        if echoes:
            return f"status says off, and {self.host} still answers ping: is this device {self.host}'s?"
        return None

    def _is_off(self, agent: FenceAgent) -> bool:
        try:
            return agent.power(deadline_seconds=STATUS_SECONDS) == "off" and self._still_answers() is None
        except FenceAgentError:
            return False

    def _on_again(self, agent: FenceAgent) -> str:
        if agent.device.action == "off":
            return "; it stays off until a person switches it on"
        try:
            agent.turn("on", deadline_seconds=ON_SECONDS)
        except FenceAgentError as fault:
            return f"; switching it on again did not work ({fault}): a person must"
        return "; switched on again"
