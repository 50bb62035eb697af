"""Gather everything that a decision needs, at once and with the exporter's own checks.

The deadlines here are independent of Prometheus's scrapes. One event loop in its own thread serves all services;
nothing in it blocks, so a slow host does not delay the others. Gate calls block and run in a thread pool.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Any, TypeVar

import aiohttp

from locum_actuator.domain.life import Life
from locum_actuator.domain.ports import Confirmed, Gates
from locum_actuator.domain.reach import Reach
from locum_actuator.domain.situation import CheckOutcome, HostView, Situation
from locum_actuator.observation.address_owners import AddressOwners
from locum_actuator.observation.event_loop_lag import EventLoopLag, RecentLag
from locum_actuator.observation.gate_reports import GateReports
from locum_actuator.observation.host_checks import HostChecks
from locum_actuator.observation.last_check import LAST_QUESTION_SECONDS, check_for_life
from locum_actuator.observation.pings import few_echoes, ping_witnesses
from locum_actuator.observation.reach_check import look_through
from locum_actuator.observation.service_check import LocalChecks, look_seconds
from locum_actuator.observation.vantage_points import asking_session, hears
from locum_actuator.system import runtime
from locum_actuator.system.background import BackgroundThread, Health
from locum_exporter.net.icmp import Pinger
from locum_exporter.result import Outcome
from locum_inventory.site.model import Service, Site

_T = TypeVar("_T")

LATE_PAUSE_SECONDS = 0.02  # between two checks for a late echo
HEARS_SECONDS = 0.15  # for another vantage point's ping; the claim waits for its result
TURNS_SECONDS = 5.0  # the event loop has to run this long after a failure to count as healthy again
GRACE_SECONDS = 0.5  # on top of a check's own deadline, before a hung check is given up


def _command_seconds(service: Service) -> float:
    """Return how long the check command may take, in seconds; 0 without address commands."""
    return 0.0 if service.address_commands is None else service.address_commands.timeout


class HostObserver:
    """The actuator's checks, run on its own host."""

    def __init__(self, site: Site, gates: Gates, health: Health | None = None) -> None:
        self._site = site
        self._local = site.actuator.host
        self._loop = runtime.event_loop()
        workers = 4 * max(1, len(site.hosts)) * max(1, len(site.services))
        self._pool = runtime.pool(min(workers, 256), name="gate")
        self._pinger = Pinger()
        self._recent_lag = RecentLag()
        self._checks = LocalChecks(site, gates, self._pinger, self._pool)
        self._gates = GateReports(gates, self._pool)
        self._owners = AddressOwners(site, self._gates.macs, self._pool, self._recent_lag)
        self._hosts = HostChecks(site, self._pinger, self._gates, self._checks, self._recent_lag)
        self._health = health or Health()
        self._thread = BackgroundThread("evidence", self._turn_loop, self._health)
        self._thread.start()

    def _turn_loop(self) -> None:
        """Run the event loop until the end, and restart it if it stops: all checks depend on it."""
        while not self._thread.ended.is_set():
            self._loop.call_later(TURNS_SECONDS, self._health.succeeded, self._thread.name)
            self._loop.run_forever()

    def close(self) -> None:
        """Stop all checks and close the sockets."""

        async def tidy() -> None:
            self._pinger.close()
            self._owners.close()

        with contextlib.suppress(TimeoutError):
            self._run(tidy(), 1.0)
        self._thread.end()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(1.0)
        if not self._thread.is_alive():
            self._loop.close()
        self._pool.shutdown(wait=False, cancel_futures=True)

    # -- what steps ask ----------------------------------------------------------------------------------------

    def service_on(self, service: str, host: str) -> CheckOutcome:
        """Run the deciding checks against a host's own address, from here."""
        work = self._checks.run(service, self._site.hosts[host].address, host)
        try:
            return self._run(work, look_seconds(self._site.services[service]) + GRACE_SECONDS)
        except TimeoutError as late:
            return self._busy(late)

    def reach(self, service: str) -> Reach | None:
        """Run the deciding checks through the service addresses, from here and from every other vantage point."""

        async def look() -> Reach | None:
            async with asking_session() as session, EventLoopLag() as lag:
                return lag.discount_reach(await self._reach(service, session), self._local)

        try:
            return self._run(look(), look_seconds(self._site.services[service]) + 2 * GRACE_SECONDS)
        except TimeoutError as late:
            return Reach((self._busy(late),))

    async def _reach(self, service: str, session: aiohttp.ClientSession) -> Reach | None:
        seconds = look_seconds(self._site.services[service])
        return await look_through(
            session, self._site, service, lambda address: self._checks.run(service, address, None), seconds
        )

    def confirm(self, service: str, silent: str | None = None) -> Confirmed:
        """Check witnesses, address owners and, from other vantage points, a silent host, all at once."""

        async def gather() -> Confirmed:
            witnesses, owners, echoes = await asyncio.gather(
                self._witnesses(), self._owners.ask(service), self._echoes_elsewhere(silent)
            )
            heard_by = tuple(name for name, echo in echoes.items() if echo is Outcome.WELL)
            silent_to = tuple(name for name, echo in echoes.items() if echo is Outcome.FAILED)
            return Confirmed(any(witnesses.values()), owners, heard_by, silent_to)

        try:
            return self._run(gather(), 2.0 + _command_seconds(self._site.services[service]))
        except TimeoutError:
            return Confirmed(witnessed=False, owners=None)

    async def _echoes_elsewhere(self, host: str | None) -> dict[str, Outcome]:
        """Ask the other vantage points whether a host returns their echoes."""
        others = [] if host is None else [name for name in self._site.voters(host) if name != self._local]
        if host is None or not others:
            return {}
        async with asking_session() as session:
            echoes = await asyncio.gather(
                *(hears(session, self._site.vantage_points[name].url, host, HEARS_SECONDS) for name in others)
            )
        return dict(zip(others, echoes, strict=True))

    def echoes(self, host: str) -> int | None:
        """Ping a host; return how many echoes came back, None if none could be sent."""
        try:
            seen = self._run(few_echoes(self._pinger, self._site.hosts[host].address), 2.0)
        except TimeoutError:
            return None
        return seen.received if seen.sent else None

    def late_echo(self, host: str, since: float, seconds: float) -> bool:
        """Return whether an echo from a host arrived since `since` (runtime.monotonic), waiting up to `seconds`."""
        end, address = runtime.monotonic() + seconds, self._site.hosts[host].address

        async def heard() -> bool:
            # The loop uses the same clock. Nothing is consumed: every caller gets the same answer.
            while not self._pinger.heard_since(address, since):
                if runtime.monotonic() >= end:
                    return False
                await asyncio.sleep(LATE_PAUSE_SECONDS)
            return True

        return self._run(heard(), seconds + 2.0)

    def witness_answers(self, source: str | None = None) -> bool:
        """Ping the witnesses, from `source` if it is given; return whether any answered."""
        return any(self._run(self._witnesses(source), 2.0).values())

    async def _witnesses(self, source: str | None = None) -> dict[str, bool]:
        return await ping_witnesses(self._pinger, self._site.witnesses, source)

    # -- the whole situation -----------------------------------------------------------------------------------

    def situation(self, service: str) -> Situation:
        """Run all checks that matter for one service, at the same time."""
        values, asked_at = self._site.services[service], runtime.since_boot()
        # Twice the time of a check: a service whose host limits pings is checked a second time.
        limit = (
            2 * look_seconds(values) + 3.0 + _command_seconds(values) + self._recent_lag.allowance_seconds()
        )
        try:
            return self._run(self._situation(service), limit)
        except TimeoutError as late:
            self._recent_lag.saw(limit)
            return self._not_looked(service, asked_at, self._busy(late))

    def _busy(self, late: TimeoutError) -> CheckOutcome:
        """Return the result of a check that this host was too busy to finish."""
        return CheckOutcome(self._local, Outcome.NOT_LOOKED, str(late), "busy")

    def _not_looked(self, service: str, asked_at: float, busy: CheckOutcome) -> Situation:
        """Return an empty situation, for checks that did not finish."""
        text = busy.text
        return Situation(
            service=service,
            hosts={
                host: HostView(host, 0, 0, ping_fault=text, gate_fault=text, gate_asked=False, looks=(busy,))
                for host in self._site.services[service].hosts
            },
            holders=frozenset(),
            strangers=frozenset(),
            address_looked=False,
            witnesses={},
            taken_at=runtime.wall_time(),
            by_command=self._site.services[service].address_commands is not None,
            asked_at=asked_at,
            not_looked=text,
        )

    async def _situation(self, service: str) -> Situation:
        values, asked_at = self._site.services[service], runtime.since_boot()
        async with asking_session() as session, EventLoopLag() as lag:
            views, found, witnesses, reach = await asyncio.gather(
                asyncio.gather(*(self._hosts.view(service, host, session) for host in values.hosts)),
                self._owners.ask(service),
                self._witnesses(),
                self._reach(service, session),
            )
        self._recent_lag.saw(lag.seconds)
        holders = {view.name for view in views if view.holds}
        found = self._owners.settled(found)
        on_the_wire, strangers = found or (frozenset(), frozenset())
        return Situation(
            service=service,
            hosts={view.name: lag.discount(view, self._local) for view in views},
            holders=frozenset(holders | on_the_wire),
            strangers=strangers,
            address_looked=found is not None,
            witnesses=witnesses,
            taken_at=runtime.wall_time(),
            by_command=values.address_commands is not None,
            asked_at=asked_at,
            reach=lag.discount_reach(reach, self._local),
        )

    def life(self, service: str, host: str, *, pinged: bool) -> Life:
        """Check a host once more before it is switched off: its gate, and all services on it, including this one.

        `pinged` says whether it answered ping; if not, it gets less time.
        """
        work = check_for_life(self._site, self._gates, self._checks, service, host, pinged=pinged)
        try:
            return self._run(work, LAST_QUESTION_SECONDS + GRACE_SECONDS + 1.0)
        except TimeoutError:
            return Life(unasked="this host was too busy to ask")

    def _run(self, work: Coroutine[Any, Any, _T], deadline_seconds: float) -> _T:
        """Run checks in the event loop. Raises `TimeoutError`, in words, if they are not finished in time."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return runtime.result(future, deadline_seconds)
        except TimeoutError:
            text = f"this host was too busy to check: not finished within {deadline_seconds:g} s"
            raise TimeoutError(text) from None
        finally:
            future.cancel()  # hung checks must not accumulate
