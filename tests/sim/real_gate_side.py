"""The side of gate.sh: the script under dash on a host of its own, with real processes, addresses and files."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from locum_inventory.gate.clock import GateClock
from locum_inventory.gate.host_file import host_file
from locum_inventory.gate.local import LocalGate
from locum_inventory.site.model import Site
from tests.inventory.gate.gate_host import GateHost
from tests.sim.gate_calls import A_WHILE_SECONDS, OURS, Call, Outcome, State, outcome
from tests.support.polling import wait_for

NAME = f"lm{os.getpid()}"  # of the service's process: no other test process uses it
CARD = "eth0"
LOCK_LIMIT_SECONDS = 0.3  # in place of five seconds, so that the test need not wait for so long
DEADLINE_SECONDS = 60.0

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
