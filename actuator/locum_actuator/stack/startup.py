"""Start the parts of the chain in order, and report progress."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp

from locum_actuator.chain.access import Access
from locum_actuator.stack.layout import StackLayout
from locum_actuator.stack.supervisor import Child, Program, Say, Supervisor
from locum_inventory.errors import LocumError

_ASK_EVERY_SECONDS = 0.1
_ANSWER_SECONDS = 2.0
_PART_SECONDS = 30.0  # for a program to answer at all
_SAY_AGAIN_SECONDS = 30.0
_ENDS_TO_GIVE_UP = 3  # a program that ends this often while it starts will not recover
_NEVER = "0001-01-01T00:00:00Z"  # how Prometheus writes "never"


class StartupError(LocumError):
    """The chain cannot be started; the text has the reason and what to do."""


@dataclass(frozen=True, slots=True)
class Scraped:
    """The number of targets that Prometheus has scraped so far."""

    done: int
    of: int
    failing: tuple[str, ...]  # one line for each target whose scrape failed

    @property
    def complete(self) -> bool:
        """Whether every target was scraped once, successfully or not."""
        return 0 < self.of <= self.done


class Readiness:
    """Start the chain and wait until it is ready."""

    def __init__(self, stack: StackLayout, supervisor: Supervisor, say: Say) -> None:
        self._stack = stack
        self._access = Access(stack.parts)
        self._supervisor = supervisor
        self._say = say

    async def start(self, programs: Sequence[Program]) -> None:
        """Start the programs and wait until the chain works. Raises `StartupError` if one does not start.

        Once all parts answer there is no deadline: a chain without a heartbeat is better than none, and reports
        what is missing.
        """
        timeout = aiohttp.ClientTimeout(total=_ANSWER_SECONDS)
        async with aiohttp.ClientSession(timeout=timeout, trust_env=False) as http:
            self._http = http
            stack, by_name = self._stack, {program.name: program for program in programs}
            exporter, actuator, alertmanager = (
                self._supervisor.start(by_name[name]) for name in ("exporter", "actuator", "alertmanager")
            )
            await self._answers(exporter, f"{stack.exporter.url}/-/healthy")
            self._say(f"exporter answers at {stack.exporter.url}")
            # Only now, because Prometheus asks the exporter for its targets at once, and again only after seconds.
            prometheus = self._supervisor.start(by_name["prometheus"])
            await self._answers(actuator, f"{stack.actuator.url}/-/healthy")
            self._say(f"actuator answers at {stack.actuator.url}")
            await self._answers(alertmanager, f"{stack.alertmanager_urls[0]}/-/ready")
            self._say(f"Alertmanager ready at {stack.alertmanager_urls[0]}")
            await self._answers(prometheus, f"{stack.prometheus_url}/-/ready")
            self._say(f"Prometheus ready at {stack.prometheus_url}")
            await self._patiently("targets not yet scraped", self._targets_missing)
            scraped = await self._scraped()
            self._say(f"Prometheus: {scraped.done} of {scraped.of} targets scraped")
            for line in scraped.failing:
                self._say(f"  not answering: {line}")
            await self._patiently("the actuator is not ready", self._actuator_unready)
            self._say("actuator ready: the heartbeat arrived through Prometheus and Alertmanager")
            await self._say_that_it_is_up()

    async def _say_that_it_is_up(self) -> None:
        """Report that locum is up once every gate was asked, and name the hosts on which it can do nothing."""
        faults: dict[str, str | None] = {}

        async def not_asked() -> str | None:
            answer = await self._json(f"{self._stack.actuator.url}/api/v1/services")
            services = answer["services"] if isinstance(answer, dict) else []
            for row in services:
                faults.update(row["gate_faults"])
            missing = sorted({host for row in services for host in row["hosts"]} - faults.keys())
            return None if services and not missing else f"the gate of {', '.join(missing) or 'each host'}"

        await self._patiently("not asked yet", not_asked)
        silent = {host: fault for host, fault in faults.items() if fault is not None}
        for host, fault in silent.items():
            self._say(f"  {host}: its gate does not answer: {fault}: run `locum enrol {host}`")
        if silent:
            self._say(
                f"locum is up, but cannot act on {' and '.join(silent)}; `locum check --live` has details"
            )
        else:
            self._say("locum is up")

    async def _answers(self, child: Child, url: str) -> None:
        end = time.monotonic() + _PART_SECONDS
        while await self._status(url) != 200:
            name = child.program.name
            if child.ends >= _ENDS_TO_GIVE_UP:
                raise StartupError(f"{name} does not start: it {child.last_end} ({child.log.path})")
            if time.monotonic() > end:
                raise StartupError(
                    f"{name} did not answer at {url} within {_PART_SECONDS:g} s; its log: {child.log.path}"
                )
            await asyncio.sleep(_ASK_EVERY_SECONDS)

    async def _patiently(self, what: str, missing: Callable[[], Awaitable[str | None]]) -> None:
        said = time.monotonic()
        while (why := await missing()) is not None:
            if time.monotonic() - said > _SAY_AGAIN_SECONDS:
                self._say(f"still waiting: {what}: {why}")
                said = time.monotonic()
            await asyncio.sleep(_ASK_EVERY_SECONDS)

    async def _targets_missing(self) -> str | None:
        scraped = await self._scraped()
        return None if scraped.complete else f"{scraped.done} of {scraped.of}"

    async def _scraped(self) -> Scraped:
        """Return how many of all targets were scraped: the exporter's targets and the parts of the chain."""
        stack = self._stack
        listed = await self._json(f"{stack.exporter.url}/sd")
        answer = await self._json(f"{stack.prometheus_url}/api/v1/targets?state=active")
        if not isinstance(listed, list) or not isinstance(answer, dict):
            return Scraped(0, 0, ())
        # the own metrics of actuator, Prometheus, every Alertmanager and every exporter
        own = 2 + len(stack.alertmanagers) + len(stack.exporter_urls)
        active = [
            target
            for target in answer["data"]["activeTargets"]
            if target["labels"]["job"].startswith("locum-") and target["lastScrape"] != _NEVER
        ]
        failing = [f"{t['scrapeUrl']}: {t['lastError']}" for t in active if t["health"] == "down"]
        return Scraped(len(active), sum(len(entry["targets"]) for entry in listed) + own, tuple(failing))

    async def _actuator_unready(self) -> str | None:
        url = f"{self._stack.actuator.url}/-/ready"
        try:
            async with self._http.get(url) as answer:
                return None if answer.status == 200 else (await answer.text()).strip()
        except (aiohttp.ClientError, TimeoutError) as fault:
            return f"{url} does not answer ({type(fault).__name__})"

    async def _status(self, url: str) -> int:
        try:
            async with self._http.get(url, **self._access.options(url)) as answer:
                return answer.status
        except (aiohttp.ClientError, OSError, TimeoutError):
            return 0

    async def _json(self, url: str) -> Any:
        try:
            async with self._http.get(url, **self._access.options(url)) as answer:
                return await answer.json() if answer.status == 200 else None
        except (aiohttp.ClientError, TimeoutError, ValueError):
            return None
