"""The rules as they are shipped: nothing in them that does not exist, nothing untested."""

from __future__ import annotations

import ast
import os
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from yaml import CSafeLoader, load

from alert_rules import build
from locum_actuator.chain.alarm import PART_ALERT, TOLD_BY_US, _alert
from locum_actuator.chain.runbook_link import OF_THE_ACTUATOR
from locum_actuator.domain.situation import WRONG_ANSWERS
from locum_inventory.site.model import INTERVAL_SECONDS
from tests.alert_rules.rules_of_a_case import rules_of, split

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
RULES = ROOT / "alert_rules" / "locum.rules.yml"
RULE_TESTS = sorted((ROOT / "alert_rules" / "tests").glob("*.yml"))
GROUPS: dict[str, dict[str, Any]] = {
    group["name"]: group for group in load(RULES.read_text(), CSafeLoader)["groups"]
}
CASES: list[dict[str, Any]] = [
    case for file in RULE_TESTS for case in load(file.read_text(), CSafeLoader)["tests"]
]
ALERTS = [rule for group in GROUPS.values() for rule in group["rules"] if "alert" in rule]
ALERT_NAMES = sorted({alert["alert"] for alert in ALERTS})
METRICS = sorted(
    {
        name
        for group in GROUPS.values()
        for rule in group["rules"]
        for name in re.findall(r"(?<![:\w])locum_[a-z_]+(?=[\s{\[)]|$)", rule["expr"])
    }
    - {"locum_action"}
)


def milliseconds(duration: str) -> float:
    number, unit = re.fullmatch(r"(\d+)(ms|s|m)", duration).groups()  # type: ignore[union-attr]
    return int(number) * {"ms": 1, "s": 1000, "m": 60_000}[unit]


@pytest.mark.parametrize("file", RULE_TESTS, ids=lambda file: file.stem)
def test_promtool_agrees(file: Path, tmp_path: Path) -> None:
    """`make lint` gives promtool the whole files: see `rules_of_a_case` for why these are split."""
    done = subprocess.run(
        ["promtool", "test", "rules", *split(file, RULES, tmp_path)],
        env={**os.environ, "GOGC": "400"},  # a quarter of the time that is left went to collecting garbage
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


EXPRESSIONS = {
    'up{job="x"}': True,
    'up{job="y"}': False,
    'up{job!="x"}': False,
    'up{job=~"x|y"}': True,
    'up{job=~"x|y", other=""}': True,
    'up{job!~"x.*"}': False,
    'max by (job) (max_over_time(up{job="x"}[5m])) > 2': True,
    'down or sum(rate(up{job="x"}[5m:1m]))': True,
    "down unless on (job) down": False,
    "time() - down > 0": True,  # it might be left out, but calls without a vector are not distinguished
    "absent(down)": True,
    "vector(1)": True,
    "1": True,
    'ALERTS{alertname="Down"}': True,
    '{__name__="down"}': True,
    'recorded{tier="1s", job="y"}': True,
    'recorded{tier="5s"}': False,
    "recorded_again > 1": True,
}


@pytest.mark.parametrize("expr", EXPRESSIONS)
def test_a_rule_is_left_out_only_where_it_selects_nothing(expr: str) -> None:
    case = {"input_series": [{"series": 'up{job="x"}', "values": "1x3"}]}
    asked = {"alert": "Asked", "expr": expr}
    again = {"record": "recorded_again", "expr": "recorded"}
    first = {"record": "recorded", "expr": "up", "labels": {"tier": "1s"}}
    groups = [{"name": "one", "rules": [asked, again]}, {"name": "other", "interval": "5s", "rules": [first]}]
    kept = rules_of(case, groups)
    assert kept == [{**groups[0], "rules": [asked, again] if EXPRESSIONS[expr] else [again]}, groups[1]]


def test_promtool_finds_nothing_to_complain_of() -> None:
    done = subprocess.run(
        ["promtool", "check", "rules", RULES], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout.splitlines()[1].strip()) == (
        0,
        f"SUCCESS: {sum(len(group['rules']) for group in GROUPS.values())} rules found",
    )


@cache
def _sources() -> list[str]:
    return [
        path.read_text()
        for package in ("exporter/locum_exporter", "actuator/locum_actuator")
        for path in (ROOT / package).rglob("*.py")
    ]


@pytest.mark.parametrize("metric", METRICS)
def test_every_metric_of_a_rule_is_made_somewhere(metric: str) -> None:
    # prometheus_client adds _total to the name of a counter automatically.
    names = (f'"{metric}"', f'"{metric.removesuffix("_total")}"')
    assert any(name in source for source in _sources() for name in names), f"nothing makes {metric}"


def test_the_metrics_were_found_in_the_rules() -> None:
    assert {"locum_check_success", "locum_check_looked", "locum_actuator_holder"} <= set(METRICS)
    assert len(METRICS) > 12


def _tested() -> Iterator[tuple[str, bool]]:
    for case in CASES:
        for look in case.get("alert_rule_test", ()):
            yield look["alertname"], bool(look["exp_alerts"])


TESTED = frozenset(_tested())


@pytest.mark.parametrize("alert", ALERT_NAMES)
def test_every_alert_is_shown_silent_and_firing(alert: str) -> None:
    wanted = {True} if alert == "LocumHeartbeat" else {False, True}  # it is never silent
    assert {fires for name, fires in TESTED if name == alert} == wanted


@pytest.mark.parametrize(
    "alert", ALERTS, ids=lambda alert: "-".join([alert["alert"], *alert["labels"].values()])
)
def test_every_alert_has_what_people_need(alert: dict[str, Any]) -> None:
    assert alert["labels"]["severity"] in {"critical", "warning", "info", "none"}
    mailed = {"action", "todo"} if alert["alert"] != "LocumHeartbeat" else set()  # which is not mailed
    assert set(alert["annotations"]) == {"summary", "description", "runbook_url", *mailed}
    assert alert["annotations"]["runbook_url"] == f"{OF_THE_ACTUATOR}#{alert['alert'].lower()}"


def test_the_runbook_has_a_chapter_for_each_alert_and_no_other() -> None:
    headings = re.findall(r"^### (\w+)$", (RULES.parent / "RUNBOOK.md").read_text(), re.MULTILINE)
    assert sorted(headings) == ALERT_NAMES


def test_every_record_of_availability_is_shown() -> None:
    groups = ("locum-served", "locum-availability")
    records = {rule["record"] for name in groups for rule in GROUPS[name]["rules"]}
    asked = " ".join(look["expr"] for case in CASES for look in case.get("promql_expr_test", ()))
    asked += " ".join(series["series"] for case in CASES for series in case["input_series"] or ())
    assert {name for name in records if name not in asked} == set()
    assert len(records) == 7


def _codes_of_refusals() -> set[str]:
    """Return the codes with which a plan says that locum will not act, or is not sure."""
    codes = set(WRONG_ANSWERS)
    for file in ("failover", "brakes", "partial_addresses", "unreached", "vetoes", "unfit", "wrong_answers"):
        for node in ast.walk(ast.parse((ROOT / f"actuator/locum_actuator/decision/{file}.py").read_text())):
            match node:
                case ast.Call(
                    func=ast.Name(id="Plan"), args=[ast.Constant(str(kind)), ast.Constant(str(code)), *_]
                ):
                    if kind in {"refuse", "keep_looking"}:
                        codes.add(code)
    return codes


def test_every_reason_of_a_refusal_is_told_in_words_and_what_to_do_about_it() -> None:
    (refused,) = (alert for alert in ALERTS if alert["alert"] == "LocumTakeoverRefused")
    for annotation in ("summary", "todo"):
        explained = re.findall(r'if eq \$labels.reason "(\w+)" }}\S', refused["annotations"][annotation])
        assert sorted(explained) == sorted(_codes_of_refusals())


@pytest.mark.parametrize("part", TOLD_BY_US)
def test_what_the_actuator_tells_by_itself_has_the_words_of_the_rule(part: str) -> None:
    (rule,) = (alert for alert in ALERTS if alert["alert"] == PART_ALERT)
    sent = _alert(part, "what was seen", OF_THE_ACTUATOR)
    assert sent["labels"] == {"alertname": PART_ALERT, "part": part, **rule["labels"]}
    assert sent["annotations"].keys() == rule["annotations"].keys()
    assert sent["annotations"]["action"] == rule["annotations"]["action"]
    assert sent["annotations"]["todo"] in rule["annotations"]["todo"]


PARTS_OF_A_CHAPTER = ("*Means.*", "*locum.*", "*You.*", "*Silence.*")


@pytest.mark.parametrize("alert", ALERT_NAMES)
def test_every_chapter_of_the_runbook_has_its_four_parts(alert: str) -> None:
    text = (RULES.parent / "RUNBOOK.md").read_text()
    chapter = text.split(f"### {alert}\n")[1].split("\n## ")[0].split("\n### ")[0]
    found = re.findall(r"^(\*\w+\.\*) \S", chapter, re.MULTILINE)
    assert tuple(found) == PARTS_OF_A_CHAPTER


@pytest.mark.parametrize(
    "alert", ALERTS, ids=lambda alert: "-".join([alert["alert"], *alert["labels"].values()])
)
def test_what_acts_waits_for_nothing(alert: dict[str, Any]) -> None:
    acts = alert["alert"] in {
        "LocumServiceDown",
        "LocumAddressUnheld",
        "LocumAddressHeldTwice",
        "LocumNotReached",
    }
    assert (alert["labels"].get("locum_action") == "true") == acts
    assert not (acts and "for" in alert)


def test_the_committed_file_is_what_the_program_writes() -> None:
    assert RULES.read_text(encoding="utf-8") == build.rendered(), "run: python -m alert_rules.build"


def test_nothing_in_the_template_is_left_unexpanded() -> None:
    assert re.findall(r"<[a-z0-9. ]+>", build.rendered()) == []


def test_there_is_a_group_for_each_tier() -> None:
    tiers = {name.removeprefix("locum-tier-") for name in GROUPS if name.startswith("locum-tier-")}
    assert tiers == set(INTERVAL_SECONDS)


@pytest.mark.parametrize("tier", INTERVAL_SECONDS)
def test_windows_cover_every_phase(tier: str) -> None:
    """A sample is `age` old when it is looked at: from nothing to its delay and the time between evaluations.

    Two failed samples must both lie in some window that the good one before them does not.
    """
    interval = INTERVAL_SECONDS[tier] * 1000
    group = GROUPS[f"locum-tier-{tier}"]
    expression = group["rules"][0]["expr"]
    windows = {milliseconds(window) for window in re.findall(r"\[(\w+)\]", expression)}
    oldest = 0.9 * interval + milliseconds(group["interval"])  # a check that hangs delivers this late
    for age in range(int(min(oldest, 1.9 * interval))):
        assert any(age + interval <= window < age + 2 * interval for window in windows), f"age {age} ms"
