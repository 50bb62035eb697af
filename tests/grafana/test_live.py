"""Every query of every dashboard and every rule, asked of a real Prometheus after an incident."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

from grafana.metrics_asked import StoredMetrics
from grafana.prometheus import Prometheus, Series, Window, last, variables
from grafana.shipped import QUERIES, ShippedQuery
from lab.forward import Forwarder
from lab.lab import Lab
from lab.locum import HOME
from lab.mirrored import MirroredLocum
from lab.seen import credentials
from lab.trial import FAULTS, trial

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]
# An alert has the labels of what it is about; a check for the address's owner is about no host.
MAY_LACK: Mapping[str, set[str]] = {
    "site: Alerts: A": {"service", "host"},
    "service: Duration of checks: A": {"host"},
    "service: Why checks failed: A": {"host"},
    "site: Copies of the data: A": {"outcome"},  # of another query of the same table
    "site: Copies of the data: B": {"outcome"},
}
# What the incident of this lab leaves to be seen, though it may be empty elsewhere.
HAPPENED = ("service: mark 'respawn'", "site: Alerts", "service: Votes against a host", "service: Copies now")


@dataclass(frozen=True, slots=True)
class Seen:
    """A lab's Prometheus, after an incident."""

    locum: MirroredLocum
    url: str
    since: float

    def prometheus(self) -> Prometheus:
        """Return it to be asked, with the password and the certificate that `locum up` made for it."""
        state = self.locum.lab.hosts[HOME].root / "var/lib/locum"
        return Prometheus(self.url, state / "chain/web.password", state / "tls/chain.crt")

    def series(self, query: ShippedQuery) -> list[Series]:
        window = Window(self.since, time.time())
        with self.prometheus() as prometheus:
            return prometheus.series(query, variables(prometheus, window), window)

    def program(self, name: str, *words: str) -> subprocess.CompletedProcess[str]:
        """Run one of the programs as a person does."""
        return subprocess.run(
            [sys.executable, "-m", f"grafana.{name}", "--prometheus", self.url,
             *credentials(self.locum.lab.hosts[HOME]), *words],
            cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip


@pytest.fixture(scope="module")
def seen() -> Iterator[Seen]:
    """A lab with a mirror in which Apache was killed and respawned."""
    with Lab() as lab, MirroredLocum(lab) as locum, Forwarder() as forwarder:
        since = time.time()
        locum.wait_holder()
        locum.write("a", {"index.html": "one"})
        locum.command("mirror", "www", "--mark")
        locum.command("mirror", "www")
        assert trial(lab, locum, FAULTS["killed"]).faults() == []
        time.sleep(12)  # Prometheus and Alertmanager are scraped every 5 s: two samples make a rate
        url = forwarder.forward(lab.hosts[HOME], 9090).url.replace("http://", "https://", 1)
        yield Seen(locum, url, since)


def test_no_panel_is_empty_that_should_not_be_and_every_rule_is_evaluated(seen: Seen) -> None:
    done = seen.program("ask", "--seconds", f"{time.time() - seen.since:.0f}", "--json")
    assert done.stderr == ""
    printed = json.loads(done.stdout)
    assert [row for row in printed["rules"] if row["fault"]] == []
    empty = {
        f"{row['dashboard']}: {row['panel']}: {row['ref']}": row
        for row in printed["panels"]
        if not row["series"]
    }
    assert [name for name, row in empty.items() if not row["may_be_empty"]] == []
    assert [name for name in empty if name.startswith(HAPPENED)] == []
    assert done.returncode == 0
    with seen.prometheus() as prometheus:
        loaded = prometheus.rules()
    assert len(printed["rules"]) == sum(len(group["rules"]) for group in loaded) > 50


def test_a_rule_about_nothing_would_be_seen(seen: Seen) -> None:
    """The rules of the lab are those shipped, so one of another metric is asked for here."""
    with seen.prometheus() as prometheus:
        stored = StoredMetrics(prometheus, last(60))
        assert stored.missing("up == 0 and nothing_of_ours > 0") == ["nothing_of_ours"]


def test_every_label_that_is_shown_is_there(seen: Seen) -> None:
    lacking = {
        query.name: missing
        for query in QUERIES
        for one in seen.series(query)
        if (missing := query.labels - set(one.labels) - MAY_LACK.get(query.name, set()))
    }
    assert lacking == {}


def test_a_fault_is_told_from_a_standby_that_is_stopped(seen: Seen) -> None:
    """1 is well, 0 fails, 2 is a standby that does not answer and should not."""
    checks = {
        (one.labels["host"], one.labels["check"]): [value for _, value in one.points]
        for one in seen.series(_query("site: Every check on every host: A"))
    }
    assert set(checks) == {(host, check) for host in "ab" for check in ("http", "process")}
    assert set(checks["a", "http"]) == {0, 1}
    assert checks["a", "http"][-1] == 1
    assert set(checks["b", "http"]) == set(checks["b", "process"]) == {2}


def test_the_outage_is_counted(seen: Seen) -> None:
    """Apache was away for less than a second or two: looked at once a second, it counts as no more than three."""
    (seconds,) = seen.series(_query("service: Without service: A"))
    (share,) = seen.series(_query("service: Available: A"))
    assert 0 <= seconds.points[0][1] <= 3
    assert share.points[0][1] == pytest.approx(1, abs=3 / 20)
    (course,) = seen.series(_query("service: The service: A"))
    assert {value for _, value in course.points} <= {0, 1}
    assert course.points[-1][1] == 0


def test_the_copy_is_seen(seen: Seen) -> None:
    (files,) = seen.series(_query("service: Copies now: E"))
    assert (files.labels["host"], files.points[0][1]) == ("b", 2)  # the page, and its directory
    (outcome,) = seen.series(_query("site: Copies of the data: C"))
    assert outcome.labels == {"service": "www", "host": "b", "outcome": "done"}


def test_it_can_be_drawn(seen: Seen, tmp_path: Path) -> None:
    picture = tmp_path / "service.png"
    done = seen.program("draw", "--from", f"{seen.since:.0f}", "--output", str(picture))
    assert done.returncode == 0, (
        done.stderr
    )  # which may report that matplotlib searches its fonts, the first time
    with Image.open(picture) as drawn:
        assert drawn.width == 1320
    assert 30_000 < picture.stat().st_size < 200_000


def _query(name: str) -> ShippedQuery:
    (query,) = [query for query in QUERIES if query.name == name]
    return query
