"""Mirror commands over HTTP: start a run, return its progress and the age of each copy, mark, restore, compare."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from flask import Blueprint, Response, jsonify, request
from werkzeug.exceptions import BadRequest

from locum_actuator.api.json_body import flag, json_body
from locum_actuator.domain.mirror_run import Changes, MirrorError, MirrorResult, RunOptions
from locum_actuator.engine.engine import Engine
from locum_actuator.mirror.freshness import copies
from locum_actuator.mirror.requested_runs import RequestedRun

_KEYS = {"to", "allow_deletions", "discard_changes", "host", "run"}
_EXAMPLE = '{"to": "b", "allow_deletions": 0, "discard_changes": false}'


def mirror_routes(engine: Engine, authorised: Callable[[], bool]) -> Blueprint:
    """Return the routes under /api/v1/services/NAME/mirror; `authorised` checks the current request."""
    routes = Blueprint("mirrors", __name__, url_prefix="/api/v1/services/<name>/mirror")

    def refused(name: str, *, may_look: bool = False) -> tuple[Response, int] | None:
        if not may_look and not authorised():
            why = "the bearer token is missing or wrong, or the site names no api_token_file"
            return jsonify(error=why), 401
        if name not in engine.workers:
            return jsonify(error=f"no service '{name}'; there is {', '.join(engine.workers)}"), 404
        if not engine.mirrors.is_configured(name):
            return jsonify(error=f"the site file has no mirror for {name}"), 409
        return None

    @routes.errorhandler(MirrorError)
    def not_done(fault: MirrorError) -> tuple[Response, int]:
        return jsonify(error=str(fault)), 409

    @routes.get("")
    def look(name: str) -> tuple[Response, int]:
        return refused(name, may_look=True) or (jsonify(to_json(engine, name)), 200)

    @routes.post("")
    def begin(name: str) -> tuple[Response, int]:
        if no := refused(name):
            return no
        body = json_body(_KEYS, _EXAMPLE)
        holder, hosts = engine.journal.holder(name).host, engine.site.services[name].hosts
        if holder is None:
            raise MirrorError(f"no holder of {name} is known, so there is no host to mirror from")
        to = body.get("to")
        if to is not None and to not in hosts:
            raise BadRequest(f"'{to}' is not a host of the service: its hosts are {', '.join(hosts)}")
        destinations = [to] if to is not None else [host for host in hosts if host != holder]
        wish = RunOptions(_number(body, "allow_deletions"), flag(body, "discard_changes"))
        return jsonify(asked=_asked(engine.asked_mirrors.begin(name, holder, destinations, wish))), 202

    @routes.post("/mark")
    def mark(name: str) -> tuple[Response, int]:
        return refused(name) or (jsonify(done=engine.mirrors.mark(name)), 200)

    @routes.post("/restore")
    def restore(name: str) -> tuple[Response, int]:
        if no := refused(name):
            return no
        body = json_body(_KEYS, _EXAMPLE)
        host, run = body.get("host"), _number(body, "run")
        if host not in engine.site.services[name].hosts or not run:
            raise BadRequest('give a JSON object such as {"host": "b", "run": 20260101040000}')
        return jsonify(done=engine.mirrors.restore(name, host, run)), 200

    @routes.get("/divergence")
    def divergence(name: str) -> tuple[Response, int]:
        if no := refused(name):  # both hosts search their directories for this
            return no
        one, other = (request.args.get(key) for key in ("one", "other"))
        hosts = engine.site.services[name].hosts
        if one not in hosts or other not in hosts or one == other:
            raise BadRequest(f"give two hosts as one= and other=, of {', '.join(hosts)}")
        found = engine.mirrors.divergence(name, one, other)
        sides = [_changes(side) for side in (found.one, found.other)]
        return jsonify(since=found.since, both=found.both, sides=sides), 200

    return routes


def to_json(engine: Engine, name: str) -> dict[str, Any]:
    """Return the state of a service's copies as JSON values."""
    mirrors, ledger, clock = engine.mirrors, engine.journal.mirrors, engine.journal.clock
    holder = engine.journal.holder(name).host
    run, asked = mirrors.under_way(name), engine.asked_mirrors.last(name)
    known = copies(ledger, name, engine.site.services[name], holder, clock.now())
    return {
        "service": name,
        "source": holder,
        "copies": {host: asdict(copy) for host, copy in known.items()},
        "under_way": None
        if run is None
        else {
            "source": run.nothing.source,
            "destination": run.nothing.destination,
            "run": run.nothing.run,
            "since": run.nothing.started_at,
            "progress": None if run.progress is None else asdict(run.progress),
        },
        "asked": None if asked is None else _asked(asked),
        "runs": [asdict(entry) for entry in ledger.runs(name)],
    }


def _asked(asked: RequestedRun) -> dict[str, Any]:
    return {
        "number": asked.number,
        "source": asked.source,
        "destinations": asked.destinations,
        "ended": asked.ended,
        "results": [_result(result) for result in asked.results],
    }


def _result(result: MirrorResult) -> dict[str, Any]:
    return asdict(result)


def _changes(changes: Changes) -> dict[str, Any]:
    return {"host": changes.host, "changed": changes.count, "examples": changes.examples}


def _number(body: dict[str, Any], key: str) -> int:
    value = body.get(key, 0)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 10**17:
        raise BadRequest(f"{key}: give a number")
    return value
