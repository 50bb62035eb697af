"""Schedules of faults: drawn from a seed, written to a file, read from it again."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from pathlib import Path

from sim.faults import KINDS, Fault
from sim.faults.kinds import HOLDER, WEIGHTS
from sim.profiles import PROFILES, Profile

SECONDS = 90.0  # during which faults come
# Faults come in groups: one that needs a plan, and others that meet it, half of them between two operations of it.
MOST_IN_GROUP = 5
NEEDS_A_PLAN = ("kill", "hang", "crash", "freeze", "cut", "answer_wrongly", "start_fails", "switchover")
BEGINS_WITH_ONE = 0.8  # this part of the groups does
IN_PLAN = 0.5
AT_OPERATION = 0.25  # this part of the others comes between two operations that belong to no plan
OF_HOLDER = 0.5  # this part of all faults is of the host that has the address at that moment
FEW_KINDS = 0.4  # of the schedules: faults of two to four kinds alone, which meet each other more often
FENCED_ONLY = frozenset({"fence_device"})


@dataclass(frozen=True, slots=True)
class Schedule:
    """What a scenario is made of: the same schedule goes the same way."""

    seed: int
    profile: str
    faults: tuple[Fault, ...]

    def write(self, path: Path) -> None:
        """Write it to a file."""
        values = {
            "seed": self.seed,
            "profile": self.profile,
            "faults": [fault.as_json() for fault in self.faults],
        }
        path.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Schedule:
        """Read one from a file."""
        values = json.loads(path.read_text(encoding="utf-8"))
        return cls(values["seed"], values["profile"], tuple(Fault(**fault) for fault in values["faults"]))


def drawn(seed: int, count: int, profile: str | None = None) -> Schedule:
    """Return the schedule of a seed: faults at any time, some of them soon after another one."""
    chance = random.Random(seed)
    chosen = PROFILES[profile or chance.choice(sorted(PROFILES))]
    kinds = _kinds(chosen, chance)
    weights = [WEIGHTS[kind] for kind in kinds]
    faults: list[Fault] = []
    while len(faults) < count:
        at = chance.uniform(2.0, SECONDS)
        for number in range(min(chance.randint(1, MOST_IN_GROUP), count - len(faults))):
            begins = number == 0 and chance.random() < BEGINS_WITH_ONE
            kind = chance.choice(NEEDS_A_PLAN) if begins else chance.choices(kinds, weights)[0]
            faults.append(_fault(kind, chosen, at, chance, begins=number == 0))
            at = min(at + chance.uniform(0.0, 2.0), SECONDS)
    return Schedule(seed, chosen.name, tuple(sorted(faults, key=lambda fault: fault.at)))


def _fault(kind: str, profile: Profile, at: float, chance: random.Random, *, begins: bool) -> Fault:
    moment, operations = 1.0 if begins else chance.random(), None
    if moment < IN_PLAN:
        operations = chance.randrange(1, 40)
    elif moment < IN_PLAN + AT_OPERATION:
        operations = chance.randrange(1, 60)
    return Fault(
        kind=kind,
        host=HOLDER if chance.random() < OF_HOLDER else chance.choice(profile.hosts),
        at=round(at, 3),
        lasts=round(_seconds(chance), 3),
        operations=operations,
        in_plan=moment < IN_PLAN,
        amount=round(chance.random(), 4),
    )


def _kinds(profile: Profile, chance: random.Random) -> list[str]:
    kinds = sorted(kind for kind in KINDS if profile.fenced or kind not in FENCED_ONLY)
    return chance.sample(kinds, chance.randrange(2, 5)) if chance.random() < FEW_KINDS else kinds


def _seconds(chance: random.Random) -> float:
    return chance.choice((chance.uniform(0.05, 1.0), chance.uniform(1.0, 8.0), chance.uniform(5.0, 20.0)))
