"""Assemble the actuator's HTTP applications: the webhook, the API, metrics and the page."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from flask import Flask, Response, jsonify
from werkzeug.exceptions import HTTPException

from locum_actuator.api.bearer_auth import bearer_auth
from locum_actuator.api.csrf import install_csrf_protection
from locum_actuator.api.incidents import incident_routes
from locum_actuator.api.management import own_routes
from locum_actuator.api.mirror import mirror_routes
from locum_actuator.api.moves import move_routes
from locum_actuator.api.pauses import pause_routes
from locum_actuator.api.services import service_routes
from locum_actuator.api.webhook import MAX_BODY_BYTES, intake_routes
from locum_actuator.chain.watch import ChainPart
from locum_actuator.domain.numbers import NumberConverter
from locum_actuator.engine.engine import Engine
from locum_actuator.engine.explain import Explainer
from locum_actuator.engine.site_reload import ReloadResult
from locum_actuator.journal.database import JournalError
from locum_actuator.journal.incidents import IncidentQueries
from locum_actuator.journal.reader import JournalReader
from locum_actuator.page.routes import page_routes
from locum_inventory.site.model import ChainParts

__all__ = ["MAX_BODY_BYTES", "create_app", "create_webhook_app"]


def create_app(
    engine: Engine,
    webhook_token: str,
    api_token: str | None,
    reload: Callable[[], ReloadResult],
    chain: Callable[[], Sequence[ChainPart]] = tuple,
    *,
    where: Callable[[], ChainParts] | None = None,
) -> Flask:
    """Return the Flask application.

    `reload` loads the site file again and returns the result. `chain` returns the state of the parts of the chain.
    `where` returns the URLs of Prometheus and Alertmanager if they replace those of the site file.
    """
    app = Flask(__name__, static_folder=None)
    app.url_map.converters["number"] = NumberConverter
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES
    install_csrf_protection(app)
    authorised, explainer = bearer_auth(api_token), Explainer(engine)
    # A separate connection: reading old incidents must not delay writes of an open one.
    shelf = IncidentQueries(JournalReader(engine.journal.path).read)
    for routes in (
        intake_routes(engine, bearer_auth(webhook_token)),
        service_routes(engine, explainer),
        incident_routes(engine, shelf),
        move_routes(engine, authorised),
        mirror_routes(engine, authorised),
        pause_routes(engine, authorised),
        own_routes(engine, authorised, reload, chain),
        page_routes(
            engine, explainer, shelf, authorised, chain=chain, where=where or (lambda: engine.site.chain)
        ),
    ):
        app.register_blueprint(routes)

    _faults_in_json(app)

    @app.errorhandler(JournalError)
    def no_journal(fault: JournalError) -> tuple[Response, int]:
        return jsonify(error=str(fault)), 503

    return app


def create_webhook_app(engine: Engine, webhook_token: str) -> Flask:
    """Return the application that only receives alerts."""
    app = Flask("locum_webhook", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES
    app.register_blueprint(intake_routes(engine, bearer_auth(webhook_token)))
    _faults_in_json(app)
    return app


def _faults_in_json(app: Flask) -> None:
    @app.errorhandler(HTTPException)
    def plain_fault(fault: HTTPException) -> tuple[Response, int]:
        return jsonify(error=fault.description), fault.code or 500
