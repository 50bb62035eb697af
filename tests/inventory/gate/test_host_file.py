"""The host-side file says what the site file says, in words the gate knows."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from locum_inventory.gate.host_file import gate_script, gate_version, host_file, host_file_sha256
from locum_inventory.site.model import Site
from tests.inventory.gate.gate_host import install_gate
from tests.support.marks import needs_root


def site(**services: dict[str, Any]) -> Site:
    whole = {
        "hosts": {name: {"address": f"192.0.2.{n}"} for n, name in enumerate("abc", 1)},
        "services": services,
        "vantage_points": {"b": {"url": "http://192.0.2.2:10751"}},
        "witnesses": ["192.0.2.254"],
        "actuator": {"host": "b", "webhook_token_file": "/etc/locum/webhook.token"},
    }
    return Site.model_validate(whole)


WWW: dict[str, Any] = {
    "hosts": ["a", "b"],
    "addresses": ["192.0.2.100/24", "2001:DB8:0::100/64"],
    "interface": {"a": "eth0", "b": "enp3s0"},
    "checks": {"process": {"name": "apache2"}},
    "commands": {
        "start": "apachectl start",
        "stop": " apachectl stop  # 'quoted' $HOME \\ ",
        "respawn": "apachectl restart",
        "stop_timeout": 2.5,
    },
    "takeover": {"when_unreachable": "refuse"},
}
DNS: dict[str, Any] = {
    "hosts": ["b", "c"],
    "addresses": ["192.0.2.101/32"],
    "interface": "eth0",
    "takeover": {"when_unreachable": "refuse"},
}


def test_every_key() -> None:
    assert host_file(site(www=WWW, dns=DNS), "a").partition("locum-gate 1\n")[2] == (
        "\nservice www\n"
        "address 192.0.2.100/24\n"
        "address 2001:db8::100/64\n"
        "interface eth0\n"
        "process apache2\n"
        "standby stopped\n"
        "start apachectl start\n"
        "stop apachectl stop  # 'quoted' $HOME \\\n"
        "respawn apachectl restart\n"
        "start_timeout_ms 60000\nrespawn_timeout_ms 30000\nstop_timeout_ms 2500\n"
    )


def test_a_host_has_its_own_services_by_name() -> None:
    text = host_file(site(www=WWW, dns=DNS), "b")
    assert [line for line in text.splitlines() if line.startswith(("service", "interface"))] == [
        "service dns", "interface eth0", "service www", "interface enp3s0",
    ]  # fmt: skip


def test_what_locum_cannot_stop_runs_on_every_host() -> None:
    assert "standby running\n" in host_file(site(dns=DNS), "b")


def test_a_host_without_services_has_a_file_too() -> None:
    assert host_file(site(www=WWW), "c").endswith("locum-gate 1\n")


@needs_root
def test_the_gate_reads_it_and_reports_its_hash(tmp_path: Path) -> None:
    sites = site(www=WWW, dns=DNS)
    host = install_gate(tmp_path, "")
    host.host_file.write_text(host_file(sites, "b"))
    answer = host.run("status")
    assert answer[0] == f"locum-gate 2 {gate_version()}"
    assert answer[1] == f"config {host_file_sha256(sites, 'b')}"
    assert host_file_sha256(sites, "b") == hashlib.sha256(host.host_file.read_bytes()).hexdigest()
    assert [line for line in answer if line.startswith("service")] == ["service dns", "service www"]


def test_the_gate_travels_with_the_package() -> None:
    assert gate_script().startswith("#!/bin/sh\n")
    assert gate_version() == "2"
