"""What a person has of a lab: verbs from another terminal, pages in a browser, one clear line when it cannot be."""

from __future__ import annotations

import json
import socket
import stat
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest

from lab import Lab, LabError
from lab.control import SOCKET, Control, ask, carry_out, running
from lab.forward import Forwarder

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def control(kept_lab: Lab) -> Iterator[Lab]:
    """The kept lab, listening to verbs; a test that breaks something in it asks for `served` as well."""
    with Control(kept_lab):
        yield kept_lab


@pytest.mark.parametrize(
    ("words", "line"),
    [
        pytest.param(["crush", "a"], "'crush' is not a verb: use status, crash, reboot, kill, hang, start, stop, "
                     "zombie, blackhole, cut-off, partition, delay, freeze, thaw, loss, heal, add-address, "
                     "drop-address, pid, shell",
                     id="no verb"),
        pytest.param(["crash"], "use: crash HOST", id="too few words"),
        pytest.param(["crash", "a", "b"], "use: crash HOST", id="too many words"),
        pytest.param(["crash", "z"],
                     "there is no host 'z' in this lab: it has a, b, gw, client, watcher", id="no host"),
        pytest.param(["loss", "a", "much"], "'much' is not a percentage", id="no percentage"),
        pytest.param(["loss", "a", "130"], "a share of 1.3 cannot be dropped: give 0 to 1", id="more than all"),
        pytest.param(["loss", "a", "5", "up"],
                     "'up' is not a direction: in, out or both, from the host's point of view", id="way"),
        pytest.param(["partition", "a", "b", "arp"], "'arp' is not known: arp-passes, one-way or nothing",
                     id="no flag"),
        pytest.param(["delay", "a", "long"], "'long' is not a number of milliseconds", id="no milliseconds"),
        pytest.param(["hang", "b"], "b: no apache2 runs there", id="nothing to hang"),
        pytest.param(["drop-address", "b"], "ip address delete 192.0.2.100/24 dev eth0 ended with 2: "
                     "Error: ipv4: Address not found.", id="nothing to drop"),
    ],
)  # fmt: skip
def test_a_verb_that_cannot_be(control: Lab, words: list[str], line: str) -> None:
    with pytest.raises(LabError) as fault:
        ask(words, control.anchor.pid)
    assert str(fault.value) == line


def test_verbs_from_another_terminal(control: Lab, served: Lab) -> None:
    def say(*words: str) -> str:
        argv = [sys.executable, "-m", "lab", "--lab", str(control.anchor.pid), *words]
        return subprocess.run(argv, capture_output=True, text=True, check=True, timeout=30).stdout

    assert (
        "a  192.0.2.1  up, 3 apache2 processes, holds 192.0.2.100/24\nb  192.0.2.2  up, no apache2\n"
        in say("status")
    )
    assert say("crash", "a") == "crash a: done\n"
    assert "a  192.0.2.1  down\n" in say("status")
    assert say("reboot", "a") == "reboot a: done\n"
    assert say("shell", "a", "hostname") == "a\n"
    assert say("loss", "a", "30%", "in") == "loss a 30% in: done\n"
    assert 'wire: oifname "port-a" numgen random mod 10000 < 3000 drop\n' in say("status")
    assert say("heal") == "heal: done\n"


def test_the_socket_is_root_s_alone(control: Lab) -> None:
    path = running()[control.anchor.pid]
    assert path == control.anchor.directory / SOCKET
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize(
    ("sent", "text"),
    [
        pytest.param(b"crash a\n", "a request is one line of JSON", id="no JSON"),
        pytest.param(b'{"crash": "a"}\n', "a request is a list of words", id="no list"),
        pytest.param(b"[1, 2]\n", "a request is a list of words", id="no words"),
        pytest.param(b"\n", "a request is one line of JSON", id="empty"),
        pytest.param(b"x" * 5000, "a request is one line of JSON", id="too long"),
    ],
)
def test_a_request_that_is_none(control: Lab, sent: bytes, text: str) -> None:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(5)
        connection.connect(str(control.anchor.directory / SOCKET))
        connection.sendall(sent)
        assert json.loads(connection.makefile().readline()) == {"ok": False, "text": text}
    assert ask(["pid", "a"], control.anchor.pid) == str(control.hosts["a"].pid)  # it goes on


def test_no_such_lab(control: Lab) -> None:
    with pytest.raises(LabError, match=r"^there is no lab 1: "):
        ask(["status"], 1)


def fetch(url: str) -> str:
    with urllib.request.urlopen(url, timeout=5) as answer:
        return str(answer.read().decode())


def test_pages_are_reachable_on_loopback(served: Lab) -> None:
    with Forwarder() as forwarder:
        www = forwarder.forward(served.everybody["client"], 80, address=str(served.service_address.ip))
        own = forwarder.forward(served.hosts["a"], 80)
        assert "served by <b>a</b>" in fetch(www.url)
        served.reboot("a")
        assert "served by <b>a</b>" in fetch(own.url)
        served.crash("a")
        with pytest.raises((urllib.error.URLError, ConnectionError)):
            fetch(own.url)
    assert not any(thread.name == "lab-forwarder" for thread in threading.enumerate())


def test_a_port_in_use_is_named_and_another_taken(served: Lab) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, Forwarder() as forwarder:
        port = taken.getsockname()[1]
        page = forwarder.forward(served.hosts["a"], 80, prefer=port)
        assert page.note == f"port {port} is in use: {page.port} is used instead"
        assert "served by <b>a</b>" in fetch(page.url)


def test_a_person_s_verbs_know_their_words() -> None:
    with pytest.raises(LabError, match=r"^use: status$"):
        carry_out(Lab(), ["status", "now"])
