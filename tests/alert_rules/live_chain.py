"""A real Prometheus and a real Alertmanager between an exporter and an actuator that are played by this process.

Both are configured and called as `locum up` does it, so they speak TLS and want its password.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from locum_actuator.chain.access import Access
from locum_actuator.stack.layout import StackLayout
from locum_actuator.stack.programs import find_programs, programs
from locum_actuator.stack.prometheus import RULES_FILE, write_configuration
from locum_inventory.listen import Listen
from locum_inventory.site.model import Site
from tests.support.http_server import QuietHandler, http_server
from tests.support.polling import wait_for
from tests.support.ports import unused_port

TOKEN = "a-token-of-this-test"
METRICS = "text/plain; version=0.0.4"


@dataclass
class World:
    """What the played exporter sees, and what the played actuator has heard."""

    services: tuple[str, ...]
    tier: str
    hosts: tuple[tuple[str, str], ...] = (("a", "preferred"), ("b", "standby"))
    failing: set[str] = field(default_factory=set)  # services that fail on host a
    failure_takes_seconds: float = 0.0
    actuator_metrics: dict[str, float] = field(
        default_factory=dict
    )  # what the actuator's metrics say besides
    holders: dict[str, str] = field(default_factory=dict)  # who holds a service that is not held by a
    webhooks: list[tuple[float, dict[str, Any]]] = field(default_factory=list)
    posts: list[tuple[str, int]] = field(default_factory=list)  # the first alert, and the port it came from
    unauthorized: int = 0

    def targets(self, exporter: Listen) -> list[dict[str, Any]]:
        return [
            {
                "targets": [str(exporter)],
                "labels": {
                    "__metrics_path__": "/probe",
                    "__scrape_interval__": self.tier,
                    "__scrape_timeout__": self.tier,
                    "__param_service": service,
                    "__param_host": host,
                    "service": service,
                    "host": host,
                    "check": "http",
                    "role": role,
                    "standby": "stopped",
                    "vantage_point": "b",
                    "tier": self.tier,
                    "decides": "true",
                    "votes": "true",
                },
            }
            for service in self.services
            for host, role in self.hosts
        ]

    def probe(self, service: str, host: str) -> str:
        if host != self.holders.get(service, "a") or (host == "a" and service in self.failing):
            time.sleep(self.failure_takes_seconds)
            return 'locum_check_success 0\nlocum_check_failure{reason="timeout"} 1\n'
        return "locum_check_success 1\n"

    def heard(self, service: str, status: str, since: float) -> float | None:
        """Return the seconds from `since` until the actuator heard that a service is down (or well again)."""
        for when, alert in list(self.webhooks):
            wanted = (alert["status"], alert["labels"]["alertname"], alert["labels"].get("service"))
            if when >= since and wanted == (status, "LocumServiceDown", service):
                return when - since
        return None


def _pages(world: World, exporter: Listen) -> type[QuietHandler]:
    """Return what the exporter says, and the actuator where it reports about itself."""

    class Handler(QuietHandler):
        protocol_version = "HTTP/1.1"

        def get(self) -> None:
            url = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(url.query).items()}
            if url.path == "/sd":
                self.answer(json.dumps(world.targets(exporter)), kind="application/json")
            elif url.path == "/probe":
                self.answer(world.probe(query["service"], query["host"]), kind=METRICS)
            else:
                lines = [
                    f'{metric}{{service="{service}",host="{host}"}} {value:g}\n'
                    for service in world.services
                    for metric, host, value in (
                        ("locum_site_voters", "a", 1),
                        ("locum_site_voters", "b", 1),
                        ("locum_actuator_holder", "a", world.holders.get(service, "a") == "a"),
                        ("locum_actuator_holder", "b", world.holders.get(service, "a") == "b"),
                    )
                ]
                lines.append("locum_actuator_heartbeat_age_seconds 1\n")
                lines += [f"{series} {value:g}\n" for series, value in world.actuator_metrics.items()]
                self.answer("".join(lines), kind=METRICS)

    return Handler


def _webhook(world: World) -> type[QuietHandler]:
    """Return the actuator where it receives alerts."""

    class Handler(QuietHandler):
        protocol_version = "HTTP/1.1"

        def post(self, body: bytes) -> None:
            now = time.monotonic()
            payload = json.loads(body)
            if self.headers["Authorization"] != f"Bearer {TOKEN}":
                world.unauthorized += 1
            world.posts.append((payload["alerts"][0]["labels"]["alertname"], self.client_address[1]))
            world.webhooks += [(now, alert) for alert in payload["alerts"]]
            self.answer("", status=202)

    return Handler


class LiveChain:
    """Started with `with`; ends its programs and threads when left. `site` is what its site file says besides."""

    def __init__(
        self, directory: Path, world: World, rules: str | None = None, site: Mapping[str, Any] | None = None
    ) -> None:
        self.world = world
        exporter, webhook = Listen("127.0.0.1", unused_port()), Listen("127.0.0.1", unused_port())
        token = directory / "token"
        token.write_text(TOKEN)
        self.stack = StackLayout.of(
            _site(exporter, directory, token, site or {}),
            actuator=exporter,
            webhook=webhook,
            prometheus=Listen("127.0.0.1", unused_port()),
            alertmanagers=[Listen("127.0.0.1", unused_port())],
        )
        self.directory = self.stack.directory
        write_configuration(self.stack)
        if rules is not None:
            (self.directory / RULES_FILE).write_text(rules)
        self._exporter, self._webhook = exporter, webhook
        self._servers = ExitStack()
        self.programs: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> LiveChain:
        tls = self.stack.certificate.server_context()
        self._servers.enter_context(http_server(_pages(self.world, self._exporter), self._exporter))
        self._servers.enter_context(http_server(_webhook(self.world), self._webhook, tls))
        for program in programs(self.stack, self.directory / "no-site-file.yml", find_programs()):
            if program.name in ("alertmanager", "prometheus"):  # the others are played
                with (self.directory / f"{program.name}.log").open("wb") as log:
                    self.programs[program.name] = subprocess.Popen(program.command, stdout=log, stderr=log)
        return self

    def __exit__(self, *_: object) -> None:
        for program in reversed(self.programs.values()):
            program.terminate()
        for program in self.programs.values():
            program.wait(20)
        self._servers.close()

    def query(self, path: str, parameters: Mapping[str, str] | None = None) -> Any:
        """Ask Prometheus; OSError where it does not answer."""
        url = self.stack.prometheus_url
        with Access(self.stack.parts).session(url) as session:
            answer = session.get(f"{url}{path}", params=parameters, timeout=5)
            answer.raise_for_status()
            return answer.json()

    def kill(self, *names: str) -> None:
        """End programs as a crash would: `prometheus`, `alertmanager`."""
        for name in names:
            self.programs[name].kill()
            self.programs[name].wait(20)

    def wait_for_targets(self, count: int, deadline_seconds: float = 40) -> None:
        """Return once so many targets were scraped."""

        def scraped() -> int:
            try:
                targets = self.query("/api/v1/targets", {"state": "active"})["data"]["activeTargets"]
            except OSError:
                return 0
            return sum(target["health"] == "up" for target in targets)

        wait_for(lambda: scraped() >= count, f"{count} targets are scraped", deadline_seconds, state=scraped)


def _site(exporter: Listen, directory: Path, token: Path, besides: Mapping[str, Any]) -> Site:
    return Site.model_validate(
        {
            "hosts": {"a": {"address": "192.0.2.1"}, "b": {"address": "192.0.2.2"}},
            "services": {
                "www": {
                    "hosts": ["a", "b"],
                    "addresses": ["192.0.2.100/24"],
                    "interface": "eth0",
                    "takeover": {"when_unreachable": "takeover"},
                }
            },
            # One exporter under two names, so that all targets are listed twice.
            "vantage_points": {
                "b": {"url": exporter.url},
                "c": {"url": f"http://localhost:{exporter.port}"},
            },
            "witnesses": ["192.0.2.254"],
            "actuator": {"host": "b", "webhook_token_file": str(token), "state_directory": str(directory)},
            **besides,
        }
    )
