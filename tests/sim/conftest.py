"""One host with the real gate for all comparisons of a test file."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.inventory.gate.gate_host import copy_of_sleep, install_gate
from tests.sim.real_gate_side import CARD, LOCK_LIMIT_SECONDS, NAME, SCRIPTS, RealSide
from tests.support import namespaces


@pytest.fixture(scope="module")
def real() -> Iterator[RealSide]:
    """A host with the gate, with one card whose wire leads to another host."""
    with (
        tempfile.TemporaryDirectory(dir="/dev/shm", prefix=f"locum-model-{os.getpid()}-") as directory,
        namespaces.namespace("model") as name,
        namespaces.namespace("other") as other,
    ):
        namespaces.ip("-n", name, "link", "add", CARD, "type", "veth", "peer", "name", CARD, "netns", other)
        for end in (name, other):
            namespaces.ip("-n", end, "link", "set", CARD, "up")
        prefix = Path(directory)
        host = install_gate(prefix, "", (*namespaces.inside(name), "dash"))
        gate = host.gate.read_text()
        assert gate.count("LOCK_LIMIT=500 ") == 1
        host.gate.write_text(gate.replace("LOCK_LIMIT=500 ", f"LOCK_LIMIT={LOCK_LIMIT_SECONDS * 100:.0f} "))
        copy_of_sleep(prefix, NAME)
        for label, script in SCRIPTS.items():
            (prefix / label).write_text(script)
            (prefix / label).chmod(0o755)
        host.state.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "none", host.state], check=True)
        side = RealSide(host, name, other)
        try:
            yield side
        finally:
            side.close()
            subprocess.run(["umount", host.state], check=True)
