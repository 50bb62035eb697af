"""What a site file says of how people are told: by mail, and by somebody outside once nobody here can."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field, field_validator, model_validator

from locum_inventory.listen import is_loopback
from locum_inventory.site.commands import Seconds
from locum_inventory.site.field_types import AbsolutePath, Value, port_is_sound


def _link(value: str) -> str:
    # Links are written into the templates of mails: nothing that a template or YAML would read as its own.
    if not re.fullmatch(r"https?://[^/\s@?#\"'<>{}\\]+[^\s\"'<>{}\\]*", value) or not port_is_sound(value):
        raise ValueError(f"is '{value}': give a whole URL, such as https://locum.example.org/")
    return value


Link = Annotated[str, AfterValidator(lambda value: _link(value).rstrip("/"))]  # a path may be put behind it


class MailLinks(Value):
    """Where a reader of a mail finds more."""

    page: Link | None = Field(
        default=None, description="the URL at which people reach the actuator's page, if they do"
    )
    grafana: Link | None = Field(
        default=None, description="the URL of the Grafana that has locum's dashboards"
    )
    runbook: Link | None = Field(
        default=None, description="the URL of RUNBOOK.md, where you keep it for people"
    )


class Mail(Value):
    """Where Alertmanager mails people."""

    to: tuple[str, ...] = Field(min_length=1, description="whom to mail, such as [ops@example.org]")
    sender: str = Field(pattern=r"^[^\s@]+@[^\s@]+$", description="the sender's mail address")
    smarthost: str = Field(
        default="localhost:25", pattern=r"^[^\s:]+:[0-9]+$", description="the mail server as HOST:PORT"
    )
    username: str | None = Field(
        default=None,
        pattern=r"^[^\s\x00-\x1f]+$",
        description="the name to log in with at the mail server, without spaces",
    )
    password_file: AbsolutePath | None = Field(
        default=None, description="the file of the password to log in with"
    )
    require_tls: bool | None = Field(
        default=None, description="true, or false to send also where the mail server offers no STARTTLS"
    )
    links: MailLinks = Field(
        default=MailLinks(), description="where a reader finds more: {page: ..., grafana: ..., runbook: ...}"
    )

    @field_validator("to")
    @classmethod
    def _mail_addresses(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for address in value:
            if not re.fullmatch(r"[^\s@,]+@[^\s@,]+", address):
                raise ValueError(f"is '{address}': give mail addresses, such as [ops@example.org]")
        return value

    @model_validator(mode="after")
    def _login(self) -> Mail:
        if (self.username is None) != (self.password_file is None):
            raise ValueError("logs in with one of username and password_file: give both or neither")
        if self.username is not None and not self.needs_tls and not self._on_this_machine:
            raise ValueError(
                f"would send the password to {self.smarthost} in the clear: leave out require_tls"
            )
        return self

    @property
    def needs_tls(self) -> bool:
        """Tell whether mail goes over TLS or not at all.

        A mail server on this very machine rarely offers TLS, and nothing leaves the machine on the way to it.
        """
        return not self._on_this_machine if self.require_tls is None else self.require_tls

    @property
    def _on_this_machine(self) -> bool:
        return is_loopback(self.smarthost.rpartition(":")[0].strip("[]"))


class Deadman(Value):
    """Somebody outside, who is told again and again that all is well and tells people when that stops."""

    # Whoever knows the URL can feign life: so it is a secret, and has a file of its own.
    url_file: AbsolutePath = Field(
        description="the file of the URL that is told, by POST, that the chain is alive"
    )
    every: Seconds = Field(default=60.0, ge=2, le=86400, description="how often, in seconds or such as 60s")


def read_url(text: str) -> str:
    """Return the URL that a file of `url_file` holds; ValueError, without the secret in it, where it is none."""
    try:
        return _link(text.strip())
    except ValueError:
        raise ValueError("does not hold one URL, such as https://hc.example.org/ping/...") from None
