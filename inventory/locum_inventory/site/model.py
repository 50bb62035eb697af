"""The site as frozen, typed values: hosts, services, vantage points, witnesses.

Single keys are validated here, and a fault is a `ValueError` whose text says what to give instead; rules about
several keys are in `rules.py`. `load.py` gathers both into lines with file, line and
key. Each field's description completes the sentence "give ..." in those lines.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from locum_inventory.site.checks import Checks, HttpCheck, ProcessCheck, TcpCheck
from locum_inventory.site.commands import AddressCommands, Hook, HookName, Seconds
from locum_inventory.site.failback import Failback
from locum_inventory.site.fencing import FenceDevice
from locum_inventory.site.field_types import (
    DEFAULT_EXPORTER_URL,
    INTERVAL_SECONDS,
    AbsolutePath,
    Address,
    CommandLine,
    InterfaceAddress,
    InterfaceName,
    Interval,
    Name,
    OwnAddress,
    ServiceAddress,
    Value,
    port_is_sound,
)
from locum_inventory.site.mirror import Mirror
from locum_inventory.site.notifications import Deadman, Mail

__all__ = [
    "INTERVAL_SECONDS",
    "Actuator",
    "Address",
    "AddressCommands",
    "ChainParts",
    "Checks",
    "Commands",
    "Deadman",
    "Failback",
    "FenceDevice",
    "Hook",
    "Host",
    "HttpCheck",
    "InterfaceAddress",
    "Interval",
    "Mail",
    "Mirror",
    "ProcessCheck",
    "Service",
    "Site",
    "Ssh",
    "Takeover",
    "TcpCheck",
    "VantagePoint",
]


class Ssh(Value):
    """How locum reaches the gate of a host over SSH."""

    user: str = Field(
        default="locum",
        pattern=r"^[a-z_][a-z0-9_-]{0,31}$",
        description="the login name on that host (a-z, 0-9, '-' and '_', at most 32)",
    )
    port: int = Field(default=22, ge=1, le=65535, description="the port of its sshd")
    key_file: AbsolutePath = Field(
        default=Path("/etc/locum/id_ed25519"),
        description="the file with the private key that may make changes",
    )
    exporter_key_file: AbsolutePath | None = Field(
        default=None, description="the file with a private key that may only read"
    )
    known_hosts: AbsolutePath = Field(
        default=Path("/etc/locum/known_hosts"), description="the file with the pinned host keys"
    )

    def key_for(self, role: Literal["actuator", "exporter"]) -> Path:
        """Return the private key that a role logs in with; an exporter's key may only read."""
        if role == "exporter" and self.exporter_key_file is not None:
            return self.exporter_key_file
        return self.key_file


class Host(Value):
    """A machine, with its own address."""

    address: OwnAddress = Field(description="the host's own address, IPv4 or IPv6")
    ssh: Ssh | None = Field(default=None, description="how to log in there, such as {user: locum}")
    fence: tuple[FenceDevice, ...] = Field(
        default=(),
        description="its fence device, such as {agent: fence_ipmilan, options: {...}}, or a list of them",
    )

    @field_validator("fence", mode="before")
    @classmethod
    def _one_device_or_several(cls, value: Any) -> Any:
        return (value,) if isinstance(value, Mapping) else value


class Commands(Value):
    """Command lines that a host's gate runs for a service. `locum enrol` writes them to that host."""

    start: CommandLine = Field(description="the command line that starts the service")
    stop: CommandLine = Field(description="the command line that stops the service")
    respawn: CommandLine | None = Field(
        default=None, description="the command line that restarts the service after its process has died"
    )
    start_timeout: Seconds = Field(
        default=60.0,
        gt=0,
        le=3600,
        description="how long a start may take until the service answers, such as 60s or 2m",
    )
    respawn_timeout: Seconds = Field(
        default=30.0,
        gt=0,
        le=3600,
        description="how long a respawn may take until the service answers, such as 30s",
    )
    stop_timeout: Seconds = Field(
        default=5.0, gt=0, le=300, description="how long a stop may take before SIGKILL, such as 5s"
    )


class Takeover(Value):
    """What locum may do for a service, and within which limits."""

    when_unreachable: Literal["takeover", "refuse"] = Field(
        description="'takeover' or 'refuse': what to do when the holder does not answer at all"
    )
    mode: Literal["act", "observe"] = Field(
        default="act", description="'act', or 'observe' to record what would be done and change nothing"
    )
    when_hung: Literal["takeover", "restart"] = Field(
        default="takeover",
        description="what to do when the process is running but the service does not answer",
    )
    when_unexpected: Literal["takeover", "restart", "tell"] | None = Field(
        default=None,
        description="what to do when it answers, but not as expected: 'takeover', 'restart' or 'tell'",
    )
    start: Literal["before_claim", "after_claim", "during_release"] = Field(
        default="before_claim", description="when the service is started on the standby"
    )
    when_fence_unconfirmed: Literal["refuse", "takeover"] = Field(
        default="refuse",
        description="'refuse', or 'takeover' to go on although the old holder is not confirmed off",
    )
    max_per_hour: int = Field(default=3, ge=1, le=60, description="how many takeovers are allowed per hour")
    cooldown: Seconds = Field(
        default=60.0,
        ge=0,
        le=3600,
        description="how many seconds to wait after a takeover before another one",
    )
    max_respawns_per_hour: int = Field(
        default=10,
        ge=1,
        le=60,
        description="how many respawns are allowed per hour on one host",
    )
    when_storm: Literal["refuse", "takeover"] = Field(
        default="refuse",
        description="'refuse', or 'takeover' to take over even while several holder hosts fail at once",
    )


class Service(Value):
    """A service that must stay available, with its hosts and addresses."""

    hosts: tuple[Name, ...] = Field(
        min_length=2, description="its hosts, the preferred one first, such as [a, b]"
    )
    # `rules.py` requires both, or `address_commands` instead.
    addresses: tuple[ServiceAddress, ...] = Field(
        default=(), min_length=1, description="its addresses with prefix lengths, such as [192.0.2.100/24]"
    )
    interface: Mapping[Name, InterfaceName] = Field(
        default_factory=dict,
        description="the interface for its addresses, such as eth0, or one per host: {a: eth0, b: enp3s0}",
    )
    address_commands: AddressCommands | None = Field(
        default=None, description="the commands that replace an address: {claim: ..., check: ...}"
    )
    checks: Checks = Field(
        default=Checks(), description="the checks that decide whether it is healthy, or {} to rely on a ping"
    )
    interval: Interval = Field(default="250ms", description="how often to check")
    standby: Literal["stopped", "running"] = Field(
        default="stopped", description="whether it also runs on hosts that do not hold its addresses"
    )
    commands: Commands | None = Field(
        default=None, description="how to start and stop it: {start: ..., stop: ..., respawn: ...}"
    )
    takeover: Takeover = Field(description="what locum may do for the service")
    mirror: Mirror | None = Field(default=None, description="how a standby gets its copy of the data")
    failback: Failback = Field(
        default=Failback(), description="'manual', or automatic failback: {mode: auto, after: 30m}"
    )
    hooks: Mapping[HookName, Hook] = Field(
        default_factory=dict,
        description="commands before and after steps: {after_claim: {command: ...}}",
    )

    @model_validator(mode="before")
    @classmethod
    def _one_interface_for_all(cls, data: Any) -> Any:
        if isinstance(data, dict) and isinstance(data.get("interface"), str):
            hosts = data.get("hosts")
            names = (
                [host for host in hosts if isinstance(host, str)] if isinstance(hosts, list | tuple) else []
            )
            return {**data, "interface": dict.fromkeys(names, data["interface"])}
        return data

    @property
    def interval_seconds(self) -> float:
        """The interval of the deciding checks in seconds."""
        return INTERVAL_SECONDS[self.interval]

    @property
    def preferred(self) -> str:
        """The host that should be the holder when all hosts are healthy."""
        return self.hosts[0]


class VantagePoint(Value):
    """A host that runs an exporter."""

    url: str = Field(description="where its exporter listens, such as http://192.0.2.2:10751")

    @field_validator("url")
    @classmethod
    def _url(cls, value: str) -> str:
        if not re.fullmatch(r"https?://[^/\s@?#]+", value) or not port_is_sound(value):
            raise ValueError(
                f"is '{value}': give http:// or https://, the address and the port, and nothing else,"
                " such as http://192.0.2.2:10751"
            )
        return value


class Actuator(Value):
    """Where the actuator runs and stores its state."""

    host: Name = Field(description="the host that the actuator runs on, preferably a standby")
    state_directory: AbsolutePath = Field(
        default=Path("/var/lib/locum"), description="the directory of the journal"
    )
    webhook_token_file: AbsolutePath = Field(
        default=Path("/etc/locum/webhook.token"),
        description="the file with the token that Alertmanager sends",
    )
    api_token_file: AbsolutePath | None = Field(
        default=Path("/etc/locum/api.token"),
        description="the file with the token that the locum command sends",
    )
    keep_incidents: Seconds = Field(
        default=400 * 86400.0,
        ge=86400,
        le=3650 * 86400,
        description="how long the journal keeps closed incidents, in seconds or such as 400d",
    )
    keep_alerts: int = Field(
        default=100_000, ge=1000, le=10_000_000, description="how many alerts the journal keeps"
    )


class ChainParts(Value):
    """The addresses of Prometheus and Alertmanager, which the actuator monitors."""

    prometheus: str = Field(
        default="http://127.0.0.1:9090", description="where Prometheus is, such as http://127.0.0.1:9090"
    )
    alertmanagers: tuple[str, ...] = Field(
        default=("http://127.0.0.1:9093",),
        min_length=1,
        description="where each Alertmanager is, such as [http://127.0.0.1:9093]",
    )
    username: str = Field(
        default="locum", pattern=r"^[^:\s]{1,64}$", description="the user name to send to https:// addresses"
    )
    password_file: AbsolutePath | None = Field(
        default=None, description="the file with the password of that user"
    )
    ca_file: AbsolutePath | None = Field(
        default=None, description="the file with the CA certificates for https:// addresses"
    )

    cert_file: AbsolutePath | None = Field(
        default=None, description="the file with the client certificate for https:// addresses"
    )
    key_file: AbsolutePath | None = Field(
        default=None, description="the file with the key of that certificate"
    )

    @model_validator(mode="after")
    def _certificate(self) -> ChainParts:
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("has only one of cert_file and key_file: give both or neither")
        return self

    @field_validator("prometheus")
    @classmethod
    def _prometheus(cls, value: str) -> str:
        return _url_of_a_part(value)

    @field_validator("alertmanagers")
    @classmethod
    def _alertmanagers(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(_url_of_a_part(value) for value in values)


def _url_of_a_part(value: str) -> str:
    """Return a URL without a trailing slash; it may have a path, as with `--web.external-url`."""
    if not re.fullmatch(r"https?://[^/\s@?#]+(/[^\s@?#]*)?", value) or not port_is_sound(value):
        raise ValueError(
            f"is '{value}': give http:// or https://, the address and the port, such as http://127.0.0.1:9090"
        )
    return value.rstrip("/")


class Site(Value):
    """The whole content of a site file."""

    hosts: Mapping[Name, Host] = Field(min_length=1, description="the hosts, by name")
    services: Mapping[Name, Service] = Field(min_length=1, description="the services, by name")
    vantage_points: Mapping[Name, VantagePoint] = Field(
        min_length=1, description="the hosts that run an exporter, such as {b: {url: http://192.0.2.2:10751}}"
    )
    witnesses: tuple[OwnAddress, ...] = Field(
        min_length=1,
        description="addresses that answer a ping while the network works, such as the gateway's",
    )
    actuator: Actuator = Field(description="where the actuator runs, such as {host: b}")
    mail: Mail | None = Field(default=None, description="where to send mail: {to: [...], sender: ...}")
    deadman: Deadman | None = Field(
        default=None,
        description="the outside monitor that alerts people when this host is dead: {url_file: ..., every: 60s}",
    )
    chain: ChainParts = Field(
        default=ChainParts(), description="where Prometheus and Alertmanager are: {prometheus: ...}"
    )

    @model_validator(mode="before")
    @classmethod
    def _the_actuators_own_exporter(cls, data: Any) -> Any:
        if isinstance(data, dict) and "vantage_points" not in data:
            actuator = data.get("actuator")
            host = actuator.get("host") if isinstance(actuator, dict) else getattr(actuator, "host", None)
            if isinstance(host, str):
                return {**data, "vantage_points": {host: {"url": DEFAULT_EXPORTER_URL}}}
        return data

    def voters(self, host: str) -> tuple[str, ...]:
        """Return the vantage points whose checks of `host` count as votes.

        A host does not vote on itself, unless it is the only vantage point: then no other could detect that its
        service died.
        """
        others = tuple(name for name in self.vantage_points if name != host)
        return others or tuple(self.vantage_points)

    def services_on(self, host: str) -> dict[str, Service]:
        """Return the services that `host` may hold, by name."""
        return {name: service for name, service in self.services.items() if host in service.hosts}
