"""Check the parts of the chain once: exporters, Prometheus and its rules, every Alertmanager."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import aiohttp
import yaml

from locum_actuator.chain.access import Access
from locum_actuator.chain.runbook_link import OF_THE_ACTUATOR, runbook_link
from locum_actuator.chain.samples import judge_samples
from locum_exporter.net.os_errors import text_of_os_error
from locum_inventory.shared_files import shared
from locum_inventory.site.model import ChainParts, Site

LOOK_SECONDS = 1.5  # for one part to answer; a slower part is not reliable
_MAX_BYTES = 8 * 1024 * 1024  # of Prometheus's answer about its rules, which includes every firing alert
_NAMED_AT_MOST = 3


@dataclass(frozen=True, slots=True)
class PartHealth:
    """The result of one check of one part. `up` is None if the check could not run."""

    up: bool | None
    text: str


@dataclass(frozen=True, slots=True)
class ChainEndpoints:
    """The URLs of the parts of the chain."""

    exporters: Mapping[str, str]  # vantage point -> URL
    parts: ChainParts
    runbook: str = OF_THE_ACTUATOR  # its URL

    @classmethod
    def of(cls, site: Site, parts: ChainParts | None = None) -> ChainEndpoints:
        """Return the chain of a site; `parts` replaces the values of the site file."""
        exporters = {name: point.url for name, point in site.vantage_points.items()}
        return cls(exporters, parts or site.chain, runbook_link(site))


def looking_session() -> aiohttp.ClientSession:
    """Return a session for checks: no proxies, no kept connections, one total deadline."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(force_close=True),
        timeout=aiohttp.ClientTimeout(total=LOOK_SECONDS),
        trust_env=False,
    )


async def look(session: aiohttp.ClientSession, chain: ChainEndpoints) -> dict[str, PartHealth]:
    """Check all parts at the same time, and return the results by the part's name; raises nothing."""
    access = Access(chain.parts)
    questions = {
        **{f"exporter {name}": f"{url}/-/healthy" for name, url in chain.exporters.items()},
        "prometheus": f"{chain.parts.prometheus}/-/ready",
        **{_alertmanager(url): f"{url}/-/ready" for url in chain.parts.alertmanagers},
    }
    answers, rules, samples = await asyncio.gather(
        asyncio.gather(
            *(
                _answers(session, url, None if name.startswith("exporter ") else access)
                for name, url in questions.items()
            )
        ),
        _rules(session, chain.parts.prometheus, access),
        _samples(session, chain.parts.prometheus, access),
    )
    seen = {**dict(zip(questions, answers, strict=True)), "rules": rules}
    return seen if samples is None else {**seen, "samples": samples}


def _alertmanager(url: str) -> str:
    return f"alertmanager {url.partition('://')[2]}"


async def _answers(session: aiohttp.ClientSession, url: str, access: Access | None) -> PartHealth:
    try:
        shown = {} if access is None else access.options(url)
        async with session.get(url, allow_redirects=False, **shown) as answer:
            if answer.status != 200:
                return PartHealth(False, f"answers {answer.status} at {url}")
    except (aiohttp.ClientError, OSError, ValueError, TimeoutError) as fault:
        return PartHealth(False, f"does not answer at {url} ({_why(fault)})")
    return PartHealth(True, f"answers at {url}")


def _why(fault: Exception) -> str:
    if isinstance(fault, TimeoutError):
        return f"no answer within {LOOK_SECONDS:g} s"
    if isinstance(fault, aiohttp.ClientConnectorError):
        return text_of_os_error(fault.os_error)
    return type(fault).__name__


async def _samples(session: aiohttp.ClientSession, prometheus: str, access: Access) -> PartHealth | None:
    """Check whether Prometheus stores what it scrapes; None if its answer does not show that."""
    try:
        url = f"{prometheus}/metrics"
        async with session.get(url, allow_redirects=False, **access.options(url)) as answer:
            body = await _body(answer) if answer.status == 200 else b""
            found = judge_samples(body.decode("utf-8", "replace"), answer.headers.get("Date"))
    except (aiohttp.ClientError, OSError, ValueError, TimeoutError):
        return None
    return None if found is None else PartHealth(*found)


async def _body(answer: aiohttp.ClientResponse) -> bytes:
    """Return the body of an answer, up to a bound."""
    body = await answer.content.read(_MAX_BYTES)
    while len(body) < _MAX_BYTES and (more := await answer.content.readany()):
        body += more
    return body


async def _rules(session: aiohttp.ClientSession, prometheus: str, access: Access) -> PartHealth:
    """Check that Prometheus has all of locum's rules and can evaluate them."""
    url = f"{prometheus}/api/v1/rules"
    try:
        async with session.get(url, allow_redirects=False, **access.options(url)) as answer:
            body = await _body(answer) if answer.status == 200 else b""
        if answer.status != 200:
            return PartHealth(None, f"could not check: {url} answers {answer.status}")
        return judge_rules(json.loads(body))
    except (aiohttp.ClientError, OSError, ValueError, TimeoutError) as fault:
        return PartHealth(None, f"could not check: {url} does not answer ({_why(fault)})")


def judge_rules(answer: Any) -> PartHealth:
    """Evaluate an answer of `/api/v1/rules`; ValueError if it is not a list of rules."""
    try:
        loaded = {
            (group["name"], rule["name"]): rule
            for group in answer["data"]["groups"]
            for rule in group["rules"]
        }
        wanted = shipped_rules()
        missing = [key for key in wanted if key not in loaded]
        faulty = [key for key in wanted if key in loaded and loaded[key]["health"] == "err"]
    except (KeyError, TypeError) as fault:
        raise ValueError("not an answer of Prometheus") from fault
    if len(missing) == len(wanted):
        return PartHealth(False, "Prometheus has none of locum's rules: `locum generate rules` prints them")
    if missing:
        return PartHealth(False, f"Prometheus lacks {_named(missing)}: `locum generate rules` prints all")
    if faulty:
        last = loaded[faulty[0]].get("lastError") or "no reason given"
        return PartHealth(False, f"Prometheus cannot evaluate {_named(faulty)}: {last}")
    return PartHealth(True, f"Prometheus has all {len(wanted)} of them")


def _named(rules: list[tuple[str, str]]) -> str:
    names = [f"{group}/{rule}" for group, rule in rules[:_NAMED_AT_MOST]]
    more = len(rules) - len(names)
    return ", ".join(names) + (f" and {more} more" if more else "")


@cache
def shipped_rules() -> tuple[tuple[str, str], ...]:
    """Return the group and name of every rule that ships with locum."""
    groups = yaml.safe_load(shared("alert_rules/locum.rules.yml").read_text(encoding="utf-8"))["groups"]
    keys = (
        (group["name"], rule.get("alert") or rule["record"]) for group in groups for rule in group["rules"]
    )
    return tuple(dict.fromkeys(keys))
