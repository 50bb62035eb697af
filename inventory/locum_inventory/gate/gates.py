"""The gates of a site's hosts: over SSH, or run as a process on this machine."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

from locum_inventory.gate.clock import Permit
from locum_inventory.gate.host_file import GATE_PATH
from locum_inventory.gate.protocol import GateClient, GateError, GateStatus, ServiceStatus, Verb
from locum_inventory.site.model import Site


class GateClients(Mapping[str, GateClient]):
    """The gates of a site's hosts by host name, each opened on first use.

    `local_host` is the host this program runs on (None if it is not a host of the site): its gate is run as a
    process. The role decides which key is used and what the gate allows.
    """

    def __init__(
        self,
        site: Site,
        local_host: str | None,
        role: Literal["actuator", "exporter"],
        *,
        gate_path: Path = GATE_PATH,
    ) -> None:
        self._site = site
        self._local_host = local_host
        self._role: Literal["actuator", "exporter"] = role
        self._gate_path = gate_path
        self._lock = threading.Lock()
        self._open: dict[str, GateClient] = {}

    def __getitem__(self, host: str) -> GateClient:
        if host not in self._site.hosts:
            raise KeyError(host)
        with self._lock:
            if host not in self._open:
                self._open[host] = self._make(host)
            return self._open[host]

    def __iter__(self) -> Iterator[str]:
        return iter(self._site.hosts)

    def __len__(self) -> int:
        return len(self._site.hosts)

    def close(self) -> None:
        """Close all connections; a gate that is called afterwards opens a new one."""
        with self._lock:
            gates, self._open = list(self._open.values()), {}
        for gate in gates:
            gate.close()

    def _make(self, host: str) -> GateClient:
        # Imported here: paramiko takes 0.1 s to load, and is not needed for the gate of this machine.
        from locum_inventory.gate.local import LocalGate  # noqa: PLC0415
        from locum_inventory.gate.ssh import SshGate  # noqa: PLC0415

        if host == self._local_host:
            return LocalGate(host, self._role, gate_path=self._gate_path)
        address, ssh = self._site.hosts[host].address, self._site.hosts[host].ssh
        return UnreachableGate(host) if ssh is None else SshGate(host, address, ssh, self._role)


class UnreachableGate:
    """The gate of a host that the site file gives no means to reach."""

    def __init__(self, host: str) -> None:
        self._text = f"{host}: the site file gives no ssh for this host, and it is not this machine"

    def status(self, *, deadline_seconds: float) -> GateStatus:
        """Raise: the gate cannot be reached."""
        raise GateError("gate", self._text)

    def last_status(self) -> GateStatus | None:
        """Return None: it is never called."""
        return None

    def run_verb(
        self, verb: Verb, service: str, epoch: int, *, deadline_seconds: float, permit: Permit | None = None
    ) -> ServiceStatus:
        """Raise: the gate cannot be reached."""
        raise GateError("gate", self._text)

    def count_processes(self, *, deadline_seconds: float) -> Mapping[str, int]:
        """Raise: the gate cannot be reached."""
        raise GateError("gate", self._text)

    def retry_now(self) -> None:
        """Do nothing: there is no connection to retry."""

    def close(self) -> None:
        """Do nothing: there is no connection to close."""
