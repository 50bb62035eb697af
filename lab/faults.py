"""Faults as verbs. Each returns the time (time.time()) just before it took effect."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from typing import Literal

from lab.host import Host
from lab.namespaces import INSIDE, PYTHON, Inside
from lab.needs import LabError
from lab.plan import CARD, InterfaceAddress
from lab.switch import Direction, Switch

SERVICE_PROCESS = "apache2"
LONGEST_DELAY_MILLISECONDS = 60_000.0

# Leaves a dead child that is not reaped, because its parent sleeps. The kernel keeps 15 bytes of the name.
_ZOMBIE = """
import os, sys, time
from pathlib import Path
if os.fork() == 0:
    Path("/proc/self/comm").write_text(sys.argv[1])
    os._exit(0)
os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)
print("left", flush=True)
time.sleep(1e9)
"""


class Faults:
    """The verbs. `heal` undoes those of the wire and resumes a stopped service."""

    hosts: Mapping[str, Host]
    everybody: Mapping[str, Host]
    switch: Switch
    service_addresses: tuple[InterfaceAddress, ...]
    _zombies: list[tuple[str, Inside]]

    def host(self, name: str) -> Host:
        """Return a host by name."""
        if name not in self.everybody:
            raise LabError(f"there is no host '{name}' in this lab: it has {', '.join(self.everybody)}")
        return self.everybody[name]

    # Power

    def crash(self, name: str) -> float:
        """Power loss: first the link fails, then all processes are killed. The disk remains."""
        host = self.host(name)
        host.running_pid  # noqa: B018 - raises if there is nothing to crash
        moment = time.time()
        host.power_off()
        return moment

    def reboot(self, name: str) -> float:
        """Restore the power of a host (after cutting it if it is up); return when its services have started.

        Same disk, same card, link up; no service address, because none is claimed at boot. Faults of its wire last
        until `heal`.
        """
        host = self.host(name)
        host.power_off()
        host.boot()
        return time.time()

    # Wires

    def blackhole(self, name: str) -> float:
        """The link fails silently: the host keeps running with its addresses, and its card keeps its carrier."""
        self.host(name)
        return self._wire(lambda: self.switch.faults.dead.add(name))

    def cut_off(self, name: str, *, carrier: bool = True) -> float:
        """The host cannot reach any other host. On the wire this equals `blackhole`; without carrier the cable is
        pulled, so that the host can detect it."""
        if carrier:
            return self.blackhole(name)
        self.host(name)
        moment = time.time()
        self.switch.set_carrier(name, on=False)
        return moment

    def partition(self, one: str, other: str, *, arp: bool = True, one_way: bool = False) -> float:
        """Two hosts do not receive each other's frames, all others do; with `arp=False` ARP still passes.

        With `one_way` only `other` does not receive the frames of `one`.
        """
        self.host(one)
        self.host(other)
        ways = {(one, other): arp} if one_way else {(one, other): arp, (other, one): arp}
        return self._wire(lambda: self.switch.faults.parted.update(ways))

    def loss(self, name: str, share: float, direction: Direction = "both") -> float:
        """Drop a share (0 to 1) of the frames on a host's wire, `in` and `out` from the host's point of view."""
        self.host(name)
        if not 0 <= share <= 1:
            raise LabError(f"a share of {share:g} cannot be dropped: give 0 to 1")
        ways: list[Literal["in", "out"]] = ["in", "out"] if direction == "both" else [direction]
        return self._wire(lambda: self.switch.faults.lost.update({(name, way): share for way in ways}))

    def delay(self, name: str, milliseconds: float) -> float:
        """Delay every frame on a host's wire, each way, until `heal`. A relay passes them on."""
        self.host(name)
        if not 0 < milliseconds <= LONGEST_DELAY_MILLISECONDS:
            raise LabError(
                f"{milliseconds:g} ms is not a delay: give more than 0, at most {LONGEST_DELAY_MILLISECONDS:g}"
            )
        return self._wire(lambda: self.switch.faults.slow.update({name: milliseconds / 1000}))

    def heal(self, name: str) -> float:
        """Repair a host's wire, resume it or its service if they were stopped, and remove its zombies.

        A crashed host needs `reboot`, a killed service `start_service`.
        """
        host = self.host(name)
        moment = self._wire(lambda: self.switch.faults.heal(name))
        if host.up:
            self.switch.set_carrier(name, on=True)
            self.thaw(name)
        for owner, zombie in self._zombies:
            if owner == name:
                zombie.kill()
        self._zombies = [(owner, zombie) for owner, zombie in self._zombies if owner != name]
        return moment

    def heal_all(self) -> float:
        """Heal every host."""
        moment = time.time()
        for name in self.everybody:
            self.heal(name)
        return moment

    # Every process

    def freeze(self, name: str) -> float:
        """Send SIGSTOP to all processes of a host: its kernel still answers pings, ARP and connections.

        Together with `blackhole` it behaves like a paused virtual machine: silent, and unchanged when it resumes.
        """
        host = self.host(name)
        moment = time.time()
        while running := [pid for pid, _, state in host.processes() if state not in "TZX"]:
            for pid in running:  # repeated, because a process may have forked meanwhile
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGSTOP)
            time.sleep(0.001)
        return moment

    def thaw(self, name: str) -> float:
        """Send SIGCONT to all stopped processes of a host; its other faults remain."""
        host = self.host(name)
        moment = time.time()
        if host.up:
            for pid, _, state in host.processes():
                if state == "T":
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGCONT)
            host.wake_entrances()
        return moment

    # The service

    def kill_service(self, name: str) -> float:
        """Send SIGKILL to all processes of the service."""
        host = self.host(name)
        moment = time.time()
        while self._signal(host, signal.SIGKILL):  # repeated, because a process may have forked meanwhile
            time.sleep(0.001)
        return moment

    def hang_service(self, name: str) -> float:
        """Send SIGSTOP to all processes of the service: the kernel accepts connections, nothing is answered."""
        host = self.host(name)
        moment = time.time()
        if not self._signal(host, signal.SIGSTOP):
            raise LabError(f"{name}: no {SERVICE_PROCESS} runs there")
        while self._signal(
            host, signal.SIGSTOP, but="T"
        ):  # repeated, because a process may have forked meanwhile
            time.sleep(0.001)
        return moment

    def wake_service(self, name: str) -> float:
        """Send SIGCONT to all processes of the service; the host's other faults remain."""
        host = self.host(name)
        moment = time.time()
        if host.up:
            self._signal(host, signal.SIGCONT)
        return moment

    def stop_service(self, name: str) -> float:
        """Stop the service with its administrator's command."""
        return self._apachectl(name, "stop")

    def start_service(self, name: str) -> float:
        """Start the service with its administrator's command; return when it listens."""
        self._apachectl(name, "start")
        self.host(name).wait_listening(80, 10)
        return time.time()

    def zombie(self, name: str, process: str = SERVICE_PROCESS) -> float:
        """Leave a dead process of that name in a host's process table."""
        moment = time.time()
        inside = self.host(name).popen([*PYTHON, "-c", _ZOMBIE, process], stdout=subprocess.PIPE)
        assert inside.stdout is not None
        with inside.stdout as out:
            if not out.readline():
                raise LabError(f"{name}: no zombie was left")
        self._zombies.append((name, inside))
        return moment

    # The service address, by hand

    def add_address(self, name: str, *, announce: bool = False) -> float:
        """Add the service address to a host's card; without `announce` unannounced, as in the 2001 scheme."""
        host, moment = self.host(name), time.time()
        for address in self.service_addresses:
            how = ["nodad"] if address.version == 6 else []
            host.run(["ip", "address", "replace", str(address), "dev", CARD, *how])
            if announce:
                # arping waits for a second although it sends at once: do not wait for it.
                host.popen(_announcing(address), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return moment

    def drop_address(self, name: str, *, only: InterfaceAddress | None = None) -> float:
        """Remove the service addresses from a host's card, or `only` one of them."""
        moment = time.time()
        for address in self.service_addresses if only is None else (only,):
            self.host(name).run(["ip", "address", "delete", str(address), "dev", CARD])
        return moment

    def _wire(self, change: Callable[[], object]) -> float:
        moment = time.time()
        change()
        self.switch.apply()
        return moment

    def _signal(self, host: Host, number: int, but: str = "") -> int:
        """Signal all live processes of the service except those in state `but`; return their number."""
        count = 0
        for pid, name, state in sorted(
            host.processes()
        ):  # parents first, because a stopped parent does not fork
            if name == SERVICE_PROCESS and state not in "ZX" + but:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
                    count += 1
        return count

    def _apachectl(self, name: str, verb: str) -> float:
        moment = time.time()
        self.host(name).run(["apachectl", verb])
        return moment


def _announcing(address: InterfaceAddress) -> list[str]:
    if address.version == 4:
        return ["arping", "-q", "-U", "-c", "1", "-I", CARD, str(address.ip)]
    return [*PYTHON, str(INSIDE / "advertises.py"), CARD, str(address.ip)]
