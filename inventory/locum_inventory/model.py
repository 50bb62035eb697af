"""The site as frozen, typed values: hosts, services, vantage points, witnesses.

A `Site` that exists is a sound one: every rule that can be judged from the file alone is judged here, and a
breach is a `ValueError` whose text says what would be right. `load.py` turns these into lines with file, line
and key.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

Address = IPv4Address | IPv6Address
Interface = IPv4Interface | IPv6Interface
Interval = Literal["100ms", "250ms", "1s", "5s", "15s"]

INTERVAL_SECONDS: Mapping[str, float] = {"100ms": 0.1, "250ms": 0.25, "1s": 1.0, "5s": 5.0, "15s": 15.0}

_NAME = re.compile(r"[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?")
_INTERFACE = re.compile(r"[^\s/:]{1,15}")


def _name(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise ValueError(
            f"'{value}' cannot be a name: use 1 to 63 of a-z, 0-9, '-' and '_', a letter or digit at both ends"
        )
    return value


def _interface_name(value: str) -> str:
    if not _INTERFACE.fullmatch(value) or value in {".", ".."}:
        raise ValueError(
            f"'{value}' cannot be an interface: use 1 to 15 characters, none of them a space, '/' or ':'"
        )
    return value


def _one_line(value: str) -> str:
    if not value.strip():
        raise ValueError("is empty: give a command line")
    if "\n" in value or "\0" in value:
        raise ValueError("spans lines: give one command line, or the path of a script")
    return value


def _absolute(value: Path) -> Path:
    if not value.is_absolute():
        raise ValueError(f"'{value}' is relative: give the path from /")
    return value


Name = Annotated[str, AfterValidator(_name)]
InterfaceName = Annotated[str, AfterValidator(_interface_name)]
CommandLine = Annotated[str, AfterValidator(_one_line)]
AbsolutePath = Annotated[Path, AfterValidator(_absolute)]


class Value(BaseModel):
    """The ground of every value here: frozen, and a key it does not know is a fault."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Ssh(Value):
    """How the gate of a host is reached over SSH."""

    user: str = Field(default="locum", pattern=r"^[a-z_][a-z0-9_-]{0,31}$")
    port: int = Field(default=22, ge=1, le=65535)
    key_file: AbsolutePath
    exporter_key_file: AbsolutePath | None = None
    known_hosts: AbsolutePath = Path("/etc/locum/known_hosts")

    def key_for(self, role: Literal["actuator", "exporter"]) -> Path:
        """Return the private key that a role logs in with; an exporter's may only look."""
        if role == "exporter" and self.exporter_key_file is not None:
            return self.exporter_key_file
        return self.key_file


class Host(Value):
    """A machine, by its own address."""

    address: Address
    ssh: Ssh | None = None


class HttpCheck(Value):
    """A service that answers HTTP or HTTPS. `{host}` in the URL is the address of the host being checked."""

    url: str
    host_header: str | None = None
    expect_status: tuple[int, ...] = (200,)
    expect_body: str | None = None
    ca_file: AbsolutePath | None = None
    max_body_bytes: int = Field(default=1_048_576, ge=1, le=67_108_864)

    @field_validator("url")
    @classmethod
    def _url(cls, value: str) -> str:
        if not re.match(r"https?://[^/\s]+", value):
            raise ValueError(f"'{value}' is not a URL: it begins with http:// or https:// and names a host")
        if "{host}" not in value:
            raise ValueError(f"'{value}' would ask the same machine whichever host is checked: use {{host}}")
        if re.sub(r"\{host\}", "", value).count("{"):
            raise ValueError(f"'{value}' has a placeholder other than {{host}}")
        return value

    @field_validator("expect_status", mode="before")
    @classmethod
    def _one_or_many(cls, value: Any) -> Any:
        return (value,) if isinstance(value, int) and not isinstance(value, bool) else value

    @field_validator("expect_status")
    @classmethod
    def _status(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if not value or any(not 100 <= code <= 599 for code in value):
            raise ValueError("HTTP status codes are 100 to 599, at least one")
        return value


class TcpCheck(Value):
    """A service that listens on a TCP port: connect, send (if anything), expect (if anything)."""

    port: int = Field(ge=1, le=65535)
    send: str = ""
    expect: str = ""


class ProcessCheck(Value):
    """A service known by its process's name, as `ps -o comm` shows it (the kernel keeps 15 bytes)."""

    name: str = Field(min_length=1)

    @field_validator("name")
    @classmethod
    def _comm(cls, value: str) -> str:
        if not re.fullmatch(r"[A-Za-z0-9_.:@+()-]+", value):
            raise ValueError(f"'{value}' cannot be a process name: give it as `ps -o comm` shows it")
        if len(value) > 15:
            raise ValueError(
                f"'{value}' never matches: the kernel cuts process names at 15 bytes, so write '{value[:15]}'"
            )
        return value


class Checks(Value):
    """What tells whether a service is well. None at all means that a ping of the host must do."""

    http: HttpCheck | None = None
    tcp: TcpCheck | None = None
    process: ProcessCheck | None = None

    @property
    def deciding(self) -> tuple[str, ...]:
        """Names of the checks whose failure means that the service is down.

        A process is what a respawn looks at; where the service can be asked itself, that is what counts.
        """
        asked = tuple(name for name in ("http", "tcp") if getattr(self, name) is not None)
        if asked:
            return asked
        return ("process",) if self.process is not None else ("ping",)


class Commands(Value):
    """Command lines a host's gate runs for a service. They are written on that host by `locum enrol`."""

    start: CommandLine
    stop: CommandLine
    respawn: CommandLine | None = None
    stop_timeout: float = Field(default=5.0, gt=0, le=300, description="seconds a stop may take before SIGKILL")


class Takeover(Value):
    """What locum may do for a service, and how far it may go."""

    unreachable: Literal["probe", "refuse"]
    mode: Literal["act", "observe"] = "act"
    when_hung: Literal["takeover", "restart"] = "takeover"
    start: Literal["before_claim", "after_claim", "during_release"] = "before_claim"
    max_per_hour: int = Field(default=3, ge=1, le=60)


class Mirror(Value):
    """Where a standby's copy of the data comes from."""

    source: AbsolutePath
    destination: AbsolutePath
    schedule: str = "0 4 * * *"
    max_age: str = Field(default="26h", pattern=r"^[0-9]+(s|m|h|d)$")


class Service(Value):
    """What must stay available, on which hosts, at which addresses."""

    hosts: tuple[Name, ...] = Field(min_length=2)
    addresses: tuple[Interface, ...] = Field(min_length=1)
    interface: Mapping[Name, InterfaceName]
    checks: Checks = Checks()
    interval: Interval = "250ms"
    standby: Literal["stopped", "running"] = "stopped"
    commands: Commands | None = None
    takeover: Takeover
    mirror: Mirror | None = None
    hooks: Mapping[str, Any] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _one_interface_for_all(cls, data: Any) -> Any:
        if isinstance(data, dict) and isinstance(data.get("interface"), str):
            hosts = data.get("hosts")
            names = [host for host in hosts if isinstance(host, str)] if isinstance(hosts, list) else []
            return {**data, "interface": dict.fromkeys(names, data["interface"])}
        return data

    @property
    def interval_seconds(self) -> float:
        """Seconds between two looks of the deciding checks."""
        return INTERVAL_SECONDS[self.interval]

    @property
    def preferred(self) -> str:
        """The host that should be the holder when all is well."""
        return self.hosts[0]


class VantagePoint(Value):
    """A host that runs an exporter."""

    url: str = Field(pattern=r"^https?://[^/\s]+$")


class Mail(Value):
    """Where Alertmanager mails people."""

    to: tuple[str, ...] = Field(min_length=1)
    sender: str
    smarthost: str = Field(default="localhost:25", pattern=r"^[^\s:]+:[0-9]+$")


class Actuator(Value):
    """Where the actuator runs and keeps its state."""

    host: Name
    state_directory: AbsolutePath = Path("/var/lib/locum")
    webhook_token_file: AbsolutePath
    api_token_file: AbsolutePath | None = None


class Site(Value):
    """Everything a site file says."""

    hosts: Mapping[Name, Host] = Field(min_length=1)
    services: Mapping[Name, Service] = Field(min_length=1)
    vantage_points: Mapping[Name, VantagePoint] = Field(min_length=1)
    witnesses: tuple[Address, ...] = Field(min_length=1)
    actuator: Actuator
    mail: Mail | None = None

    def voters(self, host: str) -> tuple[str, ...]:
        """Vantage points whose look at `host` counts as a vote.

        A host never votes on itself, unless it is the only vantage point there is: then nobody else can see
        that its service died.
        """
        others = tuple(name for name in self.vantage_points if name != host)
        return others or tuple(self.vantage_points)

    def services_on(self, host: str) -> dict[str, Service]:
        """Services that `host` may hold, by name."""
        return {name: service for name, service in self.services.items() if host in service.hosts}
