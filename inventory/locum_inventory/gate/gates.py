"""The gates of a site's hosts: over SSH, or the one of this machine."""

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
    """The gates of a site's hosts by host name, each opened when it is first asked for.

    `local_host` is the host this program runs on (None where it is none of the site's): its gate is run as a
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
        """Give up every connection; a gate that is asked afterwards opens a new one."""
        with self._lock:
            gates, self._open = list(self._open.values()), {}
        for gate in gates:
            gate.close()

    def _make(self, host: str) -> GateClient:
        # Imported here: paramiko takes 0.1 s to load, and who asks this machine's gate alone needs none of it.
        from locum_inventory.gate.local import LocalGate  # noqa: PLC0415
        from locum_inventory.gate.ssh import SshGate  # noqa: PLC0415

        if host == self._local_host:
            return LocalGate(host, self._role, gate_path=self._gate_path)
        address, ssh = self._site.hosts[host].address, self._site.hosts[host].ssh
        return UnreachableGate(host) if ssh is None else SshGate(host, address, ssh, self._role)


class UnreachableGate:
    """The gate of a host to which the site file names no way."""

    def __init__(self, host: str) -> None:
        self._text = f"{host}: the site file gives no ssh for this host, and it is not this machine"

    def status(self, *, deadline_seconds: float) -> GateStatus:
        """Say that there is no way."""
        raise GateError("gate", self._text)

    def last_status(self) -> GateStatus | None:
        """Return None: it was never asked."""
        return None

    def run_verb(
        self, verb: Verb, service: str, epoch: int, *, deadline_seconds: float, permit: Permit | None = None
    ) -> ServiceStatus:
        """Say that there is no way."""
        raise GateError("gate", self._text)

    def count_processes(self, *, deadline_seconds: float) -> Mapping[str, int]:
        """Say that there is no way."""
        raise GateError("gate", self._text)

    def retry_now(self) -> None:
        """There is nothing to try."""

    def close(self) -> None:
        """Nothing is open."""
