"""A Prometheus, queried as the dashboards query it."""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit

import requests

from grafana.shipped import ShippedQuery

USER = "locum"
ANSWER_SECONDS = 30.0  # of one request; a query over a day takes some


class PrometheusError(Exception):
    """Prometheus did not answer, or refused to."""


@dataclass(frozen=True, slots=True)
class Series:
    """One series: its labels, and (time.time(), value) in the order of time; values may be NaN."""

    labels: Mapping[str, str]
    points: Sequence[tuple[float, float]]

    @property
    def has_a_number(self) -> bool:
        """Whether there is anything to draw."""
        return any(not math.isnan(value) for _, value in self.points)


@dataclass(frozen=True, slots=True)
class Window:
    """The time range of a dashboard, in seconds since 1970."""

    begin: float
    end: float

    @property
    def seconds(self) -> float:
        """How long it is."""
        return self.end - self.begin


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options for the Prometheus to query to a program."""
    parser.add_argument("--prometheus", metavar="URL", default="http://127.0.0.1:9090")
    parser.add_argument(
        "--password-file", type=Path, metavar="FILE", help="its password, needed with `locum up`"
    )
    parser.add_argument("--ca-file", type=Path, metavar="FILE", help="the certificate to verify it with")


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").strip()
    except OSError as fault:
        raise PrometheusError(f"{file}: {fault.strerror}") from fault


class Prometheus:
    """A Prometheus by its address, such as http://127.0.0.1:9090.

    That of `locum up` wants the password in `password_file`, and its certificate is accepted by `ca_file`.
    """

    def __init__(self, url: str, password_file: Path | None = None, ca_file: Path | None = None) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise PrometheusError(
                f"'{url}' is not the address of a Prometheus, such as http://127.0.0.1:9090"
            )
        self.url = url.rstrip("/")
        self._session = requests.Session()
        self._session.trust_env = False  # no proxy between users and their own Prometheus
        if password_file is not None:
            self._session.auth = (USER, _read(password_file))
        if ca_file is not None:
            self._session.verify = str(ca_file)

    def __enter__(self) -> Prometheus:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def now(self, expr: str, at: float) -> list[Series]:
        """Return an expression's series at one moment; a number without labels is one series."""
        data = self._ask("query", {"query": expr, "time": f"{at:.3f}"})
        if data["resultType"] == "scalar":
            return [Series({}, [_point(data["result"])])]
        return [Series(row["metric"], [_point(row["value"])]) for row in data["result"]]

    def over(self, expr: str, window: Window, step_seconds: float) -> list[Series]:
        """Return an expression's series over a time."""
        form = {"query": expr, "start": f"{window.begin:.3f}", "end": f"{window.end:.3f}"}
        data = self._ask("query_range", {**form, "step": f"{step_seconds:.3f}"})
        return [Series(row["metric"], [_point(one) for one in row["values"]]) for row in data["result"]]

    def series(
        self, query: ShippedQuery, values: Mapping[str, str], window: Window, step_seconds: float = 1.0
    ) -> list[Series]:
        """Return what a dashboard's query shows: now, or over the window, as its panel asks."""
        expr = query.filled(values, step_seconds)
        try:
            if query.instant:
                return self.now(expr, window.end)
            return self.over(expr, window, step_seconds)
        except PrometheusError as fault:
            raise PrometheusError(f"{query.name}: {fault}") from None

    def label_values(self, metric: str, label: str) -> list[str]:
        """Return all values of a label of a metric, past and present, sorted."""
        found: list[str] = self._ask(f"label/{label}/values", {"match[]": metric})
        return sorted(found)

    def rules(self) -> list[dict[str, Any]]:
        """Return the groups of all loaded rules, as Prometheus lists them."""
        groups: list[dict[str, Any]] = self._ask("rules", {})["groups"]
        return groups

    def _ask(self, path: str, form: Mapping[str, str]) -> Any:
        try:
            url = f"{self.url}/api/v1/{path}"
            if path.startswith("query"):  # an expression may be longer than a URL
                answer = self._session.post(url, data=form, timeout=ANSWER_SECONDS)
            else:
                answer = self._session.get(url, params=form, timeout=ANSWER_SECONDS)
            reply = answer.json()
        except requests.JSONDecodeError:
            self._fail(f"{self.url} is not a Prometheus: it answered {answer.status_code} without JSON")
        except requests.RequestException as fault:
            self._fail(f"{self.url} does not answer: {_cause(fault)}")
        if not isinstance(reply, dict) or "status" not in reply:
            self._fail(f"{self.url} is not a Prometheus: it answered other JSON")
        if reply["status"] != "success":
            self._fail(f"Prometheus reports: {reply.get('error')}")
        return reply["data"]

    @staticmethod
    def _fail(text: str) -> NoReturn:
        raise PrometheusError(text) from None


def variables(prometheus: Prometheus, window: Window, service: str | None = None) -> dict[str, str]:
    """Return what a viewer would have in the dashboards' variables; of services the first, where none is named."""
    known = prometheus.label_values("locum_actuator_holder", "service")
    if not known:
        raise PrometheusError(f"{prometheus.url} has no service of locum: is it the right one?")
    if service is not None and service not in known:
        raise PrometheusError(f"there is no service '{service}': choose from {', '.join(known)}")
    return {
        "${datasource}": "locum",
        '=~"$service"': '=~".*"',  # where several may be chosen, all are
        "$service": service or known[0],
        "$__range": f"{max(1, round(window.seconds))}s",
    }


def last(seconds: float) -> Window:
    """Return the window that ends now."""
    end = time.time()
    return Window(end - seconds, end)


def _point(pair: Sequence[Any]) -> tuple[float, float]:
    return float(pair[0]), float(pair[1])


def _cause(fault: BaseException) -> str:
    """Return the innermost reason: the outer ones only state that a request failed."""
    while fault.__cause__ or fault.__context__:
        fault = fault.__cause__ or fault.__context__  # type: ignore[assignment]
    return str(getattr(fault, "strerror", None) or fault)
