"""What a peer sends to the gate is bounded: it runs as root, and the peer may be anyone who has a key."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.inventory.gate.gate_host import GateHost, install_gate
from tests.support.marks import needs_root

pytestmark = [needs_root, pytest.mark.integration]

KIB = 4096
CHUNK = b"x" * 65536


@pytest.fixture(params=["dash", "busybox sh"])
def host(request: pytest.FixtureRequest, tmp_path: Path) -> GateHost:
    text = f"service www\naddress 192.0.2.100/24\ninterface lo\nmirror 1\nmirror_path {tmp_path}/copy\n"
    host = install_gate(tmp_path, text, tuple(request.param.split()))
    gate = host.gate.read_text()
    assert "LINE_KIB=32768 " in gate
    # As a limit of 32 MiB does it, only sooner: a shell reads a pipe byte by byte.
    host.gate.write_text(gate.replace("LINE_KIB=32768 ", f"LINE_KIB={KIB} "))
    return host


def peak_kib(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next((int(line.split()[1]) for line in lines if line.startswith("VmPeak:")), 0)


@pytest.fixture
def process(host: GateHost) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(
        host.command("exporter", "watch"),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline().startswith(b"locum-gate 1 ")
        yield process
        with suppress(ProcessLookupError):
            process.kill()


def test_e7_a_line_without_end_ends_watch(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    peak = 0
    with pytest.raises(BrokenPipeError):  # noqa: PT012 - it ends at one of the writes, not always the same
        for _ in range(16 * KIB * 1024 // len(CHUNK)):
            os.write(process.stdin.fileno(), CHUNK)
            with suppress(OSError):
                peak = max(peak, peak_kib(process.pid))
    assert 0 < peak <= KIB
    process.wait()


def test_e7_watch_still_answers_within_its_bound(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(b"look 1\n")
    process.stdin.flush()
    assert process.stdout.readline() == b"look 1\n"


HEADERS = {
    "more than any disk has": b"names 999999999999\n",
    "more than any list has": b"names 9999999999\n",
    "more than this disk has": b"names 999999999\n",
    "a number without end": b"names " + b"9" * 100_000 + b"\n",
    "no number": b"names all\n",
    "octal": b"names 010\n",
    "two numbers": b"names 1 2\n",
    "nothing": b"names \n",
    "another word": b"files 1\n",
    "a line without end": b"x" * (8 * KIB * 1024),
}


@pytest.mark.parametrize("header", [pytest.param(header, id=name) for name, header in HEADERS.items()])
def test_e7_a_source_is_not_believed_without_a_bound(host: GateHost, tmp_path: Path, header: bytes) -> None:
    (tmp_path / "copy").mkdir()
    # A disk with one mebibyte left.
    small = tmp_path / "df"
    small.write_text("#!/bin/sh\necho head\necho disk 10 9 1024 99% /\n")
    small.chmod(0o755)
    gate = host.gate.read_text().replace('df -Pk "$MIRROR_STATE"', f"{small}")
    host.gate.write_text(gate)
    done = subprocess.run(
        host.command("actuator", "mirror-receive", "www", "1", "1", "20260101000000", "0", "0", "0", "0"),
        input=header + b"\0" * 4096, capture_output=True, check=False, timeout=120,
    )  # fmt: skip
    said = done.stderr.decode().splitlines()
    assert done.returncode != 0
    assert any(words in said[-1] for words in ("no names", "nothing came from", "no room for them")), said
    sizes = [path.stat().st_size for path in host.state.rglob("*.there")]
    assert sum(sizes) <= 4096
