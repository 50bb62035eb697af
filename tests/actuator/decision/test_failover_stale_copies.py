"""The rows of the decision table that judge how old a standby's data are."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from locum_actuator.decision.failover import decide
from locum_actuator.domain.situation import Copy, Memory, Situation
from locum_inventory.site.mirror import Mirror
from locum_inventory.site.model import Service
from tests.actuator.fakes import host, site, situation

DEAD = host("a", echoes=(0, 20), gate="no answer within 0.5 s")
FRESH = Copy(3600.0, stale=False, text="a copy of 60 min ago (run 20260101040000)")
OLD = Copy(200_000.0, stale=True, text="a copy of 2 days ago (run 20260101040000)")
BROKEN = Copy(None, stale=True, text="an incomplete copy (run 20260101040000 was interrupted)")
GO_AHEAD = {"when_stale": "takeover"}


@dataclass(frozen=True)
class Row:
    name: str
    seen: Situation
    copies: dict[str, Copy]
    kind: str
    reason_ends: str
    mirror: dict[str, str] = field(default_factory=dict)
    holder: str | None = "a"


ROWS = [
    Row("dead, a fresh copy", situation(DEAD, host("b")), {"b": FRESH}, "takeover", f"; b has {FRESH.text}"),
    Row(
        "dead, an old copy",
        situation(DEAD, host("b")),
        {"b": OLD},
        "refuse",
        f"b: has {OLD.text}): mirror first, or set mirror.when_stale: takeover (max_age is 26h)",
    ),
    Row(
        "dead, a copy that is not whole",
        situation(DEAD, host("b")),
        {"b": BROKEN},
        "refuse",
        f"b: has {BROKEN.text}): mirror first, or set mirror.when_stale: takeover (max_age is 26h)",
    ),
    Row(
        "dead, an old copy, go ahead",
        situation(DEAD, host("b")),
        {"b": OLD},
        "takeover",
        f"; b has {OLD.text}",
        GO_AHEAD,
    ),
    Row(
        "dead, the first standby's copy is old and the second's fresh",
        situation(DEAD, host("b"), host("c")),
        {"b": OLD, "c": FRESH},
        "takeover",
        f"; c has {FRESH.text}",
    ),
    Row(
        "the same, go ahead: the fresher one all the same",
        situation(DEAD, host("b"), host("c")),
        {"b": BROKEN, "c": FRESH},
        "takeover",
        f"; c has {FRESH.text}",
        GO_AHEAD,
    ),
    Row(
        "dead, an old copy, and its gate is silent: it is not the age that keeps it from it",
        situation(DEAD, host("b", gate="sudo says no")),
        {"b": OLD},
        "refuse",
        "b: gate silent (sudo says no))",
    ),
    Row(
        "no host holds the address: back to its holder, whose data are its own",
        situation(host("a"), host("b")),
        {"b": OLD},
        "claim",
        "no host holds the address and a can serve",
    ),
    Row(
        "no host holds the address and no holder is known: no host's data are known to be newer",
        situation(host("a"), host("b")),
        {},
        "claim",
        "no host holds the address and a can serve",
        holder=None,
    ),
]


def mirrored(mirror: dict[str, str]) -> Service:
    service = site().services["www"]
    return service.model_copy(update={"mirror": Mirror.model_validate({"source": "/srv/www", **mirror})})


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_row(row: Row) -> None:
    memory = Memory(holder=row.holder, epoch=1, copies=row.copies)
    plan = decide(row.seen, memory, mirrored(row.mirror))
    assert plan.kind == row.kind, plan.reason
    assert plan.reason.endswith(row.reason_ends)


def test_a_refusal_because_of_old_data_has_a_word_of_its_own() -> None:
    memory = Memory(holder="a", epoch=1, copies={"b": OLD})
    assert decide(situation(DEAD, host("b")), memory, mirrored({})).code == "stale"


def test_where_nothing_is_mirrored_no_age_is_judged() -> None:
    seen = situation(DEAD, host("b"))
    plan = decide(seen, Memory(holder="a", epoch=1), site().services["www"])
    assert (plan.kind, "copy" in plan.reason) == ("takeover", False)
