"""locum, as the campaign runs it: set up by its own commands, its webhooks listened to on the wire."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from bench.campaign import many_services
from bench.campaign.locum_faults import Surroundings
from bench.campaign.system import Account, processes_of
from lab.clock import Clock
from lab.host import Host
from lab.lab import Lab
from lab.locum import HOME, Locum
from lab.namespaces import PYTHON, Inside
from lab.needs import LabError
from lab.power import PowerSwitch

LISTENER = Path(__file__).parent / "inside" / "webhooks.py"
READER = LISTENER.with_name("journal.py")
WEBHOOK_PORT = "10753"
SECRETS = "/run/locum-campaign.secrets"  # of TLS, on b: for the listener alone
RESTART_SECONDS = 1.0  # a program that has ended is restarted after this time, as by systemd
FINISH_SECONDS = 30.0
STATE = "var/lib/locum"
_WORDS = {
    "actuator": (b"locum_actuator.server",),
    "exporter": (b"locum_exporter.server",),
    "prometheus": (b"/usr/bin/prometheus\0",),
    "alertmanager": (b"/usr/bin/prometheus-alertmanager\0",),
    "up": (b"/locum\0", b"\0up\0"),
}

Journal = dict[str, list[dict[str, Any]]]  # its tables


class LocumSystem:
    """locum on b of a lab (and an exporter on c, if the profile has one)."""

    def __init__(self, lab: Lab, profile: str) -> None:
        self.name = f"locum {profile}"
        self._profile = profile
        self._lab = lab
        self.other_addresses: Sequence[IPv4Address] = ()
        self._prepare(frozenset())
        self._wanted_up = False
        self._ended_at: float | None = None
        self._heard: list[dict[str, Any]] = []
        self._listening = threading.Event()
        self._listener: Inside | None = None

    @property
    def _home(self) -> Host:
        return self._lab.hosts[HOME]

    def start(self, kinds: frozenset[str]) -> None:
        """Enrol the hosts and start the chain; return when it says that it is up and a serves."""
        self._prepare(kinds)
        self._locum.install()
        for host in HOSTS.get(self._profile, ())[2:]:
            self._locum.watch_from(host)
        self._listen()
        self._locum.up()
        self._wanted_up = True
        self._lab.client.wait_good()

    def _prepare(self, kinds: frozenset[str]) -> None:
        """Set locum up for faults that want something of their own: a clock that can be set, more services."""
        clock = Clock(self._home) if "clock_step" in kinds else None
        make = Locum
        if "hang_many" in kinds:
            make, self.other_addresses = many_services.ManyServices, many_services.ADDRESSES
        environment = {"SSLKEYLOGFILE": SECRETS} | dict(clock.environment if clock is not None else {})
        self._locum = make(self._lab, **_SETTINGS[self._profile], environment=environment)
        self._surroundings = Surroundings(self._lab, self._locum, clock, self.pids)

    def revive(self, host: str) -> None:
        """After a boot of b the chain starts; on a nothing of locum does, only sshd."""
        if host == HOME:
            self._plug_in_again()
            self._listen()
            self.start_all()

    def _plug_in_again(self) -> None:
        """The power switch listens in b's /run, which a boot empties; it goes on with the password it had."""
        before = self._locum.power
        if before is not None:
            before.close()
            self._locum.power = PowerSwitch(self._lab, self._home)
            self._locum.power.password = before.password

    def tend(self) -> None:
        """Restart `locum up` a second after it has ended, as its unit would (Restart=always)."""
        if not self._wanted_up or not self._home.up or self._locum.running:
            self._ended_at = None
            return
        self._ended_at = self._ended_at or time.monotonic()
        if time.monotonic() - self._ended_at >= RESTART_SECONDS:
            self._ended_at = None
            self._locum.launch()

    def pids(self, part: str) -> Sequence[int]:
        """Return the processes of one part of the chain."""
        return processes_of(self._home, *_WORDS[part])

    def kill_all(self) -> None:
        """`kill -9` of `locum up`: its children end with it."""
        self._wanted_up = False
        for pid in self.pids("up"):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def start_all(self) -> None:
        """Start `locum up` again without waiting."""
        self._wanted_up = True
        if not self.pids("up"):
            self._locum.launch()

    def bring(self, how: str, detail: Mapping[str, Any]) -> str | None:
        """Bring a fault of its surroundings; return in words why it did not take hold, None where it did."""
        return self._surroundings.bring(how, detail)

    def heal(self, how: str) -> str | None:
        """Take it away again."""
        return self._surroundings.heal(how)

    def restore_service(self, host: str) -> None:
        """Do nothing: this is locum's task."""

    def account(self) -> Account:
        """End the chain, then read the journal."""
        if self._home.up and self._listener is not None and self._listener.poll() is not None:
            raise LabError("the listener for webhooks has ended")  # a lost alert would not be noticed
        self._finish()
        self._wanted_up = False
        with suppress(subprocess.TimeoutExpired):
            self._locum.down()
        journal = self.journal()
        return Account(
            webhooks=list(self._heard),
            unheard_packets=sum(line.get("dropped", 0) for line in self._heard),
            alerts=journal["alerts"],
            unfinished=_unfinished(journal),
        )

    def _finish(self) -> None:
        """Let locum take up what a kill interrupted: where the service is well, it may not be back yet."""
        deadline = time.monotonic() + FINISH_SECONDS
        while self._home.up and time.monotonic() < deadline and _unfinished(self.journal()):
            self.tend()
            time.sleep(0.2)

    def keep(self, directory: Path) -> None:
        """Copy the state directory: journal and logs."""
        if self._home.up:
            shutil.copytree(
                self._home.root / STATE,
                directory,
                dirs_exist_ok=True,
                ignore=shutil.ignore_patterns("prometheus", "*.sock"),  # its data, and what cannot be copied
            )

    def refusal(self) -> str | None:
        """Return locum's open refusal in words, as its journal has it now."""
        return _refusal(self.journal())

    def journal(self) -> Journal:
        """Return the tables of locum's journal."""
        said = self._lab.run(HOME, [*PYTHON, str(READER), f"/{STATE}/journal.sqlite"], user="locum").stdout
        journal: Journal = json.loads(said)
        return journal

    def _listen(self) -> None:
        """Listen on b's loopback; the listener ends with b and is restarted after its boot."""
        self._listening.clear()
        self._lab.run(HOME, ["install", "-o", "locum", "-m", "600", "/dev/null", SECRETS])
        self._listener = listener = self._lab.popen(
            HOME,
            [sys.executable, "-B", str(LISTENER), WEBHOOK_PORT, SECRETS],
            stdout=subprocess.PIPE,
            text=True,
        )
        threading.Thread(target=self._hear, args=(listener.stdout,), name="webhooks", daemon=True).start()
        if not self._listening.wait(10):
            raise TimeoutError("the listener for webhooks has not started after 10 s")

    def _hear(self, lines: Any) -> None:
        with lines:
            for text in lines:
                line = json.loads(text)
                if "listening" in line:
                    self._listening.set()
                else:
                    self._heard.append(line)


_SETTINGS: dict[str, dict[str, Any]] = {
    "probe": {"when_unreachable": "takeover"},
    "refuse": {"when_unreachable": "refuse"},
    "fence": {"when_unreachable": "refuse", "fence": True, "watchers": ("c",)},
    "fence-two": {"when_unreachable": "refuse", "fence": True},
    "three": {"when_unreachable": "refuse", "watchers": ("c",)},
}
PROFILES = tuple(_SETTINGS)
HOSTS = {"three": ("a", "b", "c"), "fence": ("a", "b", "c")}


def _refusal(journal: Journal) -> str | None:
    """Return why locum does nothing about www, if its open incident's last decision says so."""
    still_open = {
        row["id"] for row in journal["incidents"] if row["closed_at"] is None and row["service"] == "www"
    }
    said = [
        str(event["text"])
        for event in journal["events"]
        if event["incident"] in still_open and event["kind"] in {"decided", "refused"}
    ]
    return said[-1] if said and said[-1].startswith(("refuse: ", "for ")) else None


def _unfinished(journal: Journal) -> list[str]:
    """Return alerts that woke a worker and came to no incident, in words."""
    return [
        f"alert {row['id']} {row['name']} of {row['received_at']:.3f} belongs to no incident"
        for row in journal["alerts"]
        if row["verdict"].startswith("woke") and row["incident"] is None
    ]
