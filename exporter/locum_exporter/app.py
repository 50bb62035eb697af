"""The exporter's HTTP interface: /probe, /sd, /metrics, /-/healthy and a page for people."""

from __future__ import annotations

import math

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from locum_exporter import discovery, index_page
from locum_exporter.metrics import ResultCollector
from locum_exporter.probe_request import NotInSiteError, ParameterMissingError, parse_probe_request
from locum_exporter.runner import Runner
from locum_exporter.self_metrics import OwnMetrics

TIMEOUT_HEADER = "X-Prometheus-Scrape-Timeout-Seconds"
_DEFAULT_SECONDS = 5.0
_MARGIN_SHARE, _LONGEST_MARGIN_SECONDS = 0.3, 0.3
_LONGEST_SECONDS = 60.0


class Exporter:
    """The state of the handlers: the current runner, which a reload replaces, and the exporter's own metrics."""

    def __init__(self, runner: Runner) -> None:
        self.runner = runner
        self.own_metrics = OwnMetrics(lambda: self.runner.site)

    def app(self) -> web.Application:
        """Return the aiohttp application."""
        app = web.Application()
        app.router.add_get("/probe", self._probe)
        app.router.add_get("/sd", self._sd)
        app.router.add_get("/metrics", self._metrics)
        app.router.add_get("/-/healthy", self._healthy)
        app.router.add_get("/", self._page)
        return app

    async def _probe(self, request: web.Request) -> web.Response:
        runner, query = self.runner, request.query
        try:
            look = parse_probe_request(runner.site, *map(query.get, ("check", "service", "host", "through")))
            deadline_seconds = deadline_from(request.headers.get(TIMEOUT_HEADER))
        except NotInSiteError as unknown:
            return web.Response(status=404, text=f"{_one_line(str(unknown))}\n")
        except ParameterMissingError as missing:
            return web.Response(status=400, text=f"{_one_line(str(missing))}\n")
        result = await runner.run_one(look, deadline_seconds)
        self.own_metrics.count(look, result)
        registry = CollectorRegistry()
        registry.register(ResultCollector(result))
        return _exposition(request, registry, f"# {_one_line(result.text)}\n")

    async def _sd(self, _request: web.Request) -> web.Response:
        return web.json_response(discovery.targets(self.runner.site))

    async def _metrics(self, request: web.Request) -> web.Response:
        return _exposition(request, self.own_metrics.registry)

    async def _healthy(self, _request: web.Request) -> web.Response:
        return web.Response(text="locum-exporter is healthy\n")

    async def _page(self, _request: web.Request) -> web.Response:
        text = index_page.render(self.runner.site, self.runner.this_name)
        return web.Response(text=text, content_type="text/html")


def deadline_from(header: str | None) -> float:
    """Return the seconds a check may take: the scrape timeout less a margin for returning the answer.

    The margin is three tenths, at most 300 ms. A check of a hung service uses all its time, and a scrape that times
    out is no vote: with a margin of a tenth, hung services went unreported on a busy machine.
    Raises ParameterMissingError if the header is not a number of seconds.
    """
    if header is None:
        return _DEFAULT_SECONDS
    try:
        timeout_seconds = float(header)
    except ValueError:
        timeout_seconds = math.nan
    if not 0 < timeout_seconds < math.inf:
        raise ParameterMissingError(f"header {TIMEOUT_HEADER} is not a number of seconds")
    margin_seconds = min(timeout_seconds * _MARGIN_SHARE, _LONGEST_MARGIN_SECONDS)
    return min(timeout_seconds - margin_seconds, _LONGEST_SECONDS)


def _exposition(request: web.Request, registry: CollectorRegistry, comment: str = "") -> web.Response:
    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    # OpenMetrics has no free comments; the plain text format, which people read, does.
    prefix = b"" if "openmetrics" in content_type else comment.encode()
    return web.Response(body=prefix + encode(registry), headers={"Content-Type": content_type})


def _one_line(text: str) -> str:
    return " ".join(text.split())
