"""The contract of `decide`, over all situations: what no plan may ever do.

Each `no_…` function is one promise. It gets a situation, what is remembered, the service and the plan, and returns
what is wrong with the plan, or None. The situations are a product of everything that a check can find, cut down to
what can be found together; `decide` touches nothing, so they are simply all decided.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from itertools import chain, product

import pytest

from locum_actuator.decision.failover import decide
from locum_actuator.domain.life import NO_LIFE, Life
from locum_actuator.domain.plan import Plan, PlannedStep
from locum_actuator.domain.reach import Reach
from locum_actuator.domain.situation import CheckOutcome, HostView, Memory, Situation
from locum_exporter.result import Outcome
from locum_inventory.site.model import Service
from tests.actuator.fakes import ADDRESS, site

# -- all situations ------------------------------------------------------------------------------------------

WELL = CheckOutcome("b", Outcome.WELL, "200")
FAILED = CheckOutcome("b", Outcome.FAILED, "no answer", "timeout")
BLIND = CheckOutcome("b", Outcome.NOT_LOOKED, "this host was too busy to check", "busy")
ANSWERS = HostView("", 20, 20, holds=frozenset(), processes=0, looks=(FAILED,))
HOLDS = replace(ANSWERS, holds=frozenset({ADDRESS}))
SILENT = HostView("", 20, 0, gate_fault="no answer", looks=(FAILED,))

STATES: Mapping[str, HostView] = {
    "serves and holds": replace(HOLDS, processes=3, looks=(WELL,)),
    "serves and holds, the gate is silent": replace(SILENT, echoes_received=20, looks=(WELL,)),
    "serves, holds nothing": replace(ANSWERS, processes=3, looks=(WELL,)),
    "serves, as one of two finds": replace(
        HOLDS, processes=3, looks=(FAILED, replace(WELL, vantage_point="c"))
    ),
    "hangs and holds": replace(HOLDS, processes=3),
    "hangs behind loss": replace(HOLDS, processes=3, echoes_received=11),
    "hangs, and its pings are late": replace(HOLDS, processes=3, slow=True),
    "holds, and its pings are limited": replace(HOLDS, processes=3, echoes_received=3, gate_prompt=True),
    "holds, its process is gone": HOLDS,
    "holds, not looked at": replace(HOLDS, processes=3, looks=(BLIND,)),
    "idle": ANSWERS,
    "idle, has it unused": replace(ANSWERS, unusable_addresses={ADDRESS: "dadfailed"}),
    "idle, not looked at": replace(ANSWERS, looks=(BLIND,)),
    "runs, holds nothing": replace(ANSWERS, processes=3),
    "dead": SILENT,
    "dead, not looked at": replace(SILENT, looks=(BLIND,)),
    "dead, and c finds the same": replace(SILENT, silent_to=("c",)),
    "dead, but its gate answered a moment ago": replace(SILENT, life=Life("its gate answered 0.2 s ago")),
    "silent gate that could not be asked once more": replace(
        SILENT, echoes_received=20, life=Life(unasked="busy")
    ),
    "silent here, c hears it": replace(SILENT, pinged_by=("c",)),
    "silent gate": replace(SILENT, echoes_received=20),
    "silent gate, not looked at": replace(SILENT, echoes_received=20, looks=(BLIND,)),
    "silent gate, another service answers on it": replace(
        SILENT, echoes_received=20, life=Life(None, ("mail",))
    ),
    "silent gate behind loss": replace(SILENT, echoes_received=9),
    "not asked": replace(SILENT, echoes_received=20, gate_asked=False, looks=(BLIND,)),
    "not asked and silent": replace(SILENT, gate_asked=False),
    "not pinged": replace(SILENT, echoes_sent=0, ping_fault="needs CAP_NET_RAW"),
    "hardly pinged": replace(SILENT, echoes_sent=3),
}
# A third host: what matters of it is whether it might hold, or might take over.
THIRD = (
    "idle", "serves, holds nothing", "serves and holds", "dead", "dead, and c finds the same", "silent gate",
    "not asked",
)  # fmt: skip
STANDBY = (
    "idle", "idle, has it unused", "serves, holds nothing", "serves and holds", "hangs and holds",
    "runs, holds nothing", "dead", "dead, and c finds the same", "silent gate", "not asked and silent",
)  # fmt: skip

TRIED = (
    (), ("respawn:a",), ("respawn:a", "release:a"), ("respawn:a", "release:a", "fence:a"), ("fence:a",),
    ("take:b",),
)  # fmt: skip


def service(**takeover: object) -> Service:
    standby = takeover.pop("standby", "stopped")
    return site(**takeover).services["www"].model_copy(update={"standby": standby})


SERVICES: Mapping[str, Service] = {
    "takeover": service(when_unreachable="takeover"),
    "refuse": service(when_unreachable="refuse"),
    "refuse, restart": service(when_unreachable="refuse", when_hung="restart"),
    "takeover, running": service(when_unreachable="takeover", standby="running"),
}


@dataclass(frozen=True)
class Case:
    """One situation, what is remembered, and what is decided."""

    seen: Situation
    memory: Memory
    service: Service
    plan: Plan

    def __str__(self) -> str:
        hosts = {name: (view.gate_fault, view.liveness, view.holds) for name, view in self.seen.hosts.items()}
        flags = (
            f"looked={self.seen.address_looked} witnessed={self.seen.witnessed} {sorted(self.memory.tried)}"
        )
        return (
            f"{self.plan.kind} {[*map(str, self.plan.steps)]} in {hosts} {flags} holder={self.memory.holder}"
        )


def situations() -> Iterator[tuple[Situation, Memory, Service]]:
    """Yield every combination that can be found together."""
    for (a, b, c), fenceable in product(
        (*product(STATES, STANDBY, ("",)), *product(STATES, STANDBY[::3], THIRD)), (False, True)
    ):
        views = {
            name: replace(STATES[state], name=name, fenceable=fenceable and name != "b")
            for name, state in (("a", a), ("b", b), ("c", c))
            if state
        }
        by_gates = {name for name, view in views.items() if view.holds}
        silent = [name for name, view in views.items() if not view.gate_answers]
        for on_wire in (None, *[frozenset[str]({name}) for name in silent], frozenset[str]()):
            for witness in (True, False) if c == "" else (True,):
                seen = Situation(
                    service="www",
                    hosts=views,
                    holders=frozenset(by_gates | (on_wire or frozenset())),
                    strangers=frozenset(),
                    address_looked=on_wire is not None,
                    witnesses={"192.0.2.254": witness},
                    taken_at=0.0,
                    asked_at=0.0,
                )
                for holder, tried, values in product(
                    ("a", None), TRIED if c == "" else TRIED[:3:2], SERVICES.values()
                ):
                    yield seen, Memory(holder, 1, tried=frozenset(tried)), values


def remembered() -> Iterator[tuple[Situation, Memory, Service]]:
    """Yield what else may be remembered, in situations of two hosts."""
    for a, b in product(STATES, STANDBY):
        views = {"a": replace(STATES[a], name="a"), "b": replace(STATES[b], name="b")}
        seen = Situation(
            service="www",
            hosts=views,
            holders=frozenset(name for name, view in views.items() if view.holds),
            strangers=frozenset(),
            address_looked=True,
            witnesses={"192.0.2.254": True},
            taken_at=0.0,
            asked_at=0.0,
        )
        memory = Memory("a", 1)
        for known in (
            replace(memory, doubted={"a": 20}),
            replace(memory, unconfirmed=frozenset({"a"})),
            replace(memory, holder="b", unconfirmed=frozenset({"a"})),
            replace(memory, returned=frozenset({"a", "b"}), left_over=True),
            replace(memory, paused="until tomorrow (new disks)"),
            replace(memory, respawns_last_hour={"a": 99}),
        ):
            for values in SERVICES.values():
                yield seen, known, values
                yield replace(seen, holders=seen.holders | {"z"}), known, values
                yield replace(seen, strangers=frozenset({"02:00:5e:00:00:99"})), known, values


def by_record() -> Iterator[tuple[Situation, Memory, Service]]:
    """Yield situations of a service without an address: a record names the holder, whatever its hosts say."""
    for a, b in product(STATES, STANDBY):
        views = {
            name: replace(
                STATES[state], name=name, holds=None if STATES[state].holds is None else frozenset()
            )
            for name, state in (("a", a), ("b", b))
        }
        for record, witness in product(
            (None, frozenset[str](), frozenset({"a"}), frozenset({"b"})), (True, False)
        ):
            seen = Situation(
                service="www",
                hosts=views,
                holders=record or frozenset(),
                strangers=frozenset(),
                address_looked=record is not None,
                witnesses={"192.0.2.254": witness},
                taken_at=0.0,
                by_command=True,
                asked_at=0.0,
            )
            for holder, values in product(("a", None), SERVICES.values()):
                yield seen, Memory(holder, 1), values


REACHES: Mapping[str, Reach] = {
    "c reaches it": Reach((replace(WELL, vantage_point="c"),)),
    "c does not": Reach((replace(FAILED, vantage_point="c"),)),
    "c could not check": Reach((replace(BLIND, vantage_point="c"),)),
    "c could not check, and it is not reached on the holder itself": Reach(
        (replace(BLIND, vantage_point="c"),), FAILED
    ),
}


def reached() -> Iterator[tuple[Situation, Memory, Service]]:
    """Yield what may be found through the service address, in situations of two hosts."""
    for a, b, reach in product(STATES, STANDBY, REACHES.values()):
        views = {"a": replace(STATES[a], name="a"), "b": replace(STATES[b], name="b")}
        for looked, witness in product((True, False), (True, False)):
            seen = Situation(
                service="www",
                hosts=views,
                holders=frozenset(name for name, view in views.items() if view.holds),
                strangers=frozenset(),
                address_looked=looked,
                witnesses={"192.0.2.254": witness},
                taken_at=0.0,
                asked_at=0.0,
                reach=reach,
            )
            for tried, points, values in product(
                ((), ("take:a",), ("respawn:a",)), ((), ("c",)), SERVICES.values()
            ):
                yield seen, Memory("a", 1, tried=frozenset(tried), reached=frozenset(points)), values


# -- the contract --------------------------------------------------------------------------------------------


def steps_of(case: Case, *names: str) -> set[str]:
    return {step.host for step in case.plan.steps if step.name in names}


def no_claim_without_an_answer_of_the_wire(case: Case) -> str | None:
    """Whether another host has the address must have been asked, and answered."""
    return "the wire was not asked" if steps_of(case, "claim") and not case.seen.address_looked else None


def no_claim_or_fence_while_cut_off(case: Case) -> str | None:
    """Where no witness answers, it may be this host that is cut off from all the others."""
    return "no witness answers" if steps_of(case, "claim", "fence") and not case.seen.witnessed else None


def no_claim_where_another_host_may_hold(case: Case) -> str | None:
    """An address moves after a release, a fence, from a host known not to hold, or as when_unreachable says."""
    for target in steps_of(case, "claim"):
        if strange := case.seen.holders - case.seen.hosts.keys():
            return f"{' and '.join(strange)} of another service holds it"
        for name, view in case.seen.hosts.items():
            if name == target or name in _expelled_before_the_claim(case):
                continue
            if (
                view.gate_answers
                and not view.holds
                and (not case.seen.by_command or name not in case.seen.holders)
            ):
                continue  # it says itself that it does not
            known_elsewhere = case.memory.holder not in {None, name} and name not in case.memory.unconfirmed
            if known_elsewhere and name not in case.seen.holders:
                continue  # the journal names another, and the wire is silent
            if _may_be_left_behind(case, view):
                continue
            return f"{name} may hold it"
    return None


def _expelled_before_the_claim(case: Case) -> set[str]:
    claim = next(index for index, step in enumerate(case.plan.steps) if step.name == "claim")
    return {step.host for step in case.plan.steps[:claim] if step.name in {"release", "fence"}}


def _may_be_left_behind(case: Case, view: HostView) -> bool:
    """The conditions of when_unreachable: silent in every way, and the site file or another host says so too."""
    silent = not view.gate_answers and view.gate_asked and view.liveness == "dead" and not view.fenceable
    silent = silent and view.life.gate is None
    # A record may go on naming a dead host.
    unheld = case.seen.address_looked and (case.seen.by_command or view.name not in case.seen.holders)
    accepted = case.service.takeover.when_unreachable == "takeover" or bool(view.silent_to)
    return silent and unheld and accepted and view.name not in case.memory.doubted


def no_step_against_a_holder_that_was_not_looked_at(case: Case) -> str | None:
    """A service is stopped, restarted or switched off for what was found, not for what could not be found."""
    for name in steps_of(case, "respawn", "release", "fence"):
        view = case.seen.hosts[name]
        if (
            name != case.memory.holder
            or view.looked_at
            or _is_known_to_be_unreached(case)
            or view.processes == 0
        ):
            continue
        if view.gate_answers and not view.holds and name not in case.seen.holders:
            continue  # it has let go already
        if view.liveness == "dead" and view.gate_asked:
            continue  # 20 echoes and the gate are a check too
        return f"{name} was not looked at"
    return None


def no_step_against_a_host_that_could_not_be_asked(case: Case) -> str | None:
    """That this host could not call a gate says nothing of the host behind it."""
    for name in steps_of(case, "respawn", "release", "fence"):
        if not case.seen.hosts[name].gate_answers and not case.seen.hosts[name].gate_asked:
            return f"the gate of {name} was not asked"
    return None


def no_step_against_a_holder_that_serves(case: Case) -> str | None:
    """One answer of the service is a veto, whichever vantage point got it."""
    holder = case.memory.holder
    if holder is None or not case.seen.hosts[holder].serves or holder not in case.seen.holders:
        return None
    if holder not in steps_of(case, "respawn", "release", "fence", "stop"):
        return None
    return None if _is_known_to_be_unreached(case) else f"{holder} serves"


def _is_known_to_be_unreached(case: Case) -> bool:
    """It serves on its own address alone: clients who reached it do not any more, and announcing did not help."""
    reach = case.seen.reach
    if case.plan.code != "unreached" or reach is None or reach.outcome is not Outcome.FAILED:
        return False
    lost = reach.here is not None or any(look.vantage_point in case.memory.reached for look in reach.outside)
    return lost and f"take:{case.memory.holder}" in case.memory.tried


def no_step_against_a_holder_that_clients_reach(case: Case) -> str | None:
    """An answer through the service address is an answer of the host that holds it."""
    holder, reach = case.memory.holder, case.seen.reach
    if reach is None or reach.outcome is not Outcome.WELL or case.seen.holders != {holder}:
        return None
    against = steps_of(case, "respawn", "release", "fence", "stop")
    return f"{holder} is reached" if holder in against else None


def no_end_of_the_only_host_that_serves(case: Case) -> str | None:
    """A host that serves is not stopped or switched off where no other serves, or is made to."""
    serving = {name for name, view in case.seen.hosts.items() if view.serves}
    stopped = steps_of(case, "release", "fence", "stop")
    if (
        not serving
        or not serving <= stopped
        or (case.plan.target is not None and case.plan.target not in stopped)
    ):
        return None
    return f"{' and '.join(sorted(serving))} alone serves"


def no_end_of_a_service_without_a_host_to_take_it(case: Case) -> str | None:
    """A holder is released or fenced for a host whose gate answers, and which was not tried in vain just now."""
    holder = case.memory.holder
    if holder not in steps_of(case, "release", "fence"):
        return None
    others = [view for name, view in case.seen.hosts.items() if name != holder and view.gate_answers]
    able = [view for view in others if view.serves or case.service.standby == "stopped"]
    return None if able else "no host could take it"


def no_claim_for_a_host_that_cannot_serve(case: Case) -> str | None:
    """The target's gate answers; where standbys run, its service does."""
    for name in steps_of(case, "claim"):
        view = case.seen.hosts[name]
        if not view.gate_answers:
            return f"the gate of {name} is silent"
        reannounced = case.plan.code == "held_twice"
        if case.service.standby == "running" and not view.serves and not reannounced:
            return f"{name} does not serve, and is not started"
    return None


def no_fence_of_a_host_that_lives(case: Case) -> str | None:
    """Nothing of the host was heard a moment ago, or its own word could not be had; and it can be fenced."""
    for name in steps_of(case, "fence"):
        view = case.seen.hosts[name]
        if not view.fenceable or f"fence:{name}" in case.memory.tried:
            return f"{name} cannot be fenced, or not again"
        if view.gate_answers and f"release:{name}" not in case.memory.tried:
            return f"the gate of {name} answers and was not asked to release"
        if not view.gate_answers and view.life != NO_LIFE:
            return f"{name} shows signs of life"
        if view.liveness in {"lossy", "slow", "unknown", "partitioned"} and not view.gate_answers:
            return f"the silence of {name} may be {view.liveness}"
    return None


def no_step_for_what_may_be_loss(case: Case) -> str | None:
    """A hung service is one that is silent behind a line that is clean, also where another host serves."""
    holder = case.memory.holder
    if holder is None or holder not in {*steps_of(case, "release", "fence", "respawn")}:
        return None
    view = case.seen.hosts[holder]
    if view.gate_answers and view.processes and view.holds and not view.line_is_clean:
        return f"the line to {holder} loses or delays"
    return None


def no_step_while_a_stranger_holds(case: Case) -> str | None:
    """Who the stranger is only a person can find out."""
    return "a stranger answers for the address" if case.plan.acts and case.seen.strangers else None


def no_step_while_paused(case: Case) -> str | None:
    """A pause is a person's word."""
    return "it is paused" if case.plan.acts and case.memory.paused is not None else None


def no_respawn_but_of_the_holder_over_its_gate(case: Case) -> str | None:
    """To restart a service elsewhere would write data on two hosts."""
    for name in steps_of(case, "respawn"):
        if name != case.memory.holder or not case.seen.hosts[name].gate_answers:
            return f"{name} is not the holder, or its gate is silent"
    return None


def no_start_where_another_runs(case: Case) -> str | None:
    """With standby: stopped, data are written on one host: the holder's service ends before another's begins."""
    for target in steps_of(case, "start"):
        holder = case.memory.holder
        if holder in {None, target}:
            continue
        view = case.seen.hosts[str(holder)]
        ended = holder in steps_of(case, "release", "fence") or (view.gate_answers and view.processes == 0)
        if not ended and (view.gate_answers or not _may_be_left_behind(case, view)):
            return f"the service may run on {holder}"
    return None


def no_plan_to_adopt_where_another_may_hold(case: Case) -> str | None:
    """A host that could not be asked may hold the address too, and be the one that serves."""
    if case.plan.code != "adopted" or case.seen.by_command:
        return None
    unasked = [view.name for view in case.seen.hosts.values() if not (view.gate_answers or view.gate_asked)]
    return f"the gate of {unasked[0]} was not asked" if unasked else None


def no_plan_without_a_reason(case: Case) -> str | None:
    """One line that people can read."""
    plan = case.plan
    return None if plan.reason and plan.code and "\n" not in plan.reason else "no reason"


CONTRACT: Mapping[str, Callable[[Case], str | None]] = {
    name: rule for name, rule in sorted(globals().items()) if name.startswith("no_")
}
# The others are about steps and have nothing to say of a plan without any, which three of four plans are: to leave
# them out there halves the time. `test_rules_about_steps_find_nothing_where_there_are_none` shows it.
IDLE, DO_NOTHING = "a plan without steps", Plan("nothing", "well", "it is served")
OF_EVERY_PLAN = {name: rule for name, rule in CONTRACT.items() if name.startswith("no_plan_")}

# -- the proof -----------------------------------------------------------------------------------------------


@cache
def broken() -> Mapping[str, list[str]]:
    """Decide every situation, and return by rule what breaks it, with how many were decided and how many acted."""
    found: dict[str, list[str]] = {name: [] for name in (*CONTRACT, IDLE)}
    decided = acted = 0
    with_steps, without = list(CONTRACT.items()), list(OF_EVERY_PLAN.items())
    for seen, memory, values in chain(situations(), remembered(), by_record(), reached()):
        case = Case(seen, memory, values, decide(seen, memory, values))
        decided += 1
        acted += case.plan.acts
        for name, rule in with_steps if case.plan.acts else without:
            if (why := rule(case)) is not None and len(found[name]) < 5:
                found[name].append(f"{why}: {case}")
        if decided % 997 == 0:  # of some of them, what is said where nothing is done
            found[IDLE] += [
                name for name, rule in with_steps if rule(replace(case, plan=DO_NOTHING)) is not None
            ]
    found["decided"], found["acted"] = [str(decided)], [str(acted)]
    return found


@pytest.mark.parametrize("rule", CONTRACT)
def test_a7_no_plan_breaks_the_contract(rule: str) -> None:
    assert broken()[rule] == []


def test_enough_was_decided() -> None:
    decided, acted = int(broken()["decided"][0]), int(broken()["acted"][0])
    assert decided > 50_000
    assert acted > decided / 20


def test_rules_about_steps_find_nothing_where_there_are_none() -> None:
    assert list(OF_EVERY_PLAN) == ["no_plan_to_adopt_where_another_may_hold", "no_plan_without_a_reason"]
    assert broken()[IDLE] == []


WRONG: Mapping[str, tuple[str, ...]] = {
    "no_claim_without_an_answer_of_the_wire": ("claim b",),
    "no_claim_or_fence_while_cut_off": ("fence a",),
    "no_claim_where_another_host_may_hold": ("claim b", "release a"),
    "no_step_against_a_holder_that_serves": ("release a",),
    "no_step_while_a_stranger_holds": ("prove b",),
    "no_step_against_a_host_that_could_not_be_asked": ("fence a",),
    "no_end_of_the_only_host_that_serves": ("release a",),
}


@pytest.mark.parametrize("rule", WRONG)
def test_a_plan_that_breaks_a_rule_is_found(rule: str) -> None:
    """The rules can fail: each finds a plan made by hand that breaks it."""
    steps = tuple(PlannedStep(name, host) for name, host in map(str.split, WRONG[rule]))  # type: ignore[arg-type]
    hosts = {"a": replace(STATES["serves and holds"], name="a"), "b": replace(STATES["idle"], name="b")}
    if rule == "no_step_against_a_host_that_could_not_be_asked":
        hosts["a"] = replace(STATES["not asked"], name="a")
    seen = Situation("www", hosts, frozenset({"a"}), frozenset({"02:00:5e:00:00:99"}), False, {}, 0.0)
    case = Case(seen, Memory("a", 1), SERVICES["refuse"], Plan("takeover", "takeover", "because", steps))
    assert CONTRACT[rule](case) is not None
