"""A model of gate.sh: what a host's gate refuses and does.

The rules are those of docs/gate.md: the words of a call, epochs, permits by the host's own boot and uptime, turns
of verbs, a release that ends a start. A verb stands still while its host is frozen, and ends with it.
tests/sim/test_gate_model.py compares the model with the script.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from locum_actuator.domain.patience import LOCK_SECONDS
from locum_actuator.system import runtime
from locum_inventory.gate.clock import GateClock, Permit
from locum_inventory.gate.host_file import gate_version, host_file_sha256
from locum_inventory.gate.protocol import FaultReason, GateError, GateStatus, Link, ServiceStatus, Verb
from locum_inventory.site.model import Commands, Service, Site
from sim.world import FROZEN_POLL_SECONDS, Host, World

# As in gate.sh.
GIVES = ("respawn", "start", "claim")
POLL_SECONDS = 0.02
EPOCH_JUMP = 1_000_000
EPOCH_DIGITS = 18
MOST_ADDRESSES = 64
BOOT_ID = re.compile(r"[0-9a-f-]{36}")


class HostDiedError(Exception):
    """The host lost its power while a verb was under way: nothing answers."""


@dataclass(slots=True)
class _Turn:
    """The verb whose turn it is, if a release may end it."""

    verb: Verb
    ended: runtime.Event = field(default_factory=runtime.event)  # by a release


@dataclass(slots=True)
class HostGate:
    """The gate on its host."""

    world: World
    site: Site
    host: Host
    service: str
    _lock: runtime.Lock = field(default_factory=runtime.lock)
    _lock_boots: int = 1  # the lock is of this boot: /run is empty after the next
    _owner: _Turn | None = None
    # Reading the script for every status would take most of the time.
    _version: str = field(default_factory=gate_version)
    _config: str = field(init=False)

    def __post_init__(self) -> None:
        """Enrol the host: its file is of this site."""
        self._config = host_file_sha256(self.site, self.host.name)

    @property
    def _values(self) -> Service:
        return self.site.services[self.service]

    def status(self) -> GateStatus:
        """Report the state of the host."""
        host = self.host
        clock = GateClock(host.boot_id, int(host.uptime_seconds * 100), runtime.since_boot())
        links = {"eth0": Link("no_carrier" if host.cut else "up", host.macs)}
        return GateStatus(self._version, self._config, {self.service: self.service_status()}, clock, links)

    def service_status(self) -> ServiceStatus:
        """Report the state of the service."""
        host, values = self.host, self._values
        there = host.processes if values.checks.process is not None else None
        return ServiceStatus(
            epoch=host.epoch,
            held={address.ip: host.has_address for address in values.addresses},
            processes=there,
            addresses=values.addresses,
            interface=values.interface[host.name],
            age_seconds=runtime.monotonic() - host.started_at if there else None,
            underway=host.underway,
        )

    # -- a verb --------------------------------------------------------------------------------------------------

    def carry_out(self, verb: Verb, service: str, epoch: int, permit: Permit | None) -> ServiceStatus:
        """Carry out a verb. Raises `GateError` as the real gate's answer would."""
        self._check_words(verb, epoch, permit)
        if service != self.service:
            raise self._error("gate", f"no such service: {service}", names_service=False)
        boots = self.host.boots
        if verb == "reset-epoch":
            return self._reset_epoch(epoch, boots)
        if verb == "release":
            self.world.take_address(self.host)  # before it waits for anything
        elif verb in GIVES:
            self._check_addresses(verb, permit)
        with self._turn(verb, boots):
            self._store_epoch(verb, epoch)
            self._check_in_time(verb, permit)
            self._do(verb, boots)
            return replace(self.service_status(), underway=None)  # it does not name itself

    def _do(self, verb: Verb, boots: int) -> None:
        match verb:
            case "release":
                self.world.take_address(self.host)
                if self._values.standby != "running" and self._values.commands is not None:
                    self._stop(verb, boots)
            case "claim":
                self.world.put_address(self.host)
            case "start":
                self._kill_stopped()
                if not self.host.processes:
                    self._start(verb, boots, self._commands("start").start_timeout)
            case "respawn":
                self._respawn(verb, boots)
            case "stop":
                self._commands("stop")
                self._stop(verb, boots)

    def _reset_epoch(self, epoch: int, boots: int) -> ServiceStatus:
        """Replace an epoch that is far too high, and no other."""
        with self._turn("reset-epoch", boots):
            if epoch >= self.host.epoch - EPOCH_JUMP:
                raise self._error("gate", f"epoch {self.host.epoch} is in order")
            self._write_epoch(epoch)
            return self.service_status()

    def _error(self, reason: FaultReason, text: str, *, names_service: bool = True) -> GateError:
        return GateError(reason, f"{self.host.name}: {f'{self.service}: ' if names_service else ''}{text}")

    # -- what is refused -----------------------------------------------------------------------------------------

    def _check_words(self, verb: Verb, epoch: int, permit: Permit | None) -> None:
        """Refuse what is not exactly valid, before anything of this host is read."""

        def refuse(text: str) -> GateError:
            return self._error("gate", text, names_service=False)

        if verb not in GIVES and permit is not None:
            raise refuse(f"{verb} takes a service and an epoch")
        if verb in GIVES and permit is None:
            raise refuse(f"{verb} takes a service, an epoch, a boot id, an uptime and addresses")
        if permit is not None and len(permit.addresses) > MOST_ADDRESSES:
            raise refuse(f"{verb} takes {MOST_ADDRESSES} addresses at most")
        if epoch < 0:
            raise refuse("an epoch is a decimal number")
        if len(str(epoch)) > EPOCH_DIGITS:
            raise refuse(f"an epoch has {EPOCH_DIGITS} digits at most")
        if permit is None:
            return
        if not BOOT_ID.fullmatch(permit.boot_id):
            raise refuse("a boot id has 36 characters")
        if permit.good_until_hundredths < 0 or len(str(permit.good_until_hundredths)) > EPOCH_DIGITS:
            raise refuse("an uptime is a decimal number")

    def _check_addresses(self, verb: Verb, permit: Permit | None) -> None:
        """The actuator names the addresses that this host is to have, in any order."""
        named = () if permit is None else permit.addresses
        if (verb == "respawn" and not named) or set(named) == set(self._values.addresses):
            return
        there = "".join(f" {address}" for address in self._values.addresses) or " no address"
        wanted = "".join(f" {address}" for address in named) or " none"
        raise self._error("gate", f"this host's gate.conf has{there}, not{wanted}: run locum enrol")

    def _store_epoch(self, verb: Verb, epoch: int) -> None:
        """Compare and store the epoch. A release is carried out whatever its epoch is."""
        stored = self.host.epoch
        if verb != "release" and epoch < stored:
            raise self._error("old_epoch", f"epoch {epoch} is older than {stored}")
        if verb != "release" and epoch > stored + EPOCH_JUMP:
            again = f"run locum reset-epoch {self.service}"
            raise self._error("gate", f"epoch {epoch} is more than {EPOCH_JUMP} above {stored}: {again}")
        if stored < epoch <= stored + EPOCH_JUMP:
            self._write_epoch(epoch, must=verb != "release")

    def _write_epoch(self, epoch: int, *, must: bool = True) -> None:
        if not self.host.read_only:
            self.host.epoch = epoch
        elif must:
            raise self._error("failed", "the epoch could not be stored")

    def _check_in_time(self, verb: Verb, permit: Permit | None) -> None:
        if permit is None:
            return
        if permit.boot_id != self.host.boot_id:
            raise self._error("too_late", "this host has booted since")
        late = int(self.host.uptime_seconds * 100) - permit.good_until_hundredths
        if late > 0:
            text = f"{verb} came {late}0 ms after its evidence had become too old"
            raise self._error("too_late", text)

    # -- one verb at a time --------------------------------------------------------------------------------------

    @contextmanager
    def _turn(self, verb: Verb, boots: int) -> Iterator[None]:
        """Wait for the turn of a verb. A release ends the verb that gives something, and does not wait for ever."""
        if self._lock_boots != boots:
            self._lock, self._lock_boots, self._owner = runtime.lock(), boots, None
        lock = self._lock
        entered = self._wait_for(lock, verb, boots)
        try:
            self._stay_alive(boots)
            if verb in GIVES:
                self._owner, self.host.underway = _Turn(verb), verb
            yield
        finally:
            if entered:
                lock.release()
            if entered and self.host.boots == boots:
                self._owner = self.host.underway = None

    def _wait_for(self, lock: runtime.Lock, verb: Verb, boots: int) -> bool:
        """Return whether the turn came; False for a release that goes on without it."""
        stop_seconds = 5.0 if self._values.commands is None else self._values.commands.stop_timeout
        until = runtime.monotonic() + stop_seconds + LOCK_SECONDS
        while True:
            left = max(0.0, until - runtime.monotonic())
            if lock.acquire(timeout=min(left, POLL_SECONDS) if verb == "release" else left):
                return True
            self._stay_alive(boots)
            if verb == "release" and self._owner is not None:
                self._owner.ended.set()
            if runtime.monotonic() < until:
                continue
            if verb == "release":
                return False
            raise self._error("failed", "another verb still runs")

    def _stay_alive(self, boots: int) -> None:
        """Stand still while the host is frozen, and end with it."""
        while self.host.up and not self.host.runs and self.host.boots == boots:
            runtime.sleep(FROZEN_POLL_SECONDS)
        if self.host.boots != boots:
            raise HostDiedError

    def _spend(self, seconds: float, verb: Verb, boots: int) -> None:
        """Let a command run for so long; a release may end it meanwhile."""
        owner = self._owner if verb in GIVES else None
        if owner is None:
            runtime.sleep(seconds)
        else:
            owner.ended.wait(seconds)
        self._stay_alive(boots)
        if owner is not None and owner.ended.is_set():
            raise self._error("failed", f"a release ended this {verb}")

    # -- commands ------------------------------------------------------------------------------------------------

    def _commands(self, label: str) -> Commands:
        commands = self._values.commands
        if commands is None:
            raise self._error("gate", f"{self.service} has no {label} command", names_service=False)
        return commands

    def _kill_stopped(self) -> None:
        """A SIGSTOP holds its processes (that is how a service hangs here): it would not stop on its own."""
        if self.host.service == "hung":
            self.world.stop_service(self.host)

    def _stop(self, verb: Verb, boots: int) -> None:
        """Run the stop command; what is left at the end of its time is killed."""
        self._spend(min(self.host.stop_seconds, self._commands("stop").stop_timeout), verb, boots)
        self.world.stop_service(self.host)

    def _respawn(self, verb: Verb, boots: int) -> None:
        """Run the respawn command, or stop and start where there is none."""
        commands = self._commands("start")
        self._kill_stopped()
        if commands.respawn is not None:
            self._start(verb, boots, commands.respawn_timeout, "respawn")
            return
        if self.host.processes:
            self._stop(verb, boots)
        self._start(verb, boots, commands.respawn_timeout)

    def _start(self, verb: Verb, boots: int, timeout_seconds: float, label: str = "start") -> None:
        """Run the start command until its process is there."""
        host, process = self.host, self._values.checks.process
        self._spend(min(host.command_seconds, timeout_seconds), verb, boots)
        if host.command_seconds >= timeout_seconds:
            raise self._error("failed", f"{label} did not end within {int(timeout_seconds)} s")
        if label == "respawn" and not host.start_fails:
            self.world.stop_service(host)
        if self.world.start_service(host):
            return
        what = f"{label} returned 1 and"
        if process is None:
            raise self._error("failed", f"{what} said:")
        raise self._error("failed", f"{what} no process {process.name} is there; it said:")
