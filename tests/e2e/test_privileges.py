"""What each program of the chain may do, in a lab: its capabilities, and the gate through sudo."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lab.locum import HOME, Locum

pytestmark = pytest.mark.e2e

NET_ADMIN, NET_RAW = 1 << 12, 1 << 13
GATE = "/usr/local/lib/locum/gate"


def rights(locum: Locum, words: str) -> tuple[int, bool]:
    """Return the capabilities of a program on b, and whether setuid programs give it more."""
    (pid,) = (
        pid
        for pid, _, _ in locum.lab.hosts[HOME].processes()
        if re.search(words, Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " "))
    )
    status = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return int(status["CapPrm"], 16), status["NoNewPrivs"] == "0"


def test_e8_each_program_of_locum_up_has_the_rights_that_it_needs(calm: Locum) -> None:
    assert rights(calm, r" locum_exporter\.server ") == (NET_RAW, True)
    assert rights(calm, r" locum_actuator\.server ") == (NET_ADMIN | NET_RAW, True)
    assert rights(calm, r"--storage\.tsdb\.path") == (0, False)
    assert rights(calm, r"--cluster\.listen-address") == (0, False)


@pytest.mark.parametrize("verb", ["status", "status www"])
def test_e8_the_gate_answers_within_what_the_exporters_unit_may_have(calm: Locum, verb: str) -> None:
    unit = calm.command("generate", "systemd", "--only", "exporter").stdout
    (bounding,) = re.findall(r"^CapabilityBoundingSet=(.*)$", unit, re.MULTILINE)
    kept = ",".join(f"+{name.removeprefix('CAP_').lower()}" for name in bounding.split())
    said = calm.lab.run(
        HOME,
        [
            "setpriv", "--reuid=locum", "--regid=locum", "--init-groups", f"--bounding-set=-all,{kept}",
            "sudo", "-n", "--", GATE, "exporter", *verb.split(),
        ],
    ).stdout  # fmt: skip
    assert said.splitlines()[-1] == "end ok"
    assert any(line.startswith("processes ") and line != "processes 0" for line in said.splitlines()) or (
        "address 192.0.2.100 absent" in said
    )
