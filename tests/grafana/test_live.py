"""Every query of every dashboard, asked of a real Prometheus after an incident."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from lab.lab import Lab
from lab.locum import HOME, Locum
from lab.trial import FAULTS, trial
from tests.grafana.shipped import QUERIES, ShippedQuery

pytestmark = pytest.mark.e2e

PROMETHEUS = "http://127.0.0.1:9090/api/v1"
STEP_SECONDS = 1

# Where nothing is what should be seen, and why.
_RESPAWNED = "the incident ended with a respawn, and nothing else was done, refused or failed"
_SHORT = "an incident may be over between two scrapes; what was done in it is counted, and marked"
MAY_BE_EMPTY: Mapping[str, str] = {
    "service: Certificate: A": "the lab's site is served without TLS",
    "service: TCP connection: A": "the lab's service has no tcp check",
    "service: Hooks that failed: A": "the lab's service has no hooks",
    "service: Refusals: A": _RESPAWNED,
    "site: What the actuator did: E": _RESPAWNED,
    "site: What the actuator did: F": "nobody asked for a planned move",
    "site: Checks that fail now: A": "everything is well again",
    **{
        f"{dashboard}: mark '{mark}': A": reason
        for dashboard in ("site", "service", "chain")
        for mark, reason in {
            "incident open": _SHORT,
            "address claimed": _RESPAWNED,
            "takeover": _RESPAWNED,
            "step failed": _RESPAWNED,
            "refused": _RESPAWNED,
        }.items()
    },
}


# An alert has the labels of what it is about; a look for the address's owner is at no host.
MAY_LACK: Mapping[str, set[str]] = {
    "site: Alerts: A": {"service", "host"},
    "service: Seconds that checks took: A": {"host"},
    "service: Why checks failed: A": {"host"},
}


@pytest.fixture(scope="module")
def after_an_incident() -> Iterator[tuple[Locum, float]]:
    """A lab in which Apache was killed and respawned, and the time from which on it was watched."""
    with Lab() as lab, Locum(lab) as locum:
        since = time.time()
        assert trial(lab, locum, FAULTS["killed"]).faults() == []
        time.sleep(12)  # Prometheus and Alertmanager are scraped every 5 s: two samples make a rate
        yield locum, since


def _ask(locum: Locum, query: ShippedQuery, since: float) -> list[dict[str, Any]]:
    """Return a query's series: now, or over the time since `since`."""
    now = time.time()
    if query.instant:
        path, form = "query", {"time": now}
    else:
        path, form = "query_range", {"start": since, "end": now, "step": STEP_SECONDS}
    words = ["--data-urlencode", f"query={query.filled}"]
    for key, value in form.items():
        words += ["--data-urlencode", f"{key}={value:.3f}"]
    done = locum.lab.run(HOME, ["curl", "-sS", "--max-time", "5", "-G", f"{PROMETHEUS}/{path}", *words])
    answer = json.loads(done.stdout)
    assert answer["status"] == "success", f"{query.name}: {answer.get('error')}\n{query.filled}"
    series: list[dict[str, Any]] = answer["data"]["result"]
    return series


def _has_a_number(series: Any) -> bool:
    values = series["values"] if "values" in series else [series["value"]]
    return any(value != "NaN" for _, value in values)


def test_every_panel_shows_something_after_an_incident(after_an_incident: tuple[Locum, float]) -> None:
    locum, since = after_an_incident
    counts = {query.name: sum(_has_a_number(one) for one in _ask(locum, query, since)) for query in QUERIES}
    for name, count in counts.items():
        print(f"{count:4d}  {name}{'' if count else ': ' + MAY_BE_EMPTY.get(name, 'SHOULD NOT BE EMPTY')}")
    assert [name for name, count in counts.items() if not count and name not in MAY_BE_EMPTY] == []


def test_every_label_that_is_shown_is_there(after_an_incident: tuple[Locum, float]) -> None:
    locum, since = after_an_incident
    lacking = {
        query.name: missing
        for query in QUERIES
        for one in _ask(locum, query, since)
        if (missing := query.labels - set(one["metric"]) - MAY_LACK.get(query.name, set()))
    }
    assert lacking == {}


def test_a_fault_is_told_from_a_standby_that_is_stopped(after_an_incident: tuple[Locum, float]) -> None:
    """1 is well, 0 fails, 2 is a standby that does not answer and should not."""
    locum, since = after_an_incident
    (query,) = [query for query in QUERIES if query.name == "site: Every check on every host: A"]
    seen = {
        (one["metric"]["host"], one["metric"]["check"]): [value for _, value in one["values"]]
        for one in _ask(locum, query, since)
    }
    assert set(seen) == {(host, check) for host in "ab" for check in ("http", "process")}
    assert set(seen["a", "http"]) == {"0", "1"}
    assert seen["a", "http"][-1] == "1"
    assert set(seen["b", "http"]) == set(seen["b", "process"]) == {"2"}


def test_those_that_may_be_empty_are_queries_that_exist() -> None:
    assert set(MAY_BE_EMPTY) <= {query.name for query in QUERIES}
