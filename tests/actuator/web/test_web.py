"""The actuator's listeners, asked by clients that mean no good: none of them delays another."""

from __future__ import annotations

import errno
import http.client
import os
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, request

from locum_actuator.listeners import Front, NotBoundError
from locum_actuator.web import listener as listener_module
from locum_actuator.web.certificate import Certificate
from locum_actuator.web.connections import Connection, Connections
from locum_actuator.web.framing import MOST_CHUNKS, MOST_LINES, RequestRefusedError
from locum_actuator.web.lanes import WAITING_AT_MOST, Lane
from locum_actuator.web.listener import STRANGERS_BODY_BYTES, Bounds, Listener
from locum_actuator.web.own_socket import NotTheActuatorError, OwnSocket
from locum_actuator.web.peer import Peer, peer_of
from tests.support.http_server import serving
from tests.support.marks import needs_root
from tests.support.polling import wait_for

TOKEN = "a-token-of-some-length"
HERE = ("127.0.0.1", 0)


def app() -> Flask:
    made = Flask("test", static_folder=None)
    made.add_url_rule("/", "page", lambda: "here")
    made.add_url_rule("/empty", "empty", lambda: ("", 204))
    made.add_url_rule("/broken", "broken", lambda: str(1 // 0))
    made.add_url_rule(
        "/echo", "echo", lambda: f"{request.method} {request.args.get('q')} {request.get_data().decode()}",
        methods=["GET", "POST"],
    )  # fmt: skip
    made.add_url_rule("/header", "header", lambda: request.headers.get("X-One", "none"))
    return made


@pytest.fixture
def port() -> Iterator[int]:
    with serving(app(), bounds=Bounds(8, 1 << 20, lambda header: header == f"Bearer {TOKEN}")) as listener:
        yield listener.address[1]


def said(port: int, *parts: bytes) -> bytes:
    """Return all that a server answers until it closes the connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as sock:
        answer = b""
        try:
            for part in parts:
                sock.sendall(part)
        except ConnectionError:
            pass  # it was answered before all was sent
        try:
            while data := sock.recv(65536):
                answer += data
        except ConnectionResetError:
            pass
        return answer


def get(port: int, path: str = "/", method: str = "GET", **options: Any) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, path, **options)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


SPACES = b" " * 15_000
POST_CHUNKS = b"POST /echo HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n"
COSTLY = {
    "a header of spaces": (b"GET / HTTP/1.1\r\nHost: here\r\nX:" + SPACES + b"\0\r\n\r\n", b"400"),
    "a header of spaces and a form feed": (b"GET / HTTP/1.1\r\nX:" + SPACES + b"\x0c\r\n\r\n", b"400"),
    "a header of spaces and a carriage return": (b"GET / HTTP/1.1\r\nX:" + SPACES + b"\r\r\n\r\n", b"400"),
    "thousands of headers": (b"GET / HTTP/1.1\r\nHost: here\r\n" + b"a:\r\n" * 16_000 + b"\r\n", b"431"),
    "a chunk's line of spaces": (POST_CHUNKS + b"1;" + SPACES + b"\nx\r\na\r\n0\r\n\r\n", b"400"),
    "the line of a second chunk": (POST_CHUNKS + b"1\r\na\r\n1;" + SPACES + b"\nx\r\na\r\n", b"400"),
    "a trailer of spaces": (POST_CHUNKS + b"0\r\nX:" + SPACES + b"\0\r\n\r\n", b"400"),
    "a trailer, and zeros": (POST_CHUNKS + b"1\r\na\r\n000;a=b\r\nX: 1\r\n\r\n", b"400"),
    "thousands of chunks": (POST_CHUNKS + b"1\r\na\r\n" * 60_000 + b"0\r\n\r\n", b"413"),
}


@pytest.mark.parametrize("in_pieces", [False, True], ids=["at once", "in pieces"])
@pytest.mark.parametrize(("sent", "status"), COSTLY.values(), ids=COSTLY)
def test_e4_no_request_costs_more_than_its_length(
    port: int, sent: bytes, status: bytes, in_pieces: bool
) -> None:
    parts = [sent[:1000], sent[1000:9000], sent[9000:]] if in_pieces else [sent]
    used = time.process_time()
    answer = said(port, *parts)
    assert answer.split()[1] == status
    assert answer.count(b"HTTP/1.1 ") == 1
    # Of the whole process: while a regular expression runs no other thread does.
    assert time.process_time() - used < 0.5


def test_e4_heads_and_chunks_of_sensible_number_are_read(port: int) -> None:
    head = b"".join(b"X-%d: \t \xff  a\r\n" % number for number in range(MOST_LINES - 6))
    chunks = b"".join(
        b"%x;a=b\r\n%s\r\n" % (len(one), one) for one in [b"a\r\n b", b"0\r\n"] * (MOST_CHUNKS // 2)
    )
    sent = POST_CHUNKS[:-2] + head + b"Connection: close\r\n\r\n" + chunks + b"0\r\n\r\n"
    for size in (len(sent), 37, 7):
        pieces = [sent[at : at + size] for at in range(0, len(sent), size)]
        answer = said(port, *pieces)
        assert answer.endswith(b"POST None " + b"a\r\n b0\r\n" * (MOST_CHUNKS // 2)), size


def test_it_speaks_http(port: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    for _ in range(3):  # on one connection
        connection.request("GET", "/")
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (200, b"here")
    connection.request("HEAD", "/")
    answer = connection.getresponse()
    assert (answer.status, answer.headers["Content-Length"], answer.read()) == (200, "4", b"")
    connection.request("GET", "/empty")
    answer = connection.getresponse()
    assert (answer.status, answer.read()) == (204, b"")
    connection.request("POST", "/echo?q=%C3%A4", b"body")
    assert connection.getresponse().read().decode() == "POST ä body"
    connection.request(
        "POST", "/echo", iter([b"bo", b"dy"]), {"Transfer-Encoding": "chunked"}, encode_chunked=True
    )
    assert connection.getresponse().read() == b"POST None body"
    connection.close()
    assert get(port, "/none")[0] == 404
    assert said(port, b"GET / HTTP/1.0\r\n\r\n").endswith(b"here")
    assert said(port, b"GET http://evil/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").endswith(b"here")


def test_a_body_is_asked_for_where_the_client_waits(port: int) -> None:
    head = HEAD + b"Expect: 100-continue\r\nContent-Length: 4\r\nConnection: close\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=30) as sock:
        sock.sendall(head)
        assert sock.recv(1000).startswith(b"HTTP/1.1 100 ")
        sock.sendall(b"body")
        assert b"POST None body" in sock.recv(1000)


def test_an_application_that_breaks_ends_nothing(port: int, caplog: pytest.LogCaptureFixture) -> None:
    assert get(port, "/broken")[0] == 500
    assert get(port) == (200, b"here")
    assert "ZeroDivisionError" in caplog.text


HEAD = b"POST /echo HTTP/1.1\r\nHost: x\r\n"
REFUSED: dict[str, tuple[bytes, bytes]] = {
    "CL and TE together": (
        HEAD + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"400",
    ),
    "TE and CL together": (
        HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
        b"400",
    ),
    "two lengths": (HEAD + b"Content-Length: 4\r\nContent-Length: 5\r\n\r\nbody", b"400"),
    "a length below zero": (HEAD + b"Content-Length: -4\r\n\r\n", b"400"),
    "a length with a sign": (HEAD + b"Content-Length: +4\r\n\r\nbody", b"400"),
    "a length of 10^23": (HEAD + b"Content-Length: 1" + b"0" * 23 + b"\r\n\r\n", b"4"),
    "a length without end": (HEAD + b"Content-Length: " + b"9" * 6000 + b"\r\n\r\n", b"4"),
    "a length too large": (HEAD + b"Content-Length: 99999999\r\n\r\n", b"413"),
    "another coding": (HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n", b"501"),
    "a chunk that is none": (HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", b"400"),
    "headers without end": (HEAD + b"X: " + b"x" * 20_000, b"431"),
    "many headers": (HEAD + b"X: y\r\n" * 4000, b"431"),
    "a line without end": (b"GET /" + b"x" * 20_000, b"4"),
    "no HTTP": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 hello\r\n\r\n", b"400"),
    "NUL in a header": (HEAD + b"X: \0\r\n\r\n", b"400"),
    "a header with a blank": (HEAD + b"X : y\r\n\r\n", b"400"),
    "no Host": (b"GET / HTTP/1.1\r\n\r\n", b"400"),
    "two Hosts": (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", b"400"),
}


@pytest.mark.parametrize(("sent", "status"), REFUSED.values(), ids=REFUSED)
def test_e7_what_is_not_clear_is_refused(port: int, sent: bytes, status: bytes) -> None:
    answer = said(port, sent)
    assert answer.startswith(b"HTTP/1.1 " + status), answer
    assert answer.count(b"HTTP/1.1 ") == 1
    assert get(port) == (200, b"here"), "and it goes on"


def test_e7_a_name_with_an_underscore_stands_for_no_other(port: int) -> None:
    assert get(port, "/header", headers={"X_One": "forged"}) == (200, b"none")
    assert get(port, "/header", headers={"X-One": "meant"}) == (200, b"meant")


# -- bounds ------------------------------------------------------------------------------------------------------


def test_e4_a_request_has_one_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener_module, "READ_SECONDS", 0.5)
    with serving(app()) as listener, socket.create_connection(("127.0.0.1", listener.address[1])) as sock:
        sock.settimeout(30)
        begun = time.monotonic()
        with pytest.raises((BrokenPipeError, ConnectionResetError)):  # noqa: PT012 - at one of the writes
            for byte in b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: " + b"y" * 1000:
                sock.sendall(bytes([byte]))
                time.sleep(0.05)  # never silent for long
        assert time.monotonic() - begun > 0.4


def test_e4_one_that_does_not_read_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener_module, "WRITE_SECONDS", 0.3)
    made = Flask("test", static_folder=None)
    made.add_url_rule("/", "page", lambda: "x" * 50_000_000)
    with serving(made) as listener, socket.create_connection(("127.0.0.1", listener.address[1])) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert sock.recv(100)
        wait_for(lambda: len(listener._connections) == 0, "the connection is closed")


def test_e4_the_newest_finds_room_and_the_greediest_makes_it(port: int) -> None:
    """The listener of this test has eight places."""
    with ExitStack() as stack:
        crowd = [stack.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(50)]
        for sock in crowd:
            sock.sendall(b"GET / HT")
        for _ in range(5):
            assert get(port) == (200, b"here")


def test_e4_who_has_shown_a_token_or_is_served_stays() -> None:
    async def nothing() -> None:
        return None

    mine, theirs = Peer("uid 101"), Peer("uid 1000")
    open_ = Connections(4)
    known, busy = Connection(mine, is_known=True), Connection(theirs, is_busy=True)
    old, new = Connection(theirs, waits_since=1), Connection(theirs, waits_since=2)
    for one in (known, busy, old, new):
        open_.add(one)
    open_.add(Connection(theirs, waits_since=3))
    assert set(open_._open) >= {known, busy, new}
    assert old not in open_._open
    open_.add(Connection(theirs, waits_since=4))
    assert new not in open_._open
    assert len(open_) == 4


def test_e4_a_client_that_asks_much_waits_for_itself() -> None:
    lane, gate = Lane("test", 1), threading.Event()
    done: list[str] = []

    def wait() -> None:
        gate.wait(60)

    lane.put("greedy", wait)
    wait_for(lambda: not lane._waiting, "the first request is under way")
    for number in range(WAITING_AT_MOST):
        assert lane.put("greedy", partial(done.append, f"greedy {number}"))
    assert not lane.put("greedy", lambda: None), "no more of it"
    assert lane.put("modest", lambda: done.append("modest"))
    gate.set()
    wait_for(lambda: len(done) > WAITING_AT_MOST, "every request is done")
    assert done.index("modest") <= 1, "its turn comes after one of the other's"
    lane.close()
    lane.join(5)


def test_e4_strangers_have_a_share_of_the_processor() -> None:
    def work() -> None:
        end = time.thread_time() + 0.02
        while time.thread_time() < end:
            pass

    lane = Lane("test", 2, share=0.2)
    begun, processor = time.monotonic(), time.process_time()
    done = threading.Semaphore(0)

    def one() -> None:
        work()
        done.release()

    for _ in range(20):
        lane.put("anna", one)
    for _ in range(20):
        assert done.acquire(timeout=60)
    used = (time.process_time() - processor) / (time.monotonic() - begun)
    lane.close()
    lane.join(5)
    assert used < 0.5, "twenty pieces of work at once would take a whole processor"


def test_a_listener_that_can_accept_nobody_for_long_breaks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its process ends then, and is restarted: it may have lost its descriptors."""
    monkeypatch.setattr(listener_module, "DEAF_SECONDS", 0.2)
    with socket.create_server(HERE) as sock:
        ours = Lane("ours", 1)
        listener = Listener("test", sock, app(), Bounds(8, 100), ours=ours, strangers=ours)

        async def refuse(_sock: socket.socket) -> Any:
            raise OSError(errno.EMFILE, "Too many open files")

        monkeypatch.setattr(listener._loop, "sock_accept", refuse)
        with pytest.raises(OSError, match="Too many open files"):
            listener.run()
        ours.close()


# -- who asks ----------------------------------------------------------------------------------------------------


SYSTEM_PYTHON = "/usr/bin/python3"  # Debian's package python3 has it
LONG_SECONDS = 60.0


@contextmanager
def as_nobody(code: str, *words: str) -> Iterator[subprocess.Popen[str]]:
    """Run the system's Python as another user: that of a virtual environment may lie where only root may go."""
    command = [
        "setpriv",
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
        SYSTEM_PYTHON,
        "-I",
        "-c",
        code,
        *words,
    ]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True, cwd="/"
    ) as process:
        try:
            yield process
        finally:
            process.kill()


CONNECT_AND_CLOSE = """
import socket, sys
sock = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
sock.sendall(b"GET / HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n")
sock.close()
print("closed", flush=True)
input()
"""

CONNECT = """
import socket, sys
sock = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
input()
"""


@needs_root
def test_e4_the_kernel_says_which_user_a_client_is() -> None:
    with socket.create_server(HERE) as server:
        server.settimeout(LONG_SECONDS)
        with as_nobody(CONNECT, str(server.getsockname()[1])):
            accepted, _ = server.accept()
            with accepted:
                assert peer_of(accepted) == Peer("uid 65534", is_ours=False)
        with socket.create_connection(server.getsockname()) as mine:
            accepted, _ = server.accept()
            with accepted:
                assert peer_of(accepted) == Peer(f"uid {os.geteuid()}", is_ours=True)
                assert mine
        gone = socket.create_connection(server.getsockname())
        accepted, _ = server.accept()
        gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        gone.close()
        with accepted:
            assert not peer_of(accepted).is_ours


@needs_root
def test_e4_a_client_that_has_closed_its_end_is_not_taken_for_root() -> None:
    with socket.create_server(HERE) as server:
        server.settimeout(LONG_SECONDS)
        with as_nobody(CONNECT_AND_CLOSE, str(server.getsockname()[1])) as client:
            assert client.stdout is not None
            assert client.stdout.readline() == "closed\n"
            accepted, _ = server.accept()
            with accepted:
                time.sleep(0.3)  # the kernel keeps less and less of a socket that was closed
                assert accepted.recv(3) == b"GET", "what it sent is there all the same"
                assert peer_of(accepted) == Peer("127.0.0.1", is_ours=False)


def test_e4_a_stranger_sends_no_long_body(port: int) -> None:
    long = b"x" * (STRANGERS_BODY_BYTES + 1)
    assert get(port, "/echo", "POST", body=long)[0] == 200, "root and our own user may"
    with serving(app(), bounds=Bounds(8, 1 << 20)) as listener:
        stranger = Connection(Peer("uid 1000"))
        head = type("Head", (), {"headers": [(b"content-length", str(len(long)).encode())]})
        with pytest.raises(RequestRefusedError) as caught:
            listener._judge(head, stranger)  # type: ignore[arg-type]
        assert caught.value.status == 413


DRIP = """
import resource, socket, sys, time
resource.setrlimit(resource.RLIMIT_NOFILE, (1100, 1100))
ports, crowd = [int(word) for word in sys.argv[2:]], []
for number in range(int(sys.argv[1])):
    try:
        crowd.append(socket.create_connection(("127.0.0.1", ports[number % len(ports)]), timeout=30))
    except OSError:
        pass
print("there", flush=True)
while True:
    for number, sock in enumerate(crowd):
        try:
            sock.sendall(b"G" if number else b"P")
        except OSError:
            try:
                crowd[number] = socket.create_connection(("127.0.0.1", ports[number % len(ports)]), timeout=30)
            except OSError:
                pass
    time.sleep(0.5)
"""


class Slow:
    """An application of which some paths take their time, as checks of a silent host do."""

    def __init__(self) -> None:
        self.release = threading.Event()
        self.under_way = 0

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        if environ["PATH_INFO"] == "/slow":
            self.under_way += 1
            self.release.wait(60)
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"done"]


@pytest.fixture
def front(tmp_path: Path) -> Iterator[tuple[Front, Slow, Certificate]]:
    certificate, slow = Certificate.in_state(tmp_path), Slow()
    certificate.make()
    front = Front(
        slow, app(), lambda header: header == f"Bearer {TOKEN}",
        api_at=HERE, webhook_at=HERE, state_directory=tmp_path, tls=certificate.server_context(),
    )  # fmt: skip
    threads = [threading.Thread(target=one.run) for one in front.listeners]
    for thread in threads:
        thread.start()
    yield front, slow, certificate
    slow.release.set()
    front.close()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()


def webhook_seconds(front: Front, certificate: Certificate, times: int) -> float:
    """Return the median time of a webhook, each over a new connection."""
    took = []
    for _ in range(times):
        begun = time.monotonic()
        host, port = front.webhook.address
        connection = http.client.HTTPSConnection(host, port, timeout=60, context=certificate.client_context())
        connection.request("POST", "/echo", b"{}", {"Authorization": f"Bearer {TOKEN}"})
        assert connection.getresponse().status == 200
        connection.close()
        took.append(time.monotonic() - begun)
    return sorted(took)[len(took) // 2]


@needs_root
def test_e4_neither_slow_reads_nor_a_thousand_dripping_connections_delay_a_webhook(
    front: tuple[Front, Slow, Certificate],
) -> None:
    listening, slow, certificate = front
    calm = webhook_seconds(listening, certificate, 20)
    with ExitStack() as stack:
        for _ in range(24):
            sock = stack.enter_context(socket.create_connection(listening.api.address))
            sock.sendall(b"GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n")
        ports = [str(one.address[1]) for one in (listening.api, listening.webhook)]
        dripping = stack.enter_context(as_nobody(DRIP, "1000", *ports))
        assert dripping.stdout is not None
        assert dripping.stdout.readline() == "there\n"
        busy = webhook_seconds(listening, certificate, 20)
        assert slow.under_way > 0, "the slow ones are there"
        assert len(listening.webhook._connections) <= 64
        assert len(listening.api._connections) <= 256
    assert busy < max(10 * calm, 0.5), f"{busy * 1000:.0f} ms instead of {calm * 1000:.0f} ms"


# -- whom the token is sent to -----------------------------------------------------------------------------------


def test_e3_the_certificate_is_known_to_those_who_have_it_and_to_nobody_else(
    front: tuple[Front, Slow, Certificate], tmp_path: Path
) -> None:
    listening, _, certificate = front
    assert webhook_seconds(listening, certificate, 1) > 0
    other = Certificate.in_state(tmp_path / "other")
    (tmp_path / "other").mkdir()
    other.make()
    connection = http.client.HTTPSConnection(*listening.webhook.address, context=other.client_context())
    with pytest.raises(ssl.SSLCertVerificationError):
        connection.request("GET", "/")
    connection.close()
    before = certificate.key.read_bytes()
    certificate.make()
    assert certificate.key.read_bytes() == before, "it is made once"
    assert certificate.key.stat().st_mode & 0o777 == 0o600


@needs_root
def test_e3_root_makes_the_certificate_as_the_owner_of_the_directory(shared_directory: Path) -> None:
    state = shared_directory / "state"
    state.mkdir()
    os.chown(state, 65534, 65534)
    certificate = Certificate.in_state(state)
    certificate.make()
    assert {
        path.stat().st_uid for path in (certificate.key, certificate.certificate, certificate.key.parent)
    } == {65534}


def test_e3_the_command_reaches_the_actuator_over_its_socket(
    front: tuple[Front, Slow, Certificate], tmp_path: Path
) -> None:
    connection = OwnSocket(tmp_path, 30)
    connection.request("GET", "/")
    assert connection.getresponse().read() == b"done"
    connection.close()
    assert (tmp_path / "actuator.sock").stat().st_mode & 0o777 == 0o600


def test_e3_a_directory_that_others_may_write_is_not_believed(
    front: tuple[Front, Slow, Certificate], tmp_path: Path
) -> None:
    tmp_path.chmod(0o777)
    with pytest.raises(NotTheActuatorError, match=r"other users may write to .*: chmod 700"):
        OwnSocket(tmp_path, 30).connect()


LISTEN = """
import socket, sys
server = socket.socket(socket.AF_UNIX)
server.bind(sys.argv[1])
server.listen()
print("there", flush=True)
print(server.accept()[0].recv(1000), flush=True)
"""


@needs_root
def test_e3_the_token_is_not_sent_to_another_user(shared_directory: Path) -> None:
    trap = shared_directory / "trap"
    trap.mkdir()
    os.chown(trap, 65534, 65534)
    state = shared_directory / "state"
    state.mkdir(mode=0o700)
    with as_nobody(LISTEN, str(trap / "own")) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "there\n"
        (trap / "own").rename(state / "actuator.sock")  # however it came there
        connection = OwnSocket(state, 30)
        with pytest.raises(NotTheActuatorError, match="user 65534 listens on it"):
            connection.request("POST", "/", b"", {"Authorization": f"Bearer {TOKEN}"})
        assert process.stdout.readline() == "b''\n", "nothing was said to it"


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    certificate = Certificate.in_state(tmp_path)
    certificate.make()
    with socket.create_server(HERE) as taken:
        where = taken.getsockname()
        with pytest.raises(
            NotBoundError, match=f"cannot listen on 127.0.0.1:{where[1]}: Address already in use"
        ):
            Front(
                app(), app(), lambda _: False,
                api_at=HERE, webhook_at=where, state_directory=tmp_path, tls=certificate.server_context(),
            )  # fmt: skip
