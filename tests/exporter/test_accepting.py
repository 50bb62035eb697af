"""Connections to the exporter that others hold: they leave room for Prometheus, and descriptors for checks."""

from __future__ import annotations

import asyncio
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from locum_exporter.accepting import Accepting
from locum_exporter.server import Options, serve
from locum_inventory.listen import Listen
from locum_inventory.site.load import load_site
from locum_inventory.token_bucket import TokenBucket
from tests.exporter.sites import exporter_site
from tests.exporter.test_server import exporter, limit
from tests.support.forked_programs import ForkedPrograms
from tests.support.marks import needs_root
from tests.support.ports import unused_port

pytestmark = pytest.mark.integration

SYSTEM_PYTHON = "/usr/bin/python3"  # that of a virtual environment may lie where only root may go
OTHER_USER = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", SYSTEM_PYTHON, "-I", "-c")
HOLD = """
import resource, socket, sys
most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
held = []
for _ in range(int(sys.argv[2])):
    held.append(socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=10))
    held[-1].sendall(b"GET /pro")
print("there", flush=True)
input()
open_ones = 0
for one in held:
    one.setblocking(False)
    try:
        one.recv(100)
    except BlockingIOError:
        open_ones += 1
    except OSError:
        pass
print(open_ones, flush=True)
input()
"""
KEPT = "GET /probe?check=ping&host=b HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture
def site_file(tmp_path: Path) -> Path:
    return exporter_site(tmp_path)


@contextmanager
def holding(port: int, count: int) -> Iterator[subprocess.Popen[str]]:
    """Have another user hold so many connections over which he asks for nothing whole."""
    command = [*OTHER_USER, HOLD, str(port), str(count)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd="/") as user:
        try:
            assert user.stdout is not None
            assert user.stdout.readline() == "there\n"
            yield user
        finally:
            user.kill()


def ask(sock: socket.socket) -> str:
    sock.sendall(KEPT.encode())
    answer = b""
    while b"locum_check_success" not in answer and (data := sock.recv(65536)):
        answer += data
    return answer.decode()


@needs_root
def test_e4_another_user_leaves_descriptors_and_room(programs: ForkedPrograms, site_file: Path) -> None:
    """He may have as many descriptors as the exporter has, and the exporter takes half of its own for others."""
    limited = exporter(programs, site_file, before=limit(512, 512))
    with limited as program, socket.create_connection(("127.0.0.1", program._port), 5) as kept:
        assert "locum_check_success 1.0" in ask(kept)
        with holding(program._port, 600) as user:
            assert "locum_check_success 1.0" in program.get("/probe?check=ping&host=b").text
            assert "locum_check_success 1.0" in ask(kept), "what was open before stays open"
            assert user.stdin is not None
            assert user.stdout is not None
            user.stdin.write("\n")
            user.stdin.flush()
            assert 0 < int(user.stdout.readline()) <= 256


@needs_root
def test_e4_who_asks_keeps_his_connection(programs: ForkedPrograms, site_file: Path) -> None:
    """A Prometheus of another user shares his limit with whatever else that user does: it asks, so it stays."""
    asking = f"""
import socket, sys
kept = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 5)
def ask():
    kept.sendall({KEPT!r}.encode())
    answer = b""
    while b"locum_check_success" not in answer and (data := kept.recv(65536)):
        answer += data
    print("locum_check_success 1.0" in answer.decode(), flush=True)
ask()
input()
ask()
"""
    with exporter(programs, site_file, before=limit(512, 512)) as program:
        command = [*OTHER_USER, asking, str(program._port)]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd="/"
        ) as prometheus:
            assert prometheus.stdin is not None
            assert prometheus.stdout is not None
            assert prometheus.stdout.readline() == "True\n"
            with holding(program._port, 400):
                prometheus.stdin.write("\n")
                prometheus.stdin.flush()
                assert prometheus.stdout.readline() == "True\n"


@needs_root
def test_e4_one_who_comes_too_often_is_turned_away(programs: ForkedPrograms, site_file: Path) -> None:
    with exporter(programs, site_file) as program, holding(program._port, 900) as user:
        # Accepted after all of his.
        assert "locum_check_success 1.0" in program.get("/probe?check=ping&host=b").text
        assert user.stdin is not None
        assert user.stdout is not None
        user.stdin.write("\n")
        user.stdin.flush()
        assert 500 < int(user.stdout.readline()) < 900


@needs_root
def test_one_that_accepts_nothing_any_more_ends(site_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The service manager starts it again; as it is, it would look well and answer no request."""

    async def broken(_self: Accepting, _listening: socket.socket) -> None:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(Accepting, "run", broken)
    options = Options(site_file, Listen("127.0.0.1", unused_port()), None)
    with pytest.raises(SystemExit) as ended:
        asyncio.run(asyncio.wait_for(serve(options, load_site(site_file)), 20))
    assert ended.value.code == 1


def test_tokens_are_a_burst_and_then_so_many_a_second() -> None:
    tokens = TokenBucket(3.0, 2.0)
    taken = [tokens.take(now) >= 0 for now in (100.0, 100.0, 100.0, 100.0)]
    assert taken == [True, True, True, False]
    assert tokens.left == -1
    assert tokens.take(101.0) == 0
    assert tokens.take(101.0) == -1
