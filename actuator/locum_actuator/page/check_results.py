"""Read the last result of each check from Prometheus; no new checks are made."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import requests

from locum_actuator.chain.access import ANSWER_SECONDS, Access
from locum_exporter.result import Outcome, service_outcome
from locum_inventory.site.model import ChainParts

_QUERY = '{__name__=~"locum_check_success|locum_check_failure",host!=""}'

Key = tuple[str | None, str, str]  # service (None: the host's own), host, check


@dataclass(frozen=True, slots=True)
class Vote:
    """The last result of one vantage point. `reason` is the exporter's reason for a failure."""

    vantage_point: str
    outcome: Outcome
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Votes:
    """The results of all vantage points; `fault` is the reason if there are none."""

    votes: Mapping[Key, tuple[Vote, ...]] = field(default_factory=dict)
    fault: str | None = "not asked yet"
    at: float = 0.0  # time of the query, in seconds since the epoch; each sample is up to one interval older


def ask_prometheus(parts: ChainParts) -> Votes:
    """Return the last sample of every check; raises nothing."""
    asked_at, url = time.time(), parts.prometheus
    try:
        with Access(parts).session(url) as session:
            answer = session.get(
                f"{url}/api/v1/query", params={"query": _QUERY}, timeout=ANSWER_SECONDS, allow_redirects=False
            )
            answer.raise_for_status()
            return replace(read_votes(answer.json()), at=asked_at)
    except (requests.exceptions.RequestException, OSError, ValueError) as fault:
        return Votes(fault=f"Prometheus at {url} does not answer ({type(fault).__name__})")


def read_votes(answer: Any) -> Votes:
    """Read an instant vector; ValueError if the answer is not one."""
    success: dict[tuple[Key, str], bool] = {}
    reasons: dict[tuple[Key, str], str] = {}
    try:
        for series in answer["data"]["result"]:
            labels = series["metric"]
            key = (labels.get("service"), labels["host"], labels["check"])
            about = (key, labels["vantage_point"])
            if labels["__name__"] == "locum_check_success":
                success[about] = float(series["value"][1]) == 1
            else:
                reasons[about] = labels["reason"]
    except (KeyError, TypeError, IndexError) as fault:
        raise ValueError("not an answer of Prometheus") from fault
    found: dict[Key, tuple[Vote, ...]] = {}
    for key, point in sorted(success.keys() | reasons.keys(), key=lambda about: about[1]):
        found[key] = (
            *found.get(key, ()),
            _vote(key[2], point, success.get((key, point)), reasons.get((key, point))),
        )
    return Votes(found, None)


def _vote(check: str, point: str, success: bool | None, reason: str | None) -> Vote:
    """Return the outcome by its reason: older exporters report a failure when they could not check."""
    if success is None and reason is None:
        return Vote(point, Outcome.NOT_LOOKED)
    if reason is None:
        return Vote(point, Outcome.WELL if success else Outcome.FAILED)
    return Vote(point, service_outcome(check, reason), reason)
