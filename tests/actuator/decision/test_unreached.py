"""A service that answers on its holder's own address: whether clients reach it through the service address."""

from __future__ import annotations

from dataclasses import replace

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from locum_actuator.decision import unreached
from locum_actuator.decision.failover import decide
from locum_actuator.decision.unreached import MOVED
from locum_actuator.domain.reach import Reach
from locum_actuator.domain.situation import CheckOutcome, HostView, Memory, Situation
from locum_actuator.observation import reach_check
from locum_actuator.observation.reach_check import look_through
from locum_actuator.observation.vantage_points import ask_through, asking_session
from locum_exporter.result import Outcome
from locum_inventory.site.model import Address, Service
from tests.actuator.fakes import ADDRESS, host, site, situation

WELL, FAILED, NOT_LOOKED = Outcome.WELL, Outcome.FAILED, Outcome.NOT_LOOKED
B_KNOWS = Memory(holder="a", epoch=1, reached=frozenset({"b"}))
HELD_BY_A = host("a", serves=True, holds=True, processes=3)
STANDBY = host("b")


def look(vantage_point: str, outcome: Outcome) -> CheckOutcome:
    return CheckOutcome(vantage_point, outcome, outcome.value)


def seen(reach: Reach | None, holder: HostView = HELD_BY_A, standby: HostView = STANDBY) -> Situation:
    return replace(situation(holder, standby), reach=reach)


def planned(seen: Situation, memory: Memory = B_KNOWS, service: Service | None = None) -> str:
    plan = decide(seen, memory, service or site().services["www"])
    return f"{plan.kind}/{plan.code}: {', '.join(map(str, plan.steps))}"


BY_B = Reach((look("b", FAILED),))
ANNOUNCED = replace(B_KNOWS, tried=frozenset({"take:a"}))
ROWS: dict[str, tuple[Situation, Memory, str]] = {
    "b reaches it": (seen(Reach((look("b", WELL),))), B_KNOWS, "nothing/well: "),
    "b does not: it is announced again": (seen(BY_B), B_KNOWS, "claim/unreached: claim on a, prove on a"),
    "nor after that, some time ago": (
        seen(BY_B), replace(ANNOUNCED, reached=frozenset(), tried=frozenset({unreached.ANNOUNCED})),
        "refuse/unreached: ",
    ),
    "nor after that": (
        seen(BY_B), ANNOUNCED,
        "takeover/unreached: release on a, confirm on b, start on b, claim on b, prove on b",
    ),
    "nor after that, and never before": (
        seen(BY_B), replace(ANNOUNCED, reached=frozenset()), "refuse/unreached: ",
    ),
    "nor after a takeover": (
        seen(BY_B), replace(ANNOUNCED, tried=frozenset({"take:a", MOVED})), "refuse/unreached: ",
    ),
    "one of two reaches it": (seen(Reach((look("b", FAILED), look("c", WELL)))), ANNOUNCED, "nothing/well: "),
    "one that reaches nothing of the holder says nothing": (
        seen(Reach((look("c", FAILED),))), ANNOUNCED, "nothing/well: ",
    ),
    "none could look": (seen(Reach((look("b", NOT_LOOKED),))), ANNOUNCED, "nothing/well: "),
    "there is no other vantage point": (seen(Reach()), ANNOUNCED, "nothing/well: "),
    "no address to ask through": (seen(None), ANNOUNCED, "nothing/well: "),
    "behind loss it says nothing": (
        seen(BY_B, replace(HELD_BY_A, echoes_received=12, echoes_sent=20)), ANNOUNCED, "keep_looking/mixed: ",
    ),
    "limited pings and a prompt gate show a clean line": (
        seen(BY_B, replace(HELD_BY_A, echoes_received=1, echoes_sent=20, gate_prompt=True)), B_KNOWS,
        "claim/unreached: claim on a, prove on a",
    ),
    "a gate that is silent cannot be asked to announce": (
        seen(BY_B, host("a", serves=True, gate="timeout")), ANNOUNCED, "refuse/unreached: ",
    ),
    "its gate is silent, and no vantage point could check through the address": (
        seen(Reach((look("b", NOT_LOOKED),)), host("a", serves=True, gate="timeout")), ANNOUNCED,
        "keep_looking/could_not_look: ",
    ),
    "its gate is silent, and a vantage point that does not reach it either gets no answer through the address": (
        seen(Reach((look("c", FAILED),)), host("a", serves=True, gate="timeout")), ANNOUNCED,
        "keep_looking/could_not_look: ",
    ),
    "its gate is silent, and the service is reached": (
        seen(Reach((look("b", WELL),)), host("a", serves=True, gate="timeout")), ANNOUNCED, "nothing/well: ",
    ),
    "its gate is silent, and there is no other vantage point": (
        seen(Reach(), host("a", serves=True, gate="timeout")), ANNOUNCED, "nothing/well: ",
    ),
    "nothing listens on the address here, on the holder itself": (
        seen(Reach((), look("b", FAILED)), host("a"), host("b", serves=True, holds=True, processes=3)),
        Memory(holder="b", epoch=2, tried=frozenset({"take:b"})),
        "takeover/unreached: release on b, confirm on a, start on a, claim on a, prove on a",
    ),
    "the holder's own answer is not taken for more than it is": (
        seen(Reach((), look("b", WELL)), host("a"), host("b", serves=True, holds=True, processes=3)),
        Memory(holder="b", epoch=2), "nothing/well: ",
    ),
    "another vantage point reaches it, though not on the holder's own address": (
        seen(Reach((look("c", WELL),)), host("a", holds=True, processes=3)), B_KNOWS, "nothing/well: ",
    ),
    "a vantage point reaches it, and no host says that it holds it": (
        seen(Reach((look("c", WELL),)), host("a", serves=True)), B_KNOWS, "keep_looking/still_answers: ",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("situation", "memory", "plan"), ROWS.values(), ids=ROWS)
def test_b4_whether_a_service_is_reached(situation: Situation, memory: Memory, plan: str) -> None:
    assert planned(situation, memory) == plan


def test_b4_where_a_ping_must_do_limited_pings_move_nothing() -> None:
    values = site().services["www"]
    pinged = values.model_copy(
        update={"checks": values.checks.model_copy(update={"http": None, "process": None})}
    )
    limited = replace(HELD_BY_A, echoes_received=1, echoes_sent=20, gate_prompt=True)
    assert planned(seen(BY_B, limited), ANNOUNCED, pinged) == "keep_looking/mixed: "


WORDS: dict[str, tuple[Reach, Outcome, str]] = {
    "well": (
        Reach((look("b", FAILED), look("c", WELL))), WELL, "c got an answer through the service address: well",
    ),
    "failed": (
        Reach((look("b", NOT_LOOKED), look("c", FAILED))), FAILED,
        "no answer through the service address (c: failed)",
    ),
    "failed here": (
        Reach((), look("b", FAILED)), FAILED, "no answer through the service address (b: failed)",
    ),
    "well here alone": (
        Reach((), look("b", WELL)), NOT_LOOKED,
        "not proven from outside: there is no vantage point other than the holder",
    ),
    "not looked": (
        Reach((look("c", NOT_LOOKED),), look("b", WELL)), NOT_LOOKED, "not proven from outside: c: not looked",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("reach", "outcome", "text"), WORDS.values(), ids=WORDS)
def test_b5_what_counts_as_proof(reach: Reach, outcome: Outcome, text: str) -> None:
    assert (reach.outcome, reach.text) == (outcome, text)


async def test_b5_an_exporter_is_asked_for_no_host() -> None:
    """One of an older version would ignore `through`, and answer for that host's own address."""
    asked: list[dict[str, str]] = []

    async def probe(request: web.Request) -> web.Response:
        asked.append(dict(request.query))
        return web.Response(text="locum_check_success 1\nlocum_check_looked 1\n")

    app = web.Application()
    app.router.add_get("/probe", probe)
    async with TestServer(app) as server, asking_session() as session:
        found = await ask_through(
            session, "c", str(server.make_url("/")), name="www", service=site().services["www"],
            deadline_seconds=5.0,
        )  # fmt: skip
    assert found.outcome is WELL
    assert asked == [{"check": "http", "service": "www", "through": "address"}]


@pytest.mark.parametrize("holds", [False, True])
async def test_b5_the_holders_own_look_is_told_apart(monkeypatch: pytest.MonkeyPatch, holds: bool) -> None:
    async def addresses() -> frozenset[Address]:
        return frozenset({ADDRESS} if holds else ())

    async def well(_: Address) -> CheckOutcome:
        return look("b", WELL)

    monkeypatch.setattr(reach_check, "local_addresses", addresses)
    monkeypatch.setattr(reach_check, "has_route_to", lambda _: True)
    async with asking_session() as session:
        reach = await look_through(session, site(), "www", well, 1.0)
    assert reach == (Reach((), look("b", WELL)) if holds else Reach((look("b", WELL),)))
