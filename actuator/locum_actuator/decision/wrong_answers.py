"""Decide about a service that answers, but not as expected. Pure functions.

`takeover.when_unexpected` sets what to do. By default a wrong status or body leads to a takeover; a bad certificate
or a malformed answer, whose cause usually affects every host, is only reported. A host that turned out to answer
wrongly too is not tried again while the answer stays the same.
"""

from __future__ import annotations

from locum_actuator.domain.plan import Plan
from locum_actuator.domain.situation import HostView, Memory, Situation, WrongAnswer
from locum_inventory.site.model import Service

_WORDS: dict[WrongAnswer, str] = {
    "unexpected": "answers, but not as expected",
    "malformed": "answers, but with a bad certificate or not in its protocol",
}


def why_wrong(view: HostView, wrong: WrongAnswer) -> str:
    """Describe what a host's service answers."""
    seen = "; ".join(f"{look.vantage_point}: {look.text}" for look in view.looks)
    return f"the service on {view.name} {_WORDS[wrong]} ({seen})"


def policy(wrong: WrongAnswer, service: Service) -> str:
    """Return the site file's policy for such an answer: takeover, restart or tell."""
    return service.takeover.when_unexpected or ("takeover" if wrong == "unexpected" else "tell")


def held_back(holder: HostView, situation: Situation, memory: Memory, service: Service) -> Plan | None:
    """Return the refusal for a wrong answer; None if a restart or a takeover may help."""
    if (wrong := holder.wrong) is None:
        return None
    why = why_wrong(holder, wrong)
    if policy(wrong, service) == "tell":
        says = "is tell" if service.takeover.when_unexpected else "is tell for this unless it is given"
        text = (
            f"{why}; takeover.when_unexpected {says}: repair it on every host; it does not lead to a takeover"
        )
        return Plan("refuse", wrong, text)
    others = [view for view in situation.hosts.values() if view.name != holder.name]
    if any(view.serves for view in others):
        return None
    if service.standby == "running" or service.commands is None:
        same = [view.name for view in others if view.wrong is not None]
    else:
        same = [view.name for view in others if view.name in memory.same_answer]
        able = [view for view in others if view.gate_answers and view.name not in memory.same_answer]
        if able:
            return None
    if not same:
        return None
    text = f"{why}, and so does that on {' and '.join(same)}: a takeover would not help"
    return Plan("refuse", "same_answer", text)
