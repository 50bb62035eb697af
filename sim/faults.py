"""Faults drawn from a seed: what is done to the world, when, and how it ends again."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from locum_actuator.system import runtime
from sim.world import Host, World

KINDS = (
    "kill", "hang", "crash", "crash", "freeze", "cut", "lose", "slow_start", "start_fails", "chain_dead",
)  # fmt: skip
AT_OPERATION = 0.5  # this part of the faults comes between two operations of a plan, not at a time of its own


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault. It is brought at a time, or at so many operations of the actuator after that time."""

    kind: str
    host: str
    at: float  # seconds since the scenario began
    lasts: float
    operations: int | None = None

    def __str__(self) -> str:
        """Return it in words, for a person."""
        when = "" if self.operations is None else f", {self.operations} operations later"
        return f"{self.at:.2f} s{when}: {self.kind} on {self.host} for {self.lasts:.2f} s"


def draw(chance: random.Random, count: int, hosts: tuple[str, ...], seconds: float) -> list[Fault]:
    """Draw a schedule: faults at any time, some of them soon after another one."""
    faults: list[Fault] = []
    for _ in range(count):
        near = faults and chance.random() < 0.5
        at = faults[-1].at + chance.uniform(0.0, 3.0) if near else chance.uniform(5.0, seconds)
        faults.append(
            Fault(
                chance.choice(KINDS),
                chance.choice(hosts),
                at,
                chance.choice(
                    (chance.uniform(0.05, 1.0), chance.uniform(1.0, 8.0), chance.uniform(5.0, 40.0))
                ),
                chance.randrange(1, 120) if chance.random() < AT_OPERATION else None,
            )
        )
    return sorted(faults, key=lambda fault: fault.at)


class Injector:
    """Brings faults upon a world and takes them away again."""

    def __init__(self, world: World, set_chain_dead: Callable[[bool], None]) -> None:
        self._world = world
        self._set_chain_dead = set_chain_dead

    def run(self, faults: list[Fault], begun: float) -> None:
        """Bring each fault at its time."""
        for fault in faults:
            runtime.sleep(max(0.0, begun + fault.at - runtime.monotonic()))
            if fault.operations is None:
                self._bring(fault)
            else:
                at = self._world.operations + fault.operations
                self._world.at_operation.setdefault(at, []).append(partial(self._bring, fault))

    def _bring(self, fault: Fault) -> None:
        host = self._world.hosts[fault.host]
        getattr(self, f"_{fault.kind}")(host)
        self._world.happened(f"fault: {fault.kind}", host.name)

        def heal() -> None:
            runtime.sleep(fault.lasts)
            getattr(self, f"_heal_{fault.kind}", lambda _: None)(host)
            self._world.happened(f"healed: {fault.kind}", host.name)

        runtime.thread(heal, name=f"heal-{fault.kind}").start()

    def heal_all(self) -> None:
        """End every fault that still lasts."""
        for host in self._world.hosts.values():
            if not host.up:
                self._heal_crash(host)
            host.frozen = host.cut = host.start_fails = False
            host.loses, host.start_seconds = 0.0, 0.2
            self._heal_hang(host)
        self._set_chain_dead(False)
        self._world.at_operation.clear()
        self._world.happened("all faults are healed")

    def _kill(self, host: Host) -> None:
        if host.up:
            host.service = "stopped"

    def _hang(self, host: Host) -> None:
        if host.service in {"well", "starting"}:
            host.service = "hung"

    def _heal_hang(self, host: Host) -> None:
        if host.service == "hung":
            host.service = "well"

    def _crash(self, host: Host) -> None:
        host.up, host.service, host.underway = False, "stopped", None
        host.has_address = False
        host.boots += 1
        host.frozen = False

    def _heal_crash(self, host: Host) -> None:
        if not host.up:
            host.up, host.booted_at = True, runtime.since_boot()
            host.releases += 1

    def _freeze(self, host: Host) -> None:
        host.frozen = host.up

    def _heal_freeze(self, host: Host) -> None:
        host.frozen = False

    def _cut(self, host: Host) -> None:
        host.cut = True

    def _heal_cut(self, host: Host) -> None:
        host.cut = False

    def _lose(self, host: Host) -> None:
        host.loses = 0.3

    def _heal_lose(self, host: Host) -> None:
        host.loses = 0.0

    def _slow_start(self, host: Host) -> None:
        host.start_seconds = 4.0

    def _heal_slow_start(self, host: Host) -> None:
        host.start_seconds = 0.2

    def _start_fails(self, host: Host) -> None:
        host.start_fails = True

    def _heal_start_fails(self, host: Host) -> None:
        host.start_fails = False

    def _chain_dead(self, host: Host) -> None:
        self._set_chain_dead(True)

    def _heal_chain_dead(self, host: Host) -> None:
        self._set_chain_dead(False)
