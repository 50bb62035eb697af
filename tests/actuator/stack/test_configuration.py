"""Where the chain's parts listen, and the texts made of that."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from locum_actuator.chain.runbook_link import runbook_link
from locum_actuator.stack.alertmanager import alertmanager_text
from locum_actuator.stack.layout import StackLayout
from locum_actuator.stack.prometheus import rules_text, write_configuration
from locum_inventory.listen import Listen
from locum_inventory.site.model import Site


def a_site(**changes: Any) -> Site:
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
            "vantage_points": {"b": {"url": "http://192.0.2.2:10751"}},
            "witnesses": ["192.0.2.254"],
            "actuator": {"host": "b", "webhook_token_file": "/etc/locum/webhook.token"},
            **changes,
        }
    )


LISTENS = {
    "127.0.0.1:9090": Listen("127.0.0.1", 9090),
    "[::1]:9090": Listen("::1", 9090),
    "localhost:1": Listen("localhost", 1),
    ":9090": Listen("", 9090),
}
BAD_LISTENS = {
    "": "'' is not HOST:PORT, as in 127.0.0.1:9090",
    "9090": "'9090' is not HOST:PORT, as in 127.0.0.1:9090",
    "127.0.0.1:": "'127.0.0.1:' is not HOST:PORT, as in 127.0.0.1:9090",
    "127.0.0.1:0": "'127.0.0.1:0' is not HOST:PORT, as in 127.0.0.1:9090",
    "127.0.0.1:65536": "'127.0.0.1:65536' is not HOST:PORT, as in 127.0.0.1:9090",
    "127.0.0.1:²": "'127.0.0.1:²' is not HOST:PORT, as in 127.0.0.1:9090",
    "::1:9090": "'::1:9090': write an IPv6 address in brackets, as in [::1]:9090",
}


@pytest.mark.parametrize(("text", "listen"), LISTENS.items())
def test_listen_is_read_and_written(text: str, listen: Listen) -> None:
    assert Listen.parse(text) == listen
    assert str(listen) == text


@pytest.mark.parametrize(("text", "message"), BAD_LISTENS.items())
def test_a_bad_listen_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the whole message is compared
        Listen.parse(text)
    assert str(caught.value) == message


URLS = {
    ":80": "http://127.0.0.1:80",
    "0.0.0.0:80": "http://127.0.0.1:80",
    "[::]:80": "http://[::1]:80",
    "192.0.2.1:80": "http://192.0.2.1:80",
}


@pytest.mark.parametrize(("text", "url"), URLS.items())
def test_everywhere_is_asked_on_loopback(text: str, url: str) -> None:
    assert Listen.parse(text).url == url


EXPORTERS = {
    "where the vantage point is": ({"b": {"url": "http://192.0.2.2:10751"}}, "192.0.2.2:10751"),
    "IPv6": ({"b": {"url": "http://[2001:db8::2]:10751"}}, "[2001:db8::2]:10751"),
    "no port": ({"b": {"url": "http://192.0.2.2"}}, "192.0.2.2:80"),
    "no vantage point of its own": ({"a": {"url": "http://192.0.2.1:10751"}}, "127.0.0.1:10751"),
}


@pytest.mark.parametrize(("points", "listen"), EXPORTERS.values(), ids=EXPORTERS)
def test_the_exporter_listens(points: dict[str, Any], listen: str) -> None:
    assert str(StackLayout.of(a_site(vantage_points=points)).exporter) == listen


def test_prometheus_is_told_of_every_exporter_and_every_alertmanager(tmp_path: Path) -> None:
    points = {
        "b": {"url": "http://192.0.2.2:10751"},
        "c": {"url": "https://192.0.2.3:10751"},
        "d": {"url": "http://[2001:db8::4]:10751"},
    }
    stack = StackLayout.of(
        a_site(vantage_points=points, actuator={"host": "b", "state_directory": str(tmp_path)}),
        alertmanagers=[Listen("127.0.0.1", 9093), Listen("192.0.2.3", 9093)],
        prometheus=Listen("127.0.0.1", 9999),
    )
    write_configuration(stack)
    file = stack.directory / "prometheus.yml"
    subprocess.run(["promtool", "check", "config", file], check=True, capture_output=True, timeout=20)
    config = yaml.safe_load(file.read_text())
    jobs = {job["job_name"]: job for job in config["scrape_configs"]}
    assert [sd["url"] for sd in jobs["locum-probe"]["http_sd_configs"]] == [
        "http://192.0.2.2:10751/sd",
        "https://192.0.2.3:10751/sd",
        "http://[2001:db8::4]:10751/sd",
    ]
    assert jobs["locum-exporter"]["static_configs"] == [
        {"targets": ["192.0.2.2:10751"], "labels": {"vantage_point": "b", "__scheme__": "http"}},
        {"targets": ["192.0.2.3:10751"], "labels": {"vantage_point": "c", "__scheme__": "https"}},
        {"targets": ["[2001:db8::4]:10751"], "labels": {"vantage_point": "d", "__scheme__": "http"}},
    ]
    # The two that `locum up` runs are shown the password; another Alertmanager is not.
    shown = {
        "basic_auth": {"username": "locum", "password_file": f"{tmp_path}/chain/web.password"},
        "tls_config": {
            "ca_file": f"{tmp_path}/tls/chain.crt",
            "cert_file": f"{tmp_path}/tls/client.crt",
            "key_file": f"{tmp_path}/tls/client.key",
        },
    }
    over_tls = {"__scheme__": "https", "__metrics_path__": "/metrics"}
    assert config["alerting"]["alertmanagers"] == [
        {"scheme": "https", **shown, "static_configs": [{"targets": ["127.0.0.1:9093"]}]},
        {"static_configs": [{"targets": ["192.0.2.3:9093"]}]},
    ]
    assert jobs["locum-alertmanager"] == {
        "job_name": "locum-alertmanager",
        "scrape_interval": "5s",
        "static_configs": [{"targets": ["192.0.2.3:9093"]}],
    }
    assert jobs["locum-alertmanager-tls"] == {
        "job_name": "locum-alertmanager-tls",
        "scrape_interval": "5s",
        **shown,
        "relabel_configs": [{"target_label": "job", "replacement": "locum-alertmanager"}],
        "static_configs": [{"targets": ["127.0.0.1:9093"], "labels": over_tls}],
    }
    assert jobs["locum-prometheus"] == {
        "job_name": "locum-prometheus",
        "scrape_interval": "5s",
        **shown,
        "static_configs": [{"targets": ["127.0.0.1:9999"], "labels": over_tls}],
    }


def test_the_token_is_named_by_its_file_and_quoted(tmp_path: Path) -> None:
    token = tmp_path / 'a "token": #1'
    token.write_text("a secret that must not be seen")
    site = a_site(actuator={"host": "b", "webhook_token_file": str(token)})
    text = alertmanager_text(StackLayout.of(site, webhook=Listen("::1", 10753)))
    assert "a secret" not in text
    receivers = [one for one in yaml.safe_load(text)["receivers"] if "webhook_configs" in one]
    assert [one["name"] for one in receivers] == ["actuator"]
    for receiver in receivers:
        (webhook,) = receiver["webhook_configs"]
        assert webhook["url"] == "https://[::1]:10753/webhook"
        assert webhook["http_config"]["tls_config"] == {"ca_file": "/var/lib/locum/tls/chain.crt"}
        assert webhook["http_config"]["authorization"] == {"type": "Bearer", "credentials_file": str(token)}
        assert webhook["max_alerts"] == 0
        assert webhook["send_resolved"] is True


def test_f_alerts_link_to_a_chapter_that_opens(tmp_path: Path) -> None:
    """A bare file name is no link in Prometheus or Alertmanager."""
    shipped = rules_text()
    assert "runbook_url: http://127.0.0.1:10752/runbook#locumservicedown\n" in shipped
    assert "runbook_url: RUNBOOK" not in shipped
    token = tmp_path / "token"
    token.write_text("a token of more than sixteen characters\n")
    actuator = {"host": "b", "state_directory": str(tmp_path), "webhook_token_file": str(token)}
    assert runbook_link(a_site(actuator=actuator), "http://[::1]:10752") == "http://[::1]:10752/runbook"
    mail = {
        "to": ["ops@example.org"], "sender": "locum@example.org", "smarthost": "127.0.0.1:25",
        "links": {"runbook": "https://wiki.example.org/locum"},
    }  # fmt: skip
    own = StackLayout.of(a_site(actuator=actuator, mail=mail))
    write_configuration(own)
    written = (own.directory / "locum.rules.yml").read_text(encoding="utf-8")
    assert "runbook_url: https://wiki.example.org/locum#locumtakeover\n" in written
