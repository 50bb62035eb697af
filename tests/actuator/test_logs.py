"""The log of a running actuator: each line read back, each about its service and incident, and no secret in any."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.support.forked_programs import ForkedPrograms
from tests.support.log_reading import read_logfmt
from tests.support.polling import wait_for
from tests.support.ports import unused_port
from tests.support.site_files import SECRETS, quiet_site

pytestmark = pytest.mark.integration

FORGED = "LocumServiceDown\nlevel=info msg=forged"
Reader = Callable[[str], Mapping[str, Any]]
READERS: dict[str, Reader] = {"logfmt": read_logfmt, "json": json.loads}


def _texts(line: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in line.items()}


class Running:
    """An actuator, and what it has logged so far."""

    def __init__(self, url: str, log: Path, read: Reader) -> None:
        self.url, self._log, self._read = url, log, read

    def lines(self) -> list[Mapping[str, Any]]:
        whole, _, _ = self._log.read_text().rpartition("\n")  # the last one may be half written
        return [self._read(line) for line in whole.splitlines()]

    def wait_for(self, event: str, **fields: str) -> Mapping[str, Any]:
        def found() -> Mapping[str, Any] | None:
            wanted = {"event": event, **fields}
            return next((line for line in self.lines() if wanted.items() <= _texts(line).items()), None)

        return wait_for(found, f"{event} with {fields} is logged", 60, state=self._log.read_text)

    def webhook(self, token: str, name: str = "LocumServiceDown") -> int:
        alert = {"status": "firing", "labels": {"alertname": name, "service": "www", "host": "a"}}
        asked = requests.post(
            f"{self.url}/webhook", json={"version": "4", "alerts": [alert]},
            headers={"Authorization": f"Bearer {token}"}, timeout=30,
        )  # fmt: skip
        return asked.status_code


@contextmanager
def running(programs: ForkedPrograms, directory: Path, style: str) -> Iterator[Running]:
    port, log = unused_port(), directory / "actuator.log"
    words = [
        "--site", str(quiet_site(directory)), "--listen", f"127.0.0.1:{port}",
        "--webhook-listen", f"127.0.0.1:{unused_port()}", "--log-format", style, "--log-level", "debug",
    ]  # fmt: skip
    log.touch()
    with programs.started("locum_actuator.server:main", words, log) as process:
        actuator = Running(f"http://127.0.0.1:{port}", log, READERS[style])
        actuator.wait_for("listening")
        yield actuator
        process.terminate()
        assert process.wait() == 0


@pytest.mark.parametrize("style", READERS)
def test_the_log_of_an_actuator(programs: ForkedPrograms, style: str, tmp_path: Path) -> None:
    with running(programs, tmp_path, style) as actuator:
        opened = actuator.wait_for("incident_opened", trigger="start-up")
        assert actuator.webhook("not the token at all") == 401
        assert actuator.webhook(SECRETS["webhook"]) == 202
        assert actuator.webhook(SECRETS["webhook"], FORGED) == 202
        accepted = actuator.wait_for("alert", verdict="accepted")
        ignored = actuator.wait_for("alert", verdict="ignored")
        decided = actuator.wait_for("decided", incident=str(opened["incident"]))
        tell = {"Authorization": f"Bearer {SECRETS['api']}"}
        pause = {"seconds": 60, "reason": "new disks"}
        asked = requests.post(
            f"{actuator.url}/api/v1/services/www/pause", json=pause, headers=tell, timeout=30
        )
        assert asked.status_code == 200
        paused = actuator.wait_for("paused")
        actuator.wait_for("chain_part", level="error", part="prometheus")
    lines = actuator.lines()  # each could be read
    assert {line["service"] for line in (opened, accepted, decided, paused)} == {"www"}
    assert str(opened["incident"]) == "1"
    assert (accepted["level"], ignored["level"], ignored["alert"]) == ("info", "debug", FORGED)
    assert (paused["level"], paused["msg"]) == ("warning", "paused for 60 s: new disks")
    of_an_incident = [
        line for line in lines if line.get("event") in {"incident_opened", "decided", "incident_closed"}
    ]
    assert all(line["service"] == "www" and "incident" in line for line in of_an_incident)
    assert all(
        {"ts", "level", "msg"} <= set(line) and ("event" in line) != ("logger" in line) for line in lines
    )
    assert [line["level"] for line in lines if line.get("event") == "ending"] == ["info"]
    text = (tmp_path / "actuator.log").read_text()
    assert [secret for secret in (*SECRETS.values(), "not the token at all") if secret in text] == []
