"""The same calls of a gate on two sides: gate.sh under dash on a host of its own, and the simulator's model."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_interface
from pathlib import Path
from typing import Protocol

from locum_actuator.system import runtime
from locum_inventory.gate.clock import GateClock, Permit
from locum_inventory.gate.host_file import host_file
from locum_inventory.gate.local import LocalGate
from locum_inventory.gate.protocol import GateError, ServiceStatus, Verb
from locum_inventory.site.model import Site
from sim.host_gate import HostGate
from sim.virtual_time import VirtualRuntime
from sim.world import Host, World
from tests.inventory.gate.gate_host import GateHost
from tests.support.polling import wait_for

NAME = f"lm{os.getpid()}"  # of the service's process: no other test process uses it
CARD = "eth0"
OURS = (ip_interface("198.51.100.7/24"), ip_interface("2001:db8::7/64"))
LOCK_LIMIT_SECONDS = 0.3  # in place of five seconds, so that the test need not wait for so long
DEADLINE_SECONDS = 60.0
A_WHILE_SECONDS = 0.5
GOES_ON_SECONDS = 20.0  # of virtual time: longer than a start that waits, shorter than its timeout


SCRIPTS = {
    "start": f"""\
#!/bin/sh
cd "${{0%/*}}"
touch begun-start.flag
while [ -e start-waits.flag ]; do sleep 0.02; done
[ ! -e start-fails.flag ] || exit 1
./{NAME} 1000 &
""",
    "stop": f"""\
#!/bin/sh
cd "${{0%/*}}"
touch begun-stop.flag
while [ -e stop-waits.flag ]; do sleep 0.02; done
pkill -x {NAME} || :
""",
}


def make_site(directory: Path, **timeouts: float) -> Site:
    """Return a site whose commands are scripts in a directory."""
    ssh = {"key_file": "/etc/locum/id_ed25519"}
    paths = {label: str(directory / label) for label in ("start", "stop")}
    site = {
        "hosts": {"a": {"address": "198.51.100.1", "ssh": ssh}, "b": {"address": "198.51.100.2"}},
        "services": {
            "www": {
                "hosts": ["a", "b"],
                "addresses": [str(address) for address in OURS],
                "interface": CARD,
                "checks": {"http": {"url": "http://{host}/"}, "process": {"name": NAME}},
                "commands": {**paths, **timeouts},
                "takeover": {"when_unreachable": "refuse"},
            },
            "dns": {
                "hosts": ["a", "b"],
                "addresses": ["198.51.100.8/24"],
                "interface": CARD,
                "checks": {"tcp": {"port": 53}},
                "takeover": {"when_unreachable": "refuse"},
            },
        },
        "witnesses": ["198.51.100.254"],
        "actuator": {"host": "b", "webhook_token_file": "/etc/locum/webhook.token"},
    }
    return Site.model_validate(site)


@dataclass(frozen=True)
class Call:
    """One call. With `waits` it is begun, and the next steps of its row come while it is under way."""

    verb: Verb
    epoch: int = 5
    permit: str = "good"
    service: str = "www"
    waits: bool = False

    def permit_by(self, clock: GateClock) -> Permit | None:
        """Return the permit that its word stands for, by the clock of the gate's host."""
        if self.permit == "none" or (
            self.permit == "good" and self.verb not in {"claim", "start", "respawn"}
        ):
            return None
        boot_id, now = clock.boot_id, clock.uptime_hundredths
        dns = (ip_interface("198.51.100.8/24"),)
        permits = {
            "good": Permit(boot_id, now + 360_000, dns if self.service == "dns" else OURS),
            "good for a moment": Permit(boot_id, now + 20, OURS),
            "too old": Permit(boot_id, now - 100, OURS),
            "of another boot": Permit("0" * 36, now + 360_000, OURS),
            "of no boot": Permit("boot", now + 360_000, OURS),
            "of a boot in capitals": Permit("A" * 36, now + 360_000, OURS),
            "until a negative time": Permit(boot_id, -1, OURS),
            "until a time of 19 digits": Permit(boot_id, 10**18, OURS),
            "of another address": Permit(boot_id, now + 360_000, (ip_interface("198.51.100.77/24"), OURS[1])),
            "of another prefix": Permit(boot_id, now + 360_000, (ip_interface("198.51.100.7/25"), OURS[1])),
            "of one address": Permit(boot_id, now + 360_000, OURS[:1]),
            "of one address more": Permit(boot_id, now + 360_000, (*OURS, *dns)),
            "of the same in another order": Permit(boot_id, now + 360_000, OURS[::-1]),
            "of no address": Permit(boot_id, now + 360_000),
            "of too many addresses": Permit(boot_id, now + 360_000, OURS[:1] * 65),
        }
        return permits[self.permit]


PERMITS = (
    "good", "none", "too old", "of another boot", "of no boot", "of a boot in capitals", "until a negative time",
    "until a time of 19 digits", "of another address", "of another prefix", "of one address",
    "of one address more", "of the same in another order", "of no address", "of too many addresses",
)  # fmt: skip
Step = Call | str  # a change of the host, `status`, or `all have ended`


@dataclass(frozen=True)
class State:
    """What a gate reports of the service www."""

    epoch: int
    held: tuple[bool, ...]
    runs: bool
    underway: str | None

    @classmethod
    def of(cls, status: ServiceStatus) -> State:
        """Return it of an answer. How many processes there are while they start and end is left out."""
        return cls(status.epoch, tuple(status.held.values()), bool(status.processes), status.underway)


@dataclass(frozen=True)
class Outcome:
    """What a call came to: `ok` with the state in the answer, or the reason with its text."""

    call: Call
    verdict: str
    state: State | None


class Side(Protocol):
    """One of the two sides."""

    def call(self, call: Call) -> Outcome:
        """Make a call and wait for its answer."""

    def begin(self, call: Call) -> Callable[[], Outcome]:
        """Begin a call; return once it is under way or waits for its turn, with what waits for its answer."""

    def change(self, what: str) -> None:
        """Change the host."""

    def state(self) -> State:
        """Return what the gate reports."""


def course(side: Side, steps: Iterable[Step]) -> list[Outcome | State]:
    """Take all steps; return each answer and the state after it, then the answers of what was begun."""
    seen: list[Outcome | State] = []
    begun: list[Callable[[], Outcome]] = []
    for step in steps:
        if step == "all have ended":
            seen += [end() for end in begun]
            begun = []
        elif isinstance(step, str) and step != "status":
            side.change(step)
            continue
        if isinstance(step, Call) and step.waits:
            begun.append(side.begin(step))
            continue
        if isinstance(step, Call):
            seen.append(side.call(step))
        seen.append(side.state())
    return [*seen, *(end() for end in begun), side.state()] if begun else seen


def outcome(call: Call, answer: Callable[[], ServiceStatus]) -> Outcome:
    """Make a call; return what it came to. How late a verb was differs, and so does no text besides."""
    try:
        return Outcome(call, "ok", State.of(answer()))
    except GateError as fault:
        return Outcome(call, f"{fault.reason}: {re.sub(r'came [0-9]+ ms', 'came N ms', str(fault))}", None)


class RealSide:
    """The script under dash, with real processes, addresses and files."""

    def __init__(self, host: GateHost, namespace: str, other: str) -> None:
        self._host, self._namespace, self._other = host, namespace, other
        self._gate = LocalGate("a", "actuator", gate_path=host.gate)
        self._threads = ThreadPoolExecutor(4)
        self._begun = 0
        self._undo: list[Callable[[], None]] = []  # of changes that outlive a row

    def enrol(self, **timeouts: float) -> Site:
        """Enrol the host: nothing runs there, is held or was seen. Return its site."""
        site = make_site(self._host.prefix, **timeouts)
        self.change("killed")
        self._host.write_host_file(host_file(site, "a").partition("locum-gate 1\n")[2])
        for undo in self._undo:
            undo()
        self._undo.clear()
        for path in [*self._host.state.iterdir(), *self._host.prefix.glob("*.flag")]:
            path.unlink()
        self._ip(self._namespace, f"addr flush dev {CARD}")
        self._begun = 0
        return site

    def close(self) -> None:
        """End what is left."""
        self.change("killed")
        self._threads.shutdown()
        self._gate.close()

    def call(self, call: Call) -> Outcome:
        permit = call.permit_by(self._clock())
        return outcome(
            call,
            lambda: self._gate.run_verb(
                call.verb, call.service, call.epoch, deadline_seconds=DEADLINE_SECONDS, permit=permit
            ),
        )

    def begin(self, call: Call) -> Callable[[], Outcome]:
        ended: Future[Outcome] = self._threads.submit(self.call, call)
        self._begun += 1
        if self._begun == 1:
            waiting = [
                path.name.removesuffix("-waits.flag") for path in self._host.prefix.glob("*-waits.flag")
            ]
            begun = [self._host.prefix / f"begun-{label}.flag" for label in waiting]
            wait_for(lambda: any(path.exists() for path in begun), "its command waits")
        else:
            wait_for(lambda: self._waits_for_turn(call.verb), f"{call.verb} waits for its turn")
        return ended.result

    def _waits_for_turn(self, verb: str) -> bool:
        """Return whether as many gates as were begun have the lock's file open, one of them for this verb."""
        lock, found = self._host.run_directory / "www.lock", []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                words = (process / "cmdline").read_bytes().split(b"\0")
                if str(self._host.gate).encode() in words and (process / "fd/9").readlink() == lock:
                    found.append(words)
            except OSError:
                continue
        return len(found) >= self._begun and any(verb.encode() in words for words in found)

    def state(self) -> State:
        return State.of(self._gate.status(deadline_seconds=DEADLINE_SECONDS).services["www"])

    def _clock(self) -> GateClock:
        boot_id = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        uptime = float(Path("/proc/uptime").read_text().split()[0])
        return GateClock(boot_id, int(uptime * 100), 0.0)

    def change(self, what: str) -> None:
        prefix = self._host.prefix
        match what:
            case "killed":
                self._signal(signal.SIGKILL)
                wait_for(lambda: not self._processes(), "the service has ended")
            case "runs":
                subprocess.run(["sh", "-c", f"{prefix}/{NAME} 1000 >/dev/null 2>&1 &"], check=True)
                wait_for(self._processes, "the service runs")
            case "hangs":
                self._signal(signal.SIGSTOP)
            case "held":
                self._ip(self._namespace, *(f"addr replace {one} dev {CARD} nodad" for one in OURS))
            case "held by another host":
                self._ip(self._other, *(f"addr replace {one} dev {CARD} nodad" for one in OURS))
                self._undo.append(lambda: self._ip(self._other, f"addr flush dev {CARD}"))
            case "no carrier":
                self._ip(self._other, f"link set {CARD} down")
                self._undo.append(lambda: self._ip(self._other, f"link set {CARD} up"))
            case "read-only disk":
                self._mount("ro")
                self._undo.append(lambda: self._mount("rw"))
            case "a while goes by":
                time.sleep(A_WHILE_SECONDS)
            case "start works":
                (prefix / "start-fails.flag").unlink(missing_ok=True)
            case "start fails" | "start waits" | "stop waits":
                (prefix / f"{what.replace(' ', '-')}.flag").touch()
            case "goes on":
                for flag in prefix.glob("*-waits.flag"):
                    flag.unlink()
            case _:
                raise ValueError(what)

    def _processes(self) -> list[int]:
        """Return the service's live processes."""
        found = []
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                name, _, rest = stat.read_text().partition(") ")
            except OSError:
                continue
            if name.endswith(f"({NAME}") and rest[0] not in "ZX":
                found.append(int(stat.parent.name))
        return found

    def _signal(self, number: signal.Signals) -> None:
        for pid in self._processes():
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def _ip(self, namespace: str, *lines: str) -> None:
        text = "".join(f"{line}\n" for line in lines)
        subprocess.run(["ip", "-n", namespace, "-batch", "-"], check=True, input=text, text=True)

    def _mount(self, how: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{how}", self._host.state], check=True)


class ModelSide:
    """The simulator's model, in virtual time."""

    def __init__(self, site: Site, seed: int = 1) -> None:
        hosts = {name: Host(name) for name in ("a", "b")}
        self._world, self._host = World(hosts, "b", random.Random(seed)), hosts["a"]
        of_dns = Host("a")  # a host of the world has one service
        self._gates = {
            "www": HostGate(self._world, site, self._host, "www"),
            "dns": HostGate(self._world, site, of_dns, "dns"),
        }

    def call(self, call: Call) -> Outcome:
        permit = call.permit_by(GateClock(self._host.boot_id, int(self._host.uptime_seconds * 100), 0.0))
        gate = self._gates["www" if call.service not in self._gates else call.service]
        return outcome(call, lambda: gate.carry_out(call.verb, call.service, call.epoch, permit))

    def begin(self, call: Call) -> Callable[[], Outcome]:
        results: list[Outcome] = []
        thread = runtime.thread(lambda: results.append(self.call(call)), name=call.verb)
        thread.start()
        runtime.sleep(0.1)

        def end() -> Outcome:
            thread.join()
            return results[0]

        return end

    def state(self) -> State:
        return State.of(self._gates["www"].status().services["www"])

    def change(self, what: str) -> None:
        host, world = self._host, self._world
        match what:
            case "killed":
                world.stop_service(host)
            case "runs":
                fails, host.start_fails = host.start_fails, False
                world.start_service(host)
                host.start_fails = fails
                runtime.sleep(1.0)
            case "hangs":
                host.service = "hung" if host.processes else "stopped"
            case "held":
                world.put_address(host)
            case "held by another host":
                world.put_address(world.hosts["b"])
            case "no carrier":
                host.cut = True
            case "read-only disk":
                host.read_only = True
            case "a while goes by":
                runtime.sleep(A_WHILE_SECONDS)
            case "start fails" | "start works":
                host.start_fails = what == "start fails"
            case "start waits":
                host.command_seconds = GOES_ON_SECONDS - 1.0
            case "stop waits":
                host.stop_seconds = GOES_ON_SECONDS - 1.0
            case "goes on":
                runtime.sleep(GOES_ON_SECONDS)
                host.command_seconds = host.stop_seconds = 0.05
            case _:
                raise ValueError(what)


def on_model(site: Site, steps: Iterable[Step]) -> list[Outcome | State]:
    """Take all steps on a new model in virtual time."""
    with VirtualRuntime(1).running():
        return course(ModelSide(site), steps)
