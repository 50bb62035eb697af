"""A promtool test, split into its cases, each with the rules alone that can yield anything in it.

promtool evaluates every rule at every moment of every case, which takes 15 ms of processor time for a moment,
although nearly all rules select nothing from the few series of a case. An expression that selects nothing yields
nothing: it neither fires, nor records, nor fails. So it can be left out, and no result changes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import promql_parser
from promql_parser import MatchOp
from yaml import CSafeLoader, load

# What these return is not empty although what they are given is.
FROM_NOTHING = {"absent", "absent_over_time", "vector", "scalar"}


@dataclass(frozen=True)
class Series:
    """What is known of a series: its name, and its labels; where `all_known`, it has no other labels."""

    name: str
    labels: Mapping[str, str]
    all_known: bool

    def may_match(self, matcher: promql_parser.Matcher) -> bool:
        """Return whether a selector with this matcher may select the series."""
        if matcher.name not in self.labels and not self.all_known:
            return True
        value = self.labels.get(matcher.name, "")
        match matcher.op:
            case MatchOp.Equal:
                return value == matcher.value
            case MatchOp.NotEqual:
                return value != matcher.value
            case MatchOp.Re:
                return re.fullmatch(matcher.value, value) is not None
            case _:
                return re.fullmatch(matcher.value, value) is None


@dataclass(frozen=True)
class Asked:
    """What an expression selects, and whether it may yield something when all of that is empty."""

    selectors: tuple[promql_parser.VectorSelector, ...]
    from_nothing: bool

    def may_yield(self, series: list[Series]) -> bool:
        """Return whether the expression may yield anything if these are all series."""
        return self.from_nothing or any(_selects(each, one) for each in self.selectors for one in series)


def _selects(selector: promql_parser.VectorSelector, series: Series) -> bool:
    if selector.name is None or selector.name.startswith("ALERTS") or selector.matchers.or_matchers:
        return True  # what it selects is not followed up here
    return selector.name == series.name and all(map(series.may_match, selector.matchers.matchers))


@cache
def asked(expr: str) -> Asked:
    """Return what an expression selects."""
    selectors: list[promql_parser.VectorSelector] = []
    calls: list[promql_parser.Call] = []

    def note(part: promql_parser.Expr) -> None:
        match part:
            case promql_parser.VectorSelector():
                selectors.append(part)
            case promql_parser.Call():
                calls.append(part)

    promql_parser.walk(promql_parser.parse(expr), note)
    from_nothing = not selectors or any(call.func.name in FROM_NOTHING or not call.args for call in calls)
    return Asked(tuple(selectors), from_nothing)


def given(case: Mapping[str, Any]) -> Iterator[Series]:
    """Yield the series that a case begins with."""
    for line in case["input_series"] or ():
        (selector,) = asked(line["series"]).selectors
        yield Series(
            selector.name or "", {each.name: each.value for each in selector.matchers.matchers}, True
        )


def rules_of(case: Mapping[str, Any], groups: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the groups with the rules that may yield anything in a case."""
    series = list(given(case))
    rules = [rule for group in groups for rule in group["rules"]]
    kept: list[dict[str, Any]] = []
    while more := [rule for rule in rules if rule not in kept and asked(rule["expr"]).may_yield(series)]:
        kept += more
        series += [Series(rule["record"], rule.get("labels", {}), False) for rule in more if "record" in rule]
    left = [{**group, "rules": [rule for rule in group["rules"] if rule in kept]} for group in groups]
    return [group for group in left if group["rules"]]


def split(test: Path, rules: Path, folder: Path) -> list[Path]:
    """Write a test file and a rule file into a folder for each case of a test; return the test files."""
    whole = load(test.read_text(), CSafeLoader)
    assert [(test.parent / name).resolve() for name in whole["rule_files"]] == [rules.resolve()]
    groups = load(rules.read_text(), CSafeLoader)["groups"]
    files: list[Path] = []
    for number, case in enumerate(whole["tests"]):
        of_case = folder / f"{test.stem}-{number}-rules.json"  # JSON is YAML, and written faster
        of_case.write_text(json.dumps({"groups": rules_of(case, groups)}, ensure_ascii=False))
        files.append(folder / f"{test.stem}-{number}.json")
        text = json.dumps({**whole, "rule_files": [str(of_case)], "tests": [case]}, ensure_ascii=False)
        files[-1].write_text(text)
    return files
