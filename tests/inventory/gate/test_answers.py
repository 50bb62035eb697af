"""What a gate answers is read strictly."""

from __future__ import annotations

from ipaddress import ip_address, ip_interface

import pytest

from locum_inventory.gate.answers import read_answer
from locum_inventory.gate.clock import GateClock
from locum_inventory.gate.protocol import GateError, GateStatus, Link, ServiceStatus

GOOD = """\
locum-gate 1 1
config abc
service www
epoch 7
address 192.0.2.7 held
address 2001:db8::7 absent
processes 3
service dns
epoch 0
end ok
"""


def test_a_whole_answer() -> None:
    assert read_answer(GOOD, "", "a") == GateStatus(
        "1",
        "abc",
        {
            "www": ServiceStatus(7, {ip_address("192.0.2.7"): True, ip_address("2001:db8::7"): False}, 3),
            "dns": ServiceStatus(0, {}, None),
        },
    )


def test_protocol_2_reports_the_clock_the_interfaces_and_what_the_host_file_knows() -> None:
    boot_id = "5a3ad4a2-0d3c-4a4e-8d6b-8f0f5f0c1e11"
    said = (
        f"locum-gate 2 2\nconfig abc\nboot {boot_id}\nuptime 123456\nlink lo up\n"
        "link eth0 no_carrier 02:00:00:00:00:01 02:00:00:00:00:99\nservice www\nepoch 7\n"
        "address 192.0.2.7 held\naddress 2001:db8::7 absent\nprocesses 3\n"
        "knows 192.0.2.7/24 2001:db8::7/64\ninterface eth0\nend ok\n"
    )
    status = read_answer(said, "", "a")
    assert status.clock is not None
    assert (status.clock.boot_id, status.clock.uptime_hundredths) == (boot_id, 123456)
    assert status.links["eth0"] == Link("no_carrier", ("02:00:00:00:00:01", "02:00:00:00:00:99"))
    assert status.macs == {"02:00:00:00:00:01", "02:00:00:00:00:99"}
    www = status.services["www"]
    assert www.addresses == (ip_interface("192.0.2.7/24"), ip_interface("2001:db8::7/64"))
    assert www.interface == "eth0"


def test_a_gate_of_version_1_still_parses() -> None:
    status = read_answer(GOOD, "", "a")
    assert status.clock is None
    assert status.links == {}
    assert status.services["www"].addresses is None


def test_a_permit_never_lasts_longer_than_its_evidence() -> None:
    """The uptime was read before the answer came: so the answer's own time shortens the permit."""
    clock = GateClock("boot", 100_000, answered_at=50.0)
    assert clock.permit(50.0).words == ("boot", "100000")
    assert clock.permit(50.579).words == ("boot", "100057")
    assert clock.permit(49.0).words == ("boot", "99900")
    assert clock.permit(-9e9).words == ("boot", "0")
    assert clock.permit(51.0, (ip_interface("192.0.2.7/24"),)).words == ("boot", "100100", "192.0.2.7/24")


@pytest.mark.parametrize("state", ["tentative", "dadfailed", "muted"])
def test_an_address_that_is_there_and_not_in_use_is_not_held(state: str) -> None:
    said = f"locum-gate 1 1\nservice www\nepoch 7\naddress 2001:db8::7 {state}\nend ok\n"
    address = ip_address("2001:db8::7")
    (status,) = read_answer(said, "", "a").services.values()
    assert status == ServiceStatus(7, {address: False}, None, {address: state})


@pytest.mark.parametrize(("said", "guarded"), [("", None), ("guard on\n", True), ("guard off\n", False)])
def test_whether_a_boot_guard_is_on(said: str, guarded: bool | None) -> None:
    (status,) = read_answer(
        f"locum-gate 1 1\nservice www\nepoch 7\n{said}end ok\n", "", "a"
    ).services.values()
    assert status.guarded is guarded


HEAD = "locum-gate 1 1\n"
CUT = "a: the gate's answer was cut short"
HOLDS = "a: the gate's answer has an invalid line: {!r}"
NEWER = "a: its gate speaks protocol 3, not 2: run `locum enrol a`"
BAD = {
    "nothing": ("", "gate", "a: no gate answered"),
    "nothing but a complaint": ("", "gate", "a: no gate answered: sudo: a password is required"),
    "a shell's words": ("sh: not found\n", "gate", "a: what answered is not a gate: 'sh: not found'"),
    "a later protocol": ("locum-gate 3 9\nend ok\n", "gate", NEWER),
    "a boot id that is none": (f"{HEAD}boot xyz\nend ok\n", "gate", HOLDS.format("boot xyz")),
    "an uptime that is none": (f"{HEAD}uptime -1\nend ok\n", "gate", HOLDS.format("uptime -1")),
    "a link without a state": (f"{HEAD}link eth0\nend ok\n", "gate", HOLDS.format("link eth0")),
    "a link of no known state": (
        f"{HEAD}link eth0 dormant\nend ok\n", "gate", HOLDS.format("link eth0 dormant"),
    ),
    "a MAC that is none": (f"{HEAD}link e up 02:x\nend ok\n", "gate", HOLDS.format("link e up 02:x")),
    "addresses that are none": (
        f"{HEAD}service www\nknows www\nend ok\n", "gate", HOLDS.format("knows www"),
    ),
    "only the greeting": (HEAD, "closed", CUT),
    "no last line": (GOOD.removesuffix("end ok\n"), "closed", CUT),
    "half a last line": (GOOD.removesuffix("\n"), "closed", CUT),
    "an old epoch": (HEAD + "end old_epoch www: 1 is old\n", "old_epoch", "a: www: 1 is old"),
    "a failure": (HEAD + "service www\nepoch 1\nend failed www: no luck\n", "failed", "a: www: no luck"),
    "a refusal": (HEAD + "end refused no such verb\n", "gate", "a: no such verb"),
    "a refusal without words": (HEAD + "end refused\n", "gate", "a: refused"),
    "another end": (HEAD + "end whatever\n", "gate", "a: whatever"),
    "an unknown key": (HEAD + "service www\ncolour red\nend ok\n", "gate", HOLDS.format("colour red")),
    "a line of no service": (HEAD + "epoch 1\nend ok\n", "gate", HOLDS.format("epoch 1")),
    "an epoch of letters": (HEAD + "service www\nepoch x\nend ok\n", "gate", HOLDS.format("epoch x")),
    "a negative count": (HEAD + "service www\nprocesses -1\nend ok\n", "gate", HOLDS.format("processes -1")),
    "no address": (HEAD + "service www\naddress x held\nend ok\n", "gate", HOLDS.format("address x held")),
    "neither held nor absent": (
        HEAD + "service www\naddress 192.0.2.7 maybe\nend ok\n", "gate", HOLDS.format("address 192.0.2.7 maybe"),
    ),
    "signs for the terminal": (HEAD + "end failed \x1b[31mred\n", "failed", "a: [31mred"),
}  # fmt: skip


@pytest.mark.parametrize(("answer", "reason", "text"), BAD.values(), ids=BAD.keys())
def test_anything_else_is_a_fault(answer: str, reason: str, text: str) -> None:
    complaint = "sudo: a password is required\n" if "password" in text else ""
    with pytest.raises(GateError) as raised:
        read_answer(answer, complaint, "a")
    assert (raised.value.reason, str(raised.value)) == (reason, text)
