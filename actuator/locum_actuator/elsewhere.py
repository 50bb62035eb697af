"""What other vantage points see, asked of their exporters just now."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from locum_actuator.situation import Look
from locum_inventory.model import Service

_MARGIN_SECONDS = 0.1  # the exporter's own deadline ends before ours
_MAX_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class Answer:
    """What one vantage point saw: the service, and whether the host returned its echo (None: could not look)."""

    look: Look
    pinged: bool | None


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
    """Ask one exporter for the deciding checks of a service on a host, and for a ping of the host."""
    headers = {"X-Prometheus-Scrape-Timeout-Seconds": f"{deadline_seconds:.3f}"}
    deciding = [{"check": check, "service": name, "host": host} for check in service.checks.deciding]
    questions = [*deciding, {"check": "ping", "host": host}]
    timeout = aiohttp.ClientTimeout(total=deadline_seconds + _MARGIN_SECONDS)
    answers = await asyncio.gather(
        *(_probe(session, f"{url.rstrip('/')}/probe", question, headers, timeout) for question in questions)
    )
    *checks, ping = answers
    if any(answer is None for answer in checks):
        return Answer(Look(vantage_point, None, "its exporter could not be asked"), ping)
    failed = [question["check"] for question, well in zip(deciding, checks, strict=True) if not well]
    text = f"{', '.join(failed)} failed" if failed else "answers"
    return Answer(Look(vantage_point, not failed, text), ping)


async def hears(session: aiohttp.ClientSession, url: str, host: str, deadline_seconds: float) -> bool:
    """Ask one exporter whether a host returns its echo; one that cannot say so does not hear it."""
    headers = {"X-Prometheus-Scrape-Timeout-Seconds": f"{deadline_seconds:.3f}"}
    timeout = aiohttp.ClientTimeout(total=deadline_seconds + _MARGIN_SECONDS)
    question = {"check": "ping", "host": host}
    return bool(await _probe(session, f"{url.rstrip('/')}/probe", question, headers, timeout))


async def _probe(
    session: aiohttp.ClientSession,
    url: str,
    question: dict[str, str],
    headers: dict[str, str],
    timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - aiohttp's own, one total deadline
) -> bool | None:
    """Return whether a check succeeded there, or None where that could not be learnt."""
    try:
        async with session.get(
            url, params=question, headers=headers, timeout=timeout, allow_redirects=False
        ) as response:
            if response.status != 200:
                return None
            body = await response.content.read(_MAX_BYTES)
        for family in text_string_to_metric_families(body.decode()):
            for sample in family.samples:
                if sample.name == "locum_check_success":
                    return bool(sample.value == 1)
    except Exception:
        # Whatever an exporter answers, of whatever version: what it does not say is not known.
        return None
    return None
