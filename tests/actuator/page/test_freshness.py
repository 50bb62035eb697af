"""After a change of holder the page shows no check that was made before it as the present state."""

from __future__ import annotations

from locum_actuator.chain.silences import Silences
from locum_actuator.domain.plan import Plan
from locum_actuator.engine.engine import Engine
from locum_actuator.engine.explain import Explanation
from locum_actuator.page.check_results import Vote, Votes
from locum_actuator.page.service_card import service_view
from locum_exporter.result import Outcome
from tests.actuator.fakes import FakeWorld

SILENT = (Vote("b", Outcome.FAILED, "refused"),)


def view(
    engine: Engine, world: FakeWorld, *, asked_after: float, explained_after: float, ended_after: float = 0.0
) -> dict[str, object]:
    """Return www as the page has it; times are seconds after b became its holder."""
    engine.journal.set_holder("www", "b", 7)
    since = engine.journal.holder("www").since
    assert since is not None
    votes = Votes({("www", "b", "http"): SILENT}, None, at=since + asked_after)
    situation = world.situation("www")
    explained = Explanation(situation, Plan("nothing", "well", "b answers"), {}, since + explained_after)
    return service_view(
        engine, "www", votes=votes, silences=Silences({}, None), outlook={"www": explained}, last_words=None,
        ended_at=since + ended_after if ended_after else 0.0,
    )  # fmt: skip


def test_f_what_was_checked_before_the_takeover_is_not_the_state_after_it(
    engine: Engine, world: FakeWorld
) -> None:
    shown = view(engine, world, asked_after=-1.0, explained_after=-1.0)
    assert shown["state"] == "being checked again"
    assert shown["now"]["why"] == "not checked since the last change"  # type: ignore[index]


def test_f_what_was_checked_after_the_takeover_is_shown(engine: Engine, world: FakeWorld) -> None:
    shown = view(engine, world, asked_after=5.0, explained_after=5.0)
    assert shown["state"] == "does not answer"
    assert shown["now"]["does"] == "nothing"  # type: ignore[index]


def test_f_what_was_checked_before_the_incident_ended_is_not_shown_after_it(
    engine: Engine, world: FakeWorld
) -> None:
    shown = view(engine, world, asked_after=5.0, explained_after=5.0, ended_after=6.0)
    assert shown["state"] == "being checked again"
    assert shown["now"]["does"] is None  # type: ignore[index]
