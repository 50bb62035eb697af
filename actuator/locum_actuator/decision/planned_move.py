"""Decide about a planned move: (move, situation, memory, service) -> a plan. Pure functions.

A planned move is not an emergency, so every precondition must be certain: which host holds the service, that the
service is well, and that both gates answer over clean lines. Otherwise the move is refused and the service stays
where it is.
"""

from __future__ import annotations

from collections.abc import Mapping

from locum_actuator.decision import brakes, vetoes
from locum_actuator.domain.plan import Move, Plan, PlannedStep
from locum_actuator.domain.situation import HostView, Memory, Situation
from locum_inventory.site.model import Service

_NONE: Mapping[str, tuple[str, ...]] = {}
# Refusals that the next check may clear: a machine was too busy to check or to answer, or an echo was lost.
PASSING = frozenset({"could_not_look", "line", "release", "cut_off", "holder_silent", "target_silent"})
LOOKS = 3  # at least this many checks before one of these is the answer
PATIENCE_SECONDS = 4.0  # … and at least this long: a planned move is not urgent


def may_pass(plan: Plan, situation: Situation, memory: Memory, looks: int, seconds: float) -> bool:
    """Return whether to check again before answering with this refusal, after so many checks and seconds.

    Only while the holder serves or could not be checked. If it does not serve, that fault is urgent and comes
    first.
    """
    holder = situation.hosts.get(memory.holder or "")
    serves = holder is not None and (holder.serves or not holder.looked_at)
    return plan.code in PASSING and (looks < LOOKS or (serves and seconds < PATIENCE_SECONDS))


Obstacles = Mapping[str, tuple[str, ...]]  # host -> what else keeps it from being a standby


def decide_move(
    move: Move, situation: Situation, memory: Memory, service: Service, obstacles: Obstacles = _NONE
) -> Plan:
    """Return the plan of a move for this situation, or its refusal.

    `obstacles` lists what the situation does not show, such as a gate that is not current.
    """
    plan = _decide(move, situation, memory, service, obstacles)
    plan = vetoes.applied(plan, situation, memory, service)
    return brakes.applied_to_move(plan, memory, service, move.asked_by, despite_pause=move.despite_pause)


def _decide(move: Move, situation: Situation, memory: Memory, service: Service, obstacles: Obstacles) -> Plan:
    holder = None if memory.holder is None else situation.hosts[memory.holder]
    if holder is None or situation.holders != {holder.name} or situation.strangers:
        unseen = holder is not None and not holder.gate_answers and not situation.holders
        code = "holder_silent" if unseen and not situation.strangers else "holder"
        return _refuse(code, f"it is not certain which host holds it: {_who_holds(situation, memory)}")
    name = _target(move, situation, holder.name, service, obstacles)
    if name == holder.name:
        return Plan("nothing", "held", f"{name} holds it already")
    target = situation.hosts[name]
    if fault := _holder_fault(holder, move) or _network_fault(situation):
        return _refuse(*fault)
    if unable := _unable(target, service, obstacles, move):
        code = "target" if obstacles.get(name) else "target_silent"
        return _refuse(code, f"{name} cannot take over: {unable}")
    why = f"{move}; {holder.name} serves and {name} can{_despite(holder, target)}"
    return Plan(move.verb, move.verb, why, _steps(holder.name, target, service), name)


def _target(move: Move, situation: Situation, holder: str, service: Service, obstacles: Obstacles) -> str:
    """Return the host that the move would make the holder."""
    if move.target is not None:
        return move.target
    if move.verb == "failback":
        return service.preferred
    others = [view for view in situation.hosts.values() if view.name != holder]
    able = (view.name for view in others if _unable(view, service, obstacles, move) is None)
    return next(able, others[0].name)


def _refuse(code: str, why: str) -> Plan:
    return Plan("refuse", code, why)


def _who_holds(situation: Situation, memory: Memory) -> str:
    holds = " and ".join(sorted(situation.holders | situation.strangers)) or "no host"
    return f"the journal names {memory.holder or 'no holder'}, and the address is held by {holds}"


def _holder_fault(holder: HostView, move: Move) -> tuple[str, str] | None:
    """Return code and reason if the holder has a fault, because a planned move then has to wait.

    A person may order a move over any line as long as the gate answers: a move that fails is undone.
    """
    if not holder.gate_asked:
        return "could_not_look", f"{holder.name} could not be asked to release: {holder.gate_fault}"
    if not holder.gate_answers:
        return "release", f"{holder.name} could not be asked to release: {holder.gate_fault}"
    if holder.drift is not None:
        return "unfit", f"a release of {holder.name} would prove nothing: {holder.drift}"
    if not holder.serves:
        seen = "; ".join(f"{look.vantage_point}: {look.text}" for look in holder.looks)
        what = "does not answer" if holder.wrong is None else "does not answer as expected"
        return (
            "not_well",
            f"the service on {holder.name} {what} ({seen}): locum handles that automatically",
        )
    if move.asked_by is None and not holder.line_is_clean:
        return "line", f"the line to {holder.name} is not clean: {_echoes(holder)}"
    return None


def _network_fault(situation: Situation) -> tuple[str, str] | None:
    if not situation.witnessed:
        silent = ", ".join(sorted(situation.witnesses))
        return "cut_off", f"no witness answers ({silent}): it may be this host that is cut off"
    if not situation.address_looked:
        return "could_not_look", "it could not be checked which host has the address"
    return None


def _unable(view: HostView, service: Service, obstacles: Obstacles, move: Move) -> str | None:
    """Return why a host could not be the holder now; None if it could."""
    if not view.gate_answers:
        return f"its gate is silent ({view.gate_fault})"
    if view.unfit is not None:
        return view.unfit
    if move.asked_by is None and not view.line_is_clean:
        return f"the line to it is not clean: {_echoes(view)}"
    if service.standby == "running" and not view.serves:
        return "the service does not answer there, although it should be running"
    return "; ".join(obstacles.get(view.name, ())) or None


def _despite(*views: HostView) -> str:
    """Name the lines that are not clean, which a person's order overrides."""
    bad = [f"{view.name} ({_echoes(view)})" for view in views if not view.line_is_clean]
    return f", though the line to {' and '.join(bad)} is not clean" if bad else ""


def _echoes(view: HostView) -> str:
    if view.echoes_sent == 0:
        return f"it could not be pinged ({view.ping_fault})"
    late = ", and late" if view.slow else ""
    return f"{view.echoes_received} of {view.echoes_sent} echoes came back{late}"


def _steps(holder: str, target: HostView, service: Service) -> tuple[PlannedStep, ...]:
    """Return the steps of a move: slow steps come before the release wherever that is allowed."""
    release, confirm = PlannedStep("release", holder), PlannedStep("confirm", target.name)
    claim, prove = PlannedStep("claim", target.name), PlannedStep("prove", target.name)
    # After the release nothing writes any more: the last short pass copies what changed since the pass before.
    gone = (release,) if service.mirror is None else (release, PlannedStep("mirror", target.name))
    if service.standby == "running" or service.commands is None:
        return (*gone, confirm, claim, prove)
    start = PlannedStep("start", target.name)
    # A process that already runs there was not started by locum, and may use older data.
    tidy = (PlannedStep("release", target.name),) if target.processes else ()
    if (
        service.takeover.start == "during_release" and service.mirror is None
    ):  # otherwise the mirror would change its data while it runs
        return (*tidy, start, *gone, confirm, claim, prove)
    if service.takeover.start == "after_claim":
        return (*tidy, *gone, confirm, claim, start, prove)
    return (*tidy, *gone, confirm, start, claim, prove)
