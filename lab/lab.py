"""A lab: hosts, a gateway and a client on one switch, isolated from the machine it runs on."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Interface, IPv6Interface
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any

from lab import needs, plan
from lab.client import Client
from lab.firewall import Firewall
from lab.host import Host
from lab.interrupts import hear_interrupts
from lab.namespaces import Anchor, Inside
from lab.needs import LabError
from lab.provision import ADMIN_KEY, files, make_keys
from lab.switch import Switch
from lab.watcher import Watcher

SSHD = ("/usr/sbin/sshd", "-E", "/var/log/auth.log")
APACHE = ("apachectl", "start")
BOOT_SERVICES: Mapping[str, Sequence[Sequence[str]]] = MappingProxyType(
    {"a": (SSHD, APACHE), "b": (SSHD,), "c": (SSHD,)}
)


class Lab(Firewall):
    """A lab with all its hosts, for the duration of the `with` block.

    `hosts` are those that may serve, `everybody` also the gateway `gw`, the `client` and the `watcher`. No host
    holds the service address at first, unless `holder` names one. Labs are isolated from each other: any number
    may run at once. When the process that created a lab ends for any reason, the lab ends too.

    `speaks` selects the IP versions. `ipv4`: the service has an IPv4 address, the hosts have both. `ipv6`: there
    is no IPv4. `both`: service and hosts have both; then there are two `clients` and two `watchers`, and `client`
    and `watcher` are those of IPv4.
    """

    service_address: IPv4Interface = plan.SERVICE_ADDRESS
    service_address6: IPv6Interface = plan.SERVICE_ADDRESS6
    admin_key: Path = ADMIN_KEY  # on b, with a known_hosts that has all host keys

    def __init__(
        self, hosts: Sequence[str] = ("a", "b"), *, holder: str | None = None,
        boot_services: Mapping[str, Sequence[Sequence[str]]] = BOOT_SERVICES,
        speaks: plan.IPVersions = "ipv4",
    ) -> None:  # fmt: skip
        for name in hosts:
            if name not in plan.SERVERS:
                raise LabError(f"there is no host '{name}': choose from {', '.join(plan.SERVERS)}")
        if holder is not None and holder not in hosts:
            raise LabError(f"'{holder}' cannot hold the service address: it is not among {', '.join(hosts)}")
        self._names = tuple(hosts)
        self._holder = holder
        self._boot_services = boot_services
        self._speech = plan.SPEECH[speaks]
        self.service_addresses = self._speech.service  # those in use
        self.clients: tuple[Client, ...] = ()  # one for each service address
        self.watchers: tuple[Watcher, ...] = ()
        self._anchor: Anchor | None = None
        self._zombies = []
        self._starved = []
        self.hosts: Mapping[str, Host] = {}
        self.everybody: Mapping[str, Host] = {}
        self.note: str | None = None  # a message: addresses that the machine also uses

    def __enter__(self) -> Lab:
        if self._anchor is not None:
            raise LabError("this lab is already running")
        hear_interrupts()
        needs.check()
        self.note = plan.clash()
        try:
            self._start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def client(self) -> Client:
        """The client of the first service address."""
        return self.clients[0]

    @property
    def watcher(self) -> Watcher:
        """The watcher of the first service address."""
        return self.watchers[0]

    @property
    def witnesses(self) -> list[plan.Address]:
        """The gateway's addresses, one for each IP version of the service's."""
        gateway = plan.PLACES["gw"]
        return [gateway.address if one.version == 4 else gateway.address6 for one in self.service_addresses]

    @property
    def anchor(self) -> Anchor:
        """The anchor of the lab's namespaces."""
        if self._anchor is None:
            raise LabError("the lab is not running: use it in a with block")
        return self._anchor

    def run(self, host: str, argv: Sequence[str], **options: Any) -> subprocess.CompletedProcess[str]:
        """Run a program in a host: see `Host.run`."""
        return self.host(host).run(argv, **options)

    def popen(self, host: str, argv: Sequence[str], **options: Any) -> Inside:
        """Start a program in a host: see `Host.popen`."""
        return self.host(host).popen(argv, **options)

    def holders(self) -> list[str]:
        """Return the hosts that have a service address in use on a card, from their state, not from the wire."""
        return [name for name, host in self.hosts.items() if host.up and self._has_address(host)]

    def close(self) -> None:
        """End the lab. May be called again."""
        if self._anchor is not None:
            self._anchor.close()
            self._anchor = None
        for host in self.everybody.values():
            host.forget()
        for client in self.clients:
            client.close()
        for watcher in self.watchers:
            watcher.close()
        self.clients = self.watchers = ()

    def _start(self) -> None:
        self._anchor = Anchor()
        self.switch = Switch(self._anchor.pid)
        keys = make_keys([*self._names, "admin"], self._anchor.directory)
        self.hosts = {name: self._make(name, keys) for name in self._names}
        self.everybody = {
            **self.hosts,
            **{name: self._make(name, keys) for name in ("gw", "client", "watcher")},
        }
        with ThreadPoolExecutor(len(self.everybody)) as pool:
            for booted in [pool.submit(host.boot) for host in self.everybody.values()]:
                booted.result()
        if self._holder is not None:
            self.add_address(self._holder)
        asked = [address.ip for address in self.service_addresses]
        self.clients = tuple(Client(self.everybody["client"], address) for address in asked)
        self.watchers = tuple(Watcher(self.everybody["watcher"], address) for address in asked)

    def _make(self, name: str, keys: Any) -> Host:
        place = plan.PLACES[name]
        assert self._anchor is not None
        written = files(place, keys) if place.has_disk else []
        services = self._boot_services.get(name, ())
        return Host(place, self._anchor, self.switch, written, services, ip_versions=self._speech.hosts)

    def _has_address(self, host: Host) -> bool:
        links = json.loads(host.run(["ip", "-j", "address"]).stdout)
        held = {
            info.get("local")
            for link in links
            for info in link.get("addr_info", [])
            if not info.get("tentative") and not info.get("dadfailed")
        }
        return any(str(address.ip) in held for address in self.service_addresses)
