"""Decide: (situation, memory, service) -> a plan with its reason. Pure functions.

The rows are tried in order and the first that fits is the plan. Three rules run through all of them:

1. "Could not check" is neither yes nor no. It never makes a plan safe.
2. Moving the address needs proof that the old holder no longer has it: its gate confirms the release, or it was
   fenced. For a holder that is completely silent and cannot be fenced, the proof is that the site file accepts this
   (`when_unreachable: takeover`), or that another vantage point gets no answer from it either.
3. A success that any vantage point reports when it is asked again vetoes the plan.

tests/actuator/decision/test_decision_properties.py checks these rules over all situations.
"""

from __future__ import annotations

from dataclasses import replace

from locum_actuator.decision import brakes, unfit, vetoes, wrong_answers
from locum_actuator.decision.epochs import holder_by_epoch
from locum_actuator.decision.partial_addresses import incomplete, left_about, sure, why_unused
from locum_actuator.decision.unreached import unreached
from locum_actuator.domain.plan import Plan, PlannedStep
from locum_actuator.domain.situation import HostView, Memory, Situation
from locum_exporter.result import Outcome
from locum_inventory.site.model import Service


def decide(situation: Situation, memory: Memory, service: Service) -> Plan:
    """Return the plan for this situation, or the plan that holds it back: observe mode, a pause, a brake."""
    if situation.not_looked is not None:
        return Plan("keep_looking", "could_not_look", situation.not_looked)
    plan = vetoes.applied(_decide(situation, memory, service), situation, memory, service)
    plan = unfit.applied(plan, situation, memory)
    return brakes.applied(plan, memory, service)


def _decide(situation: Situation, memory: Memory, service: Service) -> Plan:
    if situation.strangers:
        macs = ", ".join(sorted(situation.strangers))
        if situation.by_command:
            return Plan("refuse", "stranger", f"the record names {macs}, which is no host of this service")
        return Plan(
            "refuse",
            "stranger",
            f"{macs} answers for the service address and belongs to no host of this site: find that machine and "
            "remove it there",
        )
    if len(situation.holders) > 1:
        return _held_twice(situation, memory)
    if memory.holder is None or (situation.holders and memory.holder not in situation.holders):
        return _holder_unknown(situation, memory, service)
    holder = situation.hosts[memory.holder]
    if _is_served(holder, situation) and holder.name in situation.holders:
        if other := (
            _astray(situation, memory, service)
            or incomplete(holder, situation, memory, service)
            or left_about(situation, memory)
        ):
            return other
        found = unreached(holder, situation, memory, service)
        if isinstance(found, str):
            return _takeover(holder, found, situation, memory, service, code="unreached")
        return found or Plan("nothing", "well", _how_served(holder, situation))
    if _is_known_not_to_hold(holder, situation):
        return _unheld(situation, memory, service)
    if _is_served(holder, situation):
        return _holder_unconfirmed(holder, situation, memory, service)
    if holder.gate_answers:
        return _silent_service(holder, situation, memory, service)
    return _silent_gate(holder, situation, memory, service)


def _holder_unconfirmed(holder: HostView, situation: Situation, memory: Memory, service: Service) -> Plan:
    """Decide about a service that answers while it is not known which host has its address: never a reason to act.

    Unless a vantage point got an answer through the service address, clients may get none: the check is repeated.
    """
    reach = situation.reach
    if reach is None or not reach.outside or reach.outcome is Outcome.WELL:
        why = f"{holder.name} answers, although it could not be checked which host has the address"
        return Plan("nothing", "well", why)
    if not holder.gate_answers and isinstance(found := unreached(holder, situation, memory, service), Plan):
        return found
    return Plan(
        "keep_looking",
        "could_not_look",
        f"{holder.name} answers on its own address, but it could not be checked which host has the service address "
        f"({reach.text})",
    )


def _is_served(holder: HostView, situation: Situation) -> bool:
    """Return whether any vantage point got an answer from the holder, or through the service address."""
    return holder.serves or (situation.reach is not None and situation.reach.outcome is Outcome.WELL)


def _how_served(holder: HostView, situation: Situation) -> str:
    """Describe who got an answer, and whether the service address could not be proven from outside."""
    well = [look for look in holder.looks if look.outcome is Outcome.WELL]
    if not well:
        return "" if situation.reach is None else situation.reach.text
    seen = f"{well[0].vantage_point} got an answer from {holder.name}: {well[0].text}"
    reach = situation.reach
    return seen if reach is None or reach.outcome is Outcome.WELL else f"{seen}; {reach.text}"


def _is_known_not_to_hold(view: HostView, situation: Situation) -> bool:
    """Return whether a host's gate, or the check of the record, reports that the host does not hold the address."""
    if situation.by_command:
        return view.gate_answers and situation.address_looked and view.name not in situation.holders
    return view.gate_answers and not view.holds


def _astray(situation: Situation, memory: Memory, service: Service) -> Plan | None:
    """Stop the service on a host that has returned, before it writes data."""
    if service.standby == "running":
        return None
    suspects = frozenset(situation.hosts) if memory.left_over else memory.returned
    astray = [
        view.name
        for view in situation.hosts.values()
        if view.name in suspects - {memory.holder}
        and view.processes
        and f"release:{view.name}" not in memory.tried
    ]
    if not astray:
        return None
    names = " and ".join(astray)
    steps = tuple(PlannedStep("release", name) for name in astray)
    runs = f"runs the service, which {memory.holder} holds"
    if memory.returned.isdisjoint(astray):
        return Plan(
            "release",
            "left_over",
            f"{names} {runs}: left over from an interrupted plan or an earlier holder",
            steps,
        )
    return Plan("release", "returned", f"{names} is back and {runs}", steps)


def _held_twice(situation: Situation, memory: Memory) -> Plan:
    both = " and ".join(sorted(situation.holders))
    newer = holder_by_epoch(situation, memory)
    if newer not in {None, memory.holder}:
        return Plan(
            "adopt",
            "newer_epoch",
            f"{both} both hold the address, and the gate of {newer} knows a newer epoch than the journal, which "
            f"names {memory.holder or 'neither'}",
            (),
            newer,
        )
    if memory.holder not in situation.holders:
        return Plan(
            "refuse",
            "held_twice",
            f"{both} both hold the address and the journal names neither: release it on the wrong one by hand",
        )
    holder = situation.hosts[memory.holder] if memory.holder is not None else None
    wrong = [name for name in situation.hosts if name in situation.holders and name != memory.holder]
    serving = [name for name in wrong if situation.hosts[name].serves]
    if holder is not None and not holder.serves and serving:
        return _held_by_another_that_serves(holder, serving, both, situation, memory)
    asked = [name for name in wrong if situation.hosts[name].gate_answers]
    steps = tuple(step for name in asked for step in _expel(situation.hosts[name], memory))
    if not steps:
        return Plan(
            "refuse",
            "held_twice",
            f"{both} both hold the address; {' and '.join(wrong)} should not, and does not answer its gate",
        )
    if not situation.witnessed and any(step.name == "fence" for step in steps):
        return vetoes.cut_off(situation)
    # The claim announces the address again, but only if no other host will have it by then.
    others_release = situation.holders - {memory.holder} <= set(asked)
    alone = others_release and situation.address_looked and situation.witnessed
    reachable = holder is not None and holder.gate_answers
    again = (PlannedStep("claim", memory.holder),) if alone and reachable else ()
    return Plan(
        "release",
        "held_twice",
        f"{both} both hold the address; the holder is {memory.holder}",
        (*steps, *again),
        memory.holder,
    )


def _held_by_another_that_serves(
    holder: HostView, serving: list[str], both: str, situation: Situation, memory: Memory
) -> Plan:
    """Decide when two hosts hold the address and the one that serves is not the journal's holder.

    Releasing the host that serves would end the service. Once it alone holds the address, it is adopted as holder.
    """
    what = f"{both} both hold the address; the holder is {holder.name}, and {' and '.join(serving)} serves"
    if not holder.looked_at:
        why = f"{what}, and no vantage point could check {holder.name}: {_seen(holder)}"
        return Plan("keep_looking", "could_not_look", why)
    if holder.gate_answers and holder.processes != 0 and holder.wrong is None and not holder.line_is_clean:
        return Plan("keep_looking", "mixed", f"{what}; but {_uncertain(holder)}")
    # A host that answers ping is not dead: if its gate is silent, it is fenced only when its line is clean.
    sure = holder.gate_answers or (holder.gate_asked and holder.liveness == "alive")
    steps = _expel(holder, memory) if sure else ()
    if not steps:
        return Plan("refuse", "held_twice", f"{what}: make sure that {holder.name} releases it")
    if not situation.witnessed and any(step.name == "fence" for step in steps):
        return vetoes.cut_off(situation)
    return Plan("release", "held_twice", what, steps)


def _holder_unknown(situation: Situation, memory: Memory, service: Service) -> Plan:
    """Decide when no holder is known, or when a host other than the known holder holds the address."""
    if situation.holders:
        (found,) = situation.holders
        if found not in situation.hosts:
            return Plan(
                "refuse",
                "stranger",
                f"{found} holds the address and is no host of this service: remove the address there",
            )
        unasked = [view for view in situation.hosts.values() if not (view.gate_answers or view.gate_asked)]
        if unasked and not situation.by_command:  # one of them may hold it too: the one that serves, perhaps
            return vetoes.not_asked(unasked[0])
        before = "no holder was known" if memory.holder is None else f"the journal named {memory.holder}"
        return Plan("adopt", "adopted", f"{found} holds the address ({before})", (), found)
    silent = [view for view in situation.hosts.values() if not view.gate_answers]
    if silent:
        return _any_of(silent, situation, memory, service)
    return _unheld(situation, memory, service)


def _any_of(silent: list[HostView], situation: Situation, memory: Memory, service: Service) -> Plan:
    """Decide about several silent hosts that may each hold the address: each of them has to be ruled out."""
    # The host most likely to be alive comes first, because people should be notified of that one.
    silent.sort(key=lambda view: (view.gate_asked, view.liveness == "dead"))
    plans = [_dead_or_refuse(view, situation, memory, service) for view in silent]
    for plan in plans:
        if not plan.acts:
            return plan
    gone = [step for plan in plans for step in plan.steps if step.name == "fence"]
    rest = [step for step in plans[0].steps if step.name != "fence"]
    return replace(plans[0], steps=(*gone, *rest), reason="; ".join(plan.reason for plan in plans))


def _unheld(situation: Situation, memory: Memory, service: Service) -> Plan:
    """Give the address to a host that can serve: every possible holder is known not to hold it."""
    if not situation.witnessed:
        return vetoes.cut_off(situation)
    if situation.holders:
        who = " and ".join(sorted(situation.holders))
        return Plan(
            "keep_looking",
            "still_answers",
            f"{who} answers for the address, although its gate reports that it does not hold it",
        )
    if situation.reach is not None and situation.reach.outcome is Outcome.WELL:
        text = f"no gate reports that its host holds the address, but {situation.reach.text}"
        return Plan("keep_looking", "still_answers", text)
    silent = [view.name for view in situation.hosts.values() if not view.gate_answers]
    if silent and not situation.address_looked:
        return Plan(
            "refuse",
            "could_not_look",
            f"it could not be checked which host has the address, and the gate of {' and '.join(silent)} is silent",
        )
    order = _candidates(situation, memory, service)
    if not order:
        return _refuse_no_standby(situation, memory, service, "no host holds the address")
    best = order[0]
    if not best.serves and (slow := [view for view in order if _is_slow(view, memory)]):
        return _starting(slow[0], memory)
    why = f"no host holds the address{why_unused(best)} and {best.name} {'serves' if best.serves else 'can serve'}"
    if best.unusable_addresses and not situation.address_looked:
        return Plan(
            "refuse", "could_not_look", f"{why}, but it could not be checked whether another host has it"
        )
    if memory.holder is None or best.name == memory.holder:
        return Plan("claim", "unheld", why, (*sure(best), *_take(best, service)), best.name)
    # The last holder no longer has the address, but its service may still run and write data.
    last = situation.hosts[memory.holder]
    gone = _expel(last, memory)
    if not gone and not vetoes.has_let_go(last, service):
        return Plan(
            "refuse",
            "unfenced",
            f"{why}, but the service may still run on {last.name}: neither a release nor fencing worked just now",
        )
    steps = (*gone, PlannedStep("confirm", best.name), *_take(best, service))
    return Plan("claim", "unheld", _with_data(why, best, memory), steps, best.name)


def _silent_service(holder: HostView, situation: Situation, memory: Memory, service: Service) -> Plan:
    """Decide about a holder whose gate answers and whose service does not."""
    respawns = memory.respawns_last_hour.get(holder.name, 0)
    worn_out = respawns >= service.takeover.max_respawns_per_hour
    can_respawn = (
        service.commands is not None and f"respawn:{holder.name}" not in memory.tried and not worn_out
    )
    if service.checks.process is not None and holder.processes == 0:
        if holder.underway in {"start", "respawn"}:
            return _starting(holder, memory)
        absent = f"{service.checks.process.name} is not running on {holder.name}"
        if can_respawn:
            return _respawn(holder, "absent", absent)
        if worn_out:
            why = f"{absent}, and {respawns} respawns there within an hour did not help"
            return _takeover(holder, why, situation, memory, service, code="flapping")
        return _takeover(holder, f"{absent} and a respawn did not help", situation, memory, service)
    if holder.name in memory.starting and f"respawn:{holder.name}" not in memory.tried:
        return _starting(holder, memory)
    if not holder.looked_at:
        return Plan(
            "keep_looking", "could_not_look", f"no vantage point could check {holder.name}: {_seen(holder)}"
        )
    if holder.wrong is not None:
        return _wrong_answer(holder, situation, memory, service, can_respawn=can_respawn)
    if not holder.line_is_clean:
        return Plan("keep_looking", "mixed", _uncertain(holder))
    hung = (
        f"the service on {holder.name} does not answer though the host does ({_line(holder)}{_seen(holder)})"
    )
    if service.takeover.when_hung == "restart" and can_respawn and holder.name not in memory.slow:
        return _respawn(holder, "hung", hung)
    return _takeover(holder, hung, situation, memory, service)


def _wrong_answer(
    holder: HostView, situation: Situation, memory: Memory, service: Service, *, can_respawn: bool
) -> Plan:
    """Decide about a holder whose service answers, but not as expected."""
    if (held_back := wrong_answers.held_back(holder, situation, memory, service)) is not None:
        return held_back
    wrong = holder.wrong or "unexpected"
    why = wrong_answers.why_wrong(holder, wrong)
    if wrong_answers.policy(wrong, service) == "restart" and can_respawn:
        return _respawn(holder, wrong, why)
    return _takeover(holder, why, situation, memory, service, code=wrong)


def _silent_gate(holder: HostView, situation: Situation, memory: Memory, service: Service) -> Plan:
    """Decide about a holder whose gate and service do not answer."""
    if not situation.witnessed:
        return vetoes.cut_off(situation)
    if holder.liveness in {"lossy", "slow"}:
        return Plan("keep_looking", "mixed", _uncertain(holder))
    if not holder.gate_asked:
        return vetoes.not_asked(holder)
    if holder.wrong is not None:  # a host whose service answers is alive, whatever the pings show
        return _wrong_answer_beside_silent_gate(holder, situation, memory, service)
    if holder.liveness == "partitioned":
        return _partition(holder)
    if holder.liveness == "alive" and holder.fenceable:
        if not holder.looked_at:
            return Plan(
                "keep_looking",
                "could_not_look",
                f"no vantage point could check {holder.name}: {_seen(holder)}",
            )
        why = f"{holder.name} answers ping, but neither its gate ({holder.gate_fault}) nor its service does"
        return _takeover(holder, why, situation, memory, service)
    if holder.liveness == "alive":
        return Plan(
            "refuse",
            "unfenced",
            f"{holder.name} answers ping but not its gate ({holder.gate_fault}): it may still hold the address, "
            "and it cannot be fenced; repair the gate or switch the host off",
        )
    return _dead_or_refuse(holder, situation, memory, service)


def _wrong_answer_beside_silent_gate(
    holder: HostView, situation: Situation, memory: Memory, service: Service
) -> Plan:
    """Decide about a holder whose service does not answer as expected and whose gate does not answer."""
    if (held_back := wrong_answers.held_back(holder, situation, memory, service)) is not None:
        return held_back
    wrong = holder.wrong or "unexpected"
    why = f"{wrong_answers.why_wrong(holder, wrong)}, and its gate is silent ({holder.gate_fault})"
    if not holder.fenceable:
        return Plan("refuse", "unfenced", f"{why}: it may still hold the address, and cannot be fenced")
    return _takeover(holder, why, situation, memory, service, code=wrong)


def _dead_or_refuse(holder: HostView, situation: Situation, memory: Memory, service: Service) -> Plan:
    """Decide about a host that may hold the address and does not answer at all."""
    if not situation.witnessed:
        return vetoes.cut_off(situation)
    if not holder.gate_asked:
        return vetoes.not_asked(holder)
    if holder.life.gate is not None:  # pings to it may be filtered
        return Plan("refuse", "unfenced", f"{holder.name} may hold the address, and {holder.life.gate}")
    if holder.liveness == "unknown":
        return Plan("refuse", "could_not_look", f"{holder.name} could not be pinged: {holder.ping_fault}")
    if holder.liveness == "partitioned":
        return _partition(holder)
    if holder.liveness != "dead":
        return Plan(
            "refuse", "unfenced", f"{holder.name} answers ping but not its gate ({holder.gate_fault})"
        )
    fencing_settles_it = _fencing_settles_it(holder, situation, memory)
    if situation.holders and not situation.by_command:
        who = " and ".join(sorted(situation.holders))
        return Plan(
            "keep_looking",
            "still_answers",
            f"{who} answers for the address and for nothing else: only the line to it may be cut",
        )
    if holder.name in memory.doubted:
        return Plan(
            "keep_looking",
            "mixed",
            f"{holder.name} answered a moment ago over a lossy line and has left {memory.doubted[holder.name]} "
            "echoes unanswered since: lost packets do not prove that the host is down",
        )
    silent = (
        f"{holder.name} does not answer at all (0 of {holder.echoes_sent} echoes, gate: {holder.gate_fault})"
    )
    if fencing_settles_it:
        return _takeover(holder, f"{silent} and a witness answers", situation, memory, service)
    if service.takeover.when_unreachable == "refuse" and not holder.silent_to:
        return Plan(
            "refuse",
            "unreachable",
            f"{holder.name} does not answer at all, and takeover.when_unreachable is refuse: "
            f"make sure that {holder.name} is off, then move the service by hand",
        )
    if not situation.address_looked:
        return Plan("refuse", "could_not_look", "it could not be checked which host has the address")
    if situation.by_command:  # the record may still name a dead host; it can be moved without that host
        return _takeover(holder, f"{silent}, and a witness answers", situation, memory, service)
    why = f"{silent}, no host answers for the address and a witness answers"
    return _takeover(holder, why, situation, memory, service)


def _fencing_settles_it(holder: HostView, situation: Situation, memory: Memory) -> bool:
    """Return whether fencing this host proves that no silent host holds the address."""
    silent = [view.name for view in situation.hosts.values() if not view.gate_answers]
    return holder.fenceable and (
        memory.holder == holder.name or all(situation.hosts[name].fenceable for name in silent)
    )


def _takeover(
    holder: HostView,
    why: str,
    situation: Situation,
    memory: Memory,
    service: Service,
    *,
    code: str = "takeover",
) -> Plan:
    if not situation.witnessed:
        return vetoes.cut_off(situation)
    order = [view for view in _candidates(situation, memory, service) if view.name != holder.name]
    if not order:
        return _refuse_no_standby(situation, memory, service, why)
    target = order[0]
    if _is_slow(target, memory):
        return _starting(target, memory)
    gone = _expel(holder, memory)
    if not gone and holder.fenceable:
        return Plan(
            "refuse",
            "unfenced",
            f"{why}; fencing {holder.name} did not work, and will be retried later",
        )
    if not situation.address_looked and any(step.name == "fence" for step in gone):
        # The steps after a fence need an ARP or neighbour check: without it the fence would be in vain.
        return Plan("refuse", "could_not_look", "it could not be checked which host has the address")
    return Plan(
        "takeover",
        code,
        _with_data(why, target, memory),
        (*gone, PlannedStep("confirm", target.name), *_take(target, service)),
        target.name,
    )


def _expel(view: HostView, memory: Memory) -> tuple[PlannedStep, ...]:
    """Return the step that ensures a host has neither the address nor the service any more.

    A release if its gate answers; a fence if it does not, or if a release has just failed. No step if the host is
    silent and cannot be fenced, or if fencing it has just failed.
    """
    if view.gate_answers and not (view.fenceable and f"release:{view.name}" in memory.tried):
        return (PlannedStep("release", view.name),)
    if view.fenceable and f"fence:{view.name}" not in memory.tried:
        return (PlannedStep("fence", view.name),)
    return ()


def _take(target: HostView, service: Service) -> tuple[PlannedStep, ...]:
    """Return the steps that make `target` the holder of an address that no host holds."""
    claim = PlannedStep("claim", target.name)
    start = (
        ()
        if service.standby == "running" or service.commands is None
        else (PlannedStep("start", target.name),)
    )
    order = (claim, *start) if service.takeover.start == "after_claim" else (*start, claim)
    return (*order, PlannedStep("prove", target.name))


def _candidates(situation: Situation, memory: Memory, service: Service) -> list[HostView]:
    """Return the possible holders: hosts that already serve, then the last holder, then by preference.

    A host is no candidate if its gate is silent, or if it was tried in this incident and failed.
    """
    able = [view for view in situation.hosts.values() if is_candidate(view, memory, service)]
    return sorted(
        able, key=lambda view: (_is_stale(view, memory), not view.serves, view.name != memory.holder)
    )


def is_candidate(view: HostView, memory: Memory, service: Service) -> bool:
    """Return whether a host could be made the holder now."""
    return (
        view.gate_answers
        and f"take:{view.name}" not in memory.tried
        and view.unfit is None
        and (view.serves or service.standby == "stopped")
        and not _too_old(view, memory, service)
    )


def _is_stale(view: HostView, memory: Memory) -> bool:
    return view.name in memory.copies and memory.copies[view.name].stale


def _too_old(view: HostView, memory: Memory, service: Service) -> bool:
    """Return whether a host's data are too old for it to be the holder."""
    return _is_stale(view, memory) and service.mirror is not None and service.mirror.when_stale == "refuse"


def _with_data(why: str, target: HostView, memory: Memory) -> str:
    """Add to the reason how old the target's data are."""
    copy = memory.copies.get(target.name)
    return why if copy is None else f"{why}; {target.name} has {copy.text}"


def _is_slow(target: HostView, memory: Memory) -> bool:
    """Return whether the service was started there, has exceeded its start time, and may still answer."""
    return target.name in memory.slow and target.processes != 0 and not target.serves


def _starting(view: HostView, memory: Memory) -> Plan:
    """Return the plan that waits for a service that was started a moment ago: starting is not hung."""
    age = memory.starting.get(view.name)
    since = "" if age is None else f" since {age:.0f} s"
    return Plan(
        "keep_looking",
        "starting",
        f"the service on {view.name} is starting{since}: {_seen(view)}",
        (),
        view.name,
    )


def _respawn(holder: HostView, code: str, why: str) -> Plan:
    return Plan("respawn", code, why, (PlannedStep("respawn", holder.name),), holder.name)


def _partition(holder: HostView) -> Plan:
    return Plan(
        "refuse",
        "partition",
        f"{holder.name} does not answer this host, but it answers {', '.join(holder.pinged_by)}: "
        "only the line to it is cut",
    )


def _uncertain(holder: HostView) -> str:
    """Describe why the failed check proves nothing: the line to the host loses or delays packets."""
    gate = " and its gate answers" if holder.gate_answers else ""
    if holder.slow:
        return f"the echoes of {holder.name} are late{gate}: delay does not prove that the host is down"
    returned = f"{holder.echoes_received} of {holder.echoes_sent}"
    return f"{holder.name} returned {returned} echoes{gate}: lost packets do not prove that the host is down"


def _line(view: HostView) -> str:
    """Describe what shows that the line is clean if the echoes do not."""
    if view.liveness == "alive":
        return ""
    echoes = f"{view.echoes_received} of {view.echoes_sent} echoes"
    return f"{echoes}, but its gate answered each of many calls promptly; "


def _refuse_no_standby(situation: Situation, memory: Memory, service: Service, why: str) -> Plan:
    too_old = [
        view for view in situation.hosts.values() if view.gate_answers and _too_old(view, memory, service)
    ]
    faults = "; ".join(f"{view.name}: {_unable(view, memory, service)}" for view in situation.hosts.values())
    if too_old:
        way_out = (
            f"mirror first, or set mirror.when_stale: takeover (max_age is {service.mirror.max_age})"
            if service.mirror
            else ""
        )
        return Plan("refuse", "stale", f"{why}, and no standby is available ({faults}): {way_out}")
    return Plan("refuse", "no_standby", f"{why}, and no standby is available ({faults})")


def _unable(view: HostView, memory: Memory, service: Service) -> str:
    if not view.gate_answers:
        return f"gate silent ({view.gate_fault})"
    if view.unfit is not None:
        return view.unfit
    if _too_old(view, memory, service):
        return f"has {memory.copies[view.name].text}"
    if view.name in memory.starting and not view.serves:
        return f"has been starting for {memory.starting[view.name]:.0f} s"
    return "serves" if view.serves else "does not serve"


def _seen(view: HostView) -> str:
    return (
        "; ".join(f"{look.vantage_point}: {look.text}" for look in view.looks)
        or "no vantage point could check it"
    )
