"""locum-exporter as a program: started, asked, reloaded, ended."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import requests
from click.testing import CliRunner

from locum_exporter.net.listening import listening_sockets
from locum_exporter.server import main
from locum_inventory.listen import Listen
from tests.exporter.sites import exporter_site
from tests.support.forked_programs import ForkedProgram, ForkedPrograms
from tests.support.log_reading import read_logfmt
from tests.support.polling import wait_for
from tests.support.ports import unused_port

pytestmark = pytest.mark.integration

PROGRAM = "locum_exporter.server:main"


@pytest.fixture
def site_file(tmp_path: Path) -> Path:
    return exporter_site(tmp_path)


def limit(usual: int, most: int) -> str:
    """Return the shell command that limits how many descriptors the process may have which runs it."""
    return f"prlimit --pid $PPID --nofile={usual}:{most}"


class Program:
    """A running exporter; `log` is what it has said so far."""

    def __init__(self, process: ForkedProgram | subprocess.Popen[str], port: int, log_file: Path) -> None:
        self.process, self._port, self._log_file = process, port, log_file

    def get(self, path: str) -> requests.Response:
        return requests.get(f"http://127.0.0.1:{self._port}{path}", timeout=5)

    @property
    def log(self) -> str:
        return self._log_file.read_text()

    def wait_for(self, text: str) -> None:
        def logged() -> bool:
            assert self.process.poll() is None, self.log
            return text in self.log

        wait_for(logged, f"'{text}' is logged", state=lambda: self.log)


@contextmanager
def exporter(
    programs: ForkedPrograms, site_file: Path, *options: str, host: str = "127.0.0.1", before: str = ""
) -> Iterator[Program]:
    """Run an exporter; `before` is a shell command that its process runs first."""
    port, log_file = unused_port(), site_file.with_suffix(".log")
    log_file.write_text("")
    words = ["--site", str(site_file), "--listen", f"{host}:{port}", *options]
    with programs.started(PROGRAM, words, log_file, before) as process:
        program = Program(process, port, log_file)
        program.wait_for("listening on")
        yield program


@contextmanager
def exporter_from_a_shell(site_file: Path) -> Iterator[Program]:
    """Run an exporter as a shell does, which starts Python."""
    port, log_file = unused_port(), site_file.with_suffix(".log")
    command = [sys.executable, "-m", "locum_exporter.server", "--site", str(site_file)]
    with (
        log_file.open("w") as log,
        subprocess.Popen([*command, "--listen", f"127.0.0.1:{port}"], stderr=log, text=True) as process,
    ):
        program = Program(process, port, log_file)
        try:
            program.wait_for("listening on")
            yield program
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("number", "how"),
    [(signal.SIGTERM, "from a shell"), (signal.SIGTERM, "forked"), (signal.SIGINT, "forked")],
)
def test_it_ends_when_told(
    programs: ForkedPrograms, site_file: Path, number: signal.Signals, how: str
) -> None:
    with (
        exporter_from_a_shell(site_file)
        if how == "from a shell"
        else exporter(programs, site_file) as program
    ):
        assert program.get("/-/healthy").text == "locum-exporter is healthy\n"
        os.kill(program.process.pid, number)
        assert program.process.wait(60) == 0
        lines = [read_logfmt(line) for line in program.log.splitlines()]
        assert [(line["level"], line["event"]) for line in lines] == [
            ("info", "listening"),
            ("info", "ended"),
        ]
        assert all(line["ts"].endswith("Z") for line in lines)


def test_it_ends_although_a_look_is_under_way_and_a_client_stays(
    programs: ForkedPrograms, site_file: Path
) -> None:
    with exporter(programs, site_file) as program, requests.Session() as session:
        session.get(f"http://127.0.0.1:{program._port}/-/healthy", timeout=5)
        program.process.terminate()
        assert program.process.wait(60) == 0


def test_reload(programs: ForkedPrograms, site_file: Path) -> None:
    with exporter(programs, site_file) as program:
        assert program.get("/probe?check=ping&host=c").status_code == 404
        site_file.write_text(
            site_file.read_text().replace("services:", "  c: {address: 127.0.0.13}\nservices:", 1)
        )
        program.process.send_signal(signal.SIGHUP)
        program.wait_for("reloaded")
        assert "locum_check_success 1.0" in program.get("/probe?check=ping&host=c").text

        site_file.write_text(site_file.read_text().replace("interface:", "interfaec:"))
        program.process.send_signal(signal.SIGHUP)
        program.wait_for("the previous one stays in use")
        not_read = read_logfmt(program.log.splitlines()[-1])
        assert (not_read["level"], not_read["event"]) == ("error", "not_reloaded")
        assert "interfaec" in not_read["msg"]
        assert "locum_check_success 1.0" in program.get("/probe?check=ping&host=c").text
        assert "locum_exporter_site_reload_success 0.0" in program.get("/metrics").text


def test_its_log_as_json(programs: ForkedPrograms, site_file: Path) -> None:
    with exporter(programs, site_file, "--log-format", "json", "--host", "b") as program:
        (line,) = map(json.loads, program.log.splitlines())
        assert (line["level"], line["event"]) == ("info", "listening")


def test_it_finds_out_which_host_it_is_on(programs: ForkedPrograms, site_file: Path) -> None:
    with exporter(programs, site_file) as program:
        assert "on host <b>b</b>" in program.get("/").text
    with exporter(programs, site_file, "--host", "a") as program:
        assert "on host <b>a</b>" in program.get("/").text


def test_beyond_loopback_it_warns(programs: ForkedPrograms, site_file: Path) -> None:
    with exporter(programs, site_file, host="") as program:
        assert (
            "is not a loopback address, and there is no TLS: anyone on that network can read" in program.log
        )


USAGE: dict[str, tuple[list[str], int, str]] = {
    "no site file": (
        ["--site", "/nonexistent.yml"], 2, "/nonexistent.yml: cannot be read: No such file or directory",
    ),
    "an unknown host": (["--host", "z"], 2, "Error: the site file has no host 'z': use one of a, b"),
    "no port": (
        ["--listen", "127.0.0.1"],
        2,
        "Error: Invalid value for --listen: '127.0.0.1' is not HOST:PORT, as in 127.0.0.1:9090",
    ),
    "a port too high": (
        ["--listen", "127.0.0.1:70000"],
        2,
        "Error: Invalid value for --listen: '127.0.0.1:70000' is not HOST:PORT, as in 127.0.0.1:9090",
    ),
    "IPv6 without brackets": (
        ["--listen", "::1:80"],
        2,
        "Error: Invalid value for --listen: '::1:80': write an IPv6 address in brackets, as in [::1]:80",
    ),
}  # fmt: skip


@pytest.mark.parametrize("row", USAGE)
def test_usage(site_file: Path, row: str) -> None:
    options, code, text = USAGE[row]
    done = CliRunner().invoke(main, ["--site", str(site_file), *options])
    assert (done.exit_code, done.output.splitlines()[-1]) == (code, text)


def test_a_name_and_no_host_at_all_are_listened_on() -> None:
    port = unused_port()
    for host in ("localhost", "127.0.0.1", ""):
        sockets = listening_sockets(Listen(host, port))
        try:
            socket.create_connection(("127.0.0.1", port), 10).close()
        finally:
            for one in sockets:
                one.close()


def test_a_port_that_is_taken_keeps_its_reason() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(OSError, match="Address already in use"),
    ):
        listening_sockets(Listen("127.0.0.1", taken.getsockname()[1]))


def test_an_address_this_host_does_not_have(programs: ForkedPrograms, site_file: Path) -> None:
    done = programs.run(PROGRAM, ["--site", str(site_file), "--listen", "192.0.2.77:1"])
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "cannot listen on 192.0.2.77:1: cannot assign requested address"


def test_e4_silent_connections_leave_descriptors_for_looks(programs: ForkedPrograms, site_file: Path) -> None:
    """The usual limit of descriptors is low, and any user can use it up; the exporter takes what it is allowed."""
    with exporter(programs, site_file, before=limit(256, 4096)) as program, ExitStack() as stack:
        for _ in range(600):
            sock = stack.enter_context(socket.create_connection(("127.0.0.1", program._port)))
            sock.sendall(b"GET /pro")
        assert "locum_check_success 1.0" in program.get("/probe?check=ping&host=a").text
