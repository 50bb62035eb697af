"""A silence that keeps alerts from the actuator is reported: it could be by mistake, or ill will."""

from __future__ import annotations

import re

import pytest

from locum_actuator.chain.health import PartHealth
from locum_actuator.chain.silenced import judge_silences
from locum_actuator.chain.silences import Silence, Silences


def silence(**changed: object) -> Silence:
    values: dict[str, object] = {
        "id": "1", "alerts": ("LocumServiceDown on a",), "until": 0.0, "by": "anna", "comment": "new kernel",
        "sure": True, **changed,
    }  # fmt: skip
    return Silence(**values)  # type: ignore[arg-type]


CASES: dict[str, tuple[Silences, bool | None, str]] = {
    "none": (Silences({}), True, "no silence keeps an alert from locum"),
    "Alertmanager does not say": (Silences(fault="it is gone"), None, "could not check: it is gone"),
    "one": (
        Silences({"www": (silence(),)}),
        False,
        "a silence by anna (new kernel) keeps LocumServiceDown on a of www from locum until TIME",
    ),
    "a pattern that is not tried": (
        Silences({"www": (silence(sure=False, by="", comment=""),)}),
        False,
        "a silence may keep LocumServiceDown on a of www from locum until TIME",
    ),
    "many": (
        Silences({f"s{n}": (silence(by="", comment=""),) for n in range(5)}),
        False,
        "; ".join(f"a silence keeps LocumServiceDown on a of s{n} from locum until TIME" for n in range(3))
        + "; and 2 more",
    ),
    "long words and lines": (
        Silences({"www": (silence(by="x\n\x1b[2J", comment="y" * 5000),)}),
        False,
        f"a silence by x [2J ({'y' * 77}...) keeps LocumServiceDown on a of www from locum until TIME",
    ),
}


@pytest.mark.parametrize(("silences", "up", "text"), CASES.values(), ids=CASES)
def test_e5_a_silence_that_keeps_locum_from_acting_is_reported(
    silences: Silences, up: bool | None, text: str
) -> None:
    seen = judge_silences(silences)
    assert PartHealth(
        seen.up, re.sub(r"until \d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "until TIME", seen.text)
    ) == PartHealth(up, text)
