"""Pause and resume services over HTTP: a person suspends actions on a service for a while.

A pause always has an end, so a forgotten one does not last.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, jsonify
from werkzeug.exceptions import BadRequest

from locum_actuator.api.json_body import json_body
from locum_actuator.engine.engine import Engine
from locum_actuator.journal.database import JournalError
from locum_actuator.journal.pauses import Pause
from locum_actuator.system.printable import printable

log = logging.getLogger(__name__)

DEFAULT_SECONDS = 3600.0
LONGEST_SECONDS = 31 * 86400.0
LONGEST_REASON = 500  # characters
_KEYS = {"seconds", "reason"}
_EXAMPLE = '{"seconds": 3600, "reason": "new kernel"}'


def pause_routes(engine: Engine, authorised: Callable[[], bool]) -> Blueprint:
    """Return the routes under /api/v1; `authorised` checks the current request."""
    routes = Blueprint("pauses", __name__, url_prefix="/api/v1/services/<name>")

    def refused(name: str) -> tuple[Response, int] | None:
        if not authorised():
            why = "the bearer token is missing or wrong, or the site names no api_token_file"
            return jsonify(error=why), 401
        if name not in engine.workers:
            return jsonify(error=f"no service '{name}'; there is {', '.join(engine.workers)}"), 404
        return None

    @routes.errorhandler(JournalError)
    def not_written(fault: JournalError) -> tuple[Response, int]:
        log.error("no service was paused or resumed: %s", fault, extra={"event": "not_paused"})
        return jsonify(error=str(fault)), 503

    @routes.post("/pause")
    def pause(name: str) -> tuple[Response, int]:
        if no := refused(name):
            return no
        seconds, reason = read(json_body(_KEYS, _EXAMPLE, may_be_empty=False))
        begun = engine.journal.pauses.begin(name, seconds, reason)
        log.warning("paused for %.0f s: %s", seconds, reason, extra={"event": "paused", "service": name})
        open_incident = engine.workers[name].incident
        return jsonify(service=name, pause=to_json(begun), open_incident=open_incident), 200

    @routes.post("/resume")
    def resume(name: str) -> tuple[Response, int]:
        if no := refused(name):
            return no
        was_paused = engine.journal.pauses.end(name)
        if was_paused:
            log.warning("resumed", extra={"event": "resumed", "service": name})
            engine.workers[name].wake("resumed after a pause")
        return jsonify(service=name, was_paused=was_paused), 200

    return routes


def read(body: dict[str, Any]) -> tuple[float, str]:
    """Return the seconds and the reason from a request's JSON; raises `BadRequest`."""
    seconds, reason = body.get("seconds", DEFAULT_SECONDS), body.get("reason", "")
    is_number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    if not is_number or (isinstance(seconds, float) and not math.isfinite(seconds)):
        raise BadRequest("seconds: give a number; a pause must have an end")
    if not 1 <= seconds <= LONGEST_SECONDS:
        raise BadRequest(f"seconds: give 1 to {LONGEST_SECONDS:.0f} (31 days); a pause must have an end")
    if not isinstance(reason, str):
        raise BadRequest("reason: give a text")
    words = printable(reason)
    if len(words) > LONGEST_REASON:
        raise BadRequest(f"reason: give at most {LONGEST_REASON} characters")
    return float(seconds), words or "no reason given"


def to_json(pause: Pause | None) -> dict[str, object] | None:
    """Return a pause for JSON and for the page."""
    return None if pause is None else {"since": pause.begun_at, "until": pause.until, "reason": pause.reason}
