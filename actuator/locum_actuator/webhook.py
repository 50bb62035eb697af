"""The HTTP side of the actuator: the webhook, the API, metrics and the page. Decides nothing."""

from __future__ import annotations

import hmac
import json
import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from flask import Flask, Response, jsonify, render_template, request
from werkzeug.exceptions import HTTPException

from locum_actuator.alerts import PayloadFault, parse
from locum_actuator.chain_watch import HEARTBEAT, Part, judge_heartbeat
from locum_actuator.decision import decide
from locum_actuator.engine import Engine
from locum_actuator.incident import seen
from locum_actuator.journal import JournalFault
from locum_actuator.mirror.api import mirror_routes
from locum_actuator.move_api import move_routes
from locum_actuator.moves import Move
from locum_actuator.pause_api import in_plain_values, pause_routes
from locum_actuator.reading import Reading
from locum_actuator.rejoin import is_complete

log = logging.getLogger(__name__)

MAX_BODY_BYTES = 4 * 1024 * 1024
EXPLAIN_WAIT_SECONDS = 5.0


def create_app(
    engine: Engine,
    webhook_token: str,
    api_token: str | None,
    reload: Callable[[], Reading],
    chain: Callable[[], Sequence[Part]] = tuple,
) -> Flask:
    """Return the Flask application.

    `reload` loads the site file anew and returns what became of it. `chain` returns what is known of the parts of
    the chain.
    """
    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES
    explaining = threading.Lock()
    app.register_blueprint(move_routes(engine, lambda: api_token is not None and _authorised(api_token)))
    app.register_blueprint(mirror_routes(engine, lambda: api_token is not None and _authorised(api_token)))
    app.register_blueprint(pause_routes(engine, lambda: api_token is not None and _authorised(api_token)))

    @app.errorhandler(HTTPException)
    def plain_fault(fault: HTTPException) -> tuple[Response, int]:
        return jsonify(error=fault.description), fault.code or 500

    @app.post("/webhook")
    def webhook() -> tuple[Response, int]:
        if not _authorised(webhook_token):
            return _fault(engine, "unauthorised", "the bearer token is missing or wrong", 401)
        if request.content_length is not None and request.content_length > MAX_BODY_BYTES:
            return _fault(engine, "too_large", f"the body is larger than {MAX_BODY_BYTES} bytes", 413)
        try:
            alerts = parse(json.loads(request.get_data()))
        except (ValueError, RecursionError):
            return _fault(engine, "not_json", "the body is not JSON", 400)
        except PayloadFault as fault:
            return _fault(engine, "not_a_webhook", str(fault), 400)
        try:
            verdicts = engine.accept(alerts)
        except JournalFault as fault:
            log.error("webhook not accepted: %s", fault, extra={"event": "webhook_not_accepted"})
            return _fault(engine, "journal", "the journal cannot take it; send it again", 503)
        for verdict, count in verdicts.items():
            engine.metrics.webhooks.labels(verdict).inc(count)
        return jsonify(verdicts=verdicts), 202

    @app.get("/api/v1/services")
    def services() -> Response:
        return jsonify(services=[_service(engine, name) for name in engine.workers])

    @app.get("/api/v1/services/<name>")
    def service(name: str) -> tuple[Response, int]:
        if name not in engine.workers:
            return _unknown(engine, name)
        return jsonify(_service(engine, name)), 200

    @app.get("/api/v1/services/<name>/explain")
    def explain(name: str) -> tuple[Response, int]:
        if name not in engine.workers:
            return _unknown(engine, name)
        context = engine.context(name)
        # One at a time: looks that anybody asks for must not take the gates' room from those that decide.
        if not explaining.acquire(timeout=EXPLAIN_WAIT_SECONDS):
            return jsonify(error="another look is under way; ask again"), 503
        try:
            situation = context.looker.situation(name)
        finally:
            explaining.release()
        plan = decide(situation, context.memory(), context.service)
        others = [host for host in context.service.hosts if host != context.journal.holder(name).host]
        moves = {
            host: asdict(engine.mover.judge(name, Move("switchover", host, "somebody"), situation))
            for host in others
        }
        return jsonify(plan=asdict(plan), moves=moves, seen=seen(situation), **_service(engine, name)), 200

    @app.get("/api/v1/incidents")
    def incidents() -> tuple[Response, int]:
        name = request.args.get("service")
        if name is not None and name not in engine.workers:
            return _unknown(engine, name)
        limit = request.args.get("limit", 50, type=int)
        return jsonify(incidents=engine.journal.incidents(name, max(1, min(limit, 1000)))), 200

    @app.get("/api/v1/chain")
    def parts() -> Response:
        return jsonify(unready=unready(engine, chain()), parts=[_part(part) for part in chain()])

    @app.post("/-/reload")
    def reload_site() -> tuple[Response, int]:
        if api_token is None or not _authorised(api_token):
            return jsonify(
                error="the bearer token is missing or wrong, or the site names no api_token_file"
            ), 401
        reading = reload()
        if reading.faults:
            return jsonify(error="\n".join(reading.faults)), 400
        return jsonify(reloaded=True, notes=reading.notes), 200

    @app.get("/metrics")
    def metrics() -> Response:
        return Response(engine.metrics.render(), mimetype="text/plain; version=0.0.4; charset=utf-8")

    @app.get("/-/healthy")
    def healthy() -> Response:
        return Response("healthy\n", mimetype="text/plain")

    @app.get("/-/ready")
    def ready() -> tuple[Response, int]:
        why = unready(engine, chain())
        return Response(f"{why or 'ready'}\n", mimetype="text/plain"), 503 if why else 200

    @app.get("/")
    def page() -> str:
        return render_template(
            "page.html",
            services=[_service(engine, name) for name in engine.workers],
            incidents=engine.journal.incidents(limit=20),
            unready=unready(engine, chain()),
            chain=chain(),
            when=lambda at: time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at)),
        )

    return app


def unready(engine: Engine, chain: Sequence[Part] = ()) -> str | None:
    """Return why the actuator is not ready, or None: its workers run and every part of the chain is there."""
    stuck = engine.stuck()
    missing = {part.name: part.text for part in chain if part.up is not True}
    # The heartbeat is judged now, and not when the chain was looked at last.
    heartbeat = judge_heartbeat(engine.heartbeat_age_seconds)
    missing.pop(HEARTBEAT, None)
    if heartbeat.up is not True:
        missing[HEARTBEAT] = heartbeat.text
    found = [stuck] if stuck else []
    return "; ".join([*found, *(f"{name}: {text}" for name, text in missing.items())]) or None


def _part(part: Part) -> dict[str, Any]:
    return {"part": part.name, "up": part.up, "text": part.text, "since": part.since}


def _authorised(token: str) -> bool:
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    return scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), token.encode())


def _fault(engine: Engine, verdict: str, text: str, status: int) -> tuple[Response, int]:
    engine.metrics.webhooks.labels(verdict).inc()
    return jsonify(error=text), status


def _unknown(engine: Engine, name: str) -> tuple[Response, int]:
    return jsonify(error=f"no service '{name}'; there is {', '.join(engine.workers)}"), 404


def _service(engine: Engine, name: str) -> dict[str, Any]:
    service = engine.site.services[name]
    holder = engine.journal.holder(name)
    return {
        "service": name,
        "addresses": [str(address) for address in service.addresses],
        "hosts": list(service.hosts),
        "holder": holder.host,
        "epoch": holder.epoch,
        "since": holder.since,
        "mode": service.takeover.mode,
        "unreachable": service.takeover.unreachable,
        "pause": in_plain_values(engine.journal.pause(name)),
        "open_incident": engine.workers[name].incident,
        "alone": engine.workers[name].patrol.alone,
        "hosts_seen": engine.workers[name].patrol.seen,
        "copies": {host: asdict(copy) for host, copy in engine.context(name).memory().copies.items()},
        "rejoin": {
            host: {"complete": is_complete(items), "items": [asdict(item) for item in items]}
            for host, items in engine.workers[name].patrol.checklists().items()
        },
        "failback": engine.failback.words(name),
    }
