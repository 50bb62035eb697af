"""Fencing: what each kind of agent, honest or not, leads to. The agents are real scripts."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from locum_actuator.steps import fence
from locum_actuator.steps.base import StepContext, StepError
from locum_actuator.steps.fence import Fence
from locum_actuator.system import fence_agent
from locum_actuator.system.fence_agent import FenceAgent, FenceAgentError
from locum_inventory.site.model import FenceDevice, Site
from tests.actuator.fakes import FakeGate, FakeWorld, site
from tests.actuator.steps.fence_scripts import actions, make


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fence, "PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(fence, "STATUS_SECONDS", 0.5)
    monkeypatch.setattr(fence, "_seen_off_at", {})


@dataclass
class World(FakeWorld):
    """a is on the wire until its power is off."""

    directory: Path = Path("/nonexistent")
    wrong_plug: bool = False
    cannot_ping: bool = False

    def echoes(self, host: str) -> int | None:
        if self.cannot_ping:
            return None
        return 0 if (self.directory / "off").exists() and not self.wrong_plug else 5


def device(values: Mapping[str, object]) -> FenceDevice:
    """Return a device, with a timeout shorter than a site file may ask for."""
    short = {"timeout": values["timeout"]} if "timeout" in values else {}
    rest = {key: value for key, value in values.items() if key != "timeout"}
    return FenceDevice.model_validate(rest).model_copy(update=short)


def with_fence(*devices: Mapping[str, object], **takeover: object) -> Site:
    values = site(**takeover)
    hosts = {
        name: host.model_copy(update={"fence": tuple(map(device, devices))}) if name == "a" else host
        for name, host in values.hosts.items()
    }
    return values.model_copy(update={"hosts": hosts})


def step(directory: Path, *devices: Mapping[str, object], host: str = "a", **takeover: object) -> Fence:
    values = with_fence(*devices, **takeover)
    world = World({"a": FakeGate(held=True), "b": FakeGate()}, directory=directory)
    return Fence(StepContext(values, "www", world.gates, world, 2, "a"), host)


OFF = "{0} says that a is off, and it answers no ping; it stays off until a person switches it on"


@dataclass(frozen=True)
class Row:
    name: str
    agents: tuple[str, ...]
    done: str | None = None  # what the step says; None: it fails
    fault: str | None = None
    actions: tuple[str, ...] | None = None
    device: dict[str, object] = field(default_factory=dict)
    timeout: float = 3.0


def no(*said: str) -> str:
    faults = "; ".join(said)
    why = f"it could not be confirmed that a is off ({faults})"
    return f"{why}: make sure that it is, then move the service by hand"


ROWS = [
    Row("honest", ("honest",), OFF.format("one"), actions=("off", "status")),
    Row(
        "claims success too early: only its status counts",
        ("claims success too early",),
        OFF.format("one"),
        actions=("off", "status", "status", "status"),
    ),
    Row(
        "claims success and never is",
        ("claims success and never is",),
        fault=no("one: status says on"),
        timeout=0.4,
    ),
    Row(
        "hangs at off",
        ("hangs at off",),
        fault=no("one: off: did not end within 0.8 s and was killed; status says on"),
        timeout=1.0,
    ),
    Row("hangs at off and has done it", ("hangs at off and has done it",), OFF.format("one"), timeout=1.0),
    Row(
        "hangs at everything",
        ("hangs at everything",),
        fault=no(
            "one: off: did not end within 0.3 s and was killed; status: did not end within 0.1 s and was killed"
        ),
        timeout=0.4,
    ),
    Row("leaves a child", ("leaves a child that holds its output",), OFF.format("one")),
    Row(
        "fails, and has done it all the same",
        ("fails and has done it",),
        OFF.format("one"),
        actions=("off", "status"),
    ),
    Row(
        "dies",
        ("dies",),
        fault=no(
            "one: off failed: was killed by signal 9 without output; status is not clear: was killed by signal 9"
            " without output"
        ),
        actions=("off", "status"),
    ),
    Row(
        "ends with 2 like a broken interpreter",
        ("ends with 2 like a broken interpreter",),
        fault=no(
            "one: off failed: ended with 2: agent: 3: Syntax error; status is not clear: ended with 2: agent: 3:"
            " Syntax error"
        ),
    ),
    Row("ends with 2 and nothing else", ("ends with 2 and nothing else",), OFF.format("one")),
    Row(
        "says off and ends with 0",
        ("says off and ends with 0",),
        fault=no("one: status is not clear: ended with 0: Status: OFF"),
        timeout=0.4,
    ),
    Row(
        "the second device does it",
        ("dies", "honest"),
        OFF.format("two"),
        actions=("off", "status", "off", "status"),
    ),
    Row("the first device does it: the second is left alone", ("honest", "dies"), OFF.format("one")),
    Row(
        "neither does it",
        ("claims success and never is", "dies"),
        fault=no(
            "one: status says on",
            "two: off failed: was killed by signal 9 without output; status is not clear: was killed by signal 9"
            " without output",
        ),
        timeout=0.4,
    ),
    Row(
        "reboot: switched on once it was seen off",
        ("honest",),
        "one says that a is off, and it answers no ping; switched on again",
        actions=("off", "status", "on"),
        device={"action": "reboot"},
    ),
    Row(
        "reboot: off, and on again does not work",
        ("cannot switch on",),
        "one says that a is off, and it answers no ping; switching it on again did not work (on failed: ended"
        " with 1: no current): a person must",
        device={"action": "reboot"},
    ),
]


@pytest.mark.timed
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_row(row: Row, tmp_path: Path) -> None:
    devices = [
        {"command": [str(make(tmp_path, name, ending))], "timeout": row.timeout, **row.device}
        for name, ending in zip(("one", "two"), row.agents, strict=False)
    ]
    begun = time.monotonic()
    if row.fault is not None:
        with pytest.raises(StepError) as caught:
            step(tmp_path, *devices).do()
        assert str(caught.value) == row.fault
    else:
        assert step(tmp_path, *devices).do() == row.done
    assert time.monotonic() - begun < row.timeout * len(row.agents) + 1
    if row.actions is not None:
        assert tuple(actions(tmp_path)) == row.actions


def test_garbage_is_neither_yes_nor_no_and_is_told_in_one_short_line(tmp_path: Path) -> None:
    with pytest.raises(StepError) as caught:
        step(tmp_path, {"command": [str(make(tmp_path, "one", "prints garbage"))], "timeout": 3.0}).do()
    text = str(caught.value)
    assert "status is not clear: ended with 77: " in text
    assert text.isprintable()
    assert len(text) < 500


def test_off_already_is_seen_by_the_status_alone(tmp_path: Path) -> None:
    (tmp_path / "off").touch()
    assert step(tmp_path, {"command": [str(make(tmp_path, "one", "honest"))]}).already()
    assert actions(tmp_path) == ["status"]


def test_a_host_whose_echo_comes_late_is_not_switched_off(tmp_path: Path) -> None:
    fence_a = step(tmp_path, {"command": [str(make(tmp_path, "one", "honest"))]})
    assert isinstance(fence_a.context.observer, World)
    fence_a.context.observer.late = {"a"}
    fence_a.context.evidence.silent_since["a"] = 0.0
    with pytest.raises(
        StepError, match=r"^a late echo arrived from a: delay does not prove that the host is down$"
    ):
        fence_a.do()
    assert actions(tmp_path) == []


@pytest.mark.parametrize("fault", ["wrong_plug", "cannot_ping"])
def test_a_device_that_says_off_while_the_host_is_there_does_not_count(tmp_path: Path, fault: str) -> None:
    it = step(tmp_path, {"command": [str(make(tmp_path, "one", "honest"))], "timeout": 3.0})
    setattr(it.context.observer, fault, True)
    (tmp_path / "off").touch()
    assert not it.already()
    with pytest.raises(StepError) as caught:
        it.do()
    assert str(caught.value) == no(
        {
            "wrong_plug": "one: status says off, and a still answers ping: is this device a's?",
            "cannot_ping": "one: status says off, and a could not be pinged",
        }[fault]
    )


def test_the_service_may_say_that_an_unconfirmed_fence_is_enough(tmp_path: Path) -> None:
    device = {"command": [str(make(tmp_path, "one", "dies"))]}
    assert step(tmp_path, device, when_fence_unconfirmed="takeover").do() == (
        "it could not be confirmed that a is off (one: off failed: was killed by signal 9 without output; status"
        " is not clear: was killed by signal 9 without output); continuing because"
        " takeover.when_fence_unconfirmed is takeover"
    )


@pytest.mark.parametrize("host", ["a", "b"], ids=["no device", "the actuator's own host"])
def test_what_cannot_be_fenced_is_not(tmp_path: Path, host: str) -> None:
    it = step(tmp_path, host=host)
    assert not it.already()
    with pytest.raises(StepError, match=f"^there is no way to fence {host} from here$"):
        it.do()


def test_services_that_want_one_host_fenced_at_once_do_it_once(tmp_path: Path) -> None:
    device = {"command": [str(make(tmp_path, "one", "honest"))], "action": "reboot"}
    said: list[str] = []
    threads = [threading.Thread(target=lambda: said.append(step(tmp_path, device).do())) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(5)
    assert actions(tmp_path).count("off") == 1
    assert sorted(text.split(",")[0] for text in said) == [
        "a was found off after waiting: another service's plan fenced it",
        "a was found off after waiting: another service's plan fenced it",
        "one says that a is off",
    ]


# -- the input of an agent ------------------------------------------------------------------------------------


def test_options_and_secrets_go_by_standard_input_and_never_by_arguments(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("hunter2\nand a remark\n")
    agent = FenceAgent(
        "a",
        FenceDevice.model_validate(
            {
                "command": [str(make(tmp_path, "one", "knows its password")), "word"],
                "options": {"ip": "198.51.100.1", "lanplus": "1"},
                "secret_files": {"password": str(secret)},
            }
        ),
    )
    assert agent.power(deadline_seconds=3) == "on"
    given = (tmp_path / "input.one").read_text().splitlines()
    assert given == ["ip=198.51.100.1", "lanplus=1", "password=hunter2", "nodename=a", "action=status"]
    assert (tmp_path / "argv").read_text().split() == ["/bin/sh", str(tmp_path / "one"), "word"]


def test_a_wrong_password_is_told_and_the_password_is_not(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("letmein\n")
    device = {
        "command": [str(make(tmp_path, "one", "knows its password"))],
        "secret_files": {"password": str(secret)},
    }
    with pytest.raises(StepError) as caught:
        step(tmp_path, device).do()
    assert "off failed: ended with 1: Unable to connect/login to fencing device with ***;" in str(
        caught.value
    )
    assert "letmein" not in str(caught.value)
    assert actions(tmp_path) == ["off", "status"], "a device is not pestered with a wrong password"


SECRETS = {
    "missing": (None, "its secret file {0} cannot be read: No such file or directory"),
    "empty": (b"\n", "its secret file {0} is empty"),
    "no text": (b"\xff\xfe\n", "its secret file {0} is not text"),
}


@pytest.mark.parametrize(("content", "text"), SECRETS.values(), ids=SECRETS)
def test_a_secret_that_cannot_be_had_is_a_fault(tmp_path: Path, content: bytes | None, text: str) -> None:
    secret = tmp_path / "secret"
    if content is not None:
        secret.write_bytes(content)
    device = FenceDevice.model_validate(
        {"command": [str(make(tmp_path, "one", "honest"))], "secret_files": {"password": str(secret)}}
    )
    with pytest.raises(FenceAgentError) as caught:
        FenceAgent("a", device).power(deadline_seconds=3)
    assert str(caught.value) == text.format(secret)


def test_an_agent_is_found_by_name_in_sbin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, "fence_here", "honest")
    monkeypatch.setattr(fence_agent, "AGENT_PATH", f"{tmp_path}:/usr/bin:/bin")
    assert FenceAgent("a", FenceDevice(agent="fence_here")).power(deadline_seconds=3) == "on"
    with pytest.raises(FenceAgentError, match=r"^there is no program fence_gone on this host$"):
        FenceAgent("a", FenceDevice(agent="fence_gone")).power(deadline_seconds=3)


def test_nothing_is_left_of_an_agent_that_was_killed(tmp_path: Path) -> None:
    agent = FenceAgent("a", FenceDevice(command=(str(make(tmp_path, "one", "hangs at everything")),)))
    with pytest.raises(FenceAgentError, match=r"^status: did not end within 0.2 s and was killed$"):
        agent.power(deadline_seconds=0.2)
    mine = {
        pid
        for pid in os.listdir("/proc")  # noqa: PTH208
        if pid.isdigit() and f"{tmp_path}/one".encode() in _cmdline(pid)
    }
    assert mine == set()


def _cmdline(pid: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def test_clusterlabs_own_dummy_agent(tmp_path: Path) -> None:
    state = tmp_path / "off"
    device = FenceDevice(agent="fence_dummy", options={"status_file": str(state)})
    state.write_text("on")
    agent = FenceAgent("a", device)
    assert agent.power(deadline_seconds=10) == "on"
    agent.turn("off", deadline_seconds=10)
    assert agent.power(deadline_seconds=10) == "off"
