"""Report services over HTTP: the holder, the state, and what locum would do now."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

from flask import Blueprint, Response, jsonify

from locum_actuator.api.pauses import to_json
from locum_actuator.decision.standby_checklist import is_complete
from locum_actuator.domain.reach import Reach
from locum_actuator.domain.situation import situation_to_json
from locum_actuator.engine.engine import Engine
from locum_actuator.engine.explain import Explainer

EXPLAIN_WAIT_SECONDS = 5.0


def service_routes(engine: Engine, explainer: Explainer) -> Blueprint:
    """Return the read-only routes under /api/v1/services."""
    routes = Blueprint("services", __name__, url_prefix="/api/v1/services")

    def unknown(name: str) -> tuple[Response, int]:
        return jsonify(error=f"no service '{name}'; there is {', '.join(engine.workers)}"), 404

    @routes.get("")
    def services() -> Response:
        return jsonify(services=[service_values(engine, name) for name in engine.workers])

    @routes.get("/<name>")
    def service(name: str) -> tuple[Response, int]:
        return (jsonify(service_values(engine, name)), 200) if name in engine.workers else unknown(name)

    @routes.get("/<name>/explain")
    def explain(name: str) -> tuple[Response, int]:
        if name not in engine.workers:
            return unknown(name)
        found = explainer.explain(name, EXPLAIN_WAIT_SECONDS)
        if found is None:
            return jsonify(error="another evaluation is running; try again"), 503
        moves = {host: asdict(plan) for host, plan in found.moves.items()}
        return jsonify(
            plan=asdict(found.plan),
            moves=moves,
            seen=situation_to_json(found.situation),
            **service_values(engine, name),
        ), 200

    return routes


def reach_values(reach: Reach | None) -> dict[str, str] | None:
    """Return whether the last check reached a service through its addresses; None before the first one."""
    return None if reach is None else {"outcome": reach.outcome.value, "text": reach.text}


def service_values(engine: Engine, name: str) -> dict[str, Any]:
    """Return the state of a service in plain values, without asking any host."""
    service, worker = engine.site.services[name], engine.workers[name]
    holder = engine.journal.holder(name)
    return {
        "service": name,
        "addresses": [str(address) for address in service.addresses],
        "hosts": list(service.hosts),
        "holder": holder.host,
        "epoch": holder.epoch,
        "since": holder.since,
        "mode": service.takeover.mode,
        "when_unreachable": service.takeover.when_unreachable,
        "pause": to_json(engine.journal.pauses.current(name)),
        "open_incident": worker.incident,
        "witnesses": dict(worker.witnesses),
        "standby_available": worker.patrol.standby_available,
        "hosts_seen": worker.patrol.seen,
        "starting": {host: round(age, 1) for host, age in worker.context.starts.starting(math.inf).items()},
        "reach": reach_values(worker.reach),
        "gate_faults": dict(worker.gate_faults),
        "copies": {host: asdict(copy) for host, copy in worker.context.memory().copies.items()},
        "rejoin": {
            host: {"complete": is_complete(items), "items": [asdict(item) for item in items]}
            for host, items in worker.patrol.checklists().items()
        },
        "failback": engine.failback.words(name),
    }
