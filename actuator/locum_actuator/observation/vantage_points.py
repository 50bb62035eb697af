"""Ask the exporters of other vantage points to run checks now."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from locum_actuator.domain.situation import CheckOutcome
from locum_exporter.probe_request import through_checks
from locum_exporter.result import Outcome, gravest_reason, outcome_of, service_outcome
from locum_inventory.site.model import Service

NOT_ASKED = "exporter"  # not a reason of the exporter: it could not be asked, or its answer cannot be parsed
_MARGIN_SECONDS = 0.1  # the exporter's own deadline ends before ours
_MAX_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class Answer:
    """The result of one vantage point: of the service checks, and of a ping of the host."""

    look: CheckOutcome
    echo: Outcome


def asking_session() -> aiohttp.ClientSession:
    """Return a session for asking exporters: no proxies, no kept connections."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(force_close=True), trust_env=False, auto_decompress=False
    )


async def ask(
    session: aiohttp.ClientSession,
    vantage_point: str,
    url: str,
    *,
    name: str,
    service: Service,
    host: str,
    deadline_seconds: float,
) -> Answer:
    """Ask one exporter to run the deciding checks of a service on a host, and to ping the host."""
    deciding = [{"check": check, "service": name, "host": host} for check in service.checks.deciding]
    questions = [*deciding, {"check": "ping", "host": host}]
    reasons = await asyncio.gather(
        *(_probe(session, url, question, deadline_seconds) for question in questions)
    )
    *checks, ping = reasons
    return Answer(_look(vantage_point, service.checks.deciding, checks), outcome_of(ping))


async def ask_through(
    session: aiohttp.ClientSession,
    vantage_point: str,
    url: str,
    *,
    name: str,
    service: Service,
    deadline_seconds: float,
) -> CheckOutcome:
    """Ask one exporter to run the deciding checks of a service through its addresses.

    No host is named, so that an exporter that does not know `through` refuses instead of checking a host.
    """
    checks = through_checks(service)
    reasons = await asyncio.gather(
        *(
            _probe(session, url, {"check": check, "service": name, "through": "address"}, deadline_seconds)
            for check in checks
        )
    )
    return _look(vantage_point, checks, reasons)


async def hears(session: aiohttp.ClientSession, url: str, host: str, deadline_seconds: float) -> Outcome:
    """Ask one exporter whether a host returns its echo."""
    return outcome_of(await _probe(session, url, {"check": "ping", "host": host}, deadline_seconds))


def _look(vantage_point: str, checks: Sequence[str], reasons: Sequence[str | None]) -> CheckOutcome:
    """Join one exporter's results of all deciding checks of a service."""
    outcomes = [service_outcome(check, reason) for check, reason in zip(checks, reasons, strict=True)]
    for outcome, verb in ((Outcome.FAILED, "failed"), (Outcome.NOT_LOOKED, "could not be checked")):
        found = [index for index, one in enumerate(outcomes) if one is outcome]
        if found:
            text = ", ".join(f"{checks[index]} {verb} ({reasons[index]})" for index in found)
            reason = gravest_reason(reasons[index] for index in found)
            return CheckOutcome(vantage_point, outcome, text, reason)
    return CheckOutcome(vantage_point, Outcome.WELL, "answers")


async def _probe(
    session: aiohttp.ClientSession, url: str, question: Mapping[str, str], deadline_seconds: float
) -> str | None:
    """Return the reason why a check did not succeed, None if it did."""
    headers = {"X-Prometheus-Scrape-Timeout-Seconds": f"{deadline_seconds:.3f}"}
    timeout = aiohttp.ClientTimeout(total=deadline_seconds + _MARGIN_SECONDS)
    try:
        async with session.get(
            f"{url.rstrip('/')}/probe",
            params=question,
            headers=headers,
            timeout=timeout,
            allow_redirects=False,
        ) as response:
            if response.status != 200:
                return NOT_ASKED
            body = await response.content.read(_MAX_BYTES)
        return reason_in(body.decode())
    except Exception:
        # Any other answer of an exporter, of any version, shows nothing about the target.
        return NOT_ASKED


def reason_in(exposition: str) -> str | None:
    """Return the failure reason in an answer of `/probe`, None if the check succeeded.

    Success and reason must agree. An answer with neither, or with both, shows nothing about the target.
    """
    success: float | None = None
    reason: str | None = None
    for family in text_string_to_metric_families(exposition):
        for sample in family.samples:
            if sample.name == "locum_check_success":
                success = sample.value
            elif sample.name == "locum_check_failure" and sample.value == 1:
                reason = sample.labels.get("reason")
    if success == 1 and reason is None:
        return None
    if reason is None or (success != 0 and outcome_of(reason) is not Outcome.NOT_LOOKED):
        return NOT_ASKED
    return reason
