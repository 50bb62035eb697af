"""Where Alertmanager sends what: asked of amtool, with the shipped sample and with a site that has mail."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from locum_actuator.chain.configuration import alertmanager_text, prometheus_text
from locum_actuator.chain.layout import Chain
from locum_inventory.load import load_site
from locum_inventory.model import Mail

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "alert_rules" / "alertmanager.yml"
CHAIN = Chain.of(load_site(ROOT / "locum.example.yml"))

ROUTES = {
    "a service is down": (
        "alertname=LocumServiceDown locum_action=true service=www host=a",
        "actuator,people",
    ),
    "an address is unheld": ("alertname=LocumAddressUnheld locum_action=true service=www", "actuator,people"),
    "the heartbeat": ("alertname=LocumHeartbeat severity=none", "heartbeat"),
    "for people alone": ("alertname=LocumTakeover severity=warning service=www", "people"),
    "action denied": ("alertname=LocumServiceDown locum_action=false service=www", "people"),
    "somebody else's alert": ("alertname=DiskFull severity=critical", "people"),
}


@pytest.mark.parametrize(("labels", "receivers"), ROUTES.values(), ids=ROUTES)
def test_routes(labels: str, receivers: str) -> None:
    done = subprocess.run(
        ["amtool", "config", "routes", "test", f"--config.file={SAMPLE}", *labels.split()],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert (done.returncode, done.stdout.strip()) == (0, receivers)


def test_what_acts_is_told_at_once() -> None:
    _, acting, _ = yaml.safe_load(SAMPLE.read_text())["route"]["routes"]
    assert acting == {
        "matchers": ['locum_action="true"'],
        "receiver": "actuator",
        "group_by": ["service", "host"],
        "group_wait": "0s",
        "group_interval": "200ms",
        "repeat_interval": "5s",
        "continue": True,
    }


@pytest.mark.parametrize(
    ("name", "text"), [("alertmanager", alertmanager_text), ("prometheus", prometheus_text)]
)
def test_the_shipped_samples_are_what_the_example_generates(name: str, text: Callable[[Chain], str]) -> None:
    assert (ROOT / "alert_rules" / f"{name}.yml").read_text() == text(CHAIN)


SMARTHOSTS = {
    "localhost:25": False,
    "127.0.0.1:25": False,
    "mail.example.org:587": True,
    "192.0.2.9:25": True,
}


@pytest.mark.parametrize(("smarthost", "tls"), SMARTHOSTS.items())
def test_mail(smarthost: str, tls: bool, tmp_path: Path) -> None:
    mail = Mail(to=("ops@example.org", "boss@example.org"), sender="locum@example.org", smarthost=smarthost)
    chain = Chain.of(CHAIN.site.model_copy(update={"mail": mail}))
    file = tmp_path / "alertmanager.yml"
    file.write_text(alertmanager_text(chain))
    subprocess.run(["amtool", "check-config", file], check=True, capture_output=True, timeout=20)
    people = yaml.safe_load(file.read_text())["receivers"][0]
    assert people == {
        "name": "people",
        "email_configs": [
            {
                "to": "ops@example.org, boss@example.org",
                "from": "locum@example.org",
                "smarthost": smarthost,
                "require_tls": tls,
                "send_resolved": True,
            }
        ],
    }
