"""locum in the lab, set up and run on b with its own commands, as by an administrator.

`init` writes the site file, `enrol` prepares both hosts, and `locum up` runs as the user locum with two
capabilities and no root.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from lab.host import CHECKOUT
from lab.lab import Lab
from lab.namespaces import Inside
from lab.needs import LabError
from lab.power import PowerSwitch
from lab.site_text import in_url, with_fence_device, with_value, with_watchers

HOME = "b"
SITE = "/etc/locum/locum.yml"
FENCE_PASSWORD = "/etc/locum/fence.password"  # on b
BIN = Path(sys.executable).parent  # of the virtual environment, which has the same path in the hosts
UP_SECONDS = 90.0
UNPRIVILEGED = (
    "setpriv", "--reuid=locum", "--regid=locum", "--init-groups",
    "--inh-caps=-all,+net_admin,+net_raw", "--ambient-caps=-all,+net_admin,+net_raw",
)  # fmt: skip
NOBODY = (
    "setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups",
    "--inh-caps=-all,+net_raw", "--ambient-caps=-all,+net_raw",
)  # fmt: skip
POWERLESS = (*NOBODY[:-2], "--inh-caps=-all", "--ambient-caps=-all")
EXPORTER_PORT = 10751
ACTUATOR = "http://127.0.0.1:10752"  # on b
PROMETHEUS, ALERTMANAGER = "https://127.0.0.1:9090", "https://127.0.0.1:9093"  # of `locum up`, on b
STATE = "/var/lib/locum"


class Locum:
    """locum on b of a lab; `with Locum(lab) as locum` enrols the hosts and starts the chain."""

    def __init__(
        self,
        lab: Lab,
        *,
        when_unreachable: str = "takeover",
        interval: str = "250ms",
        mode: str = "act",
        fence: bool = False,
        boot_guard: bool = False,
        watchers: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.lab = lab
        self.say = say
        self._settings = {"when_unreachable": when_unreachable, "interval": interval, "mode": mode}
        self._watchers = tuple(watchers)  # hosts other than b that run an exporter, such as c
        self._fence = fence
        self._guard_words = ["--boot-guard"] if boot_guard else []  # of a
        self._environment = ["env", *(f"{name}={value}" for name, value in (environment or {}).items())]
        self.power: PowerSwitch | None = None  # the fence device, if `fence` was requested
        self._up: Inside | None = None
        self._said: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def __enter__(self) -> Locum:
        self.install()
        for host in self._watchers:
            self.watch_from(host)
        self.up()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.down()
        if self.power is not None:
            self.power.close()

    # -- set up ------------------------------------------------------------------------------------------------

    def install(self) -> None:
        """Create the site file and enrol b, then a over the administrator's SSH."""
        open_the_way(self.lab, HOME)
        self.say("locum init: writes the site file")
        self.command(
            "init", "--output", SITE, "--when-unreachable", self._settings["when_unreachable"],
            "--host", f"a={self.lab.hosts['a'].address}", "--host", f"b={self.lab.hosts['b'].address}",
            "--service", "www", *self._each("--address", self.lab.service_addresses), "--interface", "eth0",
            "--url", "http://{host}/", "--expect", "<html>", "--process", "apache2",
            "--start", "apachectl start", "--stop", "apachectl stop", "--respawn", "apachectl restart",
            *self._each("--witness", self.lab.witnesses),
        )  # fmt: skip
        self._settle()
        self.say("locum enrol b: this host's gate, and the user that runs locum")
        self.command("enrol", "b", "--yes")
        if self._fence:
            self._install_fencing()
        self.say("locum enrol a: over the administrator's SSH")
        self.command(
            "enrol", "a", "--yes", *self._guard_words, "--admin", f"root@{self.lab.hosts['a'].address}",
            "--identity", str(self.lab.admin_key),
        )  # fmt: skip

    @staticmethod
    def _each(option: str, values: Sequence[object]) -> list[str]:
        return [word for value in values for word in (option, str(value))]

    def _install_fencing(self) -> None:
        """Connect all other hosts to the power switch, and store its password for the user locum."""
        self.power = PowerSwitch(self.lab, self.lab.hosts[HOME])
        secret = f"umask 077; printf '%s\\n' \"$1\" > {FENCE_PASSWORD}; chgrp locum $0; chmod 640 $0"
        self.lab.run(HOME, ["sh", "-c", secret, FENCE_PASSWORD, self.power.password])
        path = self.lab.hosts[HOME].root / SITE.lstrip("/")
        text = path.read_text(encoding="utf-8")
        for name in set(self.lab.hosts) - {HOME}:
            text = with_fence_device(text, name, FENCE_PASSWORD)
        path.write_text(text, encoding="utf-8")

    def command(
        self, *words: str, check: bool = True, timeout: float = 60.0
    ) -> subprocess.CompletedProcess[str]:
        """Run a locum command on b as the administrator. Raises `LabError` with its output."""
        done = self.lab.run(HOME, [str(BIN / "locum"), "--site", SITE, *words], check=False, timeout=timeout)
        if check and done.returncode != 0:
            raise LabError(f"locum {words[0]} ended with {done.returncode}: {done.stderr}{done.stdout}")
        return done

    def _settle(self) -> None:
        path = self.lab.hosts[HOME].root / SITE.lstrip("/")
        path.write_text(self.own_site(path.read_text(encoding="utf-8")), encoding="utf-8")

    def own_site(self, text: str) -> str:
        """Return the site file that `init` wrote, with this lab's settings."""
        for key in ("interval", "mode"):
            text = with_value(text, key, self._settings[key])
        if not self._watchers:
            return text
        return with_watchers(
            text, {host: self.lab.hosts[host].address for host in self._watchers}, HOME, EXPORTER_PORT
        )

    # -- run ---------------------------------------------------------------------------------------------------

    def up(self) -> None:
        """Start `locum up` on b and wait until it reports that it is up."""
        self.launch()
        heard: list[str] = []
        deadline = time.monotonic() + UP_SECONDS
        while (line := self._next_line(deadline)) is not None:
            heard.append(line)
            self.say(f"locum up: {line}")
            if line.startswith("locum is up"):
                return
        raise LabError("locum did not come up:\n" + "\n".join(heard))

    def launch(self) -> None:
        """Start `locum up` on b without waiting."""
        self._up = self.lab.popen(
            HOME, [*UNPRIVILEGED, *self._environment, str(BIN / "locum"), "--site", SITE, "up"],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        self._said = queue.SimpleQueue()
        # Read to the end, because a full pipe would block it.
        threading.Thread(target=self._listen, args=(self._up, self._said), daemon=True).start()

    @property
    def running(self) -> bool:
        """Whether the last launched `locum up` is still running."""
        return self._up is not None and self._up.poll() is None

    def _next_line(self, deadline: float) -> str | None:
        try:
            return self._said.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            return None

    @staticmethod
    def _listen(up: Inside, said: queue.SimpleQueue[str | None]) -> None:
        assert up.stdout is not None
        with up.stdout as lines:
            for line in lines:
                said.put(line.rstrip())
        said.put(None)

    def down(self) -> None:
        """End `locum up`, as an administrator would."""
        if self._up is not None and self._up.poll() is None:
            self._up.terminate()
            try:
                self._up.wait(15)
            except subprocess.TimeoutExpired:
                self._up.kill()

    def watch_from(self, host: str) -> None:
        """Run an exporter on another host as an unprivileged user; it has no key, so it calls no gate."""
        there, here = self.lab.hosts[host].root, self.lab.hosts[HOME].root
        site = there / SITE.lstrip("/")
        site.parent.mkdir(parents=True, exist_ok=True)
        site.write_text((here / SITE.lstrip("/")).read_text(encoding="utf-8"), encoding="utf-8")
        for path in (site.parent, site):
            path.chmod(0o755 if path.is_dir() else 0o644)
        open_the_way(self.lab, host)
        self.launch_exporter(host)

    def launch_exporter(self, host: str, *, may_ping: bool = True) -> None:
        """Start the exporter of an outside vantage point; without `may_ping` it lacks the capability."""
        listen = f"{in_url(self.lab.hosts[host].address)}:{EXPORTER_PORT}"
        self.lab.popen(
            host,
            [*(NOBODY if may_ping else POWERLESS), str(BIN / "locum-exporter"), "--site", SITE, "--listen", listen,
             "--host", host],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self.lab.hosts[host].wait_listening(EXPORTER_PORT, UP_SECONDS)

    # -- look --------------------------------------------------------------------------------------------------

    def incidents(self) -> list[dict[str, Any]]:
        """Return the incidents, oldest first, from the actuator's API, which avoids starting Python."""
        try:
            rows: list[dict[str, Any]] = self.get(f"{ACTUATOR}/api/v1/incidents")["incidents"]
        except subprocess.CalledProcessError as fault:
            raise LabError(f"the actuator does not report its incidents: {fault.stderr}") from fault
        return rows[::-1]

    def incidents_since(self, since: float) -> list[dict[str, Any]]:
        """Return the incidents that were open at `since` (time.time()) or later, oldest first.

        A fault may come while an alert of before is being looked into: it is handled in that incident then.
        """
        return [row for row in self.incidents() if row["closed_at"] is None or row["closed_at"] >= since]

    def wait_incident(self, outcome: str, since: float, seconds: float = 60.0) -> dict[str, Any]:
        """Wait for an incident with a check at `since` (time.time()) or later that ends with `outcome`."""
        deadline = time.monotonic() + seconds
        while True:
            found = [
                row for row in self.incidents() if _looked_at(row) >= since and row["outcome"] == outcome
            ]
            if found:
                return found[0]
            if time.monotonic() > deadline:
                raise LabError(f"no incident ended with '{outcome}' within {seconds:g} s: {self.incidents()}")
            time.sleep(0.1)

    def get(self, url: str) -> Any:
        """Return the JSON at a URL on b's loopback."""
        return json.loads(self.lab.run(HOME, curl(url)).stdout)

    def samples(self, selector: str, end: float, seconds: float) -> list[list[tuple[float, float]]]:
        """Return Prometheus' raw samples of the `seconds` before `end`: (time.time(), value) for each series."""
        form = {"query": f"{selector}[{round(seconds * 1000)}ms]", "time": f"{end:.3f}"}
        answer = self.lab.run(
            HOME,
            curl("-G", f"{PROMETHEUS}/api/v1/query", *_form(form)),
        )
        rows = json.loads(answer.stdout)["data"]["result"]
        return [[(float(at), float(value)) for at, value in row["values"]] for row in rows]


def curl(*words: str) -> list[str]:
    """Return a command for b that queries a part of the chain, with a password and a certificate."""
    command = "exec curl -sSf --max-time 5"
    if any(word.startswith((PROMETHEUS, ALERTMANAGER)) for word in words):
        command += f' --cacert {STATE}/tls/chain.crt -u "locum:$(cat {STATE}/chain/web.password)"'
        command += f" --cert {STATE}/tls/client.crt --key {STATE}/tls/client.key"
    return ["sh", "-c", f'{command} "$@"', "curl", *words]


def open_the_way(lab: Lab, host: str) -> None:
    """Give the user locum access to the interpreter and the checkout, only on that host's own disk."""
    for target in {CHECKOUT, Path(sys.base_prefix), Path(os.path.realpath(sys.executable))}:
        for parent in target.parents:
            lab.run(host, ["chmod", "o+x", str(parent)], check=False)


def _looked_at(incident: dict[str, Any]) -> float:
    """Return when an incident began; for many checks without a finding, when the last of them ended."""
    at: float = incident["closed_at"] if incident["looks"] > 1 else incident["opened_at"]
    return at


def _form(values: dict[str, str]) -> Sequence[str]:
    return [word for key, value in values.items() for word in ("--data-urlencode", f"{key}={value}")]
