"""Inject a scenario's faults in a lab at their times, and remove them again."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from bench.campaign import many_services
from bench.campaign.schedule import Fault, Scenario
from bench.campaign.system import System
from lab.lab import Lab
from lab.needs import LabError

TEND_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Mark:
    """A fault that took effect or was removed, and when (time.time()). `words` is set if it had no effect.

    On a busy machine a verb takes its time. It was begun at `asked`; a fault counts from its end, a healing from
    its begin, and that is `at`. `returns`: a booting host added the service address on its own, between
    `asked` and `at`.
    """

    at: float
    what: Literal["begins", "heals", "returns"]
    fault: Fault
    words: str | None = None
    asked: float = 0.0


class Injector:
    """Carries out one scenario on one lab."""

    def __init__(self, lab: Lab, system: System) -> None:
        self.marks: list[Mark] = []
        self._lab = lab
        self._system = system
        self._frozen: dict[int, list[int]] = {}  # by the fault's identity: the processes that it stopped
        self._slow: list[threading.Thread] = []
        self._failed: list[BaseException] = []

    def run(self, scenario: Scenario) -> float:
        """Carry it out; return when the last fault was removed (time.time())."""
        begun = time.monotonic()
        for seconds, what, fault in _timeline(scenario):
            while (left := begun + seconds - time.monotonic()) > 0:
                time.sleep(min(left, TEND_SECONDS))
                self._system.tend()
            at = time.time()
            words = (self._bring if what == "begins" else self._heal)(fault)
            self.marks.append(Mark(time.time() if what == "begins" else at, what, fault, words, asked=at))
        for thread in self._slow:
            thread.join(60)
        self._power_on()
        if self._failed:
            raise self._failed[0]
        return time.time()

    def _power_on(self) -> None:
        """Restore the power of a fenced host, as an administrator would after repairing it."""
        for name, host in self._lab.hosts.items():
            if not host.up:
                fenced = Fault("fenced", name, 0.0, 0.0, {})
                self.marks.append(Mark(time.time(), "heals", fenced))
                self._lab.reboot(name)
                self._lab.repair(name)
                self._system.revive(name)

    def _bring(self, fault: Fault) -> str | None:
        try:
            return getattr(self, f"_bring_{fault.kind}")(fault)  # type: ignore[no-any-return]
        except (LabError, subprocess.CalledProcessError) as error:
            return f"did not take hold: {error}"

    def _heal(self, fault: Fault) -> str | None:
        undo: Callable[[Fault], str | None] = getattr(self, f"_heal_{fault.kind}", _nothing)
        try:
            return undo(fault)
        except (LabError, subprocess.CalledProcessError) as error:
            return f"nothing to heal: {error}"

    # Power

    def _bring_crash(self, fault: Fault) -> None:
        self._lab.crash(fault.host)

    def _heal_crash(self, fault: Fault) -> None:
        self._slowly(lambda: self._boot(fault))

    def _boot(self, fault: Fault) -> None:
        if self._lab.hosts[fault.host].up:
            return  # it had not been crashed: it was fenced at that moment, or switched on again since
        try:
            self._lab.reboot(fault.host)
        except LabError:
            return  # fenced while it booted
        if fault.detail["keeps_address"]:
            # As a host does whose own boot configuration names the service address.
            asked = time.time()
            self._lab.add_address(fault.host, announce=True)
            self.marks.append(Mark(time.time(), "returns", fault, asked=asked))
        self._system.revive(fault.host)

    def _bring_freeze(self, fault: Fault) -> None:
        self._lab.freeze(fault.host)

    def _heal_freeze(self, fault: Fault) -> None:
        self._lab.thaw(fault.host)

    def _bring_pause(self, fault: Fault) -> None:
        """A paused virtual machine: silent at once, and unchanged when it resumes."""
        self._bring_blackhole(fault)
        self._lab.freeze(fault.host)

    def _heal_pause(self, fault: Fault) -> None:
        self._lab.thaw(fault.host)
        self._heal_blackhole(fault)

    # Half-dead hosts

    def _bring_half_dead(self, fault: Fault) -> None:
        getattr(self._lab, fault.detail["how"])(fault.host)

    def _heal_half_dead(self, fault: Fault) -> None:
        self._lab.repair(fault.host)

    # Wires: each fault is removed separately, because another may still last

    def _bring_blackhole(self, fault: Fault) -> None:
        self._lab.blackhole(fault.host)

    def _heal_blackhole(self, fault: Fault) -> None:
        self._lab.switch.faults.dead.discard(fault.host)
        self._lab.switch.apply()

    def _bring_unplug(self, fault: Fault) -> None:
        self._lab.cut_off(fault.host, carrier=False)

    def _heal_unplug(self, fault: Fault) -> None:
        self._lab.switch.set_carrier(fault.host, on=True)

    def _bring_partition(self, fault: Fault) -> None:
        one, other = ("b", "a") if fault.detail["deaf"] == "a" else ("a", "b")
        self._lab.partition(one, other, arp=fault.detail["arp"], one_way=fault.detail["deaf"] != "both")

    def _heal_partition(self, _: Fault) -> None:
        self._lab.switch.faults.parted.clear()
        self._lab.switch.apply()

    def _bring_loss(self, fault: Fault) -> None:
        self._lab.loss(fault.host, fault.detail["share"], fault.detail["way"])

    def _heal_loss(self, fault: Fault) -> None:
        lost = self._lab.switch.faults.lost
        for key in [key for key in lost if key[0] == fault.host]:
            del lost[key]
        self._lab.switch.apply()

    def _bring_delay(self, fault: Fault) -> None:
        self._lab.delay(fault.host, fault.detail["milliseconds"])

    def _heal_delay(self, fault: Fault) -> None:
        self._lab.switch.faults.slow.pop(fault.host, None)
        self._lab.switch.apply()

    # The service and its address

    def _bring_kill(self, fault: Fault) -> None:
        self._lab.kill_service(fault.host)

    def _heal_kill(self, fault: Fault) -> None:
        self._system.restore_service(fault.host)

    def _bring_hang(self, fault: Fault) -> None:
        self._lab.hang_service(fault.host)

    def _heal_hang(self, fault: Fault) -> None:
        self._lab.wake_service(fault.host)

    def _bring_hang_many(self, fault: Fault) -> str | None:
        return None if many_services.hang(self._lab, fault.host) else "did nothing: none of them runs there"

    def _heal_hang_many(self, fault: Fault) -> None:
        many_services.wake(self._lab, fault.host)

    def _bring_zombie(self, fault: Fault) -> None:
        self._lab.zombie(fault.host)

    def _bring_drop_address(self, fault: Fault) -> str | None:
        if fault.host not in self._lab.holders():
            return "did not take hold: it has no service address"
        self._lab.drop_address(fault.host)
        return None

    # Firewalls of the hosts

    def _bring_limit_pings(self, fault: Fault) -> None:
        self._lab.limit_pings(fault.host)

    def _bring_close_service_address(self, fault: Fault) -> None:
        self._lab.close_service_address(fault.host)

    def _heal_limit_pings(self, fault: Fault) -> None:
        self._lab.drop_firewall(fault.host)

    _heal_close_service_address = _heal_limit_pings

    # What surrounds the parts of what is tried; its peers have none of it

    def _bring_surroundings(self, fault: Fault) -> str | None:
        return self._system.bring(fault.kind, fault.detail)

    def _heal_surroundings(self, fault: Fault) -> str | None:
        return self._system.heal(fault.kind)

    _bring_slow_disk = _bring_disk_refuses = _bring_clock_step = _bring_exporter_gone = (
        _bring_exporter_without_rights
    ) = _bring_silence = _bring_drip = _bring_surroundings
    _heal_slow_disk = _heal_disk_refuses = _heal_clock_step = _heal_exporter_gone = (
        _heal_exporter_without_rights
    ) = _heal_silence = _heal_drip = _heal_surroundings

    # The parts of what is tried

    def _bring_kill_part(self, fault: Fault) -> str | None:
        return self._signal(self._system.pids(fault.detail["part"]), signal.SIGKILL)

    def _bring_freeze_part(self, fault: Fault) -> str | None:
        pids = self._frozen[id(fault)] = list(self._system.pids(fault.detail["part"]))
        return self._signal(pids, signal.SIGSTOP)

    def _heal_freeze_part(self, fault: Fault) -> str | None:
        return self._signal(self._frozen.pop(id(fault), []), signal.SIGCONT)

    def _bring_kill_all_parts(self, _: Fault) -> None:
        self._system.kill_all()

    def _heal_kill_all_parts(self, _: Fault) -> None:
        self._slowly(self._system.start_all)

    def _signal(self, pids: Sequence[int], number: signal.Signals) -> str | None:
        reached = 0
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, number)
                reached += 1
        return None if reached else "did nothing: no such process runs"

    def _slowly(self, work: Callable[[], None]) -> None:
        """Run a slow action in the background, so that it does not delay the next fault."""

        def run() -> None:
            try:
                work()
            except BaseException as fault:  # raised again at the end of the run
                self._failed.append(fault)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        self._slow.append(thread)


def _nothing(_: Fault) -> None:
    return None


def _timeline(scenario: Scenario) -> Iterator[tuple[float, Literal["begins", "heals"], Fault]]:
    events: list[tuple[float, Literal["begins", "heals"], Fault]] = []
    for fault in scenario.faults:
        events += [(fault.begins, "begins", fault), (fault.heals, "heals", fault)]
    yield from sorted(events, key=lambda event: event[0])
