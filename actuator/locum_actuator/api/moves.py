"""Planned moves over HTTP: return what a move would do, start it, return its progress."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from flask import Blueprint, Response, jsonify
from werkzeug.exceptions import BadRequest

from locum_actuator.api.json_body import flag, json_body
from locum_actuator.domain.plan import Move, Verb
from locum_actuator.domain.situation import situation_to_json
from locum_actuator.engine.engine import Engine
from locum_actuator.engine.move_requests import MoveRefusedError, Progress
from locum_actuator.system.background import in_words
from locum_actuator.system.printable import printable

log = logging.getLogger(__name__)

LONGEST_TEXT = 200  # characters
_KEYS = {"to", "by", "reason", "despite_pause", "discard_changes_on", "dry_run"}
_EXAMPLE = '{"to": "b", "by": "anna", "reason": "new disks"}'


def move_routes(engine: Engine, authorised: Callable[[], bool]) -> Blueprint:
    """Return the routes under /api/v1; `authorised` checks the current request."""
    routes = Blueprint("moves", __name__, url_prefix="/api/v1")

    def unknown(name: str) -> tuple[Response, int]:
        return jsonify(error=f"no service '{name}'; there is {', '.join(engine.workers)}"), 404

    @routes.errorhandler(MoveRefusedError)
    def refused(fault: MoveRefusedError) -> tuple[Response, int]:
        return jsonify(error=str(fault)), 409

    def asked(name: str, verb: Verb) -> tuple[Response, int]:
        if not authorised():
            why = "the bearer token is missing or wrong, or the site names no api_token_file"
            return jsonify(error=why), 401
        if name not in engine.workers:
            return unknown(name)
        move, dry_run = read(verb, json_body(_KEYS, _EXAMPLE), engine.site.services[name].hosts)
        if not dry_run:
            return jsonify(move=to_json(engine.move_requests.begin(name, move))), 202
        try:
            plan, situation = engine.move_requests.look(name, move)
        except MoveRefusedError:
            raise
        except Exception as fault:
            log.exception(
                "the service could not be checked", extra={"event": "unexpected_error", "service": name}
            )
            return jsonify(error=f"the service could not be checked: {in_words(fault)}"), 503
        holder = engine.journal.holder(name).host
        return jsonify(service=name, holder=holder, plan=asdict(plan), seen=situation_to_json(situation)), 200

    @routes.post("/services/<name>/switchover")
    def switchover(name: str) -> tuple[Response, int]:
        return asked(name, "switchover")

    @routes.post("/services/<name>/failback")
    def failback(name: str) -> tuple[Response, int]:
        return asked(name, "failback")

    @routes.get("/services/<name>/move")
    def move(name: str) -> tuple[Response, int]:
        if name not in engine.workers:
            return unknown(name)
        progress = engine.move_requests.progress(name)
        if progress is None:
            return jsonify(error=f"no move of {name} was requested since the actuator started"), 404
        return jsonify(move=to_json(progress)), 200

    return routes


def read(verb: Verb, body: dict[str, Any], hosts: tuple[str, ...]) -> tuple[Move, bool]:
    """Return the move that a request's JSON describes, and whether it is a dry run."""
    if verb == "failback" and body.get("to") is not None:
        raise BadRequest(
            "to: a failback goes to the preferred host: leave this key out, or request a switchover"
        )
    for key in ("to", "discard_changes_on"):
        if body.get(key) is not None and body[key] not in hosts:
            raise BadRequest(f"'{body[key]}' is not a host of the service: its hosts are {', '.join(hosts)}")
    move = Move(
        verb,
        body.get("to"),
        asked_by=_text(body, "by") or "a client with the API token",
        reason=_text(body, "reason"),
        despite_pause=flag(body, "despite_pause"),
        discard_changes_on=body.get("discard_changes_on"),
    )
    return move, flag(body, "dry_run")


def _text(body: dict[str, Any], key: str) -> str:
    value = body.get(key, "")
    if not isinstance(value, str) or len(value) > LONGEST_TEXT:
        raise BadRequest(f"{key}: give a text of at most {LONGEST_TEXT} characters")
    return printable(value)


def to_json(progress: Progress) -> dict[str, Any]:
    """Return the progress of a move as JSON values."""
    return {
        "number": progress.number,
        "phase": progress.phase,
        "text": progress.text,
        "incident": progress.incident,
        "verb": progress.move.verb,
        "to": progress.move.target,
        "by": progress.move.asked_by,
    }
