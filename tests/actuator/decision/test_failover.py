"""The decision table, row by row: what is known -> what is done, and the very words of the reason."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

from locum_actuator.decision.failover import decide
from locum_actuator.domain.situation import CheckOutcome, HostView, Memory, Situation
from locum_exporter.result import Outcome
from locum_inventory.site.model import Service, Site
from tests.actuator.fakes import host, site, situation

A_HOLDS = Memory(holder="a", epoch=1)
B_HOLDS = Memory(holder="b", epoch=2)
NO_HOLDER = Memory(holder=None, epoch=0)
STANDBY = host("b")
MOVE_FROM_LIVING = ("release on a", "confirm on b", "start on b", "claim on b", "prove on b")
MOVE_FROM_DEAD = ("confirm on b", "start on b", "claim on b", "prove on b")


FENCE_AND_MOVE = ("fence on a", *MOVE_FROM_DEAD)


def dead(*, pinged_by: tuple[str, ...] = (), fenceable: bool = False) -> HostView:
    return host("a", echoes=(0, 20), gate="no answer within 0.5 s", pinged_by=pinged_by, fenceable=fenceable)


def blind(view: HostView) -> HostView:
    return replace(view, looks=(CheckOutcome("b", Outcome.NOT_LOOKED, "could not check"),))


@dataclass(frozen=True)
class Row:
    name: str
    seen: Situation
    kind: str
    code: str
    steps: tuple[str, ...] = ()
    reason: str | None = None
    memory: Memory = A_HOLDS
    takeover: dict[str, object] = field(default_factory=dict)


ROWS = [
    Row(
        "silent, but heard through loss a moment ago",
        situation(dead(), STANDBY),
        "keep_looking",
        "mixed",
        reason="a answered a moment ago over a lossy line and has left 40 echoes unanswered since: "
        "lost packets do not prove that the host is down",
        memory=Memory(holder="a", epoch=1, doubted={"a": 40}),
    ),
    Row(
        "refuse, and a third vantage point gets no answer either",
        situation(replace(dead(), silent_to=("c",)), STANDBY),
        "takeover",
        "takeover",
        MOVE_FROM_DEAD,
        takeover={"when_unreachable": "refuse"},
    ),
    Row(
        "refuse, and the third vantage point could not be asked",
        situation(dead(), STANDBY),
        "refuse",
        "unreachable",
        takeover={"when_unreachable": "refuse"},
    ),
    Row(
        "the same is not fenced either",
        situation(dead(fenceable=True), STANDBY),
        "keep_looking",
        "mixed",
        memory=Memory(holder="a", epoch=1, doubted={"a": 40}),
    ),
    Row(
        "well",
        situation(host("a", serves=True, holds=True, processes=3), STANDBY),
        "nothing",
        "well",
        reason="b got an answer from a: answered 200",
    ),
    Row(
        "one success elsewhere is a veto",
        situation(host("a", serves=False, elsewhere=True, holds=True, processes=3), STANDBY),
        "nothing",
        "well",
        reason="c got an answer from a: answers",
    ),
    Row(
        "process absent: respawn",
        situation(host("a", holds=True), STANDBY),
        "respawn",
        "absent",
        ("respawn on a",),
        "apache2 is not running on a",
    ),
    Row(
        "process absent under loss: respawn all the same, for the gate has seen it",
        situation(host("a", holds=True, echoes=(9, 20)), STANDBY),
        "respawn",
        "absent",
        ("respawn on a",),
    ),
    Row(
        "process absent while no witness answers: respawn moves nothing",
        situation(host("a", holds=True), STANDBY, witness=False),
        "respawn",
        "absent",
        ("respawn on a",),
    ),
    Row(
        "process absent and respawn did not help: take over",
        situation(host("a", holds=True), STANDBY),
        "takeover",
        "takeover",
        MOVE_FROM_LIVING,
        "apache2 is not running on a and a respawn did not help",
        Memory("a", 1, tried=frozenset({"respawn:a"})),
    ),
    Row(
        "hung: take over",
        situation(host("a", holds=True, processes=3), STANDBY),
        "takeover",
        "takeover",
        MOVE_FROM_LIVING,
        "the service on a does not answer though the host does (b: no answer)",
    ),
    Row(
        "hung, when_hung restart: restart first",
        situation(host("a", holds=True, processes=3), STANDBY),
        "respawn",
        "hung",
        ("respawn on a",),
        takeover={"when_hung": "restart"},
    ),
    Row(
        "hung, when_hung restart, tried: take over",
        situation(host("a", holds=True, processes=3), STANDBY),
        "takeover",
        "takeover",
        MOVE_FROM_LIVING,
        memory=Memory("a", 1, tried=frozenset({"respawn:a"})),
        takeover={"when_hung": "restart"},
    ),
    Row(
        "hung, but echoes are lost: keep looking",
        situation(host("a", holds=True, processes=3, echoes=(12, 20)), STANDBY),
        "keep_looking",
        "mixed",
        reason="a returned 12 of 20 echoes and its gate answers: lost packets do not prove that the host is down",
    ),
    Row(
        "service silent, and echoes are late: keep looking",
        situation(host("a", holds=True, processes=3, echoes=(20, 20), slow=True), STANDBY),
        "keep_looking",
        "mixed",
        reason="the echoes of a are late and its gate answers: delay does not prove that the host is down",
    ),
    Row(
        "gate silent, and echoes are late: not even fenced",
        situation(
            host("a", gate="no answer within 0.4 s", echoes=(20, 20), slow=True, fenceable=True), STANDBY
        ),
        "keep_looking",
        "mixed",
        reason="the echoes of a are late: delay does not prove that the host is down",
    ),
    Row(
        "no echo within the burst, but one came afterwards",
        situation(host("a", gate="no answer within 0.4 s", echoes=(0, 20), slow=True), STANDBY),
        "keep_looking",
        "mixed",
        reason="the echoes of a are late: delay does not prove that the host is down",
    ),
    Row(
        "hung, but no witness: not moved",
        situation(host("a", holds=True, processes=3), STANDBY, witness=False),
        "refuse",
        "cut_off",
        reason="no witness answers (192.0.2.254): it may be this host that is cut off",
    ),
    Row(
        "gate silent, ping clean: no fencing, refuse",
        situation(host("a", gate="connection refused"), STANDBY, holders=("a",)),
        "refuse",
        "unfenced",
        reason="a answers ping but not its gate (connection refused): it may still hold the address, and it cannot"
        " be fenced; repair the gate or switch the host off",
    ),
    Row(
        "gate silent, ping clean, with fencing: fence, then take over",
        situation(host("a", gate="connection refused", fenceable=True), STANDBY, holders=("a",)),
        "takeover",
        "takeover",
        FENCE_AND_MOVE,
        "a answers ping, but neither its gate (connection refused) nor its service does",
    ),
    Row(
        "gate silent, ping clean, with fencing, but no vantage point could check the service",
        situation(blind(host("a", gate="connection refused", fenceable=True)), STANDBY, holders=("a",)),
        "keep_looking",
        "could_not_look",
    ),
    Row(
        "gate silent, with fencing, but the service answers c",
        situation(
            host("a", gate="connection refused", fenceable=True, elsewhere=True), STANDBY, holders=("a",)
        ),
        "nothing",
        "well",
    ),
    Row(
        "gate silent, with fencing, echoes lost: keep looking",
        situation(host("a", gate="no answer", echoes=(3, 20), fenceable=True), STANDBY),
        "keep_looking",
        "mixed",
    ),
    Row(
        "dead, with fencing: fence, whatever `when_unreachable` says",
        situation(dead(fenceable=True), STANDBY),
        "takeover",
        "takeover",
        FENCE_AND_MOVE,
        "a does not answer at all (0 of 20 echoes, gate: no answer within 0.5 s) and a witness answers",
        takeover={"when_unreachable": "refuse"},
    ),
    Row(
        "dead, with fencing, and its kernel still answers for the address: it has power, and may serve",
        situation(dead(fenceable=True), STANDBY, holders=("a",)),
        "keep_looking",
        "still_answers",
        reason="a answers for the address and for nothing else: only the line to it may be cut",
    ),
    Row(
        "dead, with fencing, no witness: it is us",
        situation(dead(fenceable=True), STANDBY, witness=False),
        "refuse",
        "cut_off",
    ),
    Row(
        "dead, with fencing, and the wire could not be asked: not switched off for nothing",
        situation(dead(fenceable=True), STANDBY, looked=False),
        "refuse",
        "could_not_look",
    ),
    Row(
        "dead, with fencing, but another vantage point gets its echo",
        situation(dead(pinged_by=("c",), fenceable=True), STANDBY),
        "refuse",
        "partition",
    ),
    Row(
        "dead, with fencing, budget spent: not fenced",
        situation(dead(fenceable=True), STANDBY),
        "refuse",
        "budget",
        memory=Memory("a", 1, takeovers_last_hour=3),
    ),
    Row(
        "dead, with fencing, no standby left: not fenced",
        situation(dead(fenceable=True), host("b", gate="sudo says no")),
        "refuse",
        "no_standby",
    ),
    Row(
        "dead, and fencing failed just now: tell people",
        situation(dead(fenceable=True), STANDBY),
        "refuse",
        "unfenced",
        reason="a does not answer at all (0 of 20 echoes, gate: no answer within 0.5 s) and a witness answers;"
        " fencing a did not work, and will be retried later",
        memory=Memory("a", 1, tried=frozenset({"fence:a"})),
    ),
    Row(
        "hung, with fencing: released, not fenced",
        situation(host("a", holds=True, processes=3, fenceable=True), STANDBY),
        "takeover",
        "takeover",
        MOVE_FROM_LIVING,
    ),
    Row(
        "hung, and its release was not confirmed: fence",
        situation(host("a", holds=True, processes=3, fenceable=True), STANDBY),
        "takeover",
        "takeover",
        FENCE_AND_MOVE,
        memory=Memory("a", 1, tried=frozenset({"release:a"})),
    ),
    Row(
        "first start, a dead, with fencing: fence",
        situation(dead(fenceable=True), STANDBY),
        "takeover",
        "takeover",
        FENCE_AND_MOVE,
        memory=NO_HOLDER,
        takeover={"when_unreachable": "refuse"},
    ),
    Row(
        "first start, a dead and c silent, too: fencing a settles nothing",
        situation(dead(fenceable=True), STANDBY, host("c", echoes=(0, 20), gate="no answer")),
        "refuse",
        "unreachable",
        memory=NO_HOLDER,
        takeover={"when_unreachable": "refuse"},
    ),
    Row(
        "first start, a's gate not set up yet: not fenced for that",
        situation(host("a", gate="no gate", fenceable=True), STANDBY),
        "refuse",
        "unfenced",
        memory=NO_HOLDER,
    ),
    Row(
        "held twice, the wrong one did not confirm its release: fence it",
        situation(
            host("a", holds=True, processes=3, fenceable=True),
            host("b", holds=True, serves=True, processes=3),
        ),
        "release",
        "held_twice",
        ("fence on a", "claim on b"),
        memory=Memory("b", 2, tried=frozenset({"release:a"})),
    ),
    Row(
        "gate silent, echoes lost: keep looking",
        situation(host("a", gate="no answer", echoes=(3, 20)), STANDBY),
        "keep_looking",
        "mixed",
    ),
    Row(
        "dead, probe: take over",
        situation(dead(), STANDBY),
        "takeover",
        "takeover",
        MOVE_FROM_DEAD,
        "a does not answer at all (0 of 20 echoes, gate: no answer within 0.5 s), no host answers for the address"
        " and a witness answers",
    ),
    Row(
        "dead, refuse: tell people",
        situation(dead(), STANDBY),
        "refuse",
        "unreachable",
        reason="a does not answer at all, and takeover.when_unreachable is refuse: make sure that a is off, then"
        " move the service by hand",
        takeover={"when_unreachable": "refuse"},
    ),
    Row(
        "dead, but it answers for the address: keep looking",
        situation(dead(), STANDBY, holders=("a",)),
        "keep_looking",
        "still_answers",
        reason="a answers for the address and for nothing else: only the line to it may be cut",
        memory=Memory(holder="a", epoch=1, doubted={"a": 0}),
    ),
    Row(
        "dead, but another vantage point gets its echo: the line is cut",
        situation(dead(pinged_by=("c",)), STANDBY),
        "refuse",
        "partition",
        reason="a does not answer this host, but it answers c: only the line to it is cut",
    ),
    Row(
        "dead, and the wire could not be asked",
        situation(dead(), STANDBY, looked=False),
        "refuse",
        "could_not_look",
        reason="it could not be checked which host has the address",
    ),
    Row(
        "everything silent, the witness too: it is us",
        situation(dead(), STANDBY, witness=False),
        "refuse",
        "cut_off",
    ),
    Row(
        "no echo could be sent: that is not death",
        situation(host("a", echoes=(0, 0), gate="no answer"), STANDBY),
        "refuse",
        "could_not_look",
    ),
    Row(
        "hung, standby's gate silent: no standby left",
        situation(host("a", holds=True, processes=3), host("b", gate="sudo says no")),
        "refuse",
        "no_standby",
        reason="the service on a does not answer though the host does (b: no answer), and no standby is available"
        " (a: does not serve; b: gate silent (sudo says no))",
    ),
    Row(
        "hung, takeover to b failed just now: no standby left",
        situation(host("a", holds=True, processes=3), STANDBY),
        "refuse",
        "no_standby",
        memory=Memory("a", 1, tried=frozenset({"take:b"})),
    ),
    Row(
        "hung, budget spent",
        situation(host("a", holds=True, processes=3), STANDBY),
        "refuse",
        "budget",
        reason="3 takeovers in the last hour, and max_per_hour is 3: find out why the service keeps moving",
        memory=Memory("a", 1, takeovers_last_hour=3),
    ),
    Row(
        "address taken off by hand, service healthy: a has it back",
        situation(host("a", serves=True, processes=3), STANDBY),
        "claim",
        "unheld",
        ("start on a", "claim on a", "prove on a"),
        "no host holds the address and a serves",
    ),
    Row(
        "address unheld after takeover, a back and serving: the holder that serves comes first",
        situation(host("a", serves=True, processes=3), host("b", serves=True, processes=3)),
        "claim",
        "unheld",
        ("start on b", "claim on b", "prove on b"),
        memory=B_HOLDS,
    ),
    Row(
        "address unheld and no witness: not claimed",
        situation(host("a", serves=True, processes=3), STANDBY, witness=False),
        "refuse",
        "cut_off",
    ),
    Row(
        "first start, no host holds it: the preferred host",
        situation(host("a"), STANDBY),
        "claim",
        "unheld",
        ("start on a", "claim on a", "prove on a"),
        "no host holds the address and a can serve",
        NO_HOLDER,
    ),
    Row(
        "first start, b serves and a does not: b",
        situation(host("a"), host("b", serves=True, processes=2)),
        "claim",
        "unheld",
        ("start on b", "claim on b", "prove on b"),
        memory=NO_HOLDER,
    ),
    Row(
        "first start, a silent but alive: refuse",
        situation(host("a", gate="no answer"), STANDBY),
        "refuse",
        "unfenced",
        memory=NO_HOLDER,
    ),
    Row(
        "first start, a dead, probe: take over",
        situation(dead(), STANDBY),
        "takeover",
        "takeover",
        MOVE_FROM_DEAD,
        memory=NO_HOLDER,
    ),
    Row(
        "first start, b holds it: adopt",
        situation(host("a"), host("b", holds=True, serves=True, processes=3)),
        "adopt",
        "adopted",
        reason="b holds the address (no holder was known)",
        memory=NO_HOLDER,
    ),
    Row(
        "first start, b holds it and a could not be asked: it may hold it too",
        situation(
            replace(host("a", gate="too busy to check", serves=True), gate_asked=False),
            host("b", holds=True),
        ),
        "keep_looking",
        "could_not_look",
        reason="the gate of a: too busy to check",
        memory=NO_HOLDER,
    ),
    Row(
        "moved by hand, and a could not be asked: keep looking",
        situation(replace(host("a", gate="too busy to check"), gate_asked=False), host("b", holds=True)),
        "keep_looking",
        "could_not_look",
    ),
    Row(
        "moved by hand: adopt",
        situation(host("a"), host("b", holds=True, serves=True, processes=3)),
        "adopt",
        "adopted",
        reason="b holds the address (the journal named a)",
    ),
    Row(
        "held twice: the one the journal does not name releases, the other announces itself",
        situation(
            host("a", holds=True, serves=True, processes=3), host("b", holds=True, serves=True, processes=3)
        ),
        "release",
        "held_twice",
        ("release on a", "claim on b"),
        "a and b both hold the address; the holder is b",
        B_HOLDS,
    ),
    Row(
        "held twice and the other serves, behind loss: keep looking",
        situation(
            host("a", holds=True, processes=3, echoes=(9, 20)),
            host("b", holds=True, serves=True, processes=3),
        ),
        "keep_looking",
        "mixed",
        reason="a and b both hold the address; the holder is a, and b serves; but a returned 9 of 20 echoes and "
        "its gate answers: lost packets do not prove that the host is down",
    ),
    Row(
        "held twice and the other serves, behind loss, and its process is gone: release it",
        situation(
            host("a", holds=True, processes=0, echoes=(9, 20)),
            host("b", holds=True, serves=True, processes=3),
        ),
        "release",
        "held_twice",
        ("release on a",),
    ),
    Row(
        "held twice, no journal: tell people",
        situation(host("a", holds=True, processes=3), host("b", holds=True, processes=3)),
        "refuse",
        "held_twice",
        reason="a and b both hold the address and the journal names neither: release it on the wrong one by hand",
        memory=NO_HOLDER,
    ),
    Row(
        "held twice, the wrong one's gate is silent: tell people",
        situation(host("a", gate="no answer"), host("b", holds=True, processes=3), holders=("a",)),
        "refuse",
        "held_twice",
        reason="a and b both hold the address; a should not, and does not answer its gate",
        memory=B_HOLDS,
    ),
    Row(
        "a stranger answers for the address",
        situation(host("a", holds=True, serves=True), STANDBY, strangers=("unknown MAC 02:00:00:00:00:99",)),
        "refuse",
        "stranger",
    ),
    Row(
        "a is back and runs the service that b holds: it is stopped there",
        situation(host("a", serves=True, processes=3), host("b", serves=True, holds=True, processes=3)),
        "release",
        "returned",
        ("release on a",),
        "a is back and runs the service, which b holds",
        Memory("b", 2, returned=frozenset({"a"})),
    ),
    Row(
        "a is back and runs nothing",
        situation(host("a"), host("b", serves=True, holds=True, processes=3)),
        "nothing",
        "well",
        memory=Memory("b", 2, returned=frozenset({"a"})),
    ),
    Row(
        "a runs the service as well as b, but never was away: an administrator's business",
        situation(host("a", serves=True, processes=3), host("b", serves=True, holds=True, processes=3)),
        "nothing",
        "well",
        memory=B_HOLDS,
    ),
    Row(
        "observe: recorded, not done",
        situation(host("a", holds=True), STANDBY),
        "record",
        "observe",
        reason="mode is observe; would have: respawn on a, because apache2 is not running on a",
        takeover={"mode": "observe"},
    ),
    Row(
        "b holds and its process died: respawned there, not mistaken for a",
        situation(host("a"), host("b", holds=True)),
        "respawn",
        "absent",
        ("respawn on b",),
        "apache2 is not running on b",
        B_HOLDS,
    ),
    Row(
        "b holds and hangs: a takes over",
        situation(host("a"), host("b", holds=True, processes=3)),
        "takeover",
        "takeover",
        ("release on b", "confirm on a", "start on a", "claim on a", "prove on a"),
        memory=B_HOLDS,
    ),
    Row(
        "unheld: its last holder's service is stopped before another starts",
        situation(host("a", processes=3), STANDBY),
        "claim",
        "unheld",
        MOVE_FROM_LIVING,
        memory=Memory("a", 1, tried=frozenset({"take:a"})),
    ),
    Row(
        "unheld by its gate, and it answers on the wire",
        situation(host("a", processes=3), STANDBY, holders=("a",)),
        "keep_looking",
        "still_answers",
        reason="a answers for the address, although its gate reports that it does not hold it",
    ),
    Row(
        "unheld, and another host that is silent may hold it: no vantage point could check",
        situation(host("a", gate="refused"), STANDBY, looked=False),
        "refuse",
        "could_not_look",
        reason="it could not be checked which host has the address, and the gate of a is silent",
        memory=B_HOLDS,
    ),
    Row(
        "no vantage point could check: no respawn, no takeover",
        situation(
            blind(host("a", holds=True, processes=3)),
            STANDBY,
        ),
        "keep_looking",
        "could_not_look",
        reason="no vantage point could check a: b: could not check",
    ),
    Row(
        "a burst that could not be sent in full proves no host dead",
        situation(host("a", echoes=(0, 13), gate="no answer within 0.5 s"), STANDBY),
        "refuse",
        "could_not_look",
    ),
]


TWO_ADDRESSES = ["192.0.2.100/24", "2001:db8::100/64"]


def two_addresses() -> Service:
    values = site().model_dump()
    values["services"]["www"]["addresses"] = TWO_ADDRESSES
    return Site.model_validate(values).services["www"]


def test_one_of_two_addresses_missing_is_given_back() -> None:
    seen = situation(host("a", serves=True, holds=True, processes=3), STANDBY)
    plan = decide(seen, A_HOLDS, two_addresses())
    assert (plan.kind, plan.reason) == ("claim", "a serves and does not hold 2001:db8::100")
    assert tuple(map(str, plan.steps)) == ("claim on a", "prove on a")
    plan = decide(seen, replace(A_HOLDS, tried=frozenset({"take:a"})), two_addresses())
    assert (plan.kind, plan.code) == ("refuse", "incomplete")


def test_a_host_that_is_none_of_the_service_is_not_adopted() -> None:
    plan = decide(situation(host("a"), STANDBY, holders=("c",)), A_HOLDS, site().services["www"])
    assert (plan.kind, plan.code) == ("refuse", "stranger")


def test_of_two_silent_hosts_the_living_one_decides() -> None:
    living = host("c", gate="refused")
    plan = decide(situation(dead(), living, STANDBY), NO_HOLDER, site().services["www"])
    assert (plan.kind, plan.code) == ("refuse", "unfenced")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_row(row: Row) -> None:
    plan = decide(row.seen, row.memory, site(**row.takeover).services["www"])
    assert (plan.kind, plan.code, tuple(map(str, plan.steps))) == (row.kind, row.code, row.steps)
    if row.reason is not None:
        assert plan.reason == row.reason


B6_LINES: dict[str, tuple[tuple[int, int], bool, bool, str]] = {
    "echoes limited, gate prompt": ((1, 20), True, False, "takeover/takeover"),
    "no echo at all, gate prompt": ((0, 20), True, False, "takeover/takeover"),
    "none could be sent, gate prompt": ((0, 0), True, False, "takeover/takeover"),
    "echoes limited, gate slow": ((1, 20), False, False, "keep_looking/mixed"),
    "no echo at all, gate slow": ((0, 20), False, False, "keep_looking/mixed"),
    "echoes late": ((3, 20), True, True, "keep_looking/mixed"),
}


@pytest.mark.parametrize(("echoes", "prompt", "slow", "plan"), B6_LINES.values(), ids=B6_LINES)
def test_b6_a_prompt_gate_is_proof_of_a_clean_line(
    echoes: tuple[int, int], prompt: bool, slow: bool, plan: str
) -> None:
    seen = host("a", holds=True, processes=3, echoes=echoes, prompt=prompt, slow=slow)
    made = decide(situation(seen, STANDBY), A_HOLDS, site().services["www"])
    assert f"{made.kind}/{made.code}" == plan
    if made.kind == "takeover":
        assert (
            f"({echoes[0]} of {echoes[1]} echoes, but its gate answered each of many calls promptly; "
            in made.reason
        )


def test_b6_a_silent_gate_proves_nothing_however_prompt_it_was() -> None:
    seen = host("a", echoes=(3, 20), gate="timeout", prompt=True)
    assert decide(situation(seen, STANDBY), A_HOLDS, site().services["www"]).kind == "keep_looking"


def test_after_claim_starts_behind_the_claim() -> None:
    seen = situation(dead(), STANDBY)
    plan = decide(seen, A_HOLDS, site(start="after_claim").services["www"])
    assert tuple(map(str, plan.steps)) == ("confirm on b", "claim on b", "start on b", "prove on b")


def test_every_move_releases_or_has_proof_first() -> None:
    """No plan claims on one host while another may hold: it begins with a release or a confirmation."""
    for row in ROWS:
        plan = decide(row.seen, row.memory, site(**row.takeover).services["www"])
        if plan.kind == "takeover":
            names = [step.name for step in plan.steps]
            assert names.index("confirm") < names.index("claim"), row.name
