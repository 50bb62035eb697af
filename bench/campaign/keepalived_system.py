"""keepalived 2.2.7 (Debian 12), as the campaign runs it: the same faults, its own processes instead of the chain's.

Both hosts run Apache all the time, as keepalived only moves the address. A killed service is restarted
by an administrator when the schedule heals that fault, because keepalived does not respawn it.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from types import MappingProxyType
from typing import Any

from bench.campaign.system import Account, processes_of
from lab.host import Host
from lab.lab import Lab
from lab.needs import LabError

CONFIG = "etc/keepalived/keepalived.conf"
LOG = "var/log/keepalived.log"
_WORDS = (b"keepalived\0", b"--dont-fork")
# Which host's keepalived is meant where the schedule names a part of locum's chain.
_PART_HOSTS = MappingProxyType({"actuator": "b", "prometheus": "a", "alertmanager": "b", "exporter": "a"})


@dataclass(frozen=True, slots=True)
class Setting:
    """Times in seconds, as keepalived.conf(5) takes them."""

    advertise: float
    check: int
    fall: int
    version: int  # of VRRP: 2 is the default, and its intervals are whole seconds


SETTINGS: Mapping[str, Setting] = MappingProxyType(
    {"documented": Setting(1, 2, 2, version=2), "tuned": Setting(0.1, 1, 1, version=3)}
)

_CONFIG = """\
global_defs {{
    script_user root
    enable_script_security
    vrrp_version {version}
    vrrp_garp_master_refresh 60
}}
vrrp_script http {{
    script "/usr/bin/curl -sf -o /dev/null --max-time 1 http://127.0.0.1/"
    interval {check}
    timeout 2
    fall {fall}
    rise 1
}}
vrrp_instance www {{
    state BACKUP
    nopreempt
    interface eth0
    virtual_router_id 51
    priority {priority}
    advert_int {advertise}
    virtual_ipaddress {{
        {address} dev eth0
    }}
    track_script {{
        http
    }}
}}
"""


class KeepalivedSystem:
    """keepalived on a and b of a lab."""

    def __init__(self, lab: Lab, setting: str) -> None:
        self.name = f"keepalived {setting}"
        self.other_addresses: Sequence[IPv4Address] = ()
        self._lab = lab
        self._setting = SETTINGS[setting]

    def start(self, _kinds: frozenset[str]) -> None:
        """Write the configuration, and start it on a first so that a is the master."""
        for name, priority in (("a", 150), ("b", 100)):
            config = self._host(name).root / CONFIG
            config.parent.mkdir(parents=True, exist_ok=True)
            setting = self._setting
            text = _CONFIG.format(
                check=setting.check, fall=setting.fall, version=setting.version,
                advertise=f"{setting.advertise:g}", priority=priority,
                address=self._lab.service_address,
            )  # fmt: skip
            config.write_text(text, encoding="utf-8")
            config.chmod(0o644)
        self._lab.start_service("b")
        self._launch("a")
        self._lab.client.wait_good(timeout=30)
        self._launch("b")
        self._lab.client.wait_good(n=100, timeout=30)

    def revive(self, host: str) -> None:
        """After a boot Apache and keepalived start."""
        with suppress(LabError, subprocess.CalledProcessError):
            self._lab.start_service(host)
        self._launch(host)

    def tend(self) -> None:
        """Nothing: Debian's unit of keepalived does not start it again."""

    def pids(self, part: str) -> Sequence[int]:
        """Return keepalived's processes on the host that stands for this part."""
        host = _PART_HOSTS[part]
        if self._host(host).up and processes_of(self._host(host), *_WORDS):
            return processes_of(self._host(host), *_WORDS)
        return []

    def kill_all(self) -> None:
        """`kill -9` of keepalived on b."""
        for pid in processes_of(self._host("b"), *_WORDS):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def start_all(self) -> None:
        """Start it wherever it does not run."""
        for name in ("a", "b"):
            host = self._host(name)
            if host.up and not processes_of(host, *_WORDS):
                self._launch(name)

    def bring(self, _how: str, _detail: Mapping[str, Any]) -> str | None:
        """Bring nothing: what surrounds locum's chain, keepalived has not."""
        return "did nothing: keepalived has no such part"

    def heal(self, _how: str) -> str | None:
        """Take nothing away."""
        return None

    def restore_service(self, host: str) -> None:
        """An administrator starts the killed service."""
        if self._host(host).up:
            with suppress(LabError, subprocess.CalledProcessError):
                self._lab.start_service(host)

    def refusal(self) -> str | None:
        """Return None: keepalived gives no reasons."""
        return None

    def account(self) -> Account:
        """It has no journal."""
        return Account(webhooks=[], unheard_packets=0, alerts=[], unfinished=[])

    def keep(self, directory: Path) -> None:
        """Copy both logs."""
        directory.mkdir(parents=True, exist_ok=True)
        for name in ("a", "b"):
            if self._host(name).up and (self._host(name).root / LOG).exists():
                shutil.copy(self._host(name).root / LOG, directory / f"keepalived-{name}.log")

    def _host(self, name: str) -> Host:
        return self._lab.hosts[name]

    def _launch(self, name: str) -> None:
        with (self._host(name).root / LOG).open("ab") as log:
            # Through a shell: nsenter stops when its own child does, and would not be resumed.
            words = ["--dont-fork", "--log-console", "--log-detail", f"--use-file=/{CONFIG}"]
            self._lab.popen(
                name, ["sh", "-c", 'keepalived "$@" & wait', "sh", *words], stdout=log, stderr=log
            )
