"""The how-tos work as they stand: sound site files, scripts that run, checks that know well from ill."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from ipaddress import ip_address
from pathlib import Path

import pytest

from locum_actuator.stack.alertmanager import alertmanager_text
from locum_actuator.stack.layout import StackLayout
from locum_actuator.stack.prometheus import prometheus_text, rules_text
from locum_exporter.checks.tcp import tcp
from locum_exporter.result import CheckResult, Outcome
from locum_inventory.site.load import load_site
from locum_inventory.site.model import Site, TcpCheck
from tests.exporter.servers import server
from tests.support.how_to import NAMES, blocks, only_block
from tests.support.ports import unused_port

HERE = ip_address("127.0.0.1")


def site_of(name: str, directory: Path) -> Site:
    path = directory / "locum.yml"
    path.write_text(only_block(name, "yaml"))
    return load_site(path)


SERVICES = {
    "address-in-dns": ("www", ("http",)),
    "dns-server": ("dns", ("tcp",)),
    "existing-prometheus": ("www", ("http",)),
    "mail-relay": ("mail", ("tcp",)),
    "nginx": ("www", ("http",)),
}


@pytest.mark.parametrize("name", NAMES)
def test_its_site_file_is_sound(name: str, tmp_path: Path) -> None:
    found = {service: values.checks.deciding for service, values in site_of(name, tmp_path).services.items()}
    assert [*found.items()] == [SERVICES[name]]


@pytest.mark.parametrize("name", NAMES)
def test_its_scripts_can_be_read_by_a_shell(name: str) -> None:
    for script in blocks(name, "sh"):
        subprocess.run(["dash", "-n"], input=script, text=True, check=True, timeout=10)


def _tcp_check(name: str, service: str, directory: Path, port: int) -> TcpCheck:
    check = site_of(name, directory).services[service].checks.tcp
    assert check is not None
    return check.model_copy(update={"port": port})


GREETINGS = {
    "a greeting": (b"220 mail.example.org ESMTP Postfix\r\n", True),
    "a greeting of two lines": (b"220-mail.example.org\r\n220 ESMTP\r\n", True),
    "too busy": (b"421 4.3.2 try again later\r\n", False),
    "not for you": (b"554 5.7.1 no SMTP service here\r\n", False),
}


@pytest.mark.parametrize(("said", "well"), GREETINGS.values(), ids=GREETINGS)
async def test_a_mail_relay_is_known_by_its_greeting(said: bytes, well: bool, tmp_path: Path) -> None:
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(said)
        writer.close()

    async with server(greet) as port:
        seen = await tcp(_tcp_check("mail-relay", "mail", tmp_path, port), HERE, 2.0)
    assert (seen.outcome is Outcome.WELL) == well, seen.text


ZONE = """\
$TTL 5
@      IN SOA ns admin 1 60 60 3600 5
       IN NS ns
ns     IN A 127.0.0.1
{record}
"""
CONFIG = """\
options {{
    directory "{directory}"; pid-file none; session-keyfile none; recursion no; dnssec-validation no;
    listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};
}};
controls {{ }};
zone "example.org" {{ type primary; file "zone"; }};
"""
RECORDS = {"the zone": ('check IN TXT "zone is served"', True), "a zone without it": ("", False)}


@pytest.mark.e2e
@pytest.mark.parametrize(("record", "well"), RECORDS.values(), ids=RECORDS)
async def test_a_name_server_is_known_by_its_zone(record: str, well: bool, tmp_path: Path) -> None:
    port = unused_port()
    (tmp_path / "zone").write_text(ZONE.format(record=record))
    (tmp_path / "named.conf").write_text(CONFIG.format(directory=tmp_path, port=port))
    named = await asyncio.create_subprocess_exec(
        "named", "-g", "-n", "1", "-c", str(tmp_path / "named.conf"), stderr=asyncio.subprocess.DEVNULL
    )
    try:
        seen = await _when_it_listens(_tcp_check("dns-server", "dns", tmp_path, port))
        assert (seen.outcome is Outcome.WELL, seen.reason) == (
            (True, None) if well else (False, "timeout")
        ), seen.text
    finally:
        named.kill()
        await named.wait()


async def _when_it_listens(check: TcpCheck) -> CheckResult:
    for _ in range(150):
        seen = await tcp(check, HERE, 1.0)
        if seen.reason != "refused":
            return seen
        await asyncio.sleep(0.1)
    raise AssertionError("named does not listen")


def test_the_question_for_another_zone(tmp_path: Path) -> None:
    (script,) = blocks("dns-server", "sh")
    printed = subprocess.run(
        ["sh", "-c", script], capture_output=True, text=True, check=True, timeout=20,
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
    ).stdout  # fmt: skip
    assert printed.strip() in only_block("dns-server", "yaml"), "for this zone it is the one in the site file"


def test_an_existing_prometheus_is_told_all_of_it(tmp_path: Path) -> None:
    stack = StackLayout.of(site := site_of("existing-prometheus", tmp_path), elsewhere=site.chain)
    (tmp_path / "locum.rules.yml").write_text(rules_text())
    (tmp_path / "prometheus.yml").write_text(prometheus_text(stack))
    (tmp_path / "alertmanager.yml").write_text(alertmanager_text(stack))
    for command in (
        ["promtool", "check", "config", "prometheus.yml"],
        ["amtool", "check-config", "alertmanager.yml"],
    ):
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, timeout=30)
    assert '"192.0.2.3:9093"' in prometheus_text(stack)
