"""The site as frozen, typed values: hosts, services, vantage points, witnesses.

What one key may say is judged here, and a breach is a `ValueError` whose text says what would be right; what
several keys say together is judged in `site_rules.py`. `load.py` gathers both into lines with file, line and
key. Each field's description completes the sentence "give ..." in those lines.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface, ip_address, ip_interface
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)

Address = IPv4Address | IPv6Address
Interface = IPv4Interface | IPv6Interface
Interval = Literal["100ms", "250ms", "1s", "5s", "15s"]

INTERVAL_SECONDS: Mapping[str, float] = {"100ms": 0.1, "250ms": 0.25, "1s": 1.0, "5s": 5.0, "15s": 15.0}
DEFAULT_EXPORTER_URL = "http://127.0.0.1:10751"

_NAME = re.compile(r"[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?")
_INTERFACE = re.compile(r"[^\s/:]{1,15}")


def _name(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise ValueError(
            f"is '{value}', which cannot be a name: use 1 to 63 of a-z, 0-9, '-' and '_',"
            " a letter or digit at both ends"
        )
    return value


def _interface_name(value: str) -> str:
    if not _INTERFACE.fullmatch(value) or value in {".", ".."}:
        raise ValueError(
            f"is '{value}', which cannot be an interface: use 1 to 15 characters, none of them a space, '/' or ':'"
        )
    return value


def _one_line(value: str) -> str:
    if not value.strip():
        raise ValueError("is empty: give a command line")
    if "\n" in value or "\0" in value:
        raise ValueError("spans lines: give one command line, or the path of a script")
    return value


def _no_zone(value: str) -> None:
    # Python takes anything for a zone, `fe80::1%;reboot` too, and an address with one works on one host only.
    if "%" in value:
        raise ValueError(f"is '{value}': give an address that needs no zone ('%'), global or unique local")


def _own_address(value: Any) -> Any:
    if isinstance(value, str):
        if "/" in value:
            raise ValueError(f"is '{value}': give the address alone, without a prefix length")
        _no_zone(value)
        try:
            return ip_address(value)
        except ValueError:
            raise ValueError(
                f"is '{value}': give an IPv4 or IPv6 address in figures, such as 192.0.2.1 or 2001:db8::1"
            ) from None
    return value


def _address_with_prefix(value: Any) -> Any:
    if isinstance(value, str):
        _no_zone(value)
        try:
            return ip_interface(value)
        except ValueError:
            raise ValueError(
                f"is '{value}': give an address with its prefix length, such as 192.0.2.100/24"
                " or 2001:db8::100/64"
            ) from None
    return value


def _port_is_sound(url: str) -> bool:
    try:
        return urlsplit(url.replace("{host}", "host")).port != 0
    except ValueError:
        return False


def _absolute(value: Path) -> Path:
    if not value.is_absolute():
        raise ValueError(f"is '{value}': give the whole path, from /")
    return value


Name = Annotated[str, AfterValidator(_name)]
InterfaceName = Annotated[str, AfterValidator(_interface_name)]
CommandLine = Annotated[str, AfterValidator(_one_line)]
AbsolutePath = Annotated[Path, AfterValidator(_absolute)]
OwnAddress = Annotated[Address, BeforeValidator(_own_address)]
ServiceAddress = Annotated[Interface, BeforeValidator(_address_with_prefix)]


class Value(BaseModel):
    """The ground of every value here: frozen, and a key it does not know is a fault."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Ssh(Value):
    """How the gate of a host is reached over SSH."""

    user: str = Field(
        default="locum",
        pattern=r"^[a-z_][a-z0-9_-]{0,31}$",
        description="the login name on that host (a-z, 0-9, '-' and '_', at most 32)",
    )
    port: int = Field(default=22, ge=1, le=65535, description="the port of its sshd")
    key_file: AbsolutePath = Field(
        default=Path("/etc/locum/id_ed25519"),
        description="the file of the private key that may change things",
    )
    exporter_key_file: AbsolutePath | None = Field(
        default=None, description="the file of a private key that may only look"
    )
    known_hosts: AbsolutePath = Field(
        default=Path("/etc/locum/known_hosts"), description="the file of pinned host keys"
    )

    def key_for(self, role: Literal["actuator", "exporter"]) -> Path:
        """Return the private key that a role logs in with; an exporter's may only look."""
        if role == "exporter" and self.exporter_key_file is not None:
            return self.exporter_key_file
        return self.key_file


class Host(Value):
    """A machine, by its own address."""

    address: OwnAddress = Field(description="the host's own address, IPv4 or IPv6")
    ssh: Ssh | None = Field(default=None, description="how to log in there, such as {user: locum}")


class HttpCheck(Value):
    """A service that answers HTTP or HTTPS. `{host}` in the URL is the address of the host being checked."""

    url: str = Field(description='what to ask for, such as "http://{host}/"')
    host_header: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9.:_\[\]-]+$",
        description="the name to ask by, such as www.example.org",
    )
    expect_status: tuple[int, ...] = Field(
        default=(200,), description="the HTTP statuses that mean well, such as [200]"
    )
    expect_body: str | None = Field(
        default=None, min_length=1, description="a text that the answer must contain"
    )
    ca_file: AbsolutePath | None = Field(
        default=None, description="the file of the certificates that are trusted"
    )
    max_body_bytes: int = Field(
        default=1_048_576, ge=1, le=67_108_864, description="how many bytes of an answer are read at most"
    )

    @field_validator("url")
    @classmethod
    def _url(cls, value: str) -> str:
        if not re.match(r"https?://[^/\s]+\S*$", value):
            raise ValueError(f"is '{value}': give a URL that begins with http:// or https://, without spaces")
        if "@" in value.split("/")[2]:
            raise ValueError("holds a login or password: none may stand in a site file")
        if "{host}" not in value:
            raise ValueError(
                f"is '{value}', which asks the same machine whichever host is checked: write {{host}} for the"
                " address of the host"
            )
        if "{" in value.replace("{host}", "") or "}" in value.replace("{host}", ""):
            raise ValueError(f"is '{value}': {{host}} is the only placeholder there is")
        if not _port_is_sound(value):
            raise ValueError(f"is '{value}': ports are whole numbers from 1 to 65535")
        return value

    @field_validator("expect_status", mode="before")
    @classmethod
    def _one_or_many(cls, value: Any) -> Any:
        return (value,) if isinstance(value, int | str) and not isinstance(value, bool) else value

    @field_validator("expect_status")
    @classmethod
    def _status(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if not value:
            raise ValueError("is empty: give at least one HTTP status, 100 to 599")
        for code in value:
            if not 100 <= code <= 599:
                raise ValueError(f"is '{code}': HTTP statuses are 100 to 599")
        return value


class TcpCheck(Value):
    """A service that listens on a TCP port: connect, send (if anything), expect (if anything)."""

    port: int = Field(ge=1, le=65535, description="the TCP port to connect to")
    send: str = Field(default="", description="what to send once connected")
    expect: str = Field(default="", description="a text that the answer must contain")


class ProcessCheck(Value):
    """A service known by its process's name, as `ps -o comm` shows it (the kernel keeps 15 bytes)."""

    name: str = Field(min_length=1, description="the process's name, as `ps -o comm` shows it")

    @field_validator("name")
    @classmethod
    def _comm(cls, value: str) -> str:
        if not re.fullmatch(r"[A-Za-z0-9_.:@+()-]+", value):
            raise ValueError(
                f"is '{value}': give the process's name as `ps -o comm` shows it, without path or arguments"
            )
        if len(value) > 15:
            raise ValueError(
                f"is '{value}', which never matches: the kernel cuts process names at 15 bytes,"
                f" so write '{value[:15]}'"
            )
        return value


class Checks(Value):
    """What tells whether a service is well. None at all means that a ping of the host must do."""

    http: HttpCheck | None = Field(default=None, description='what to ask, such as {url: "http://{host}/"}')
    tcp: TcpCheck | None = Field(default=None, description="what to connect to, such as {port: 25}")
    process: ProcessCheck | None = Field(
        default=None, description="what to look for in the process table, such as {name: apache2}"
    )

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

    start: CommandLine = Field(description="the command line that starts the service")
    stop: CommandLine = Field(description="the command line that stops the service")
    respawn: CommandLine | None = Field(
        default=None, description="the command line that brings a died service back"
    )
    stop_timeout: float = Field(
        default=5.0, gt=0, le=300, description="how many seconds a stop may take before SIGKILL"
    )


class Takeover(Value):
    """What locum may do for a service, and how far it may go."""

    unreachable: Literal["probe", "refuse"] = Field(
        description="'probe' or 'refuse': what to do when a host does not answer at all"
    )
    mode: Literal["act", "observe"] = Field(
        default="act", description="'act', or 'observe' to touch nothing and record what would be done"
    )
    when_hung: Literal["takeover", "restart"] = Field(
        default="takeover", description="what to do when the process is there and does not answer"
    )
    start: Literal["before_claim", "after_claim", "during_release"] = Field(
        default="before_claim", description="when the service is started on the standby"
    )
    max_per_hour: int = Field(
        default=3, ge=1, le=60, description="how many takeovers an hour may see before people must look"
    )


class Mirror(Value):
    """Where a standby's copy of the data comes from."""

    source: AbsolutePath = Field(description="the directory on the holder")
    destination: AbsolutePath = Field(description="the directory on the standby")
    schedule: str = Field(
        default="0 4 * * *",
        pattern=r"^\S+( +\S+){4}$",
        description="when to copy, as the five fields of crontab(5)",
    )
    max_age: str = Field(
        default="26h",
        pattern=r"^[1-9][0-9]*(s|m|h|d)$",
        description="how old a copy may be, such as 90m, 26h or 2d",
    )


class Service(Value):
    """What must stay available, on which hosts, at which addresses."""

    hosts: tuple[Name, ...] = Field(
        min_length=2, description="its hosts, the preferred one first, such as [a, b]"
    )
    addresses: tuple[ServiceAddress, ...] = Field(
        min_length=1, description="its addresses with prefix lengths, such as [192.0.2.100/24]"
    )
    interface: Mapping[Name, InterfaceName] = Field(
        description="the interface its addresses go on, such as eth0, or one per host: {a: eth0, b: enp3s0}"
    )
    checks: Checks = Field(
        default=Checks(), description="what tells whether it is well, or {} where a ping must do"
    )
    interval: Interval = Field(default="250ms", description="how often to look")
    standby: Literal["stopped", "running"] = Field(
        default="stopped", description="whether it runs on hosts that do not hold its addresses"
    )
    commands: Commands | None = Field(
        default=None, description="how to start and stop it: {start: ..., stop: ..., respawn: ...}"
    )
    takeover: Takeover = Field(description="what locum may do for it")
    mirror: Mirror | None = Field(default=None, description="where a standby's copy of the data comes from")
    hooks: Mapping[str, Any] = Field(default_factory=dict, description="{}")

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
        """Seconds between two looks of the deciding checks."""
        return INTERVAL_SECONDS[self.interval]

    @property
    def preferred(self) -> str:
        """The host that should be the holder when all is well."""
        return self.hosts[0]


class VantagePoint(Value):
    """A host that runs an exporter."""

    url: str = Field(description="where its exporter listens, such as http://192.0.2.2:10751")

    @field_validator("url")
    @classmethod
    def _url(cls, value: str) -> str:
        if not re.fullmatch(r"https?://[^/\s@?#]+", value) or not _port_is_sound(value):
            raise ValueError(
                f"is '{value}': give http:// or https://, the address and the port, and nothing after them,"
                " such as http://192.0.2.2:10751"
            )
        return value


class Mail(Value):
    """Where Alertmanager mails people."""

    to: tuple[str, ...] = Field(min_length=1, description="whom to mail, such as [ops@example.org]")
    sender: str = Field(pattern=r"^[^\s@]+@[^\s@]+$", description="the sender's mail address")
    smarthost: str = Field(
        default="localhost:25", pattern=r"^[^\s:]+:[0-9]+$", description="the mail server as HOST:PORT"
    )

    @field_validator("to")
    @classmethod
    def _mail_addresses(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for address in value:
            if not re.fullmatch(r"[^\s@,]+@[^\s@,]+", address):
                raise ValueError(f"is '{address}': give mail addresses, such as [ops@example.org]")
        return value


class Actuator(Value):
    """Where the actuator runs and keeps its state."""

    host: Name = Field(description="the host that the actuator runs on, best a standby")
    state_directory: AbsolutePath = Field(
        default=Path("/var/lib/locum"), description="the directory of the journal"
    )
    webhook_token_file: AbsolutePath = Field(
        default=Path("/etc/locum/webhook.token"), description="the file of the token Alertmanager shows"
    )
    api_token_file: AbsolutePath | None = Field(
        default=Path("/etc/locum/api.token"), description="the file of the token the locum command shows"
    )


class Site(Value):
    """Everything a site file says."""

    hosts: Mapping[Name, Host] = Field(min_length=1, description="the hosts, by name")
    services: Mapping[Name, Service] = Field(min_length=1, description="the services, by name")
    vantage_points: Mapping[Name, VantagePoint] = Field(
        min_length=1, description="the hosts that run an exporter, such as {b: {url: http://192.0.2.2:10751}}"
    )
    witnesses: tuple[OwnAddress, ...] = Field(
        min_length=1,
        description="addresses that answer a ping while the network is fine, such as the gateway's",
    )
    actuator: Actuator = Field(description="where the actuator runs, such as {host: b}")
    mail: Mail | None = Field(default=None, description="whom to mail: {to: [...], sender: ...}")

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
        """Vantage points whose look at `host` counts as a vote.

        A host never votes on itself, unless it is the only vantage point there is: then nobody else can see
        that its service died.
        """
        others = tuple(name for name in self.vantage_points if name != host)
        return others or tuple(self.vantage_points)

    def services_on(self, host: str) -> dict[str, Service]:
        """Services that `host` may hold, by name."""
        return {name: service for name, service in self.services.items() if host in service.hosts}
