"""What Grafana would show of a lab: query its Prometheus for every panel and every rule, and draw them."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from lab.forward import Forwarder
from lab.host import CHECKOUT, Host
from lab.locum import HOME, STATE, Locum
from lab.needs import LabError

PROMETHEUS_PORT = 9090
# The parts of the chain are scraped every 5 s, and a change needs two samples.
SCRAPED_TWICE_SECONDS = 11.0
PROGRAM_SECONDS = 120.0
PICTURE = ("--dashboard", "service", "--section", "Now", "--section", "Its checks")


def ask(locum: Locum, since: float, *, picture: Path | None = None) -> tuple[bool, str]:
    """Query everything since a time (time.time()); return whether it is complete, and the tables.

    With `picture`, a part of the dashboard *service* is also drawn into that file.
    """
    time.sleep(SCRAPED_TWICE_SECONDS)
    until = time.time()
    with Forwarder() as forwarder:
        host = locum.lab.host(HOME)
        url = forwarder.forward(host, PROMETHEUS_PORT).url.replace("http://", "https://", 1)
        asking = ["--prometheus", url, *credentials(host)]
        asked = _program("grafana.ask", [*asking, "--seconds", f"{until - since:.0f}"])
        if asked.returncode not in {0, 1}:
            raise LabError(asked.stderr.strip())
        if picture is not None:
            shown = ("--from", f"{since:.0f}", "--to", f"{until:.0f}", *PICTURE)
            drawn = _program("grafana.draw", [*asking, *shown, "--output", str(picture.resolve())])
            if drawn.returncode != 0:
                raise LabError(drawn.stderr.strip())
    return asked.returncode == 0, asked.stdout


def credentials(host: Host) -> list[str]:
    """Return the options with which the programs of grafana/ query the Prometheus of `locum up` on a host."""
    state = host.root / STATE.lstrip("/")
    return ["--password-file", str(state / "chain/web.password"), "--ca-file", str(state / "tls/chain.crt")]


def _program(name: str, words: Sequence[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", name, *words],
        cwd=CHECKOUT, capture_output=True, text=True, timeout=PROGRAM_SECONDS, check=False,
    )  # fmt: skip
