"""The campaign's schedule: the same for a seed, and never what a lab cannot do."""

from __future__ import annotations

from functools import cache
from itertools import combinations

import pytest

from bench.campaign.inject import Injector
from bench.campaign.schedule import KINDS, Scenario, scenario, scenarios


@cache
def many() -> list[Scenario]:
    return [scenario(7, number) for number in range(400)]


def test_the_same_seed_draws_the_same_scenarios() -> None:
    assert [str(one) for one in scenarios(7, 40)] == [str(one) for one in scenarios(7, 40)]


def test_a_scenario_is_drawn_without_those_before_it() -> None:
    assert list(scenarios(7, 40))[3] == scenario(7, 3)


def test_another_seed_draws_others() -> None:
    assert [one.faults for one in scenarios(7, 20)] != [one.faults for one in scenarios(8, 20)]


def test_there_are_as_many_faults_as_asked_for_and_no_scenario_more() -> None:
    drawn = list(scenarios(7, 40))
    assert sum(len(one.faults) for one in drawn) >= 40
    assert sum(len(one.faults) for one in drawn[:-1]) < 40


def test_every_kind_is_drawn_and_can_be_brought() -> None:
    assert {fault.kind for one in many() for fault in one.faults} == set(KINDS)
    assert [kind for kind in KINDS if not hasattr(Injector, f"_bring_{kind}")] == []


def test_faults_overlap_and_heal_in_another_order() -> None:
    pairs = [pair for one in many() for pair in combinations(one.faults, 2)]
    assert any(one.begins < other.begins < one.heals < other.heals for one, other in pairs)
    assert any(one.begins < other.begins < other.heals < one.heals for one, other in pairs)


@pytest.mark.parametrize("one", [scenario(7, number) for number in range(20)], ids=lambda one: one.name)
def test_a_host_without_power_has_nothing_else_done_to_it(one: Scenario) -> None:
    for crash in (fault for fault in one.faults if fault.kind == "crash"):
        for other in one.faults:
            inside = other is not crash and other.host == crash.host and other.kind not in {
                "blackhole", "loss", "partition",
            }  # fmt: skip
            assert not (inside and crash.begins <= other.begins <= crash.heals)
            assert not (inside and crash.begins <= other.heals <= crash.heals)
