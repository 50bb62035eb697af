"""Run one scenario in its own lab, and evaluate the result."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bench.campaign import invariants
from bench.campaign.cards import Cards, changes, gaps
from bench.campaign.inject import Injector
from bench.campaign.invariants import Held, Observation, Taken
from bench.campaign.schedule import Scenario
from bench.campaign.system import Account, System
from lab.lab import Lab

SETTLED_SECONDS = 30.0  # after the last healing the service answers, or the system says why not
STEADY_SECONDS = 5.0  # so long good and held by one, and it is over
BEFORE_SECONDS = 1.0  # what is watched before the first fault

MakeSystem = Callable[[Lab], System]


@dataclass(frozen=True, slots=True)
class Result:
    """The result of one scenario. Every list is empty if nothing was wrong."""

    scenario: str
    faults: int
    held: Held
    healthy_taken: list[Taken]
    takeovers: int
    lost_alerts: list[str]
    unfinished: list[str]
    left_down: str | None
    refusal: str | None
    seconds_without_service: float
    wire_held_by_two_seconds: float
    gap_seconds: float  # during which one of the observers had a gap
    longest_gap_seconds: float
    unheard_packets: int
    story: list[str] = field(default_factory=list)

    def violations(self) -> dict[str, int]:
        """Count what must never be, by its name in the results."""
        return {
            "held_by_two": int(self.held.by_two > 0),
            "healthy_taken": len(self.healthy_taken),
            "alert_lost": len(self.lost_alerts) + len(self.unfinished),
            "left_down": int(self.left_down is not None),
        }

    def as_json(self) -> dict[str, Any]:
        """Return it in plain values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class _Watched:
    """What the watcher on the wire heard, and the seconds of each time in which an observer did not look."""

    held_by_two_seconds: float
    gaps: list[float]


def run(scenario: Scenario, hosts: tuple[str, ...], make: MakeSystem, keep: Path | None = None) -> Result:
    """Bring a scenario upon a fresh lab. `keep` is where logs go if something was wrong."""
    with Lab(hosts=hosts) as lab:
        system = make(lab)
        system.start(frozenset(fault.kind for fault in scenario.faults))
        cards, injector = Cards(lab, system.other_addresses), Injector(lab, system)
        began = time.time()
        time.sleep(BEFORE_SECONDS)
        healed = injector.run(scenario)
        refusal = settle(lab, system, cards, healed)
        ended = time.time()
        time.sleep(0.3)  # the last requests and rounds are still under way
        seen = Observation(
            began, ended, healed, injector.marks, cards.looks(began), lab.client.samples(began),
            cards.other_looks(began),
        )  # fmt: skip
        watched = _Watched(
            lab.watcher.held_by_two_seconds(began),
            [gap.seconds for gap in lab.watcher.gaps(began)] + gaps(seen.looks),
        )
        cards.close()
        result = _judge(scenario, seen, system.account(), refusal, watched)
        if keep is not None and any(result.violations().values()):
            directory = keep / scenario.name.replace("/", "-")
            system.keep(directory)
            _write(directory, result)
        return result


def settle(lab: Lab, system: System, cards: Cards, healed: float) -> str | None:
    """Wait until the service is steadily well, 30 s at most; return the refusal in words that stands at the end."""
    while time.time() < healed + SETTLED_SECONDS:
        time.sleep(0.1)
        system.tend()
        since = max(time.time() - STEADY_SECONDS, healed)
        if time.time() - healed >= STEADY_SECONDS and _steady(lab, cards, since):
            break
    return system.refusal()


def _steady(lab: Lab, cards: Cards, since: float) -> bool:
    samples, looks = lab.client.samples(since), cards.looks(since)
    return (
        bool(samples and looks)
        and all(one.ok for one in samples)
        and all(len(look.holders) == 1 for look in looks)
    )


def _judge(
    scenario: Scenario, seen: Observation, account: Account, refusal: str | None, watched: _Watched
) -> Result:  # fmt: skip
    takings = invariants.takings(seen)
    down = None
    if not invariants.answers_at_end(seen) and refusal is None:
        down = f"no answer {seen.ended - seen.healed:.0f} s after the last healing, and no refusal in words"
    return Result(
        scenario=scenario.name,
        faults=len(scenario.faults),
        held=invariants.held(seen),
        healthy_taken=[taken for taken in takings if taken.healthy],
        takeovers=len(takings),
        lost_alerts=invariants.lost_alerts(account.webhooks, account.alerts),
        unfinished=list(account.unfinished),
        left_down=down,
        refusal=refusal,
        seconds_without_service=invariants.seconds_without_service(seen.samples),
        wire_held_by_two_seconds=watched.held_by_two_seconds,
        gap_seconds=sum(watched.gaps),
        longest_gap_seconds=max(watched.gaps, default=0.0),
        unheard_packets=account.unheard_packets,
        story=_story(scenario, seen, takings),
    )


def _story(scenario: Scenario, seen: Observation, takings: list[Taken]) -> list[str]:
    """Return the course of events, for a person who has to find the cause."""
    lines = [
        (
            mark.at,
            f"{mark.fault.kind} {mark.fault.host} {mark.what} {dict(mark.fault.detail)} {mark.words or ''}",
        )
        for mark in seen.marks
    ]
    lines += [
        (look.at, f"held by {', '.join(sorted(look.holders)) or 'no host'}") for look in changes(seen.looks)
    ]
    lines += [
        (
            taken.at,
            f"{taken.new} took over from {taken.old}, which answered {taken.share:.0%} of {taken.requests}",
        )
        for taken in takings
    ]
    last: str | None = ""
    for one in seen.samples:
        who = one.host if one.ok else f"no host ({one.fault})"
        if who != last:
            lines.append((one.started, f"client: answered by {who}"))
        last = who
    lines += [(seen.healed, "all is healed"), (seen.ended, "end")]
    return [str(scenario), *(f"{at - seen.began:7.3f}  {text}" for at, text in sorted(lines))]


def _write(directory: Path, result: Result) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "result.json").write_text(json.dumps(result.as_json(), indent=1) + "\n", encoding="utf-8")
    (directory / "story.txt").write_text("\n".join(result.story) + "\n", encoding="utf-8")
