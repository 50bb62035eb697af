"""One scenario: a world, the actuator as it ships, a schedule of faults, and what became of it."""

from __future__ import annotations

import logging
import random
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from unittest.mock import patch

from locum_actuator.engine.engine import Engine
from locum_actuator.journal.journal import Journal
from locum_actuator.metrics import Metrics
from locum_actuator.system import runtime
from locum_inventory.site.model import Service, Site
from sim.chain import Chain
from sim.faults import Fault, Injector
from sim.gate import SimulatedGates
from sim.invariants import SITUATIONS_A_SECOND, Invariants
from sim.observer import SimulatedObserver
from sim.virtual_time import WALL_AT, VirtualRuntime
from sim.world import Event, Host, World

SERVICE = "www"
HOSTS = ("a", "b")
HOME = "c"
SETTLE_SECONDS = 3.0  # before the first fault
SECONDS = 120.0  # during which faults come
QUIET_SECONDS = 120.0  # after all faults are healed
LOOK_SECONDS = 1.0  # between two checks of what no event shows


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a scenario."""

    seed: int
    faults: tuple[Fault, ...]
    broken: str | None
    events: tuple[Event, ...]
    outcomes: tuple[str, ...]


def site() -> Site:
    """Return the site: a and b serve, c watches and acts."""
    ssh = {"key_file": "/etc/locum/id_ed25519"}
    return Site.model_validate(
        {
            "hosts": {
                "a": {"address": "192.0.2.1", "ssh": ssh},
                "b": {"address": "192.0.2.2", "ssh": ssh},
                "c": {"address": "192.0.2.3"},
            },
            "services": {
                SERVICE: {
                    "hosts": list(HOSTS),
                    "addresses": ["192.0.2.100/24"],
                    "interface": "eth0",
                    "checks": {"http": {"url": "http://{host}/"}, "process": {"name": "apache2"}},
                    "commands": {"start": "apachectl start", "stop": "apachectl stop"},
                    "takeover": {"when_unreachable": "takeover", "cooldown": 0, "max_per_hour": 60},
                }
            },
            "vantage_points": {
                name: {"url": f"http://192.0.2.{number}:9750"} for number, name in enumerate("abc", 1)
            },
            "witnesses": ["192.0.2.254"],
            "actuator": {"host": HOME, "webhook_token_file": "/etc/locum/webhook.token"},
        }
    )


@contextmanager
def _probes(world: World) -> Iterator[None]:
    """Let the workers' probes of missing hosts ask the simulated wire."""

    class Probe:
        @classmethod
        def of(cls, site: Site, service: Service) -> Self:
            return cls()

        def glimpse(self, missing: Iterable[str]) -> frozenset[str]:
            return frozenset(name for name in missing if world.reaches(world.home, name))

        def close(self) -> None:
            pass

    with patch("locum_actuator.engine.worker.ReconnectProbe", Probe):
        yield


@contextmanager
def _quiet() -> Iterator[None]:
    """Let nothing be logged: the events and the journal have it."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)


def run(seed: int, faults: list[Fault]) -> Result:
    """Run one scenario in virtual time."""
    chance = random.Random(seed)
    virtual = VirtualRuntime(chance.randrange(2**32))
    with virtual.running(), tempfile.TemporaryDirectory(dir="/dev/shm") as directory:
        world = World(
            {name: Host(name) for name in (*HOSTS, HOME)}, HOME, random.Random(chance.randrange(2**32))
        )
        with _quiet(), _probes(world):
            return _run(seed, faults, world, Path(directory), random.Random(chance.randrange(2**32)))


def _run(seed: int, faults: list[Fault], world: World, directory: Path, chance: random.Random) -> Result:
    values = site()
    world.hosts["a"].service, world.hosts["a"].has_address = "well", True
    invariants = Invariants(world, HOSTS)
    gates = SimulatedGates(world, values, SERVICE)
    observer = SimulatedObserver(world, values, gates)
    engine = Engine(
        values, Journal(directory / "journal.sqlite"), Metrics(), lambda _: gates, lambda *_: observer
    )
    engine.start()
    chain = Chain(world, observer, engine, SERVICE, chance)
    ended = runtime.event()
    runtime.thread(chain.run, name="chain", args=(ended,)).start()
    runtime.sleep(SETTLE_SECONDS)
    world.after_each.append(invariants.check)

    def set_dead(dead: bool) -> None:
        chain.dead = dead

    injector = Injector(world, set_dead)
    begun = runtime.monotonic()
    runtime.thread(injector.run, name="faults", args=(faults, begun)).start()
    healed = False
    while runtime.monotonic() - begun < SECONDS + QUIET_SECONDS and invariants.broken is None:
        before = observer.situations
        runtime.sleep(LOOK_SECONDS)
        invariants.check()
        if observer.situations - before > SITUATIONS_A_SECOND * LOOK_SECONDS:
            invariants.broken = f"{observer.situations - before} situations within a second"
        if (hung := engine.hung_workers()) is not None:
            invariants.broken = hung
        if not healed and runtime.monotonic() - begun >= SECONDS:
            injector.heal_all()
            healed = True
    broken = invariants.broken or _end_state(world, engine)
    ended.set()
    engine.stop()
    incidents = engine.journal.incidents()
    outcomes = tuple(str(row["outcome"]) for row in incidents)
    course = sorted([*world.events, *_course(incidents)], key=lambda event: event.at)
    engine.journal.close()
    return Result(seed, tuple(faults), broken, tuple(course), outcomes)


def _course(incidents: list[dict[str, Any]]) -> Iterator[Event]:
    """Yield what the journal has of each incident, as events."""
    for row in incidents:
        for event in row["events"]:
            words = f"incident {row['id']}: {event['kind']} {event['step'] or ''}: {event['text']}"
            yield Event(event["at"] - WALL_AT, words, event["host"])


def _end_state(world: World, engine: Engine) -> str | None:
    """Return what is wrong after two minutes without a fault."""
    holding = [name for name in HOSTS if world.hosts[name].has_address]
    serving = [name for name in HOSTS if world.hosts[name].service == "well"]
    if len(holding) != 1:
        return f"at the end {' and '.join(holding) or 'no host'} has the address"
    if holding[0] not in serving:
        return f"at the end {holding[0]} has the address and does not serve"
    if engine.journal.open_incidents():
        return "at the end an incident is open"
    return None
