"""The gate of this machine, and the shells of a site."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from locum_inventory.gate.deadline import Deadline
from locum_inventory.gate.gates import GateClients
from locum_inventory.gate.local import CALLS_AT_ONCE, LocalGate
from locum_inventory.gate.protocol import GateClient, GateError
from locum_inventory.gate.ssh import SshGate
from locum_inventory.site.model import Site
from tests.inventory.gate.gate_host import GateHost, give, install_gate
from tests.support.marks import needs_root
from tests.support.polling import wait_for

HOST_FILE = """
service www
address 203.0.113.7/24
interface lo
process no-such-init
start sleep {seconds}; exit 1
"""


@pytest.fixture
def host(tmp_path: Path) -> GateHost:
    return install_gate(tmp_path, HOST_FILE.format(seconds=0))


def reason(call: object) -> tuple[str, str]:
    assert callable(call)
    with pytest.raises(GateError) as raised:
        call()
    return raised.value.reason, str(raised.value)


@needs_root
def test_every_call(host: GateHost) -> None:
    shell: GateClient = LocalGate("b", "actuator", gate_path=host.gate)
    try:
        assert shell.status(deadline_seconds=5).services["www"].processes == 0
        assert shell.count_processes(deadline_seconds=5) == {"www": 0}
        assert shell.count_processes(deadline_seconds=5) == {"www": 0}
        assert shell.run_verb("release", "www", 3, deadline_seconds=5).epoch == 3
        assert reason(lambda: give(shell, "claim", "www", 2, deadline_seconds=5)) == (
            "old_epoch", "b: www: epoch 2 is older than 3",
        )  # fmt: skip
        assert reason(lambda: give(shell, "start", "www", 3, deadline_seconds=5)) == (
            "failed", "b: www: start returned 1 and no process no-such-init is there; it said:",
        )  # fmt: skip
        assert reason(lambda: give(shell, "start", "dns", 3, deadline_seconds=5)) == (
            "gate", "b: no such service: dns",
        )  # fmt: skip
    finally:
        shell.close()
    wait_for(lambda: not [p for p in Path("/proc").glob("[0-9]*/cmdline") if _has(p, host)], "watch ended")


def _has(cmdline: Path, host: GateHost) -> bool:
    try:
        return str(host.gate).encode() in cmdline.read_bytes()
    except OSError:
        return False


@pytest.mark.timed
@needs_root
def test_a_slow_gate_meets_the_deadline_and_is_left_to_finish(host: GateHost) -> None:
    done = host.prefix / "done"
    host.write_host_file(
        f"service www\naddress 203.0.113.7/24\ninterface lo\nstart sleep 0.5; touch {done}\n"
    )
    shell = LocalGate("b", "actuator", gate_path=host.gate)
    began = time.monotonic()
    assert reason(lambda: give(shell, "start", "www", 1, deadline_seconds=0.1)) == (
        "timeout", "b: the gate did not finish start within 0.1 s",
    )  # fmt: skip
    assert time.monotonic() - began < 0.4
    wait_for(done.exists, "the gate went on")


@needs_root
def test_a_watch_survives_a_new_host_file(host: GateHost) -> None:
    shell = LocalGate("b", "exporter", gate_path=host.gate)
    assert shell.count_processes(deadline_seconds=5) == {"www": 0}
    host.write_host_file("service dns\nprocess no-such-init\n")
    assert shell.count_processes(deadline_seconds=5) == {"dns": 0}
    shell.close()


def test_a_gate_that_is_missing(tmp_path: Path) -> None:
    shell = LocalGate("b", "actuator", gate_path=tmp_path / "gate")
    text = f"b: {tmp_path}/gate is missing: run `locum enrol b`"
    assert reason(lambda: shell.status(deadline_seconds=5)) == ("gate", text)
    assert reason(lambda: shell.count_processes(deadline_seconds=5)) == ("gate", text)


DEAD = {
    "answers nothing": ("exit 1", "gate", "b: no gate answered"),
    "complains": ("echo no luck >&2; exit 1", "gate", "b: no gate answered: no luck"),
    "dies half-way": (
        "echo locum-gate 1 1; kill -9 $$",
        "closed",
        "b: the gate's answer was cut short",
    ),
    "is no gate": ("echo hello", "gate", "b: what answered is not a gate: 'hello'"),
}


@pytest.mark.parametrize(("script", "kind", "text"), DEAD.values(), ids=DEAD.keys())
@pytest.mark.skipif(os.geteuid() != 0, reason="would ask sudo")
def test_a_gate_that_dies(tmp_path: Path, script: str, kind: str, text: str) -> None:
    gate = tmp_path / "gate"
    gate.write_text(f"#!/bin/sh\n{script}\n")
    gate.chmod(0o755)
    assert reason(lambda: LocalGate("b", "actuator", gate_path=gate).status(deadline_seconds=5)) == (
        kind,
        text,
    )


SITE = Site.model_validate(
    {
        "hosts": {
            "a": {"address": "192.0.2.1", "ssh": {"key_file": "/etc/locum/id_ed25519"}},
            "b": {"address": "192.0.2.2"},
            "c": {"address": "192.0.2.3"},
        },
        "services": {
            "www": {
                "hosts": ["a", "b"],
                "addresses": ["192.0.2.100/24"],
                "interface": "eth0",
                "takeover": {"when_unreachable": "refuse"},
            }
        },
        "vantage_points": {"b": {"url": "http://192.0.2.2:10751"}},
        "witnesses": ["192.0.2.254"],
        "actuator": {"host": "b", "webhook_token_file": "/etc/locum/webhook.token"},
    }
)


def test_each_host_has_its_shell() -> None:
    gates = GateClients(SITE, "b", "actuator")
    assert (len(gates), list(gates)) == (3, ["a", "b", "c"])
    assert isinstance(gates["a"], SshGate)
    assert isinstance(gates["b"], LocalGate)
    assert gates["a"] is gates["a"]
    with pytest.raises(KeyError):
        gates["nowhere"]
    text = "c: the site file gives no ssh for this host, and it is not this machine"
    for call in (
        lambda: gates["c"].status(deadline_seconds=1),
        lambda: gates["c"].count_processes(deadline_seconds=1),
        lambda: gates["c"].run_verb("claim", "www", 1, deadline_seconds=1),
    ):
        assert reason(call) == ("gate", text)
    gates.close()


@pytest.fixture
def hanging(tmp_path: Path) -> Iterator[LocalGate]:
    """A gate that never answers, whose processes end with the test; as a sudo that waits for its directory."""
    gate, pids = tmp_path / "gate", tmp_path / "pids"
    gate.write_text(f"#!/bin/sh\necho $$ >>{pids}\nexec sleep 60\n")
    gate.chmod(0o755)
    shell = LocalGate("b", "actuator", gate_path=gate)
    shell._command = [str(gate), "actuator"]  # as the user who runs the test
    yield shell
    shell.close()
    for pid in pids.read_text().split():
        os.kill(int(pid), signal.SIGKILL)


@pytest.mark.parametrize("kind", ["status", "count_processes"])
def test_a_gate_that_hangs_does_not_take_every_descriptor(
    hanging: LocalGate, tmp_path: Path, kind: str
) -> None:
    texts = [
        reason(lambda: getattr(hanging, kind)(deadline_seconds=0.02))[1] for _ in range(3 * CALLS_AT_ONCE)
    ]
    assert "b: 16 calls of the gate are already hanging" in {*texts, _last(hanging)}
    assert len((tmp_path / "pids").read_text().split()) <= CALLS_AT_ONCE


def _last(shell: LocalGate) -> str:
    return reason(lambda: shell._enter(shell._room_for_looks, Deadline(0.01)))[1]
