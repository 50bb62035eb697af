"""`locum up` with the real exporter, actuator, Alertmanager and Prometheus, in a network namespace of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from locum_actuator.web.certificate import Certificate
from tests.support.log_reading import read_logfmt
from tests.support.polling import wait_for
from tests.support.processes import alive
from tests.support.site_files import COMMANDS, write_secret, write_site

pytestmark = pytest.mark.e2e

NETWORK = "ip link set lo up; ip address add 192.0.2.2/24 dev lo; exec "
LOCUM = Path(sys.executable).with_name("locum")


@pytest.fixture
def up(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[subprocess.Popen[str]]:
    token = tmp_path / "token"
    write_secret(token)
    site = write_site(
        tmp_path,
        www={
            "checks": {"http": {"url": "http://{host}:8080/"}},
            "commands": COMMANDS,
            "takeover": {"mode": "observe"},
        },
        vantage_points={"b": {"url": "http://192.0.2.2:10751"}},
        actuator={
            "state_directory": f"{tmp_path}/state",
            "webhook_token_file": str(token),
            "api_token_file": str(token),
        },
    )
    inside = ["unshare", "--net", "sh", "-c", NETWORK + '"$@"', "sh"]
    command = [*inside, str(LOCUM), "--site", str(site), "up", *getattr(request, "param", ())]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        yield process
        process.kill()


def _lines_until(process: subprocess.Popen[str], last: str) -> list[str]:
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line.rstrip())
        if last in line:
            return lines
    raise AssertionError(f"'{last}' never came: {lines}")


def _children(process: subprocess.Popen[str]) -> list[int]:
    return [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]


def test_f_comes_up_says_which_gates_are_missing_brings_back_what_dies_and_ends_when_told(
    up: subprocess.Popen[str], tmp_path: Path
) -> None:
    *lines, silent_a, silent_b, last = _lines_until(up, "locum is up")
    assert lines == [
        "exporter answers at http://192.0.2.2:10751",
        "actuator answers at http://127.0.0.1:10752",
        "Alertmanager ready at https://127.0.0.1:9093",
        "Prometheus ready at https://127.0.0.1:9090",
        "Prometheus: 10 of 10 targets scraped",
        "actuator ready: the heartbeat arrived through Prometheus and Alertmanager",
    ]
    # No host was enrolled: that is said, for each of them, with what to do.
    assert silent_a.startswith("  a: its gate does not answer: ")
    assert silent_a.endswith(": run `locum enrol a`")
    assert silent_b.endswith(": run `locum enrol b`")
    assert last == "locum is up, but cannot act on a and b; `locum check --live` has details"
    children = _children(up)
    assert len(children) == 4
    os.kill(children[0], signal.SIGKILL)
    (died,) = _lines_until(up, "restarting it")
    assert died.startswith("exporter was ended by SIGKILL: ")

    up.send_signal(signal.SIGHUP)
    assert _lines_until(up, "reloaded") == [
        "reloaded; log/actuator.log shows whether the actuator accepted the new site, and if not, why"
    ]

    up.terminate()
    assert up.wait(20) == 0
    assert up.stdout is not None
    assert up.stdout.read().splitlines() == ["stopping", "stopped; addresses stay where they are"]
    wait_for(lambda: not any(map(alive, children)), "no child is left", 0.1)
    for child in ("exporter", "actuator", "prometheus", "alertmanager"):
        said = (tmp_path / "state/log" / f"{child}.log").read_text().splitlines()
        assert all("level" in read_logfmt(line) for line in said), child
        assert said, child


@pytest.mark.parametrize("up", [("--log-format", "json")], indirect=True)
def test_as_log_lines(up: subprocess.Popen[str], tmp_path: Path) -> None:
    lines = [json.loads(line) for line in _lines_until(up, "locum is up")]
    assert {(line["level"], line["event"]) for line in lines} == {("info", "up")}
    os.kill(_children(up)[0], signal.SIGKILL)
    (died,) = map(json.loads, _lines_until(up, "restarting it"))
    assert (died["level"], died["msg"][:24]) == ("warning", "exporter was ended by SI")
    up.terminate()
    assert up.wait(20) == 0
    for child in ("exporter", "actuator", "prometheus", "alertmanager"):
        said = (tmp_path / "state/log" / f"{child}.log").read_text().splitlines()
        assert all("level" in json.loads(line) for line in said), child
        assert said, child


def test_takes_its_children_with_it_when_it_is_killed(up: subprocess.Popen[str]) -> None:
    _lines_until(up, "Prometheus ready")
    children = _children(up)
    assert len(children) == 4
    up.kill()
    wait_for(lambda: not any(map(alive, children)), "no child is left", 5)


WEB = ("https://127.0.0.1:9090", "https://127.0.0.1:9093")
# As another user sees it: what Prometheus and Alertmanager answer to one who has no password and no certificate.
STRANGER = """
import http.client, json, ssl, sys
context = ssl._create_unverified_context()
for port, method, path in json.loads(sys.argv[1]):
    asked = http.client.HTTPSConnection("127.0.0.1", port, timeout=30, context=context)
    try:
        asked.request(method, path, "[]" if method == "POST" else None, {"Content-Type": "application/json"})
        print(port, method, path, asked.getresponse().status)
    except (ssl.SSLError, ConnectionError) as fault:  # at the handshake, or at the first write after it
        print(port, method, path, "refused")
"""
PATHS: list[tuple[int, str, str]] = [
    (9093, "POST", "/api/v2/silences"), (9093, "POST", "/api/v2/alerts"), (9093, "GET", "/api/v2/silences"),
    (9093, "POST", "/-/reload"), (9090, "GET", "/api/v1/query?query=up"), (9090, "POST", "/-/reload"),
    (9090, "POST", "/-/quit"), (9090, "POST", "/api/v1/admin/tsdb/delete_series?match[]=up"),
    (9090, "POST", "/api/v1/write"),
]  # fmt: skip


def _inside(up: subprocess.Popen[str], *command: str) -> str:
    words = ["nsenter", "--net", "--target", str(up.pid), *command]
    return subprocess.run(words, capture_output=True, text=True, timeout=60, check=True).stdout


def test_e5_another_user_can_silence_nothing(up: subprocess.Popen[str], tmp_path: Path) -> None:
    _lines_until(up, "locum is up")
    unprivileged = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    said = _inside(up, *unprivileged, "/usr/bin/python3", "-I", "-c", STRANGER, json.dumps(PATHS))
    lines = [line.split() for line in said.splitlines()]
    assert [(int(port), method, path) for port, method, path, _ in lines] == PATHS
    assert all(answer == ("refused" if port == "9093" else "401") for port, _, _, answer in lines), said
    own = Certificate.in_state(tmp_path)
    own.make()
    shown = ("--cert", str(own.client_certificate), "--key", str(own.client_key))
    with pytest.raises(subprocess.CalledProcessError):  # a certificate that the user has made
        _inside(up, "curl", "-sSk", *shown, f"{WEB[1]}/-/ready")
    secrets = ("chain/web.password", "chain/web.yml", "tls/chain.key", "tls/client.key")
    assert [(tmp_path / "state" / name).stat().st_mode & 0o077 for name in secrets] == [0, 0, 0, 0]


def test_e5_a_silence_of_one_who_may_is_reported(up: subprocess.Popen[str], tmp_path: Path) -> None:
    _lines_until(up, "locum is up")
    ready = "http://127.0.0.1:10752/-/ready"

    def until(words: str) -> str:
        def said() -> str:
            return _inside(up, "curl", "-sS", ready)

        return wait_for(
            lambda: it if words in (it := said()) else None, f"it answers '{words}'", 60, state=said
        )

    until("ready")
    _inside(
        up, "amtool", f"--http.config.file={tmp_path}/state/chain/client.yml", f"--alertmanager.url={WEB[1]}",
        "silence", "add", "--author=anna", "--comment=new kernel", "--duration=1h", 'locum_action="true"',
    )  # fmt: skip
    said = until("silences: a silence by anna (new kernel) keeps ")
    assert "LocumServiceDown on a" in said
    metrics = _inside(up, "curl", "-sS", "http://127.0.0.1:10752/metrics")
    assert 'locum_actuator_chain_up{part="silences"} 0.0' in metrics
