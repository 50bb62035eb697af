"""Where Alertmanager sends what: asked of amtool, with the shipped sample and with a site that has mail."""

from __future__ import annotations

import re
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from locum_actuator.stack.alertmanager import alertmanager_text
from locum_actuator.stack.layout import StackLayout
from locum_actuator.stack.prometheus import prometheus_text, write_alertmanager
from locum_inventory.site.load import load_site
from locum_inventory.site.model import Deadman, Mail

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "alert_rules" / "alertmanager.yml"
EXAMPLE = load_site(ROOT / "locum.example.yml")
STACK = StackLayout.of(EXAMPLE, elsewhere=EXAMPLE.chain)

ROUTES = {
    "a service is down": (
        "alertname=LocumServiceDown locum_action=true service=www host=a",
        "actuator,people",
    ),
    "an address is unheld": ("alertname=LocumAddressUnheld locum_action=true service=www", "actuator,people"),
    "the heartbeat": ("alertname=LocumHeartbeat severity=none", "actuator"),
    "a respawn is reported once": ("alertname=LocumRespawned severity=info service=www", "people-once"),
    "a host": ("alertname=LocumHostUnreachable severity=warning host=a", "people"),
    "for people alone": ("alertname=LocumTakeover severity=warning service=www", "people"),
    "action denied": ("alertname=LocumServiceDown locum_action=false service=www", "people"),
    "another program's alert": ("alertname=DiskFull severity=critical", "people"),
}


@pytest.mark.parametrize(("labels", "receivers"), ROUTES.values(), ids=ROUTES)
def test_routes(labels: str, receivers: str) -> None:
    assert routed(SAMPLE, labels) == receivers


def routed(config: Path, labels: str) -> str:
    command = ["amtool", "config", "routes", "test", f"--config.file={config}", *labels.split()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    return done.stdout.strip()


def test_what_acts_is_told_at_once() -> None:
    _, acting, *_ = yaml.safe_load(SAMPLE.read_text())["route"]["routes"]
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
def test_the_shipped_samples_are_what_the_example_generates(
    name: str, text: Callable[[StackLayout], str]
) -> None:
    assert (ROOT / "alert_rules" / f"{name}.yml").read_text() == text(STACK)


SMARTHOSTS = {
    "localhost:25": False,
    "127.0.0.1:25": False,
    "mail.example.org:587": True,
    "192.0.2.9:25": True,
}


@pytest.mark.parametrize(("smarthost", "tls"), SMARTHOSTS.items())
def test_mail(smarthost: str, tls: bool, tmp_path: Path) -> None:
    mail = Mail(
        to=("ops@example.org", "boss@example.org"),
        sender="locum@example.org",
        smarthost=smarthost,
        username="locum",
        password_file=Path("/etc/locum/mail password: #1"),
    )
    config = written(tmp_path, mail=mail)
    for receiver in config["receivers"][:2]:
        (sent,) = receiver["email_configs"]
        assert sent.pop("text").endswith('{{ template "locum.text" . }}\n')
        assert sent == {
            "to": "ops@example.org, boss@example.org",
            "from": "locum@example.org",
            "smarthost": smarthost,
            "require_tls": tls,
            "auth_username": "locum",
            "auth_password_file": "/etc/locum/mail password: #1",
            "send_resolved": receiver["name"] == "people",
            "headers": {"Subject": '{{ template "locum.subject" . }}', "Auto-Submitted": "auto-generated"},
            "html": "",
        }


def written(directory: Path, **site: Any) -> Any:
    """Write the configuration of the example with changes; return it once amtool found no fault in it."""
    (directory / "state").mkdir(parents=True)
    actuator = STACK.site.actuator.model_copy(update={"state_directory": directory / "state"})
    stack = StackLayout.of(STACK.site.model_copy(update={"actuator": actuator, **site}))
    write_alertmanager(stack, directory / "made")
    file = directory / "made/alertmanager.yml"
    done = subprocess.run(
        ["amtool", "check-config", file], capture_output=True, text=True, timeout=20, check=False
    )
    assert done.returncode == 0, done.stderr
    assert " - 1 templates\n" in done.stdout
    return yaml.safe_load(file.read_text())


def test_the_heartbeat_goes_to_somebody_outside_too(tmp_path: Path) -> None:
    file = tmp_path / "deadman.url"
    file.write_text("https://hc.example.org/ping/1/?create=/\n")
    deadman = Deadman(url_file=file, every=60)
    config = written(tmp_path, deadman=deadman)
    assert config["receivers"][-1] == {
        "name": "deadman",
        "webhook_configs": [
            {"url": "https://hc.example.org/ping/1/?create=/", "send_resolved": False, "max_alerts": 1}
        ],
    }
    assert routed(tmp_path / "made/alertmanager.yml", "alertname=LocumHeartbeat") == "actuator,deadman"
    assert (
        routed(tmp_path / "made/alertmanager.yml", "alertname=LocumServiceDown locum_action=true")
        == "actuator,people"
    )


def test_a_secret_url_is_printed_nowhere_and_written_for_its_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "deadman.url"
    file.write_text("https://hc.example.org/ping/a-secret\n")
    site = {"deadman": Deadman(url_file=file)}
    assert "a-secret" not in alertmanager_text(StackLayout.of(STACK.site.model_copy(update=site)))
    (webhook,) = written(tmp_path, **site)["receivers"][-1]["webhook_configs"]
    assert webhook["url"] == "https://hc.example.org/ping/a-secret"
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "made").rglob("*")}
    assert modes == {
        "alertmanager.yml": 0o600,
        "templates": 0o700,
        "locum.tmpl": 0o600,
        "RUNBOOK.md": 0o600,
        "actuator.crt": 0o600,
    }
    file.write_text("not a URL, but a-secret")
    with pytest.raises(OSError) as caught:  # noqa: PT011 - the whole message is compared
        written(tmp_path / "again", **site)
    assert (caught.value.filename, caught.value.strerror) == (
        str(file),
        "does not contain exactly one URL, such as https://hc.example.org/ping/...",
    )


def test_nothing_holds_an_alert_back_from_the_actuator() -> None:
    acting = {
        "LocumServiceDown",
        "LocumAddressUnheld",
        "LocumAddressHeldTwice",
        "LocumNotReached",
        "LocumHeartbeat",
    }
    for rule in yaml.safe_load(SAMPLE.read_text())["inhibit_rules"]:
        (target,) = rule["target_matchers"]
        assert not acting & set(re.findall(r"Locum\w+", target))
