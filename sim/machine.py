"""The machine that the actuator runs on, where the shipped code touches it: its card, its probes, its log."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Self
from unittest.mock import patch

from locum_actuator.observation.reconnect_probe import GLIMPSE_SECONDS, SEEN_SECONDS
from locum_actuator.steps import claim
from locum_actuator.system import netlink, runtime
from locum_inventory.site.model import Address, InterfaceAddress, Service, Site
from sim.world import World


@contextmanager
def in_place(world: World) -> Iterator[None]:
    """Let the actuator's calls of this machine reach the simulated one."""
    card = Card(world)
    with ExitStack() as stack:
        for name in ("add", "held", "remove"):
            stack.enter_context(patch.object(netlink, name, getattr(card, name)))
        for module in ("steps.claim", "steps.prove", "engine.patrol"):
            stack.enter_context(patch(f"locum_actuator.{module}.announce", lambda interface, addresses: None))
        stack.enter_context(patch.object(claim, "is_muted", lambda service: False))
        stack.enter_context(patch("locum_actuator.engine.wakes.ReconnectProbe", _probe(world)))
        stack.enter_context(patch.object(threading, "excepthook", _note_uncaught(world)))
        stack.enter_context(_quiet())
        yield


class Card:
    """The network card of the actuator's machine, with the service address or without it."""

    def __init__(self, world: World) -> None:
        self._world, self._host = world, world.hosts[world.home]

    def add(
        self, interface: str, address: InterfaceAddress, *, right_before: Callable[[], None] | None = None
    ) -> None:
        """Put the address on the card."""
        self._world.operation()
        if right_before is not None:
            right_before()
        self._world.put_address(self._host)
        self._world.operation()

    def held(self, addresses: tuple[InterfaceAddress, ...]) -> set[Address]:
        """Return the addresses that the card has."""
        return {address.ip for address in addresses} if self._host.has_address else set()

    def remove(self, address: InterfaceAddress) -> None:
        """Take the address off the card."""
        self._world.operation()
        self._world.ordered("release", self._host.name)
        self._world.take_address(self._host)
        self._world.operation()


def _probe(world: World) -> type[object]:
    """Return the workers' probes of missing hosts, which ask the simulated wire."""

    class Probe:
        def __init__(self) -> None:
            self._not_before: dict[str, float] = {}

        @classmethod
        def of(cls, site: Site, service: Service) -> Self:
            return cls()

        def glimpse(self, missing: Iterable[str]) -> frozenset[str]:
            now, seen = runtime.monotonic(), set[str]()
            for name in missing:
                if now < self._not_before.get(name, 0.0):
                    continue
                accepts = not world.hosts[name].gate_gone and world.wire.reaches(world.home, name)
                self._not_before[name] = now + (SEEN_SECONDS if accepts else GLIMPSE_SECONDS)
                seen |= {name} if accepts else set()
            return frozenset(seen)

        def close(self) -> None:
            pass

    return Probe


def _note_uncaught(world: World) -> Callable[[threading.ExceptHookArgs], None]:
    def note(uncaught: threading.ExceptHookArgs) -> None:
        world.uncaught.append(f"{uncaught.exc_type.__name__}: {uncaught.exc_value}")

    return note


@contextmanager
def _quiet() -> Iterator[None]:
    """Let nothing be logged: the events and the journal have it."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)
