"""Report the actuator's own state over HTTP (health, readiness, chain, metrics), and reload the site file."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from flask import Blueprint, Response, jsonify

from locum_actuator.api.readiness import unready
from locum_actuator.chain.watch import ChainPart
from locum_actuator.engine.engine import Engine
from locum_actuator.engine.site_reload import ReloadResult


def own_routes(
    engine: Engine,
    authorised: Callable[[], bool],
    reload: Callable[[], ReloadResult],
    chain: Callable[[], Sequence[ChainPart]],
) -> Blueprint:
    """Return the routes; `authorised` checks the current request, `chain` returns the chain's parts."""
    routes = Blueprint("own", __name__)

    @routes.get("/api/v1/chain")
    def parts() -> Response:
        parts = [
            {"part": part.name, "up": part.up, "text": part.text, "since": part.since} for part in chain()
        ]
        return jsonify(unready=unready(engine, chain()), parts=parts)

    @routes.post("/-/reload")
    def reload_site() -> tuple[Response, int]:
        if not authorised():
            return jsonify(
                error="the bearer token is missing or wrong, or the site names no api_token_file"
            ), 401
        reading = reload()
        if reading.faults:
            return jsonify(error="\n".join(reading.faults)), 400
        return jsonify(reloaded=True, notes=reading.notes), 200

    @routes.get("/metrics")
    def metrics() -> Response:
        return Response(engine.metrics.render(), mimetype="text/plain; version=0.0.4; charset=utf-8")

    @routes.get("/-/healthy")
    def healthy() -> Response:
        return Response("healthy\n", mimetype="text/plain")

    @routes.get("/-/ready")
    def ready() -> tuple[Response, int]:
        why = unready(engine, chain())
        return Response(f"{why or 'ready'}\n", mimetype="text/plain"), 503 if why else 200

    return routes
