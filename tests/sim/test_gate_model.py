"""The simulator's model of the gate gives the answers of gate.sh under dash, verb by verb."""

from __future__ import annotations

from itertools import product
from typing import get_args

import pytest

from locum_inventory.gate.protocol import Verb
from tests.sim.gate_calls import PERMITS, Call, Step, course
from tests.sim.model_gate_side import on_model
from tests.sim.real_gate_side import LOCK_LIMIT_SECONDS, RealSide
from tests.support.marks import needs_root

pytestmark = [needs_root, pytest.mark.simulation]

VERBS: tuple[Verb, ...] = get_args(Verb)
GIVES: tuple[Verb, ...] = ("claim", "start", "respawn")
WITH_EPOCHS: tuple[Verb, ...] = ("claim", "release", "reset-epoch")
SERVICES = {
    "nothing runs": (),
    "it runs": ("runs",),
    "it hangs": ("runs", "hangs"),
    "it cannot start": ("start fails",),
}
ADDRESSES = {"not held": (), "held": ("held",)}
EPOCHS = {
    "zero": 0, "a lower one": 4, "the same": 5, "a higher one": 6, "as far as a jump may go": 1_000_005,
    "further": 1_000_006, "of 18 digits": 10**18 - 1, "of 19 digits": 10**18, "negative": -1,
}  # fmt: skip

ROWS: dict[str, tuple[Step, ...]] = {
    **{
        f"{verb}, {service}, {address}": (*SERVICES[service], *ADDRESSES[address], Call(verb))
        for verb, service, address in product(VERBS, SERVICES, ADDRESSES)
    },
    **{f"{verb} with a permit: {permit}": (Call(verb, permit=permit),) for verb, permit in product(GIVES, PERMITS)},
    **{
        f"{verb} with an epoch: {name}": (Call("store-epoch"), Call(verb, epoch))
        for verb, (name, epoch) in product(WITH_EPOCHS, EPOCHS.items())
    },
    "reset-epoch of one that is far too high": (
        Call("store-epoch", 900_000), Call("store-epoch", 1_800_000), Call("reset-epoch", 5),
    ),
    "a release takes no permit": (Call("release", permit="too old"),),
    "a verb of a service that the host file does not name": (Call("claim", service="mail"),),
    "a start of a service without commands": (Call("start", service="dns"),),
    "a stop of a service without commands": (Call("stop", service="dns"),),
    "a release of a service that runs on every host": (
        "runs", Call("claim", service="dns"), Call("release", service="dns"),
    ),
    "too old, and with an older epoch": (Call("store-epoch"), Call("claim", 4, "too old")),
    "too old, and with a newer epoch, which is stored": (Call("claim", 6, "too old"), Call("claim", 5)),
    "of another address, with a newer epoch, which is not stored": (
        Call("claim", 6, "of another address"), Call("claim", 5),
    ),
    "a claim while another host has the address": ("held by another host", Call("claim")),
    "a claim on an interface without carrier": ("no carrier", Call("claim"), Call("release")),
    "a claim on a disk that cannot be written": ("read-only disk", Call("claim")),
    "a release on a disk that cannot be written": (Call("claim"), "read-only disk", Call("release", 6)),
    "the same epoch on a disk that cannot be written": (Call("claim"), "read-only disk", Call("claim")),
    "a claim twice, a respawn, a release twice": (
        Call("start"), Call("claim"), Call("claim"), Call("respawn"), Call("release", 6), Call("release", 6),
    ),
}  # fmt: skip

WAITING: dict[str, tuple[Step, ...]] = {
    "a start that is under way": ("start waits", Call("start", waits=True), "status", "goes on"),
    "a respawn that is under way": (
        "start waits", "runs", Call("respawn", waits=True), "status", "goes on",
    ),
    "a stop that is under way": ("stop waits", "runs", Call("stop", waits=True), "status", "goes on"),
    "a release ends a start": ("start waits", "held", Call("start", waits=True), Call("release", 6)),
    "a release ends a respawn": ("start waits", Call("respawn", waits=True), Call("release", 6)),
    "a release with an older epoch ends a start": (
        "start waits", Call("start", waits=True), Call("release", 4), Call("claim", 4),
    ),
    "a release waits for a stop": (
        "stop waits", "runs", "held", Call("stop", waits=True), Call("release", 6, waits=True), "status", "goes on",
    ),
    "a claim waits for a start": (
        "start waits", Call("start", waits=True), Call("claim", 6, waits=True), "status", "goes on",
    ),
    "two starts at once": ("start waits", Call("start", waits=True), Call("start", waits=True), "goes on"),
    "an older epoch, after its turn came": (
        "start waits", Call("start", waits=True), Call("claim", 4, waits=True), "goes on",
    ),
    "an older epoch, when another raised it meanwhile": (
        "stop waits", "runs", Call("stop", 4, waits=True), Call("release", 6, waits=True), "goes on",
        "all have ended", Call("claim", 5),
    ),
    "a claim that waited until it was too old": (
        "stop waits", "runs", Call("stop", waits=True), Call("claim", 6, "good for a moment", waits=True),
        "a while goes by", "goes on",
    ),
    "a start that waited until it was too old": (
        "stop waits", "runs", Call("stop", waits=True), Call("start", 6, "good for a moment", waits=True),
        "a while goes by", "goes on",
    ),
    "another address is refused before its turn": (
        "start waits", Call("start", waits=True), Call("claim", 6, "of another address"), "goes on",
    ),
    "a reset waits for a start": (
        "start waits", Call("start", waits=True), Call("reset-epoch", 5, waits=True), "goes on",
    ),
}  # fmt: skip

IMPATIENT: dict[str, tuple[Step, ...]] = {
    "a start that does not end in its time": ("start waits", Call("start")),
    "a respawn that does not end in its time": ("start waits", Call("respawn")),
    "a stop that does not end in its time": ("stop waits", "runs", Call("stop")),
    "a release whose stop does not end in its time": ("stop waits", "runs", "held", Call("release")),
}  # fmt: skip
PATIENT = {"start_timeout": 60, "respawn_timeout": 60, "stop_timeout": 30}
IN_A_HURRY = {"start_timeout": 0.4, "respawn_timeout": 0.4, "stop_timeout": 0.2}


def compare(real: RealSide, steps: tuple[Step, ...], **timeouts: float) -> None:
    site = real.enrol(**timeouts)
    assert on_model(site, steps) == course(real, steps)


@pytest.mark.parametrize("steps", ROWS.values(), ids=ROWS)
def test_one_call_after_the_other(real: RealSide, steps: tuple[Step, ...]) -> None:
    compare(real, steps, **PATIENT)


@pytest.mark.parametrize("steps", WAITING.values(), ids=WAITING)
def test_calls_that_wait_for_each_other(real: RealSide, steps: tuple[Step, ...]) -> None:
    compare(real, steps, **PATIENT)


@pytest.mark.parametrize("steps", IMPATIENT.values(), ids=IMPATIENT)
def test_commands_that_take_too_long(real: RealSide, steps: tuple[Step, ...]) -> None:
    compare(real, steps, **IN_A_HURRY)


def test_a_claim_that_waits_too_long_for_its_turn(real: RealSide, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sim.host_gate.LOCK_SECONDS", LOCK_LIMIT_SECONDS)
    compare(
        real,
        ("start waits", Call("start", waits=True), Call("claim", 6), "goes on"),
        **PATIENT | {"stop_timeout": 0.2},
    )
