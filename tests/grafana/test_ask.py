"""`python -m grafana.ask` and `grafana.draw` as a person calls them, and what they make of what Prometheus says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from grafana import ask, draw
from tests.grafana.prometheus_of_words import Finds, Series, serving, well
from tests.support.ports import closed_port

LABELS = {
    "service": "www", "host": "a", "check": "http", "vantage_point": "b", "reason": "refused", "outcome": "done",
    "alertname": "LocumTakeover", "alertstate": "firing", "severity": "warning",
}  # fmt: skip


def something(expr: str) -> Series:
    return [(LABELS, 1.0)]


def nothing_of(*words: str) -> Finds:
    """Find something for each query but those that ask for one of these metrics."""
    return lambda expr: [] if any(word in expr for word in words) else something(expr)


def rule(**changes: Any) -> list[dict[str, Any]]:
    whole = {
        "name": "LocumAlone",
        "type": "alerting",
        "state": "inactive",
        "health": "ok",
        "query": "up == 0",
    }
    return [{"name": "locum-actions", "rules": [{**whole, **changes}]}]


def asked(answer: Callable[[str, dict[str, str]], Any], *words: str) -> int:
    with serving(answer) as url:
        return ask.main(["--prometheus", url, "--seconds", "60", *words])


def test_all_there_ends_with_0(capsys: pytest.CaptureFixture[str]) -> None:
    assert asked(well(something, rule())) == 0
    said = capsys.readouterr().out
    assert "Every check on every host" in said
    assert "LocumAlone" in said
    assert "Wrong: 0." in said


def test_the_tables_say_which_panel_is_empty_and_why(capsys: pytest.CaptureFixture[str]) -> None:
    assert asked(well(nothing_of("locum_actuator_refusals_total"), rule())) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "│ Refusals" in line]
    assert [word.strip() for word in line.split("│")[3:5]] == ["0", "nothing was refused"]


def test_what_is_wrong_ends_with_1(capsys: pytest.CaptureFixture[str]) -> None:
    rules = (
        rule() + rule(name="Err", health="err", lastError="many-to-many") + rule(name="New", health="unknown")
    )
    rules += rule(name="AboutNothing", query="not_there > 1")
    assert asked(well(nothing_of("locum_actuator_standby_available", "not_there"), rules), "--json") == 1
    printed = json.loads(capsys.readouterr().out)
    empty = [row for row in printed["panels"] if not row["series"] and not row["may_be_empty"]]
    assert [f"{row['dashboard']}: {row['panel']}" for row in empty] == [
        "service: Could another host take over?",
        "site: No standby",
    ]
    assert {row["name"]: row["fault"] for row in printed["rules"] if row["fault"]} == {
        "Err": "many-to-many",
        "New": "its health is unknown",
        "AboutNothing": "queries metrics that do not exist: not_there",
    }


def test_no_rules_at_all_is_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    assert asked(well(something), "--only-wrong") == 1
    assert "Holder of each service" not in capsys.readouterr().out


def _error(path: str, form: dict[str, str]) -> Any:
    return {"status": "error", "error": "query timed out"}


@pytest.mark.parametrize("program", [ask.main, draw.main], ids=["ask", "draw"])
@pytest.mark.parametrize(
    ("answer", "words", "said"),
    [
        pytest.param(_error, [], "Prometheus reports: query timed out", id="error"),
        pytest.param(lambda *_: "<html>", [], "{url} is not a Prometheus: it answered 200 without JSON", id="HTML"),
        pytest.param(lambda *_: [1], [], "{url} is not a Prometheus: it answered other JSON", id="other JSON"),
        pytest.param(
            lambda *_: {"status": "success", "data": []}, [],
            "{url} has no service of locum: is it the right one?", id="another Prometheus",
        ),
        pytest.param(
            well(something), ["--service", "web"],
            "there is no service 'web': choose from mail, www", id="unknown service",
        ),
    ],
)  # fmt: skip
def test_an_answer_that_is_none_is_one_line_and_ends_with_2(
    program: Callable[[list[str]], int], answer: Any, words: list[str], said: str,
    tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    output = ["--output", str(tmp_path / "picture.png")] if program is draw.main else []
    with serving(answer) as url:
        assert program(["--prometheus", url, *words, *output]) == 2
        name = "draw" if output else "ask"
        assert capsys.readouterr().err == f"grafana.{name}: {said.format(url=url)}\n"


def test_nobody_there_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with closed_port() as port:
        url = f"http://127.0.0.1:{port}"
        assert ask.main(["--prometheus", url]) == 2
    assert capsys.readouterr().err == f"grafana.ask: {url} does not answer: Connection refused\n"


def test_no_address_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert ask.main(["--prometheus", "localhost:9090"]) == 2
    assert capsys.readouterr().err == (
        "grafana.ask: 'localhost:9090' is not the address of a Prometheus, such as http://127.0.0.1:9090\n"
    )
