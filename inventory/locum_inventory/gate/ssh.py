"""The gate of another host over persistent SSH connections: one for status and watch, others for changes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Literal

import paramiko

from locum_inventory.gate.answers import ANSWER_LIMIT_BYTES, read_answer
from locum_inventory.gate.change_connections import ChangeLanes
from locum_inventory.gate.client_base import GateClientBase
from locum_inventory.gate.deadline import Deadline, within
from locum_inventory.gate.protocol import GateError, GateStatus
from locum_inventory.gate.ssh_connection import Connection, Destination, connect
from locum_inventory.gate.ssh_reconnect import KeptConnection
from locum_inventory.site.model import Address, Ssh


class SshGate(GateClientBase):
    """A `GateClient` over SSH. Threads may share it; a slow host does not delay calls to another."""

    def __init__(self, host: str, address: Address, ssh: Ssh, role: Literal["actuator", "exporter"]) -> None:
        super().__init__(host)
        destination = Destination(host, address, ssh, ssh.key_for(role))
        self._role = role
        self._kept = KeptConnection(host, lambda: connect(destination))
        self._lanes = ChangeLanes(host, lambda: connect(destination))

    def status(self, *, deadline_seconds: float) -> GateStatus:
        """Ask which addresses are held and which processes run."""
        status = super().status(deadline_seconds=deadline_seconds)
        if self._role == "actuator":
            self._lanes.warm()
        return status

    def count_processes(self, *, deadline_seconds: float) -> Mapping[str, int]:
        """Count the live processes of every service, over the open `watch`."""
        deadline = Deadline(deadline_seconds)
        late_text = f"{self._host}: the gate did not answer a check within {deadline_seconds:g} s"
        return within(deadline, late_text, lambda: self._watch.look(deadline))

    def retry_now(self) -> None:
        """Allow the next call to connect at once, even if a possibly hanging attempt is under way."""
        self._kept.retry_now()
        self._lanes.retry_now()

    def close(self) -> None:
        """Close the connection."""
        self._watch.close()
        self._kept.close()
        self._lanes.close()

    def _ask_status(self, deadline: Deadline) -> GateStatus:
        return self._ask(self._kept, deadline, "status")

    def _change(self, deadline: Deadline, *words: str) -> GateStatus:
        with self._lanes.lane(deadline) as kept:
            return self._ask(kept, deadline, *words)

    def _ask(self, kept: KeptConnection, deadline: Deadline, *words: str) -> GateStatus:
        late_text = f"{self._host}: the gate did not finish {words[0]} within {deadline.seconds:g} s"
        answer, complaint = within(
            deadline, late_text, lambda: self._run(kept, " ".join(words), deadline, late_text)
        )
        return read_answer(answer, complaint, self._host)

    def _run(self, kept: KeptConnection, command: str, deadline: Deadline, late_text: str) -> tuple[str, str]:
        connection, channel = self._open_channel(kept, deadline)
        try:
            with _faults(self._host, late_text):
                connection.begin(channel, command, deadline)
                answer = bytearray()
                while len(answer) <= ANSWER_LIMIT_BYTES:
                    channel.settimeout(deadline.left_seconds)
                    data = channel.recv(65536)
                    if not data:
                        break
                    answer += data
                if not answer and not connection.is_usable:
                    raise EOFError
            complaint = channel.recv_stderr(4096) if channel.recv_stderr_ready() else b""
            return answer.decode("utf-8", "replace"), complaint.decode("utf-8", "replace")
        except GateError as fault:
            # sshd keeps a connection on which it could not start a program, and a new one may work: the obstacle
            # (a limit on processes, for example) is often set at login.
            if fault.reason == "closed" or (fault.reason == "timeout" and connection.is_silent()):
                connection.retire()
            raise
        finally:
            connection.release(channel)

    def _open_channel(self, kept: KeptConnection, deadline: Deadline) -> tuple[Connection, paramiko.Channel]:
        """Open a channel; on a new connection if the old one is dead, since no command has run on it yet."""
        connection = kept.get(deadline)
        try:
            return connection, connection.open_channel(deadline.sooner(deadline.left_seconds / 2))
        except (paramiko.SSHException, EOFError, OSError):
            connection.retire()
        connection = kept.get(deadline)
        with _faults(self._host, f"{self._host}: sshd opened no channel in time"):
            return connection, connection.open_channel(deadline)

    def _open_watch(self, deadline: Deadline) -> _WatchSession:
        connection, channel = self._open_channel(self._kept, deadline)
        try:
            with _faults(self._host, f"{self._host}: the gate's watch did not begin in time"):
                connection.begin(channel, "watch", deadline)
        except GateError as fault:
            if fault.reason == "closed":
                connection.retire()
            connection.release(channel)
            raise
        return _WatchSession(self._host, connection, channel)


class _WatchSession:
    """A channel with the `watch` verb of a gate."""

    def __init__(self, host: str, connection: Connection, channel: paramiko.Channel) -> None:
        self._host = host
        self._connection = connection
        self._channel = channel
        self._late_text = f"{host}: the gate did not answer a check in time"

    def send(self, data: bytes, deadline: Deadline) -> None:
        """Send all of `data`."""
        with _faults(self._host, self._late_text):
            self._channel.settimeout(deadline.left_seconds)
            self._channel.sendall(data)

    def receive(self, deadline: Deadline) -> bytes:
        """Return received bytes."""
        with _faults(self._host, self._late_text):
            self._channel.settimeout(deadline.left_seconds)
            return self._channel.recv(65536)

    def complaint(self) -> str:
        """Return what the gate wrote to standard error."""
        if not self._channel.recv_stderr_ready():
            return ""
        return self._channel.recv_stderr(4096).decode("utf-8", "replace")

    def is_suspect(self) -> bool:
        """Whether the host has stopped acknowledging; then the connection takes no new calls either."""
        if not self._connection.is_silent():
            return False
        self._connection.retire()
        return True

    def close(self) -> None:
        """Close the channel, which ends the gate's watch."""
        self._connection.release(self._channel)


@contextmanager
def _faults(host: str, late_text: str) -> Iterator[None]:
    """Turn paramiko's exceptions into a `GateError`."""
    try:
        yield
    except TimeoutError:
        raise GateError("timeout", late_text) from None
    except (paramiko.SSHException, EOFError, OSError):
        raise GateError("closed", f"{host}: the connection was closed") from None
