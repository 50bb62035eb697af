"""Draws scenarios: which faults, on whom, from when to when. The same seed gives the same scenarios. No I/O."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

LATEST_BEGIN_SECONDS = 8.0
SHORTEST_SECONDS, LONGEST_SECONDS = 0.7, 15.0
SOON_SECONDS = 3.0  # while the fault before is being handled: where half of the further ones begin
MOST_FAULTS = 5
TRIES = 10  # to draw one more fault that goes together with those before
BOOT_SECONDS = 2.0  # nothing else is done to a host so long after its power came back
PARTS = ("actuator", "prometheus", "alertmanager", "exporter")


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault. Times are seconds from the scenario's begin; `detail` is what its kind needs to know."""

    kind: str
    host: str
    begins: float
    heals: float
    detail: Mapping[str, Any]

    def __str__(self) -> str:
        more = "".join(f" {name}={value}" for name, value in self.detail.items())
        return f"{self.begins:5.2f} to {self.heals:5.2f} s  {self.kind} {self.host}{more}"


@dataclass(frozen=True, slots=True)
class Scenario:
    """Faults that belong together. `seed` and `number` are all that is needed to draw it again."""

    seed: int
    number: int
    faults: tuple[Fault, ...]

    @property
    def name(self) -> str:
        """What a person gives to `--replay`."""
        return f"{self.seed}/{self.number}"

    @property
    def ends(self) -> float:
        """When the last fault heals, in seconds from the begin."""
        return max(fault.heals for fault in self.faults)

    def __str__(self) -> str:
        return "\n".join([f"scenario {self.name}", *(f"  {fault}" for fault in self.faults)])


@dataclass(frozen=True, slots=True)
class _Kind:
    name: str
    weight: int
    slot: str  # two faults of one slot never overlap on one host
    detail: Callable[[random.Random], dict[str, Any]] = lambda _: {}
    hosts: tuple[str, ...] = ("a", "a", "b")  # the holder of the beginning twice as often


HALF_DEAD = ("stop_sshd", "freeze_sshd", "hang_gate", "fill_disk", "read_only_disk", "no_more_processes")

_KINDS = (
    _Kind("crash", 4, "power", lambda r: {"keeps_address": r.random() < 0.25}),
    _Kind("freeze", 2, "power"),
    _Kind("pause", 2, "power"),
    _Kind("blackhole", 3, "wire"),
    _Kind("unplug", 2, "wire"),
    _Kind(
        "partition", 4, "wire",
        lambda r: {"arp": r.random() < 0.5, "deaf": r.choice(("both", "both", "a", "b"))}, ("a",),
    ),
    _Kind(
        "loss", 4, "wire", lambda r: {"share": r.choice((0.3, 0.6)), "way": r.choice(("both", "in", "out"))}
    ),
    _Kind("delay", 2, "wire", lambda r: {"milliseconds": r.choice((20, 60, 150))}),
    _Kind("kill", 3, "service"),
    _Kind("hang", 3, "service"),
    _Kind("hang_many", 3, "many", hosts=("a",)),
    _Kind("zombie", 1, "zombie"),
    _Kind("half_dead", 3, "half", lambda r: {"how": r.choice(HALF_DEAD)}),
    _Kind("drop_address", 2, "address"),
    _Kind("kill_part", 4, "part", lambda r: {"part": r.choice(PARTS)}, ("b",)),
    _Kind("freeze_part", 4, "part", lambda r: {"part": r.choice(PARTS)}, ("b",)),
    _Kind("kill_all_parts", 2, "part", hosts=("b",)),
    _Kind("limit_pings", 2, "firewall"),
    _Kind("close_service_address", 2, "firewall"),
    _Kind("slow_disk", 4, "disk", lambda r: {"milliseconds": r.choice((100, 500, 2000))}, ("b",)),
    _Kind("disk_refuses", 4, "disk", lambda r: {"error": r.choice(("ENOSPC", "EROFS", "EIO"))}, ("b",)),
    _Kind("clock_step", 2, "clock", lambda r: {"seconds": r.choice((-3600, -30, -5, 5, 30, 3600))}, ("b",)),
    _Kind("exporter_gone", 3, "part", hosts=("c",)),
    _Kind("exporter_without_rights", 3, "part", hosts=("c",)),
    _Kind("silence", 2, "silence", hosts=("b",)),
    _Kind("drip", 2, "drip", hosts=("b",)),
)  # fmt: skip
KINDS = tuple(kind.name for kind in _KINDS)
_SLOTS = {kind.name: kind.slot for kind in _KINDS}


def scenarios(seed: int, faults: int) -> Iterator[Scenario]:
    """Yield scenarios until they have at least so many faults together."""
    drawn, number = 0, 0
    while drawn < faults:
        one = scenario(seed, number)
        drawn += len(one.faults)
        number += 1
        yield one


def scenario(seed: int, number: int) -> Scenario:
    """Draw one scenario."""
    source = random.Random(f"locum campaign {seed}/{number}")
    found: list[Fault] = []
    for _ in range(source.randint(1, MOST_FAULTS)):
        drawn = (_fault(source, found) for _ in range(TRIES))
        found += [one for one in drawn if not any(_clash(one, other) for other in found)][:1]
    return Scenario(seed, number, tuple(sorted(found, key=lambda fault: fault.begins)))


def _fault(source: random.Random, before: list[Fault]) -> Fault:
    (kind,) = source.choices(_KINDS, [kind.weight for kind in _KINDS])
    begins = source.uniform(0, LATEST_BEGIN_SECONDS)
    if before and source.random() < 0.5:
        begins = source.choice(before).begins + source.uniform(0, SOON_SECONDS)
    begins = round(begins, 2)
    # As many short faults as long ones, on a logarithmic scale.
    seconds = SHORTEST_SECONDS * (LONGEST_SECONDS / SHORTEST_SECONDS) ** source.random()
    return Fault(
        kind.name, source.choice(kind.hosts), begins, round(begins + seconds, 2), kind.detail(source)
    )


def _clash(one: Fault, other: Fault) -> bool:
    """Whether two faults cannot be had at once: without power nothing can be hung or unplugged."""
    slots = {_SLOTS[one.kind], _SLOTS[other.kind]}
    same_wire = slots == {"wire"} and "partition" in (one.kind, other.kind)
    if one.host != other.host and not same_wire:
        return False
    power = "power" in slots
    # What the switch does to frames can be done whether or not the host has power; `pause` uses it itself.
    only_rules = slots == {"power", "wire"} and not {"unplug", "delay", "pause"} & {one.kind, other.kind}
    if len(slots) > 1 and (not power or only_rules):
        return False
    rest = BOOT_SECONDS if power else 0.1
    return one.begins < other.heals + rest and other.begins < one.heals + rest
