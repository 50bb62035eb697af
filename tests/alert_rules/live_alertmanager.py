"""A real Alertmanager with the shipped configuration, and alerts posted to it as Prometheus would."""

from __future__ import annotations

import json
import shutil
import subprocess
import urllib.request
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from locum_actuator.stack.layout import StackLayout
from locum_actuator.stack.prometheus import write_alertmanager
from locum_inventory.listen import Listen
from locum_inventory.site.model import Site
from tests.support.polling import wait_for
from tests.support.ports import unused_port

# The same ways and words as shipped, sent sooner: a test need not wait for what comes together.
SOONER = {"group_wait: 10s": "group_wait: 100ms", "group_interval: 1m": "group_interval: 200ms"}


class LiveAlertmanager:
    """Started with `with`; ends its program when left."""

    def __init__(self, directory: Path, site: Site, sooner: Mapping[str, str] = SOONER) -> None:
        listen = Listen("127.0.0.1", unused_port())
        self._url, self._directory = listen.url, directory
        write_alertmanager(StackLayout.of(site, alertmanagers=[listen]), directory)
        config = directory / "alertmanager.yml"
        text = config.read_text()
        for shipped, here in sooner.items():
            assert shipped in text
            text = text.replace(shipped, here)
        config.write_text(text)
        self._command = [
            shutil.which("prometheus-alertmanager") or "alertmanager",
            f"--config.file={config}",
            f"--storage.path={directory}/am",
            f"--web.listen-address={listen}",
            "--web.external-url=http://b.example.org:9093",
            "--web.route-prefix=/",
            "--cluster.listen-address=",
        ]

    def __enter__(self) -> LiveAlertmanager:
        log = (self._directory / "alertmanager.log").open("wb")
        self.program = subprocess.Popen(self._command, stdout=log, stderr=log)
        log.close()
        wait_for(self._is_ready, "Alertmanager is ready", 20, state=self.log)
        return self

    def __exit__(self, *_: object) -> None:
        self.program.terminate()
        self.program.wait(20)

    def _is_ready(self) -> bool:
        try:
            urllib.request.urlopen(f"{self._url}/-/ready", timeout=1).close()
        except OSError:
            return False
        return True

    def log(self) -> str:
        return (self._directory / "alertmanager.log").read_text()

    def post(self, alerts: Iterable[Mapping[str, Any]]) -> None:
        body = json.dumps(list(alerts)).encode()
        request = urllib.request.Request(
            f"{self._url}/api/v2/alerts", body, {"Content-Type": "application/json"}
        )
        urllib.request.urlopen(request, timeout=5).close()
