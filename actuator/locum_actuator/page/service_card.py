"""The view of one service: its holder, the state of each host, its standbys, and what locum would do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from locum_actuator.api.services import service_values
from locum_actuator.chain.silences import Silences
from locum_actuator.domain.plan import Plan
from locum_actuator.domain.situation import WRONG_ANSWERS
from locum_actuator.engine.engine import Engine
from locum_actuator.engine.explain import Explanation
from locum_actuator.page.check_health import cell_of, checks_of
from locum_actuator.page.check_results import Votes
from locum_exporter.result import class_of

_IN_WORDS = {
    "nothing": "nothing",
    "keep_looking": "keep looking",
    "refuse": "refuse to act",
    "record": "only record",
}


def service_view(
    engine: Engine,
    name: str,
    *,
    votes: Votes,
    silences: Silences,
    outlook: Mapping[str, Explanation],
    last_words: str | None,
    ended_at: float = 0.0,
) -> dict[str, Any]:
    """Return a service in plain values; `last_words` is the last event of its open incident.

    `ended_at` is when its last incident ended (seconds since the epoch). A check from before
    that, or before the present holder became the holder, is not shown as the current state.
    """
    values, service = service_values(engine, name), engine.site.services[name]
    holder, explained = values["holder"], outlook.get(name)
    changed_at = max(values["since"] or 0.0, ended_at)
    if explained is not None and explained.at < changed_at:
        explained = None
    outdated = votes.at - service.interval_seconds < changed_at and values["open_incident"] is None
    if outdated and votes.fault is None:
        votes = replace(votes, votes={})
    columns = checks_of(service)
    rows = [
        {
            "host": host,
            "holds": host == holder,
            "cells": [
                asdict(cell_of(votes, name, service, host, check, holds=host == holder)) for check in columns
            ],
        }
        for host in service.hosts
    ]
    view = {
        **values,
        "checks": columns,
        "health": rows,
        "votes_fault": votes.fault,
        "silences": [asdict(one) for one in silences.services.get(name, ())],
        "standbys": [
            _standby(host, listed, values["copies"].get(host), explained)
            for host, listed in values["rejoin"].items()
        ],
        "now": _now(values, explained, last_words),
        "outdated": outdated and votes.fault is None,
        "may_move_to": [host for host in service.hosts if host != holder and holder is not None],
        "may_fail_back_to": service.preferred if holder not in {None, service.preferred} else None,
    }
    return {**view, "level": (level := _level(view)), "state": _state({**view, "level": level})}


def _standby(
    host: str, listed: Mapping[str, Any], copy: Mapping[str, Any] | None, explained: Explanation | None
) -> dict[str, Any]:
    """Return whether a host could take over: its checklist, and the result of a dry run of a switchover to it.

    `could` is None if that could not be checked.
    """
    plan = None if explained is None else explained.moves.get(host)
    open_items = [item for item in listed["items"] if not item["ok"]]
    return {
        "host": host,
        "could": None if any(item["ok"] is None for item in open_items) else not open_items,
        "items": listed["items"],
        "open": open_items,
        "data": copy,
        "move": None if plan is None or plan.acts else plan.reason,
    }


def _now(values: Mapping[str, Any], explained: Explanation | None, last_words: str | None) -> dict[str, Any]:
    """Return what locum does or would do, and why; `at` is the time of the check (seconds since the epoch)."""
    if values["open_incident"] is not None:
        words = last_words or "the evaluation has just started"
        return {
            "does": f"handling incident {values['open_incident']}",
            "why": words,
            "steps": [],
            "at": None,
            "calm": False,
        }
    if explained is None:
        return {
            "does": None,
            "why": "not checked since the last change",
            "steps": [],
            "at": None,
            "calm": True,
        }
    plan = explained.plan
    steps = [str(step) for step in plan.steps or plan.would]
    return {
        "does": _does(plan),
        "why": plan.reason,
        "steps": steps,
        "at": explained.at,
        "calm": plan.kind == "nothing",
    }


def _does(plan: Plan) -> str:
    words = _IN_WORDS.get(plan.kind, plan.kind)
    return f"{words} on {plan.target}" if plan.acts and plan.target else words


def _level(view: Mapping[str, Any]) -> str:
    """Return how urgently a service needs attention: bad, warn or ok."""
    holder_cells = [cell for row in view["health"] if row["holds"] for cell in row["cells"]]
    if (
        view["open_incident"]
        or view["holder"] is None
        or any(cell["verdict"] == "bad" for cell in holder_cells)
    ):
        return "bad"
    stale = any(one["data"] and one["data"]["stale"] for one in view["standbys"])
    held_back = view["pause"] or view["silences"] or view["mode"] == "observe"
    needs_attention = (
        view["outdated"]
        or not view["standby_available"]
        or stale
        or held_back
        or not view["now"]["calm"]
        or not _has_standby(view)
    )
    return "warn" if needs_attention else "ok"


def _has_standby(view: Mapping[str, Any]) -> bool:
    return any(one["could"] is not False for one in view["standbys"])


def _answers_wrongly(view: Mapping[str, Any]) -> bool:
    """Return whether the holder's fault is a wrong answer and not silence."""
    bad = [
        cell for row in view["health"] if row["holds"] for cell in row["cells"] if cell["verdict"] == "bad"
    ]
    reasons = {reason for cell in bad for reason in cell["text"].split(", ")}
    return bool(bad) and all(class_of(reason) in WRONG_ANSWERS for reason in reasons)


def _state(view: Mapping[str, Any]) -> str:
    """Return the state of a service in two or three words."""
    if view["open_incident"]:
        starting = " and ".join(view["starting"])
        return f"incident {view['open_incident']} is open{f', starting on {starting}' if starting else ''}"
    for applies, words in (
        (view["holder"] is None, "no holder is known"),
        (view["level"] == "bad" and _answers_wrongly(view), "answers, but not as expected"),
        (view["level"] == "bad", "does not answer"),
        (view["outdated"], "being checked again"),
        (view["pause"], "paused"),
        (view["mode"] == "observe", "observe mode"),
        (not (view["standby_available"] and _has_standby(view)), "no standby"),
        (view["silences"], "silenced"),
        (not view["now"]["calm"], "action needed"),
        (view["level"] == "warn", "a copy is too old"),
    ):
        if applies:
            return words
    return "well"
