"""Return incidents over HTTP."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify, request

from locum_actuator.domain.numbers import parse_number
from locum_actuator.engine.engine import Engine
from locum_actuator.journal.incidents import IncidentQueries

MOST = 1000


def incident_routes(engine: Engine, shelf: IncidentQueries) -> Blueprint:
    """Return the routes under /api/v1/incidents."""
    routes = Blueprint("incidents", __name__, url_prefix="/api/v1/incidents")

    @routes.get("")
    def incidents() -> tuple[Response, int]:
        name = request.args.get("service")
        if name is not None and name not in engine.workers:
            return jsonify(error=f"no service '{name}'; there is {', '.join(engine.workers)}"), 404
        limit = request.args.get("limit", 50, type=parse_number)
        return jsonify(incidents=shelf.whole(name, max(1, min(limit, MOST)))), 200

    @routes.get("/<number:number>")
    def incident(number: int) -> tuple[Response, int]:
        row = shelf.one(number)
        return (jsonify(error=f"no incident {number}"), 404) if row is None else (jsonify(incident=row), 200)

    return routes
