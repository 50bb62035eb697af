"""One SSH connection to a host's gate, always with a pinned host key and a key file."""

from __future__ import annotations

import atexit
import contextlib
import errno
import logging
import socket
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import paramiko
from paramiko.ssh_exception import IncompatiblePeer

from locum_inventory.gate.answers import clean
from locum_inventory.gate.deadline import OWN_LIMITS, Deadline
from locum_inventory.gate.host_keys import known_hosts_name
from locum_inventory.gate.protocol import GateError
from locum_inventory.site.model import Address, Ssh

DIAL_SECONDS = 1.0  # a lost SYN is retransmitted after 1 s: a new attempt is as good
LOGIN_SECONDS = 3.0  # banner, key exchange and authentication together
DEAD_PEER_SECONDS = 3.0  # data or a keepalive unacknowledged for so long: the kernel closes the connection
EXIT_SECONDS = 1.0  # for the threads of all connections to end when the program does
FULL_PAUSE_SECONDS = 0.02  # between two attempts to open a channel while sshd has none free

_SILENT_LOG = "locum.paramiko"
logging.getLogger(_SILENT_LOG).setLevel(logging.CRITICAL + 1)  # its errors are raised as exceptions


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a gate is, and the credentials for it."""

    host: str
    address: Address
    ssh: Ssh
    key_file: Path

    def fault(self, error: OSError) -> GateError:
        """Return the `GateError` for an error of the kernel."""
        where = f"{self.host}: {self.address} port {self.ssh.port}"
        if error.errno in OWN_LIMITS:
            return GateError.busy(f"{self.host}: the gate could not be called: {error.strerror}")
        if isinstance(error, TimeoutError) or error.errno == errno.ETIMEDOUT:
            return GateError("timeout", f"{where} did not answer in time")
        if error.errno == errno.ECONNREFUSED:
            return GateError("refused", f"{where} refused the connection")
        if error.errno in {errno.ECONNRESET, errno.EPIPE, errno.ECONNABORTED}:
            return GateError("closed", f"{where} closed the connection")
        return GateError("unreachable", f"{where} cannot be reached: {error.strerror or error}")


class Connection:
    """A logged-in connection. Once retired it takes no new calls, and closes after its last one."""

    def __init__(self, sock: socket.socket, transport: paramiko.Transport) -> None:
        self._sock = sock
        self._transport = transport
        self._lock = threading.Lock()
        self._users = 0
        self._retired = False

    @property
    def is_usable(self) -> bool:
        """Whether a new call may use it."""
        return not self._retired and self._transport.is_active()

    def open_channel(self, deadline: Deadline) -> paramiko.Channel:
        """Open a channel, to be returned with `release`. Raises `SSHException`.

        sshd counts a closed channel until it has reaped its program, and may refuse a new one until then
        (MaxSessions): the connection is still good, and a channel is free shortly afterwards.
        """
        with self._lock:
            self._users += 1
        try:
            while True:
                try:
                    return self._transport.open_session(timeout=max(0.001, deadline.left_seconds))
                except paramiko.ChannelException:
                    if deadline.left_seconds <= FULL_PAUSE_SECONDS:
                        raise
                time.sleep(FULL_PAUSE_SECONDS)
        except BaseException:
            self._leave()
            raise

    def begin(self, channel: paramiko.Channel, command: str, deadline: Deadline) -> None:
        """Run a command on a channel. Raises `SSHException`, or `TimeoutError` at the deadline.

        paramiko waits for sshd's reply without a deadline: closing the channel ends the wait.
        """
        alarm = threading.Timer(deadline.left_seconds, _close, [channel])
        alarm.daemon = True
        alarm.start()
        try:
            channel.exec_command(command)
        except paramiko.SSHException:
            if deadline.passed:
                self.retire()
                raise TimeoutError from None
            raise
        finally:
            alarm.cancel()

    def release(self, channel: paramiko.Channel) -> None:
        """Close a channel."""
        channel.close()
        self._leave()

    def is_silent(self) -> bool:
        """Whether the other host's kernel has not acknowledged the last packets."""
        try:
            info = self._sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 8)
        except OSError:
            return True
        return info[2] > 0 or info[3] > 0  # tcpi_retransmits, tcpi_probes (tcp(7), linux/tcp.h)

    def retire(self) -> None:
        """Take no new calls; calls that still run are not interrupted."""
        with self._lock:
            self._retired = True
            unused = self._users == 0
        if unused:
            self.close()

    def close(self) -> None:
        """Close it now."""
        self._transport.close()
        self._sock.close()

    def _leave(self) -> None:
        with self._lock:
            self._users -= 1
            unused = self._retired and self._users == 0
        if unused:
            self.close()


def connect(destination: Destination) -> Connection:
    """Connect and log in. Raises `GateError`; ends within DIAL_SECONDS and LOGIN_SECONDS."""
    # Connect first: a host that accepts no connection is silent, whether or not the key files here are valid.
    sock = _dial(destination)
    transport: paramiko.Transport | None = None
    try:
        key = _user_key(destination)
        pinned = _pinned_keys(destination)
        transport = paramiko.Transport(sock)
        _log_in(transport, destination, key, pinned)
    except OSError as error:
        _hang_up(sock, transport)
        raise destination.fault(error) from None
    except BaseException:
        _hang_up(sock, transport)
        raise
    return Connection(sock, transport)


@atexit.register
def end_transports() -> None:
    """Close all connections and wait a moment for their threads, which paramiko's `close` does not.

    Python before 3.14 ends a thread that still runs compiled code at exit in the middle of it, which may crash: a
    command that had done its work then ended with SIGSEGV.
    """
    transports = [thread for thread in threading.enumerate() if isinstance(thread, paramiko.Transport)]
    for transport in transports:
        transport.close()
    deadline = time.monotonic() + EXIT_SECONDS
    for transport in transports:
        transport.join(max(0.0, deadline - time.monotonic()))


def _close(channel: paramiko.Channel) -> None:
    with contextlib.suppress(
        EOFError, OSError, paramiko.SSHException
    ):  # the connection may already be closed
        channel.close()


def _hang_up(sock: socket.socket, transport: paramiko.Transport | None) -> None:
    if transport is not None:
        transport.close()
    sock.close()


def _dial(destination: Destination) -> socket.socket:
    try:
        sock = socket.create_connection(
            (str(destination.address), destination.ssh.port), timeout=DIAL_SECONDS
        )
    except OSError as error:
        raise destination.fault(error) from None
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(DEAD_PEER_SECONDS * 1000))
    # Keepalives, so that a dead peer is detected while no call is running.
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)
    return sock


def _user_key(destination: Destination) -> paramiko.PKey:
    path = destination.key_file
    try:
        return paramiko.Ed25519Key.from_private_key_file(str(path))
    except OSError as error:
        text = f"{destination.host}: the key {path} cannot be read: {error.strerror}"
        raise GateError("auth", text, asked=False) from None
    except (paramiko.SSHException, ValueError):
        text = f"{destination.host}: {path} is not an ed25519 key without passphrase"
        raise GateError("auth", text, asked=False) from None


def _pinned_keys(destination: Destination) -> dict[str, paramiko.PKey]:
    path, name = destination.ssh.known_hosts, known_hosts_name(destination.address, destination.ssh)
    pins = paramiko.HostKeys()
    try:
        pins.load(str(path))
    except OSError as error:
        text = f"{destination.host}: no host key is pinned: {path} cannot be read: {error.strerror}"
        raise GateError("host_key_unknown", text, asked=False) from None
    found = pins.lookup(name)
    if not found:
        text = f"{destination.host}: no host key is pinned for {name} in {path}"
        raise GateError("host_key_unknown", text, asked=False)
    return dict(found)


def _log_in(
    transport: paramiko.Transport,
    destination: Destination,
    key: paramiko.PKey,
    pinned: dict[str, paramiko.PKey],
) -> None:
    host, deadline = destination.host, Deadline(LOGIN_SECONDS)
    transport.set_log_channel(_SILENT_LOG)
    transport.banner_timeout = transport.handshake_timeout = LOGIN_SECONDS
    # Only the pinned key types are requested: another type could not be compared.
    options = transport.get_security_options()
    kinds = {*pinned, *(("rsa-sha2-512", "rsa-sha2-256") if "ssh-rsa" in pinned else ())}
    options.key_types = [kind for kind in options.key_types if kind in kinds] or options.key_types
    late = GateError("timeout", f"{host}: the login did not finish within {LOGIN_SECONDS:g} s")
    try:
        transport.start_client(timeout=deadline.left_seconds)
    except IncompatiblePeer:
        raise GateError("host_key_changed", f"{host}: sshd offers no host key of a pinned kind") from None
    except (paramiko.SSHException, EOFError) as error:
        if deadline.left_seconds < LOGIN_SECONDS * 0.05:
            raise late from None
        raise GateError("closed", f"{host}: the login was interrupted: {clean(str(error))}") from None
    if deadline.passed or not transport.is_active():
        raise late
    shown = transport.get_remote_server_key()
    if pinned.get(shown.get_name()) != shown:
        text = f"{host}: the host presented a different key ({shown.fingerprint}) than the pinned one"
        raise GateError("host_key_changed", text)
    transport.auth_timeout = deadline.left_seconds
    try:
        transport.auth_publickey(destination.ssh.user, key)
    except paramiko.AuthenticationException:
        if deadline.passed:
            raise late from None
    except (paramiko.SSHException, EOFError) as error:
        raise GateError("closed", f"{host}: the login was interrupted: {clean(str(error))}") from None
    if not transport.is_authenticated():
        text = f"{host}: sshd does not accept {destination.key_file} for user {destination.ssh.user}"
        raise GateError("auth", text)
