"""A real SMTP server on loopback, and what it was given."""

from __future__ import annotations

import email
import email.policy
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from tests.support.polling import wait_for
from tests.support.ports import unused_port


@dataclass(frozen=True, slots=True)
class Received:
    """One mail: who was to get it, as whom its sender had logged in, and what it says."""

    recipients: tuple[str, ...]
    login: str | None
    raw: bytes

    @property
    def message(self) -> EmailMessage:
        parsed = email.message_from_bytes(self.raw, policy=email.policy.default)
        assert isinstance(parsed, EmailMessage)
        return parsed

    @property
    def subject(self) -> str:
        return str(self.message["Subject"])

    @property
    def text(self) -> str:
        """The body; there is plain text and nothing else."""
        parts = [part for part in self.message.walk() if not part.is_multipart()]
        assert [part.get_content_type() for part in parts] == ["text/plain"]
        content: str = parts[0].get_content()
        return content.replace("\r\n", "\n")


class Mailbox:
    """Started with `with`; with `login` it takes mail from those alone who log in so."""

    def __init__(self, login: tuple[str, str] | None = None) -> None:
        self.received: list[Received] = []
        self.refused_logins = 0
        self._login = login
        port = unused_port()
        self.smarthost = f"127.0.0.1:{port}"
        self._controller = Controller(
            self,
            hostname="127.0.0.1",
            port=port,
            auth_required=login is not None,
            auth_require_tls=False,
            auth_exclude_mechanism=[
                "LOGIN"
            ],  # aiosmtpd asks in words of its own there, which Go does not know
            authenticator=self._judge if login is not None else None,
        )

    def __enter__(self) -> Mailbox:
        self._controller.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._controller.stop()

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's
        assert isinstance(envelope.content, bytes)
        login = session.auth_data.login.decode() if isinstance(session.auth_data, LoginPassword) else None
        self.received.append(Received(tuple(envelope.rcpt_tos), login, envelope.content))
        return "250 OK"

    def _judge(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any
    ) -> AuthResult:
        assert self._login is not None
        name, password = self._login
        right = (data.login, data.password) == (name.encode(), password.encode())
        self.refused_logins += not right
        return AuthResult(success=right, auth_data=data)

    def wait_for(self, count: int, deadline_seconds: float = 60) -> list[Received]:
        """Return what was received once there is so much; AssertionError if that takes too long."""
        wait_for(
            lambda: len(self.received) >= count,
            f"{count} mails are received", deadline_seconds, state=lambda: len(self.received),
        )  # fmt: skip
        return list(self.received)
