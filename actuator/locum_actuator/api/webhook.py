"""The webhook: authenticate, parse, write to the journal, answer. Workers act on the alert later."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable

from flask import Blueprint, Response, jsonify, request

from locum_actuator.domain.alerts import PayloadError, parse
from locum_actuator.engine.engine import Engine
from locum_actuator.journal.database import JournalError

log = logging.getLogger(__name__)

MAX_BODY_BYTES = 4 * 1024 * 1024


def intake_routes(engine: Engine, authorised: Callable[[], bool]) -> Blueprint:
    """Return the route of the webhook; `authorised` checks the current request."""
    routes = Blueprint("intake", __name__)

    def fault(verdict: str, text: str, status: int) -> tuple[Response, int]:
        engine.metrics.webhooks.labels(verdict).inc()
        return jsonify(error=text), status

    @routes.post("/webhook")
    def webhook() -> tuple[Response, int]:
        if not authorised():
            return fault("unauthorised", "the bearer token is missing or wrong", 401)
        if request.content_length is not None and request.content_length > MAX_BODY_BYTES:
            return fault("too_large", f"the body is larger than {MAX_BODY_BYTES} bytes", 413)
        try:
            alerts = parse(json.loads(request.get_data()))
        except (ValueError, RecursionError):
            return fault("not_json", "the body is not JSON", 400)
        except PayloadError as wrong:
            return fault("not_a_webhook", str(wrong), 400)
        try:
            verdicts = engine.accept(alerts)
        except JournalError as broken:
            log.error("webhook not accepted: %s", broken, extra={"event": "webhook_not_accepted"})
            return fault("journal", "the journal cannot be written; send the request again", 503)
        for verdict, count in verdicts.items():
            engine.metrics.webhooks.labels(verdict).inc(count)
        return jsonify(verdicts=verdicts), 202

    return routes
