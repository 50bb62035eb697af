"""The checks of a service that a site file can configure."""

from __future__ import annotations

import re
from typing import Any

from pydantic import Field, field_validator

from locum_inventory.site.field_types import AbsolutePath, Value, port_is_sound
from locum_inventory.site.payload import Payload


class HttpCheck(Value):
    """A service that answers HTTP or HTTPS. `{host}` in the URL is the address of the host being checked."""

    url: str = Field(description='the URL to request, such as "http://{host}/"')
    host_header: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9.:_\[\]-]+$",
        description="the name for the Host header, such as www.example.org",
    )
    expect_status: tuple[int, ...] = Field(
        default=(200,), description="the HTTP statuses that count as success, such as [200]"
    )
    expect_body: str | None = Field(
        default=None, min_length=1, description="a text that the answer must contain"
    )
    ca_file: AbsolutePath | None = Field(
        default=None, description="the file with the trusted CA certificates"
    )
    max_body_bytes: int = Field(
        default=1_048_576, ge=1, le=67_108_864, description="the maximum number of bytes to read of an answer"
    )

    @field_validator("url")
    @classmethod
    def _url(cls, value: str) -> str:
        if not re.match(r"https?://[^/\s]+\S*$", value):
            raise ValueError(f"is '{value}': give a URL that begins with http:// or https://, without spaces")
        if "@" in value.split("/")[2]:
            raise ValueError("contains a login or password: a site file must not contain any")
        if "{host}" not in value:
            raise ValueError(
                f"is '{value}', which checks the same machine for every host: write {{host}} in place of the host's"
                " address"
            )
        if "{" in value.replace("{host}", "") or "}" in value.replace("{host}", ""):
            raise ValueError(f"is '{value}': {{host}} is the only placeholder")
        if not port_is_sound(value):
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
    send: Payload = Field(default=b"", description=r"what to send after connecting, such as 'PING\r\n'")
    expect: Payload = Field(default=b"", description="a text that the answer must contain")


_UNIT = re.compile(r"[A-Za-z0-9:_.\\@-]+\.(service|scope|slice)")
_USER = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*\$?|[0-9]{1,10}")
_COMM_BYTES = 15  # TASK_COMM_LEN of the kernel, less its NUL


class ProcessCheck(Value):
    """A service identified by its process name, as `ps -o comm` shows it (the kernel keeps 15 bytes).

    If `unit` or `user` is given, only processes of that name in that unit and of that user are counted and killed.
    """

    name: str = Field(min_length=1, description="the process name, as `ps -o comm` shows it")
    unit: str | None = Field(
        default=None,
        max_length=255,
        description="the systemd unit that it runs in, such as apache2.service",
    )
    user: str | None = Field(
        default=None, description="the user that it runs as on every host, such as www-data or 33"
    )

    @field_validator("unit")
    @classmethod
    def _unit(cls, value: str | None) -> str | None:
        if value is not None and not _UNIT.fullmatch(value):
            raise ValueError(
                f"is '{value}': give the full name of the unit, which ends in .service, .scope or .slice, such as"
                " apache2.service"
            )
        return value

    @field_validator("user", mode="before")
    @classmethod
    def _number(cls, value: Any) -> Any:
        return str(value) if isinstance(value, int) and not isinstance(value, bool) else value

    @field_validator("user")
    @classmethod
    def _user(cls, value: str | None) -> str | None:
        if value is not None and not _USER.fullmatch(value):
            raise ValueError(f"is '{value}': give a user name or number, such as www-data or 33")
        return value

    def is_apart_from(self, other: ProcessCheck) -> bool:
        """Return whether no process can match both checks."""
        if self.name != other.name:
            return True
        pairs = ((self.unit, other.unit), (self.user, other.user))
        return any(one is not None and two is not None and one != two for one, two in pairs)

    @field_validator("name")
    @classmethod
    def _comm(cls, value: str) -> str:
        if value.startswith("/") or not value.strip() or not value.isprintable():
            raise ValueError(
                f"is '{value}': give the process name as `ps -o comm` shows it, without path or arguments"
            )
        if len(value.encode()) > _COMM_BYTES:
            cut = value.encode()[:_COMM_BYTES].decode(errors="ignore")
            raise ValueError(
                f"is '{value}', which never matches: the kernel cuts process names at {_COMM_BYTES} bytes,"
                f" so write '{cut}'"
            )
        return value


class Checks(Value):
    """The checks of a service. If there are none, a ping of its host decides."""

    http: HttpCheck | None = Field(
        default=None, description='the HTTP check, such as {url: "http://{host}/"}'
    )
    tcp: TcpCheck | None = Field(default=None, description="the TCP check, such as {port: 25}")
    process: ProcessCheck | None = Field(
        default=None, description="the process to find, such as {name: apache2}"
    )

    @property
    def deciding(self) -> tuple[str, ...]:
        """The names of the checks whose failure means that the service is down.

        If there is an http or tcp check, that decides; the process check then serves only to decide on a respawn.
        """
        asked = tuple(name for name in ("http", "tcp") if getattr(self, name) is not None)
        if asked:
            return asked
        return ("process",) if self.process is not None else ("ping",)
