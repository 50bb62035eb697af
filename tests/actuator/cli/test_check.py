"""`locum check`: what is said of a file, and with `--live` of the world."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from locum_actuator.cli import main
from locum_actuator.cli.live_check.finding import Finding
from locum_actuator.cli.live_check.run import look
from locum_inventory.gate.host_file import GATE_PATH, host_file
from locum_inventory.listen import Listen
from locum_inventory.site.load import load_site
from locum_inventory.site.model import Site
from tests.inventory.gate.gate_host import install_gate
from tests.support.http_server import HealthyHandler, http_server
from tests.support.marks import needs_root
from tests.support.namespaces import add_address, ip, network, run_in

SITE = """\
hosts:
  a: {{address: 192.0.2.1, ssh: {{key_file: {etc}/key, known_hosts: {etc}/known_hosts}}}}
  b: {{address: 192.0.2.2}}
services:
  www:
    hosts: [a, b]
    addresses: [192.0.2.100/24]
    interface: eth0
    checks: {{process: {{name: apache2}}}}
    commands: {{start: "true", stop: "true", respawn: "true"}}
    takeover: {{when_unreachable: takeover}}
vantage_points: {{b: {{url: "http://127.0.0.1:10751"}}}}
witnesses: [192.0.2.254]
actuator: {{host: b, webhook_token_file: {etc}/webhook.token, api_token_file: {etc}/api.token}}
"""


@pytest.fixture
def site_file(tmp_path: Path) -> Path:
    """A sound site file whose files are all there, with safe modes."""
    for name, mode in {
        "key": 0o600,
        "known_hosts": 0o644,
        "webhook.token": 0o600,
        "api.token": 0o640,
    }.items():
        file = tmp_path / "etc" / name
        file.parent.mkdir(exist_ok=True)
        file.write_text("x\n")
        file.chmod(mode)
    file = tmp_path / "locum.yml"
    file.write_text(SITE.format(etc=tmp_path / "etc"))
    return file


def check(site_file: Path, *options: str) -> Result:
    return CliRunner().invoke(main, ["--site", str(site_file), "check", *options])


def test_a_sound_file(site_file: Path) -> None:
    result = check(site_file)
    assert result.exit_code == 0
    assert result.stdout == f"{site_file}: sound: 2 hosts, 1 service, 1 vantage point, 1 witness\n"
    assert result.stderr == ""


def test_advice_is_no_fault(site_file: Path) -> None:
    site_file.write_text(site_file.read_text().replace(', respawn: "true"', ""))
    result = check(site_file)
    assert result.exit_code == 0
    assert result.stdout.splitlines()[1:] == [
        "advice   services.www.commands.respawn: not given: when the process dies, a takeover follows at once"
    ]


def test_all_faults_on_standard_error(site_file: Path) -> None:
    site_file.write_text(
        site_file.read_text()
        .replace("eth0", "eth/0")
        .replace("when_unreachable: takeover", "when_unreachable: maybe")
    )
    result = check(site_file)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.splitlines() == [
        f"{site_file}:8: services.www.interface: is 'eth/0', which cannot be an interface: use 1 to 15 characters,"
        " none of them a space, '/' or ':'",
        f"{site_file}:11: services.www.takeover.when_unreachable: is 'maybe': use takeover or refuse",
    ]


def test_json_of_a_sound_file(site_file: Path) -> None:
    result = check(site_file, "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout) == {
        "site": str(site_file),
        "sound": True,
        "faults": [],
        "advice": [],
        "conversations": [],
    }


@pytest.mark.parametrize(
    "written", [r"'PING\r\n'", r'"PING\r\n"', r"PING\r\n", r'"PING\\r\\n"', r"'PING\x0d\x0a'"]
)
def test_c4_it_shows_the_bytes_that_a_tcp_check_sends(site_file: Path, written: str) -> None:
    tcp = f"{{tcp: {{port: 6379, send: {written}, expect: +PONG}}}}"
    site_file.write_text(site_file.read_text().replace("{process: {name: apache2}}", tcp))
    result = check(site_file)
    assert result.exit_code == 0
    assert result.stdout.splitlines()[1:] == [
        r"check    services.www.checks.tcp: sends 6 bytes: 'PING\r\n', expects 5 bytes: '+PONG'"
    ]
    assert json.loads(check(site_file, "--json").stdout)["conversations"] == [
        r"services.www.checks.tcp: sends 6 bytes: 'PING\r\n', expects 5 bytes: '+PONG'"
    ]


def test_json_of_a_faulty_file(site_file: Path) -> None:
    site_file.write_text("hosts: [\n")
    result = check(site_file, "--json")
    assert result.exit_code == 2
    answer = json.loads(result.stdout)
    assert (answer["sound"], len(answer["faults"])) == (False, 1)
    assert result.stderr == ""


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    result = check(tmp_path / "none.yml")
    assert result.exit_code == 2
    assert result.stderr == f"{tmp_path}/none.yml: cannot be read: No such file or directory\n"


@contextmanager
def world() -> Iterator[dict[str, str]]:
    """Hosts a, which holds the service address, and b, and a gateway, on one wire."""
    with network("a", "b", "gw") as names:
        for name, address in {"a": "192.0.2.1/24", "b": "192.0.2.2/24", "gw": "192.0.2.254/24"}.items():
            ip("-n", names[name], "link", "set", "lo", "up")
            add_address(names[name], address)
        add_address(names["a"], "192.0.2.100/24")
        yield names


def seen_from(name: str, site: Site, gate: Path, *, with_exporter: bool = True) -> dict[str, Finding]:
    async def work() -> list[Finding]:
        if not with_exporter:
            return await look(site, gate_path=gate)
        with http_server(HealthyHandler, Listen("127.0.0.1", 10751)):  # in this namespace
            return await look(site, gate_path=gate)

    return {finding.what: finding for finding in run_in(name, work)}


@needs_root
def test_live_says_one_line_for_each_thing(site_file: Path, tmp_path: Path) -> None:
    site, etc = load_site(site_file), tmp_path / "etc"
    gate = install_gate(tmp_path / "b", "")
    gate.host_file.write_text(host_file(site, "b"))
    with world() as names:
        seen = seen_from(names["b"], site, gate.gate)

    milliseconds = r"answers a ping in \d+\.\d ms"
    assert {what: finding.state for what, finding in seen.items()} == {
        "this machine": "ok",
        f"token file {etc}/webhook.token": "ok",
        f"token file {etc}/api.token": "ok",
        f"key file {etc}/key": "ok",
        f"pinned host keys {etc}/known_hosts": "ok",
        "interface eth0 for www": "ok",
        "host a (192.0.2.1)": "ok",
        "host b (192.0.2.2)": "ok",
        "witness (192.0.2.254)": "ok",
        "gate of a": "wrong",  # the key is none
        "gate of b": "ok",
        "addresses of www (192.0.2.100)": "ok",
        "exporter of b (http://127.0.0.1:10751)": "ok",
    }
    assert seen["this machine"].text == "is host 'b', where the actuator runs"
    assert seen["addresses of www (192.0.2.100)"].text == "held by a"
    assert seen["gate of b"].text == "answers; holds no service address; no boot guard"
    assert seen["gate of a"].mend != ""
    assert re.fullmatch(milliseconds, seen["witness (192.0.2.254)"].text)


@needs_root
def test_live_tells_what_is_wrong_and_how_to_mend_it(site_file: Path, tmp_path: Path) -> None:
    etc = tmp_path / "etc"
    (etc / "api.token").unlink()
    (etc / "webhook.token").chmod(0o644)
    (etc / "key").chmod(0o640)
    (etc / "known_hosts").write_text("")
    site_file.write_text(site_file.read_text().replace("interface: eth0", "interface: eth7"))
    site = load_site(site_file)
    gate = install_gate(tmp_path / "b", "")  # what enrol wrote for another site file
    with world() as names:
        add_address(names["b"], "192.0.2.100/24")  # held twice
        ip("-n", names["gw"], "link", "set", "eth0", "down")
        seen = seen_from(names["b"], site, gate.gate, with_exporter=False)

    lines = {what: (one.state, one.text, one.mend) for what, one in seen.items() if one.state != "ok"}
    lines.pop("gate of a")
    assert lines == {
        f"token file {etc}/api.token": (
            "wrong",
            "is missing",
            f"(umask 077; head -c 32 /dev/urandom | base64 > {etc}/api.token); "
            "then locum enrol b sets its owner",
        ),
        f"token file {etc}/webhook.token": (
            "wrong",
            "other users may read or change it (mode 0644)",
            f"chmod 0640 {etc}/webhook.token",
        ),
        f"key file {etc}/key": (
            "wrong",
            "other users may read or change it (mode 0640)",
            f"chmod 0600 {etc}/key",
        ),
        f"pinned host keys {etc}/known_hosts": ("wrong", "is empty", "remove it; locum enrol a creates it"),
        "interface eth7 for www": ("wrong", "is not on this host, 'b'", "use one of eth0"),
        "witness (192.0.2.254)": (
            "wrong",
            "answers none of 5 pings: no reply within 1000 ms",
            "check that it is up and that its firewall allows ICMP echo",
        ),
        "gate of b": ("wrong", "its configuration was generated from a different site file", "locum enrol b"),
        "addresses of www (192.0.2.100)": (
            "unknown",
            "could not check: cannot send on interface eth7: no such device",
            "run this as root, on a host with an interface in that network",
        ),
        "exporter of b (http://127.0.0.1:10751)": (
            "note",
            "does not answer: connection refused",
            "start it with locum up",
        ),
    }


@needs_root
def test_live_sees_an_address_held_twice_or_by_nobody(site_file: Path) -> None:
    site = load_site(site_file)
    what = "addresses of www (192.0.2.100)"
    with world() as names:
        add_address(names["b"], "192.0.2.100/24")
        twice = seen_from(names["b"], site, GATE_PATH, with_exporter=False)[what]
        for name in ("a", "b"):
            ip("-n", names[name], "addr", "del", "192.0.2.100/24", "dev", "eth0")
        unheld = seen_from(names["b"], site, GATE_PATH, with_exporter=False)[what]

    assert (twice.state, twice.text) == ("wrong", "held by 2 hosts: a, b")
    assert (unheld.state, unheld.text) == ("note", "no host holds 192.0.2.100")


@needs_root
def test_live_on_another_machine_says_where_to_run_it(site_file: Path) -> None:
    with world() as names:
        seen = seen_from(names["gw"], load_site(site_file), GATE_PATH, with_exporter=False)
    assert seen["this machine"] == Finding(
        "this machine",
        "wrong",
        "is none of the site's hosts",
        "run this on host 'b', where the actuator runs: only its view of the network counts",
    )


def test_trouble_ends_with_1_and_the_line_says_how_to_mend_it(
    site_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def found(_site: Site) -> list[Finding]:
        return [
            Finding("witness", "ok", "answers"),
            Finding("gate of a", "unknown", "[no] answer", "look there"),
        ]

    monkeypatch.setattr("locum_actuator.cli.live_check.run.look", found)
    result = check(site_file, "--live")
    assert result.exit_code == 1
    assert result.stdout.splitlines()[1:] == [
        "ok       witness: answers",
        "unknown  gate of a: [no] answer; fix: look there",
    ]
    answer = json.loads(check(site_file, "--live", "--json").stdout)
    assert answer["live"][1] == {
        "what": "gate of a",
        "state": "unknown",
        "text": "[no] answer",
        "mend": "look there",
    }
