"""How people are notified: by mail, and by an outside monitor when this host no longer can (`deadman`)."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field, field_validator, model_validator

from locum_inventory.listen import is_loopback
from locum_inventory.site.commands import Seconds
from locum_inventory.site.field_types import AbsolutePath, Value, port_is_sound


def _link(value: str) -> str:
    # Links are written into mail templates: no characters that a template or YAML would interpret.
    if not re.fullmatch(r"https?://[^/\s@?#\"'<>{}\\]+[^\s\"'<>{}\\]*", value) or not port_is_sound(value):
        raise ValueError(f"is '{value}': give a full URL, such as https://locum.example.org/")
    return value


Link = Annotated[str, AfterValidator(lambda value: _link(value).rstrip("/"))]  # a path may be appended


class MailLinks(Value):
    """Links in mails to further information."""

    page: Link | None = Field(
        default=None, description="the URL of the actuator's page, if people can reach it"
    )
    grafana: Link | None = Field(default=None, description="the URL of the Grafana with locum's dashboards")
    runbook: Link | None = Field(default=None, description="the URL of your copy of RUNBOOK.md")


class Mail(Value):
    """How Alertmanager sends mail."""

    to: tuple[str, ...] = Field(min_length=1, description="the recipients, such as [ops@example.org]")
    sender: str = Field(pattern=r"^[^\s@]+@[^\s@]+$", description="the sender's mail address")
    smarthost: str = Field(
        default="localhost:25", pattern=r"^[^\s:]+:[0-9]+$", description="the mail server as HOST:PORT"
    )
    username: str | None = Field(
        default=None,
        pattern=r"^[^\s\x00-\x1f]+$",
        description="the user name for the mail server, without spaces",
    )
    password_file: AbsolutePath | None = Field(
        default=None, description="the file with the password for the mail server"
    )
    require_tls: bool | None = Field(
        default=None, description="true, or false to send even if the mail server does not offer STARTTLS"
    )
    links: MailLinks = Field(
        default=MailLinks(),
        description="links to further information: {page: ..., grafana: ..., runbook: ...}",
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
            raise ValueError("has only one of username and password_file: give both or neither")
        if self.username is not None and not self.needs_tls and not self._on_this_machine:
            raise ValueError(
                f"would send the password to {self.smarthost} in clear text: leave out require_tls"
            )
        return self

    @property
    def needs_tls(self) -> bool:
        """Return whether mail must be sent over TLS.

        A mail server on this machine rarely offers TLS, and traffic to it does not leave the machine.
        """
        return not self._on_this_machine if self.require_tls is None else self.require_tls

    @property
    def _on_this_machine(self) -> bool:
        return is_loopback(self.smarthost.rpartition(":")[0].strip("[]"))


class Deadman(Value):
    """An outside monitor that receives a regular sign of life and alerts people when it stops."""

    # Anyone who knows the URL can fake the sign of life, so it is a secret in a separate file.
    url_file: AbsolutePath = Field(
        description="the file with the URL that receives a POST while the monitoring chain works"
    )
    every: Seconds = Field(default=60.0, ge=2, le=86400, description="how often, in seconds or such as 60s")


def read_url(text: str) -> str:
    """Return the URL in the `url_file`; raise ValueError, without the secret, if it does not contain one."""
    try:
        return _link(text.strip())
    except ValueError:
        raise ValueError(
            "does not contain exactly one URL, such as https://hc.example.org/ping/..."
        ) from None
