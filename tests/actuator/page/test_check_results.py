"""What the page knows of the world without looking: check results of Prometheus, silences of Alertmanager."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from locum_actuator.chain.silence_matchers import fits
from locum_actuator.chain.silences import ask_alertmanagers
from locum_actuator.page.check_health import Cell, cell_of, checks_of, judge
from locum_actuator.page.check_results import Vote, Votes, ask_prometheus
from locum_exporter.result import Outcome, service_outcome
from locum_inventory.site.model import ChainParts
from tests.actuator.fakes import site
from tests.support.http_server import QuietHandler, http_server
from tests.support.ports import closed_port


@contextmanager
def answering(body: Any, status: int = 200) -> Iterator[str]:
    """A server that answers everything so."""

    class Handler(QuietHandler):
        def get(self) -> None:
            text = body if isinstance(body, str) else json.dumps(body)
            self.answer(text, status, "application/json")

    with http_server(Handler) as at:
        yield at.url


def series(name: str, value: str = "1", **labels: str) -> dict[str, Any]:
    return {"metric": {"__name__": f"locum_check_{name}", **labels}, "value": [1.0, value]}


def test_prometheus_tells_how_each_check_went() -> None:
    about = {"service": "www", "host": "a", "check": "http"}
    result = [
        series("success", "1", **about, vantage_point="b"),
        series("success", "0", **about, vantage_point="c"),
        series("failure", **about, vantage_point="c", reason="timeout"),
        series("success", "1", host="a", check="ping", vantage_point="b"),
    ]
    with answering({"status": "success", "data": {"resultType": "vector", "result": result}}) as url:
        known = ask_prometheus(ChainParts(prometheus=url))
    assert known.at > 0
    assert replace(known, at=0.0) == Votes(
        {
            ("www", "a", "http"): (Vote("b", Outcome.WELL), Vote("c", Outcome.FAILED, "timeout")),
            (None, "a", "ping"): (Vote("b", Outcome.WELL),),
        },
        None,
    )
    www = site().services["www"]
    assert checks_of(www) == ("ping", "http", "process")
    assert cell_of(known, "www", www, "a", "http", holds=True) == Cell("mixed", "ok from b, timeout from c")
    assert cell_of(known, "www", www, "a", "ping", holds=True) == Cell("ok", "ok")
    assert cell_of(known, "www", www, "b", "http", holds=False) == Cell("unknown", "not known")


NO_ANSWERS: dict[str, tuple[Any, int]] = {
    "an error": ("no", 500),
    "no JSON": ("<html>", 200),
    "a list": ([], 200),
    "no vector": ({"data": {"result": [{"metric": {}}]}}, 200),
    "a redirect": ("", 302),
}


@pytest.mark.parametrize(("body", "status"), NO_ANSWERS.values(), ids=NO_ANSWERS)
def test_a_prometheus_that_does_not_say_is_told_and_not_believed(body: Any, status: int) -> None:
    with answering(body, status) as url:
        known = ask_prometheus(ChainParts(prometheus=url))
    assert known.votes == {}
    assert (known.fault or "").startswith(f"Prometheus at {url} does not answer (")


def test_a_prometheus_that_is_not_there() -> None:
    with closed_port() as port:
        assert ask_prometheus(ChainParts(prometheus=f"http://127.0.0.1:{port}")).fault is not None


def vote(reason: str | None = None, point: str = "b", check: str = "http") -> Vote:
    return Vote(point, service_outcome(check, reason), reason)


CELLS: dict[str, tuple[list[Vote], bool, Cell]] = {
    "well": ([vote(), vote(point="c")], False, Cell("ok", "ok")),
    "down": ([vote("refused")], False, Cell("bad", "refused")),
    "down for two reasons": (
        [vote("refused"), vote("timeout", "c")], False, Cell("bad", "refused, timeout"),
    ),
    "stopped, and meant to be": ([vote("refused")], True, Cell("off", "stopped (standby)")),
    "running, though it might be off": ([vote()], True, Cell("ok", "ok")),
    "absent": ([vote("absent", check="process")], False, Cell("bad", "absent")),
    "a gate that is silent saw no process, nor its absence": (
        [vote("timeout", check="process")], False, Cell("unknown", "could not check (timeout)"),
    ),
    "one could not check, one saw it": (
        [vote("permission"), vote(point="c")], False, Cell("ok", "ok"),
    ),
    "it was not asked": ([], True, Cell("unknown", "not known")),
}  # fmt: skip


@pytest.mark.parametrize(("votes", "off", "cell"), CELLS.values(), ids=CELLS)
def test_votes_as_one_word(votes: list[Vote], off: bool, cell: Cell) -> None:
    assert judge(votes, may_be_off=off) == cell


LABELS = {
    "alertname": "LocumServiceDown", "service": "www", "host": "a", "severity": "critical",
    "locum_action": "true", "tier": "250ms",
}  # fmt: skip


def matcher(name: str, value: str, *, regex: bool = False, equal: bool = True) -> dict[str, Any]:
    return {"name": name, "value": value, "isRegex": regex, "isEqual": equal}


MATCHERS: dict[str, tuple[list[dict[str, Any]], bool | None]] = {
    "the service": ([matcher("service", "www")], True),
    "another service": ([matcher("service", "mail")], False),
    "all of locum": ([matcher("locum_action", "true")], True),
    "not this service": ([matcher("service", "www", equal=False)], False),
    "not another": ([matcher("service", "mail", equal=False)], True),
    "a pattern": ([matcher("alertname", "Locum.*", regex=True)], True),
    "a pattern is anchored": ([matcher("alertname", "Locum", regex=True)], False),
    "one of several": ([matcher("service", "mail|www", regex=True)], True),
    "one of several in brackets": ([matcher("service", "(mail|www)", regex=True)], True),
    "one of several, not caught": ([matcher("service", "(?:mail|dns)", regex=True)], False),
    "not a pattern": ([matcher("service", "w.*", regex=True, equal=False)], False),
    "anything": ([matcher("alertname", ".+", regex=True)], True),
    "a label that no alert has": ([matcher("cluster", "x")], False),
    "… and that may be empty": ([matcher("cluster", ".*", regex=True)], True),
    "two, one of which says no": ([matcher("service", "www"), matcher("host", "b")], False),
    "a pattern that is too complex to try": ([matcher("service", "[w]{3}", regex=True)], None),
    "… next to one that says no": ([matcher("service", "[w]{3}", regex=True), matcher("host", "b")], False),
}


@pytest.mark.parametrize(("matchers", "fit"), MATCHERS.values(), ids=MATCHERS)
def test_matchers_fit_as_alertmanagers_do(matchers: list[dict[str, Any]], fit: bool | None) -> None:
    assert fits(matchers, LABELS) is fit


@pytest.mark.timed
@pytest.mark.parametrize(
    "pattern",
    [
        "(a+)+$",
        "(a*)*b",
        "(.*.*.*.*.*.*)x",
        "a" * 5000,
        ".*.*.*.*.*.*.*x",
        "|".join([".*a.*x"] * 30),
        "(((((a",
    ],
)
def test_no_pattern_holds_the_actuator_up(pattern: str) -> None:
    labels = {**LABELS, "service": "a" * 63}
    begun = time.perf_counter()
    fits([matcher("service", pattern, regex=True)], labels)
    assert time.perf_counter() - begun < 0.5


def silence(state: str = "active", *matchers: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": "7f3a", "status": {"state": state}, "matchers": list(matchers) or [matcher("service", "www")],
        "createdBy": "anna", "comment": "new <b>kernel</b>", "startsAt": "2026-01-01T00:00:00.000Z",
        "endsAt": "2026-01-01T01:00:00.123Z",
    }  # fmt: skip


def test_silences_that_keep_locum_from_being_woken() -> None:
    answer = [
        silence(), silence("expired"), silence("pending"), silence("active", matcher("service", "mail")),
        silence("active", matcher("alertname", "LocumMirrorStale")),
    ]  # fmt: skip
    with answering(answer) as url:
        known = ask_alertmanagers(ChainParts(alertmanagers=(url, url)), site())
    (one,) = known.services["www"]
    assert known.fault is None
    assert (one.by, one.comment, one.until, one.sure) == ("anna", "new <b>kernel</b>", 1767229200.123, True)
    assert one.alerts == (
        "LocumServiceDown on a", "LocumServiceDown on b", "LocumAddressUnheld", "LocumAddressHeldTwice",
        "LocumNotReached",
    )  # fmt: skip


def test_one_host_alone_and_one_that_cannot_be_told() -> None:
    answer = [
        silence("active", matcher("host", "a")),
        {**silence("active", matcher("service", "w{3}", regex=True)), "id": "x"},
    ]
    with answering(answer) as url:
        known = ask_alertmanagers(ChainParts(alertmanagers=(url,)), site())
    by_id = {one.id: (one.sure, one.alerts) for one in known.services["www"]}
    assert by_id["7f3a"] == (True, ("LocumServiceDown on a",))
    assert by_id["x"][0] is False


@pytest.mark.parametrize("body", [{"a": 1}, [{}], ["x"], "no"], ids=str)
def test_an_alertmanager_that_does_not_say(body: Any) -> None:
    with answering(body) as url:
        known = ask_alertmanagers(ChainParts(alertmanagers=(url,)), site())
    assert known.services == {}
    assert (known.fault or "").startswith(f"Alertmanager at {url} does not report its silences")
