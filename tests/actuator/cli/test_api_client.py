"""How the `locum` command finds the actuator, and whom it sends the token to."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from locum_actuator.app import create_app
from locum_actuator.cli import main
from locum_actuator.cli.common import api_client
from locum_actuator.engine.engine import Engine
from locum_actuator.engine.site_reload import ReloadResult
from locum_actuator.listeners import unix_socket
from tests.support.http_server import serving
from tests.support.ports import unused_port
from tests.support.site_files import write_site

TOKEN = "an-api-token-of-some-length"


@pytest.fixture
def state(tmp_path: Path) -> Path:
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    (state / "api.token").write_text(TOKEN)
    write_site(
        tmp_path,
        www={"addresses": ["192.0.2.100/32"], "standby": "running"},
        actuator={"state_directory": str(state), "api_token_file": f"{state}/api.token"},
    )
    return state


@pytest.fixture
def actuator(state: Path, engine: Engine) -> Iterator[Engine]:
    app = create_app(engine, "a-webhook-token", TOKEN, ReloadResult)
    with serving(app, sock=unix_socket(state)):
        yield engine


@pytest.fixture
def eavesdropper(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bytes]]:
    """Another user's program on the actuator's port; returns what it was sent."""
    heard: list[bytes] = []
    port = unused_port()
    monkeypatch.setattr(api_client, "DEFAULT_URL", f"http://127.0.0.1:{port}")

    def listen(server: socket.socket) -> None:
        while True:
            try:
                sock, _ = server.accept()
            except OSError:
                return
            with sock:
                heard.append(sock.recv(65536))
                sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")

    with socket.create_server(("127.0.0.1", port)) as server:
        thread = threading.Thread(target=listen, args=(server,))
        thread.start()
        yield heard
        server.shutdown(socket.SHUT_RDWR)
    thread.join(10)


def run(state: Path, *words: str) -> tuple[int, str]:
    done = CliRunner().invoke(main, ["--site", str(state.parent / "locum.yml"), *words])
    return done.exit_code, done.output


def test_e3_the_token_goes_over_the_socket(state: Path, actuator: Engine, eavesdropper: list[bytes]) -> None:
    code, said = run(state, "pause", "www", "--for", "1h", "--reason", "new disk [/dev/sdb1]")
    assert code == 0, said
    assert said.endswith(": new disk [/dev/sdb1]\n")
    assert actuator.journal.pauses.current("www") is not None
    assert run(state, "status", "www")[0] == 0
    assert run(state, "resume", "www") == (0, "www is resumed\n")
    assert eavesdropper == []


@pytest.mark.parametrize("verb", ["pause", "resume", "switchover", "failback", "mirror"])
def test_e3_without_the_actuator_nobody_is_sent_the_token(
    state: Path, eavesdropper: list[bytes], verb: str
) -> None:
    code, said = run(state, verb, "www", *(["a"] if verb == "switchover" else []))
    assert code == 1
    assert said == f"locum: no actuator answers in {state}; is `locum up` or locum-actuator running?\n"
    assert eavesdropper == []


def test_e3_a_stale_socket_is_no_actuator(state: Path, eavesdropper: list[bytes]) -> None:
    unix_socket(state).close()
    code, said = run(state, "pause", "www")
    assert (code, eavesdropper) == (1, [])
    assert said.startswith(f"locum: no actuator answers in {state}")


def test_e3_where_others_may_write_nobody_is_sent_the_token(
    state: Path, actuator: Engine, eavesdropper: list[bytes]
) -> None:
    state.chmod(0o777)
    code, said = run(state, "pause", "www")
    assert (code, eavesdropper) == (1, [])
    assert said == f"locum: the token was not sent: other users may write to {state}: chmod 700 {state}\n"
    assert actuator.journal.pauses.current("www") is None


def test_e3_what_needs_no_token_is_asked_on_the_port_too(state: Path, eavesdropper: list[bytes]) -> None:
    run(state, "status")
    (asked,) = eavesdropper
    assert asked.startswith(b"GET /api/v1/services HTTP/1.1\r\n")
    assert b"uthorization" not in asked


def test_a_directory_of_any_depth(tmp_path: Path, engine: Engine) -> None:
    """A Unix socket's own name has 107 bytes at most."""
    deep = tmp_path / ("x" * 100) / ("y" * 100)
    deep.mkdir(parents=True)
    assert len(os.fsencode(deep)) > 200
    with serving(create_app(engine, "a-webhook-token", TOKEN, ReloadResult), sock=unix_socket(deep)):
        answer = api_client.ask(f"unix:{deep}", "/api/v1/services")
    assert [row["service"] for row in answer["services"]] == ["www"]
