"""Serve the page over HTTP: the pages themselves, the parts that they poll, and static files."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from flask import Blueprint, Response, abort, jsonify, make_response, request
from werkzeug.wrappers import Response as BaseResponse

from locum_actuator.chain.watch import ChainPart
from locum_actuator.domain.numbers import parse_number
from locum_actuator.engine.engine import Engine
from locum_actuator.engine.explain import Explainer
from locum_actuator.journal.incidents import IncidentQueries
from locum_actuator.page.polling import PagePolling, PageSnapshot
from locum_actuator.page.render import compile_all, render
from locum_actuator.page.runbook import runbook_html
from locum_actuator.page.view import PageView
from locum_inventory.site.model import ChainParts

A_PAGE_OF_INCIDENTS = 30


def page_routes(
    engine: Engine,
    explainer: Explainer,
    shelf: IncidentQueries,
    authorised: Callable[[], bool],
    *,
    chain: Callable[[], Sequence[ChainPart]],
    where: Callable[[], ChainParts],
) -> Blueprint:
    """Return the routes; `authorised` checks the current request, `chain` and `where` are those of `create_app`."""
    routes = Blueprint("page", __name__, static_folder="static", static_url_path="/page/static")
    scenes = PageView(engine, shelf, chain)
    live = PagePolling(engine, explainer, scenes, where)
    compile_all()

    @routes.get("/")
    def page() -> Response:
        frame = live.frame()
        return _page(render("page.html", **frame.scene, parts=frame.parts))

    @routes.get("/page/live")
    def state() -> BaseResponse:
        return _if_changed(live.frame())

    @routes.get("/incidents")
    def incidents() -> Response:
        before, name = request.args.get("before", type=parse_number), request.args.get("service") or None
        rows = shelf.rows(name, before, A_PAGE_OF_INCIDENTS + 1)
        now = time.time()
        shown = [scenes.pictured(row, now) for row in rows[:A_PAGE_OF_INCIDENTS]]
        older = shown[-1]["id"] if len(rows) > A_PAGE_OF_INCIDENTS else None
        return _page(render("list.html", incidents=shown, older=older, service=name, before=before))

    @routes.get("/incidents/<number:number>")
    def incident(number: int) -> Response:
        frame = one(number)
        return _page(render("incident_page.html", **frame.scene, parts=frame.parts))

    @routes.get("/page/live/incidents/<number:number>")
    def incident_state(number: int) -> BaseResponse:
        return _if_changed(one(number))

    @routes.get("/runbook")
    def runbook() -> Response:
        return _page(render("runbook.html", runbook=runbook_html()))

    @routes.post("/page/token")
    def token() -> tuple[Response, int]:
        if authorised():
            return jsonify(right=True), 200
        return jsonify(error="this is not the API token, or the site names no api_token_file"), 401

    def one(number: int) -> PageSnapshot:
        row = shelf.row(number)
        if row is None:
            abort(404, f"no incident {number}")
        made = scenes.pictured(row, time.time())
        fact = f"incident {number} is {made['outcome'] or 'open'}"
        return PageSnapshot.of({"i": made}, {"incident": render("incident.html", i=made)}, {"incident": fact})

    return routes


def _page(text: str) -> Response:
    answer = make_response(text)
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _if_changed(frame: PageSnapshot) -> BaseResponse:
    """Answer 304 if the browser has this version already."""
    answer = make_response(frame.body)
    answer.mimetype = "application/json"
    answer.set_etag(frame.etag)
    answer.headers["Cache-Control"] = "no-cache"
    return answer.make_conditional(request)
