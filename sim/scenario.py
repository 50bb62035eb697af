"""One scenario: a world, the actuator as it ships, a schedule of faults, and what became of it."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from locum_actuator.journal.journal import Journal
from locum_actuator.system import runtime
from sim import machine
from sim.actuator import Actuator
from sim.chain import Chain
from sim.disk import Disk
from sim.faults import Stage
from sim.fences import Fences
from sim.gate import host_gates
from sim.injector import Injector
from sim.invariants import Invariants
from sim.profiles import BY_NAME, SERVICE, site
from sim.schedule import SECONDS, Schedule
from sim.virtual_time import WALL_AT, VirtualRuntime
from sim.world import Event, Host, World

SETTLE_SECONDS = 3.0  # before the first fault
QUIET_SECONDS = 100.0  # at most, after all faults are healed
LASTS_SECONDS = 25.0  # after the last fault has been brought, before all are healed
LOOK_SECONDS = 1.0  # between two checks of what no event shows
CALM_SECONDS = 10.0  # all is as it should be at the end for so long: then it stays so
MEMORY = Path("/dev/shm")


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a scenario."""

    schedule: Schedule
    broken: str | None
    events: tuple[Event, ...]
    incidents: tuple[dict[str, Any], ...]  # of its journal, each with its events; the newest first
    seconds: float  # of virtual time


def run(
    schedule: Schedule, *, brief: bool = False, watch: Callable[[World], None] = lambda world: None
) -> Result:
    """Run one scenario in virtual time; if `brief`, without events and incidents.

    `watch` is called after every event from the moment on at which faults may come.
    """
    chance = random.Random(schedule.seed)
    virtual = VirtualRuntime(chance.randrange(2**32))
    profile = BY_NAME[schedule.profile]
    with virtual.running(), tempfile.TemporaryDirectory(dir=MEMORY) as directory:
        hosts = {name: Host(name) for name in profile.hosts}
        world = World(hosts, profile.home, random.Random(chance.randrange(2**32)))
        stage = _stage(world, schedule, Path(directory), random.Random(chance.randrange(2**32)))
        with machine.in_place(world), stage.fences.in_place(), stage.actuator.disk.in_place():
            try:
                return _run(schedule, stage, watch, brief=brief)
            finally:
                virtual.end()
                stage.actuator.disk.close()


def _stage(world: World, schedule: Schedule, directory: Path, chance: random.Random) -> Stage:
    """Return the world with all that is in it, a holding the service."""
    profile = BY_NAME[schedule.profile]
    (directory / "life-0").mkdir()
    disk = Disk(world, directory / "life-0")
    values = site(profile)
    actuator = Actuator(world, values, SERVICE, disk, host_gates(world, values, SERVICE), chance)
    chain = Chain(world, actuator, SERVICE, profile.vantage_points, chance)
    world.hosts["a"].service, world.hosts["a"].has_address = "well", True
    return Stage(world, profile, actuator, chain, Fences(world))


def _run(schedule: Schedule, stage: Stage, watch: Callable[[World], None], *, brief: bool) -> Result:
    world, ended, injector = stage.world, runtime.event(), Injector(stage)
    for name, call in (
        ("supervisor", stage.actuator.supervise),
        ("chain", stage.chain.run),
        ("people", injector.power_on),
    ):
        runtime.thread(call, name=name, args=(ended,)).start()
    runtime.sleep(SETTLE_SECONDS)
    invariants = Invariants(world, stage.profile, stage.actuator)
    world.after_each += [partial(watch, world), invariants.check]
    world.on_order, world.on_close = invariants.ordered, invariants.closed
    begun = world.now
    runtime.thread(injector.run, name="faults", args=(schedule.faults, begun)).start()
    last = max((fault.at for fault in schedule.faults), default=0.0)
    while world.now - begun < min(SECONDS, last) + LASTS_SECONDS and invariants.broken is None:
        runtime.sleep(LOOK_SECONDS)
        invariants.check_in_time()
    injector.heal_all()
    broken = _quiet(stage, invariants)
    ended.set()
    if brief:
        return Result(schedule, broken, (), (), world.now - begun)
    return _result(schedule, stage, broken, world.now - begun)


def _quiet(stage: Stage, invariants: Invariants) -> str | None:
    """Let time go by without a fault until all is as it should be; return what is not."""
    world, healed_at, well_since = stage.world, stage.world.now, None
    while invariants.broken is None:
        runtime.sleep(LOOK_SECONDS)
        if stage.actuator.may_be_paused:
            stage.actuator.unpause()
        invariants.check_in_time()
        wrong = invariants.end_state()
        well_since = None if wrong else (well_since or world.now)
        if well_since is not None and world.now - well_since >= CALM_SECONDS:
            return invariants.broken
        if world.now - healed_at >= QUIET_SECONDS and wrong:
            return wrong
    return invariants.broken


def _result(schedule: Schedule, stage: Stage, broken: str | None, seconds: float) -> Result:
    """Stop the actuator, and read its journal as the next one would."""
    stage.actuator.kill()
    stage.actuator.disk.fault = None
    with closing(Journal(stage.actuator.disk.path)) as journal:
        incidents = journal.incidents(limit=1000)
    course = sorted([*stage.world.events, *_course(incidents)], key=lambda event: event.at)
    return Result(schedule, broken, tuple(course), tuple(incidents), seconds)


def _course(incidents: list[dict[str, Any]]) -> Iterator[Event]:
    """Yield what the journal has of each incident, as events."""
    for row in incidents:
        yield Event(row["opened_at"] - WALL_AT, f"incident {row['id']}: opened: {row['trigger']}")
        for event in row["events"]:
            words = f"incident {row['id']}: {event['kind']} {event['step'] or ''}: {event['text']}"
            yield Event(event["at"] - WALL_AT, words, event["host"])
