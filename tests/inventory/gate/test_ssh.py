"""The gate of another host over a real sshd, and over ones that misbehave."""

from __future__ import annotations

import errno
import os
import resource
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from ipaddress import ip_address
from pathlib import Path

import paramiko
import pytest

from locum_inventory.gate import ssh_connection
from locum_inventory.gate.deadline import Deadline
from locum_inventory.gate.protocol import GateError
from locum_inventory.gate.ssh import SshGate
from locum_inventory.gate.ssh_connection import Destination, connect, end_transports
from locum_inventory.site.model import Ssh
from tests.inventory.gate.gate_host import (
    ADDRESS,
    GateHost,
    Sshd,
    fresh_sshd,
    give,
    install_gate,
    make_key,
    prepare_sshd,
    running_sshd,
)
from tests.support.marks import needs_root
from tests.support.namespaces import add_address, ip, namespace
from tests.support.polling import wait_for
from tests.support.ports import unused_port

pytestmark = [pytest.mark.timed, needs_root, pytest.mark.integration]

HOST_FILE = """
service www
address 203.0.113.7/24
interface lo
process no-such-init
start exit 1
service slow
address 203.0.113.8/24
interface lo
start sleep 0.5
service idle
address 203.0.113.9/24
interface lo
"""


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> GateHost:
    return install_gate(tmp_path_factory.mktemp("host"), HOST_FILE)


@pytest.fixture(scope="module")
def sshd(host: GateHost, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    with fresh_sshd(tmp_path_factory.mktemp("sshd"), host) as running:
        yield running


@pytest.fixture
def shell(sshd: Sshd) -> Iterator[SshGate]:
    with gate_over(sshd) as open_gate:
        yield open_gate


def gate_over(sshd: Sshd) -> AbstractContextManager[SshGate]:
    """Return the actuator's gate of host a, which is closed at the end of the block."""
    return closing(SshGate("a", ADDRESS, sshd.ssh(), "actuator"))


@contextmanager
def closing(shell: SshGate) -> Iterator[SshGate]:
    try:
        yield shell
    finally:
        shell.close()


def fault(call: Callable[[], object]) -> tuple[str, str]:
    with pytest.raises(GateError) as raised:
        call()
    return raised.value.reason, str(raised.value)


def test_every_call(shell: SshGate) -> None:
    assert shell.status(deadline_seconds=5).services["www"].processes == 0
    assert shell.count_processes(deadline_seconds=5) == {"www": 0}
    assert shell.run_verb("release", "www", 3, deadline_seconds=5).epoch == 3
    old = fault(lambda: give(shell, "claim", "www", 2, deadline_seconds=5))
    assert old == ("old_epoch", "a: www: epoch 2 is older than 3")
    failed = fault(lambda: give(shell, "start", "www", 3, deadline_seconds=5))
    assert failed == ("failed", "a: www: start returned 1 and no process no-such-init is there; it said:")


def test_no_thread_of_a_connection_outlives_the_program(shell: SshGate) -> None:
    """Python before 3.14 may crash at exit where one still runs."""
    shell.status(deadline_seconds=5)
    before = [thread for thread in threading.enumerate() if isinstance(thread, paramiko.Transport)]
    assert before
    end_transports()
    assert not any(thread.is_alive() for thread in before)


@pytest.fixture
def unused_sshd(host: GateHost, tmp_path: Path) -> Iterator[Sshd]:
    """Yield one whose logins are this test's own: on a shared one another test's may still be under way."""
    with fresh_sshd(tmp_path, host) as running:
        yield running


@pytest.fixture
def first_shell(unused_sshd: Sshd) -> Iterator[SshGate]:
    with gate_over(unused_sshd) as open_gate:
        yield open_gate


def logins(sshd: Sshd) -> int:
    return sshd.log().count("Accepted publickey")


def test_one_connection_serves_every_look_and_one_every_change(
    unused_sshd: Sshd, first_shell: SshGate
) -> None:
    shell = first_shell
    threads = [threading.Thread(target=shell.status, kwargs={"deadline_seconds": 10}) for _ in range(10)]
    for thread in threads:
        thread.start()
    for _ in range(20):
        assert shell.count_processes(deadline_seconds=5)["www"] == 0
    for thread in threads:
        thread.join()
    for epoch in (1, 2, 3):
        shell.run_verb("release", "idle", epoch, deadline_seconds=10)
    assert logins(unused_sshd) == 2


def test_a_full_sshd_is_waited_for(host: GateHost, tmp_path: Path) -> None:
    port = unused_port()
    prepare_sshd(tmp_path, str(host.gate), port)
    with (tmp_path / "sshd_config").open("a") as config:
        config.write("MaxSessions 1\n")
    with (
        running_sshd(tmp_path, port) as sshd,
        gate_over(sshd) as shell,
    ):
        shell.status(deadline_seconds=5)
        half_a_second = partial(give, shell, "start", "slow", 1, deadline_seconds=10)
        busy = threading.Thread(target=half_a_second)
        busy.start()
        wait_for(lambda: sshd.log().count("Starting session") == 2, "the only channel is taken")
        shell.run_verb("release", "idle", 9, deadline_seconds=10)
        busy.join()
        assert "no more sessions" in sshd.log()
        assert logins(sshd) == 2


def test_an_exporters_key_changes_nothing(sshd: Sshd) -> None:
    with closing(SshGate("a", ADDRESS, sshd.ssh("exporter"), "exporter")) as shell:
        assert shell.count_processes(deadline_seconds=5)["www"] == 0
        refused = fault(lambda: shell.run_verb("release", "www", 9, deadline_seconds=5))
        assert refused == ("gate", "a: this key may only watch and status")


def test_a_call_past_its_deadline_ends_alone(unused_sshd: Sshd, first_shell: SshGate) -> None:
    shell = first_shell
    shell.status(deadline_seconds=5)
    wait_for(lambda: logins(unused_sshd) == 2, "the connection for changes is made in advance")
    began = time.monotonic()
    late = fault(lambda: give(shell, "start", "slow", 1, deadline_seconds=0.2))
    assert late == ("timeout", "a: the gate did not finish start within 0.2 s")
    assert time.monotonic() - began < 0.5
    assert shell.count_processes(deadline_seconds=5)["www"] == 0
    assert logins(unused_sshd) == 2


def test_a2_a_look_never_waits_behind_changes(sshd: Sshd, host: GateHost, tmp_path: Path) -> None:
    """Ten services are being started at once, and none of the starts ends before a check has been answered."""
    names, before = [f"s{number}" for number in range(10)], host.host_file.read_text()
    wait = f"until [ -e {tmp_path}/go ]; do sleep 0.05; done"
    host.write_host_file("".join(f"service {name}\ninterface lo\nstart {wait}\n" for name in names))
    try:
        with gate_over(sshd) as shell:
            outcomes: list[int] = []

            def start(name: str) -> None:
                outcomes.append(give(shell, "start", name, 1, deadline_seconds=30).epoch)

            threads = [threading.Thread(target=start, args=(name,)) for name in names]
            for thread in threads:
                thread.start()
            locks = host.prefix / "run/locum-gate"
            wait_for(lambda: len(list(locks.glob("s?.owner"))) == len(names), "every start is under way")
            assert set(shell.status(deadline_seconds=10).services) == set(names)
            shell.count_processes(deadline_seconds=10)
            assert not outcomes
            (tmp_path / "go").touch()
            for thread in threads:
                thread.join()
            assert outcomes == [1] * len(names)
    finally:
        (tmp_path / "go").touch()
        host.host_file.write_text(before)


def test_commands_see_nothing_of_the_wire(sshd: Sshd, host: GateHost, tmp_path: Path) -> None:
    before = host.host_file.read_text()
    host.write_host_file(f"service www\naddress 203.0.113.7/24\ninterface lo\nstart env >{tmp_path}/env\n")
    try:
        with gate_over(sshd) as shell:
            give(shell, "start", "www", 9, deadline_seconds=5)
    finally:
        host.host_file.write_text(before)
    assert "SSH_ORIGINAL_COMMAND" not in (tmp_path / "env").read_text()


Break = Callable[[Sshd, Path], Ssh]


def _other_known_hosts(sshd: Sshd, tmp_path: Path, text: str) -> Ssh:
    path = tmp_path / "known_hosts"
    path.write_text(text)
    return sshd.ssh().model_copy(update={"known_hosts": path})


def _pinned(sshd: Sshd) -> str:
    return (sshd.directory / "known_hosts").read_text()


KEYS: dict[str, tuple[Break, str, str]] = {
    "no known_hosts file": (
        lambda sshd, tmp: sshd.ssh().model_copy(update={"known_hosts": tmp / "none"}),
        "host_key_unknown",
        "a: no host key is pinned: {tmp}/none cannot be read: No such file or directory",
    ),
    "unknown host key": (
        lambda sshd, tmp: _other_known_hosts(sshd, tmp, _pinned(sshd).replace("127.0.0.1", "127.0.0.9")),
        "host_key_unknown",
        "a: no host key is pinned for [127.0.0.1]:{port} in {tmp}/known_hosts",
    ),
    "pinned for another port only": (
        lambda sshd, tmp: _other_known_hosts(sshd, tmp, _pinned(sshd).replace(f"]:{sshd.port}", "]:1")),
        "host_key_unknown",
        "a: no host key is pinned for [127.0.0.1]:{port} in {tmp}/known_hosts",
    ),
    "changed host key": (
        lambda sshd, tmp: _other_known_hosts(
            sshd, tmp, f"[127.0.0.1]:{sshd.port} {make_key(tmp / 'other')}\n"
        ),
        "host_key_changed",
        "a: the host presented a different key (SHA256:",
    ),
    "host key of another kind": (
        lambda sshd, tmp: _other_known_hosts(sshd, tmp, f"[127.0.0.1]:{sshd.port} {_ecdsa_key(tmp)}\n"),
        "host_key_changed",
        "a: sshd offers no host key of a pinned kind",
    ),
    "a key that is not known": (
        lambda sshd, tmp: sshd.ssh("stranger"),
        "auth",
        "a: sshd does not accept {directory}/stranger for user root",
    ),
    "no key file": (
        lambda sshd, tmp: sshd.ssh("missing"),
        "auth",
        "a: the key {directory}/missing cannot be read: No such file or directory",
    ),
    "a key file that holds none": (
        lambda sshd, tmp: sshd.ssh("sshd_config"),
        "auth",
        "a: {directory}/sshd_config is not an ed25519 key without passphrase",
    ),
}


def _ecdsa_key(directory: Path) -> str:
    """Make a key of another kind than sshd's; one of RSA would take a second."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ecdsa", "-N", "", "-f", directory / "ecdsa"], check=True)
    return (directory / "ecdsa.pub").read_text().strip()


@pytest.mark.parametrize(("broken", "kind", "text"), KEYS.values(), ids=KEYS.keys())
def test_a_key_that_is_not_as_it_must_be(
    sshd: Sshd, tmp_path: Path, broken: Break, kind: str, text: str
) -> None:
    with closing(SshGate("a", ADDRESS, broken(sshd, tmp_path), "actuator")) as shell:
        reason, said = fault(lambda: shell.status(deadline_seconds=5))
        expected = text.format(tmp=tmp_path, port=sshd.port, directory=sshd.directory)
        assert (reason, said[: len(expected)]) == (kind, expected)
        assert fault(lambda: shell.count_processes(deadline_seconds=5))[0] == kind


@contextmanager
def tcp_server(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    """A server of a test's own making."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]

        def accept() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=_serve, args=(serve, connection), daemon=True).start()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield port
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def _serve(serve: Callable[[socket.socket], None], connection: socket.socket) -> None:
    with connection, suppress(OSError):
        serve(connection)


def _say_nothing(connection: socket.socket) -> None:
    connection.recv(1024)
    while connection.recv(1024):
        pass


def _greet_then_close(connection: socket.socket) -> None:
    connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
    connection.recv(1024)


def _drip(connection: socket.socket) -> None:
    for byte in b"SSH-2.0-" + b"x" * 200:
        connection.sendall(bytes([byte]))
        time.sleep(0.1)


SERVERS = {
    "accepts and says nothing": (_say_nothing, {"timeout"}),
    "closes at once": (lambda connection: None, {"closed"}),
    "closes after its greeting": (_greet_then_close, {"closed"}),
    "drips a byte now and then": (_drip, {"timeout", "closed"}),
    "speaks HTTP": (
        lambda connection: connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 100),
        {"closed"},
    ),
}


def _ssh_to(port: int, sshd: Sshd, tmp_path: Path) -> Ssh:
    text = _pinned(sshd).replace(str(sshd.port), str(port))
    return _other_known_hosts(sshd, tmp_path, text).model_copy(update={"port": port})


@pytest.mark.parametrize(("serve", "kinds"), SERVERS.values(), ids=SERVERS.keys())
def test_a_login_that_leads_nowhere(
    sshd: Sshd,
    tmp_path: Path,
    serve: Callable[[socket.socket], None],
    kinds: set[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ssh_connection, "LOGIN_SECONDS", 0.5)
    with (
        tcp_server(serve) as port,
        closing(SshGate("a", ADDRESS, _ssh_to(port, sshd, tmp_path), "actuator")) as shell,
    ):
        began = time.monotonic()
        assert fault(lambda: shell.status(deadline_seconds=2))[0] in kinds
        assert time.monotonic() - began < 1.0
        began = time.monotonic()
        assert fault(lambda: shell.count_processes(deadline_seconds=0.2))[0] in kinds
        assert time.monotonic() - began < 0.4


def test_nobody_listens(sshd: Sshd, tmp_path: Path) -> None:
    port = unused_port()
    with closing(SshGate("a", ADDRESS, _ssh_to(port, sshd, tmp_path), "actuator")) as shell:
        refused = ("refused", f"a: 127.0.0.1 port {port} refused the connection")
        assert fault(lambda: shell.status(deadline_seconds=2)) == refused
        began = time.monotonic()
        assert fault(lambda: shell.status(deadline_seconds=2)) == refused
        assert time.monotonic() - began < 0.05  # inside the back-off: no new attempt


def test_attempts_keep_their_distance(sshd: Sshd, tmp_path: Path) -> None:
    attempts: list[float] = []

    def count(connection: socket.socket) -> None:
        attempts.append(time.monotonic())

    with (
        tcp_server(count) as port,
        closing(SshGate("a", ADDRESS, _ssh_to(port, sshd, tmp_path), "actuator")) as shell,
    ):
        until = time.monotonic() + 1.2

        def hammer() -> None:
            while time.monotonic() < until:
                fault(lambda: shell.count_processes(deadline_seconds=0.1))
                time.sleep(0.01)

        threads = [threading.Thread(target=hammer) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert 3 <= len(attempts) <= 8


def test_an_sshd_that_returns_is_found_within_a_second(sshd: Sshd, host: GateHost, tmp_path: Path) -> None:
    port = unused_port()
    prepare_sshd(tmp_path, str(host.gate), port)
    with closing(SshGate("a", ADDRESS, Sshd(port, tmp_path, sshd.process).ssh(), "actuator")) as shell:
        until = time.monotonic() + 1.5
        while time.monotonic() < until:  # long enough for the back-off to have grown
            assert fault(lambda: shell.count_processes(deadline_seconds=0.2))[0] == "refused"
            time.sleep(0.05)
        with running_sshd(tmp_path, port):
            began = time.monotonic()
            while True:
                try:
                    assert shell.count_processes(deadline_seconds=1.0)["www"] == 0
                    break
                except GateError:
                    time.sleep(0.02)
            assert time.monotonic() - began < 1.5


def _session_processes(sshd: Sshd) -> list[int]:
    """The process of the newest login, and those it forked."""
    listed = subprocess.run(
        ["pgrep", "-P", str(sshd.process.pid)], capture_output=True, text=True, check=True
    )
    newest = max(map(int, listed.stdout.split()))
    below = subprocess.run(["pgrep", "-P", str(newest)], capture_output=True, text=True, check=False)
    return [newest, *map(int, below.stdout.split())]


def test_a_connection_that_was_cut_is_made_anew_within_the_call(sshd: Sshd, shell: SshGate) -> None:
    assert shell.count_processes(deadline_seconds=5)["www"] == 0
    for pid in _session_processes(sshd)[:1]:
        os.kill(pid, signal.SIGKILL)
    assert shell.count_processes(deadline_seconds=5)["www"] == 0
    assert shell.status(deadline_seconds=5).version == "2"


def test_a_session_that_can_start_nothing_is_not_kept(sshd: Sshd) -> None:
    """sshd keeps such a connection open: used again and again, a host that was repaired would stay silent."""
    with closing(SshGate("a", ADDRESS, sshd.ssh("exporter"), "exporter")) as shell:
        shell.status(deadline_seconds=5)
        for pid in _session_processes(sshd):
            resource.prlimit(
                pid, resource.RLIMIT_NOFILE, (4, 4)
            )  # no descriptor is left for a program's pipes
        assert fault(lambda: shell.status(deadline_seconds=5)) == ("closed", "a: the connection was closed")
        assert "www" in shell.status(deadline_seconds=5).services


def test_a2_no_descriptor_left_here_is_not_the_hosts_silence(
    sshd: Sshd, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_descriptor(*_: object, **__: object) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(socket, "create_connection", no_descriptor)
    with (
        gate_over(sshd) as shell,
        pytest.raises(GateError) as raised,
    ):
        shell.status(deadline_seconds=5)
    assert (raised.value.reason, raised.value.asked) == ("busy", False)
    assert str(raised.value) == "a: the gate could not be called: Too many open files"


@pytest.mark.parametrize("thread", ["locum-dial-a", "locum-gate"])
def test_a2_no_thread_left_here_is_not_the_hosts_silence(
    sshd: Sshd, monkeypatch: pytest.MonkeyPatch, thread: str
) -> None:
    start = threading.Thread.start

    def none_left(self: threading.Thread) -> None:
        if self.name == thread:
            raise RuntimeError("can't start new thread")
        start(self)

    with gate_over(sshd) as shell:
        monkeypatch.setattr(threading.Thread, "start", none_left)
        with pytest.raises(GateError) as raised:
            shell.status(deadline_seconds=5)
        assert (raised.value.reason, raised.value.asked) == ("busy", False)
        monkeypatch.setattr(threading.Thread, "start", start)
        assert "www" in shell.status(deadline_seconds=5).services  # nothing stays taken


def test_an_sshd_that_hangs_costs_a_call_its_deadline_and_no_more(sshd: Sshd) -> None:
    with closing(SshGate("a", ADDRESS, sshd.ssh("exporter"), "exporter")) as shell:
        shell.status(deadline_seconds=5)
        session = _session_processes(sshd)
        for pid in session:
            os.kill(pid, signal.SIGSTOP)
        try:
            # Half of the deadline goes to the connection that hangs, the rest to a new one.
            assert shell.status(deadline_seconds=4).version == "2"
            assert shell.count_processes(deadline_seconds=4)["www"] == 0
        finally:
            for pid in session:
                os.kill(pid, signal.SIGCONT)


def test_an_sshd_that_hangs_before_a_command_costs_no_more_either(sshd: Sshd) -> None:
    connection = connect(Destination("a", ADDRESS, sshd.ssh(), sshd.ssh().key_file))
    channel = connection.open_channel(Deadline(5))
    session = _session_processes(sshd)
    for pid in session:
        os.kill(pid, signal.SIGSTOP)
    try:
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            connection.begin(channel, "status", Deadline(0.2))
        assert 0.2 <= time.monotonic() - began < 0.4
        assert not connection.is_usable
    finally:
        for pid in session:
            os.kill(pid, signal.SIGCONT)
        connection.release(channel)


@contextmanager
def dead_link() -> Iterator[tuple[str, Callable[[str], None]]]:
    """A network namespace on a link that can be cut: its name, and a function that sets the link `up` or `down`."""
    link = f"ls{os.getpid()}"
    with namespace("ssh") as name:
        ip("link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", name)
        ip("addr", "add", "198.18.77.1/30", "dev", link)
        ip("link", "set", link, "up")
        add_address(name, "198.18.77.2/30")
        ip("-n", name, "link", "set", "eth0", "up")
        yield name, lambda state: ip("-n", name, "link", "set", "eth0", state)


def test_a_dead_host_is_noticed_and_found_again(host: GateHost, tmp_path: Path) -> None:
    address, port = ip_address("198.18.77.2"), 22
    prepare_sshd(tmp_path, str(host.gate), port)
    for file in ("sshd_config", "known_hosts"):
        path = tmp_path / file
        path.write_text(
            path.read_text().replace("127.0.0.1", "198.18.77.2").replace("[198.18.77.2]:22 ", "198.18.77.2 ")
        )
    with dead_link() as (name, set_link):
        with (tmp_path / "log").open("ab") as log:
            process = subprocess.Popen(
                ["ip", "netns", "exec", name, "/usr/sbin/sshd", "-D", "-e", "-f", tmp_path / "sshd_config"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        sshd = Sshd(port, tmp_path, process)
        try:
            wait_for(lambda: b"Server listening" in (tmp_path / "log").read_bytes(), "sshd listens")
            with closing(SshGate("a", address, sshd.ssh(), "actuator")) as shell:
                assert shell.count_processes(deadline_seconds=5)["www"] == 0
                set_link("down")
                for call in (shell.count_processes, shell.status):
                    began = time.monotonic()
                    assert fault(partial(call, deadline_seconds=0.4))[0] in {"timeout", "unreachable"}
                    assert time.monotonic() - began < 0.6
                connection = shell._kept._connection
                wait_for(lambda: connection is None or not connection.is_usable, "the dead are noticed", 3.5)
                set_link("up")
                began = time.monotonic()
                while True:
                    try:
                        assert shell.count_processes(deadline_seconds=1.0)["www"] == 0
                        break
                    except GateError:
                        assert time.monotonic() - began < 3.0
                        time.sleep(0.05)
                assert time.monotonic() - began < 2.0
        finally:
            process.terminate()
            process.wait(timeout=5)


@pytest.mark.parametrize("listens", [True, False])
def test_a2_keys_that_are_missing_here_hide_no_silence(sshd: Sshd, tmp_path: Path, *, listens: bool) -> None:
    ssh = sshd.ssh("missing") if listens else _ssh_to(unused_port(), sshd, tmp_path)
    ssh = ssh.model_copy(update={"key_file": tmp_path / "missing"})
    with closing(SshGate("a", ADDRESS, ssh, "actuator")) as shell, pytest.raises(GateError) as raised:
        shell.status(deadline_seconds=5)
    assert (raised.value.reason, raised.value.asked) == (("auth", False) if listens else ("refused", True))
