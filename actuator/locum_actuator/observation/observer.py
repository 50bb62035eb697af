"""Gather everything that a decision needs, at once and with the exporter's own checks.

The deadlines here are independent of Prometheus's scrapes. One event loop in its own thread serves all services;
nothing in it blocks, so a slow host does not delay the others. Gate calls block and run in a thread pool.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_address
from typing import Any, TypeVar

from locum_actuator.decision.fitness import why_drifted, why_unfit
from locum_actuator.domain.life import NO_LIFE, Life
from locum_actuator.domain.ports import Confirmed, Gates
from locum_actuator.domain.reach import Reach
from locum_actuator.domain.situation import CheckOutcome, HostView, Situation
from locum_actuator.observation.event_loop_lag import EventLoopLag, RecentLag
from locum_actuator.observation.life_signs import LifeSigns
from locum_actuator.observation.prompt_gate import PROMPT_CALLS, is_prompt
from locum_actuator.observation.reach_check import look_through
from locum_actuator.observation.service_check import look_at_service
from locum_actuator.observation.vantage_points import Answer, ask, asking_session, hears
from locum_actuator.system import runtime
from locum_actuator.system.background import BackgroundThread, Health
from locum_actuator.system.site_commands import CommandError, holder_by_command
from locum_exporter.checks.address import UNKNOWN_MAC
from locum_exporter.checks.address import address as address_check
from locum_exporter.net.icmp import Burst, Pinger
from locum_exporter.net.neighbours import Neighbours
from locum_exporter.result import Outcome, outcome_of
from locum_inventory.gate.host_macs import HostMacs
from locum_inventory.gate.protocol import GateError, GateStatus, ServiceStatus
from locum_inventory.site.model import Address, Service, Site

log = logging.getLogger(__name__)

_T = TypeVar("_T")

# A host behind 30 % loss each way returns an echo with probability 0.49. It returns none of 20 once in 700,000
# bursts (0.51^20), well below the promised once in 10,000.
BURST_ECHOES = 20
BURST_SPACING_SECONDS = 0.015
BURST_WAIT_SECONDS = 0.1
LATE_PAUSE_SECONDS = 0.02  # between two checks for a late echo
BURST_ENOUGH = 5  # this many in a row, none missing, are enough if everything else has answered
GATE_SECONDS = 0.4
# Before a host is switched off it is checked once more, for longer if it answers ping. Both times are so short that
# the evidence from before is still fresh enough afterwards (plan_evidence.LOOK_SECONDS).
LAST_QUESTION_SECONDS = 0.6
LAST_QUESTION_TO_THE_SILENT_SECONDS = 0.4
WITNESS_ECHOES = 5
WITNESS_SPACING_SECONDS = 0.03
HEARS_SECONDS = 0.15  # for another vantage point's ping; the claim waits for its result
OWNERS_SECONDS = 0.3
OWNERS_ALLOWANCE_SECONDS = (
    0.3  # including it, the answer is still fresh enough to act on (plan_evidence.SILENT_SECONDS)
)
OWNERS_SPACING_SECONDS = 0.03  # a neighbour answers in well under a millisecond; asked three times
# An answer of the service or of the gate takes this many round trips: connection, TLS, request. If these alone take
# longer than the check, silence may be delay.
ROUND_TRIPS = 4
TURNS_SECONDS = 5.0  # the event loop has to run this long after a failure to count as healthy again
GRACE_SECONDS = 0.5  # on top of a check's own deadline, before a hung check is given up

Owners = tuple[frozenset[str], frozenset[str]]  # hosts that answer for the address, and MACs of no known host


def look_seconds(service: Service) -> float:
    """Return how long a service may take to answer the actuator's own checks, in seconds."""
    return min(max(1.4 * service.interval_seconds, 0.35), 3.0)


def _command_seconds(service: Service) -> float:
    """Return how long the check command may take, in seconds; 0 without address commands."""
    return 0.0 if service.address_commands is None else service.address_commands.timeout


@dataclass(frozen=True, slots=True)
class NoGateAnswer:
    """The reason why a gate did not report a service's state; `asked` is False if the cause is on this host."""

    text: str
    asked: bool = True
    answered: bool = False  # it answered, but does not know the service


def _answers(fault: NoGateAnswer) -> str:
    """Return a message that a gate answers, although it did not report the service's state."""
    return f"its gate answers ({fault.text})"


class HostObserver:
    """The actuator's checks, run on its own host."""

    def __init__(self, site: Site, gates: Gates, health: Health | None = None) -> None:
        self._site = site
        self._local = site.actuator.host
        self._gates = gates
        self._loop = runtime.event_loop()
        self._pinger = Pinger()
        self._neighbours = Neighbours()
        self._life = LifeSigns()
        self._recent_lag = RecentLag()
        self._names_of_macs: dict[str, str] = {}  # of every host that ever answered
        self._macs = HostMacs()  # … and of every interface that gates report
        self._reported: dict[str, GateStatus] = {}  # each gate's last answer
        workers = 4 * max(1, len(site.hosts)) * max(1, len(site.services))
        self._pool = runtime.pool(min(workers, 256), name="gate")
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
            self._neighbours.close()

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
        values = self._site.services[service]
        return self._run(
            self._look(service, self._site.hosts[host].address, host), look_seconds(values) + GRACE_SECONDS
        )

    def reach(self, service: str) -> Reach | None:
        """Run the deciding checks through the service addresses, from here and from every other vantage point."""

        async def look() -> Reach | None:
            async with asking_session() as session, EventLoopLag() as lag:
                return lag.discount_reach(await self._reach(service, session), self._local)

        return self._run(look(), look_seconds(self._site.services[service]) + 2 * GRACE_SECONDS)

    async def _reach(self, service: str, session: Any) -> Reach | None:
        seconds = look_seconds(self._site.services[service])
        return await look_through(
            session, self._site, service, lambda address: self._look(service, address, None), seconds
        )

    def confirm(self, service: str, silent: str | None = None) -> Confirmed:
        """Check witnesses, address owners and, from other vantage points, a silent host, all at once."""

        async def gather() -> Confirmed:
            witnesses, owners, echoes = await asyncio.gather(
                self._witnesses(None), self._owners(service), self._echoes_elsewhere(silent)
            )
            heard_by = tuple(name for name, echo in echoes.items() if echo is Outcome.WELL)
            silent_to = tuple(name for name, echo in echoes.items() if echo is Outcome.FAILED)
            return Confirmed(any(witnesses.values()), owners, heard_by, silent_to)

        return self._run(gather(), 2.0 + _command_seconds(self._site.services[service]))

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

        seen = self._run(self._echoes(host), 2.0)
        return seen.received if seen.sent else None

    async def _echoes(self, host: str) -> Burst:
        return await self._pinger.burst(
            self._site.hosts[host].address,
            count=WITNESS_ECHOES,
            spacing_seconds=WITNESS_SPACING_SECONDS,
            wait_seconds=BURST_WAIT_SECONDS,
            enough=1,
        )

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
        except TimeoutError:
            self._recent_lag.saw(limit)
            return self._not_looked(
                service, asked_at, f"this host was too busy to check: not finished within {limit:g} s"
            )

    def _not_looked(self, service: str, asked_at: float, text: str) -> Situation:
        """Return an empty situation, for checks that did not finish."""
        busy = CheckOutcome(self._local, Outcome.NOT_LOOKED, text, "busy")
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
                asyncio.gather(*(self._view(service, host, session) for host in values.hosts)),
                self._owners(service),
                self._witnesses(None),
                self._reach(service, session),
            )
        self._recent_lag.saw(lag.seconds)
        holders = {view.name for view in views if view.holds}
        found = self._settled(found)
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

    async def _view(self, service: str, host: str, session: Any) -> HostView:
        values, address = self._site.services[service], self._site.hosts[host].address
        others = [name for name in self._site.voters(host) if name != self._local]
        seconds = look_seconds(values)
        asking = (
            ask(
                session,
                name,
                self._site.vantage_points[name].url,
                name=service,
                service=values,
                host=host,
                deadline_seconds=seconds,
            )
            for name in others
        )
        # If this host was late recently, the answer may be late because of this host.
        gate_seconds = GATE_SECONDS + self._recent_lag.allowance_seconds()
        begun, hurry = asyncio.get_running_loop().time(), asyncio.Event()
        # A silent host gets the full burst: five echoes without loss do not prove a clean line, because behind 30 %
        # loss each way they arrive once in 36 times (0.49^5), and twenty once in 1.5 million.
        burst = asyncio.create_task(self._burst(address, hurry))
        try:
            gate, here, elsewhere = await asyncio.gather(
                self._gate(service, host, gate_seconds),
                self._look(service, address, host),
                asyncio.gather(*asking),
            )
            hurry.set()
            seen = await burst
            prompt = False
            if isinstance(gate, ServiceStatus) and (seen.received < seen.sent or not seen.sent):
                prompt, here = await self._checked_with_its_gate(service, host, here)
            view = self._seen(service, host, begun, burst=seen, gate=gate, here=here, elsewhere=elsewhere)
            return replace(view, gate_prompt=prompt)
        finally:
            burst.cancel()

    async def _checked_with_its_gate(
        self, service: str, host: str, here: CheckOutcome
    ) -> tuple[bool, CheckOutcome]:
        """Call the gate many times if echoes are missing; return whether it was prompt, and the check to judge by.

        A service that did not answer is checked again at the same time: it counts as silent only if it does not
        answer while its line is proven to be clean.
        """

        def call(deadline_seconds: float) -> bool:
            try:
                self._gates[host].status(deadline_seconds=deadline_seconds)
            except Exception:  # whatever the cause, this is no proof of a clean line
                return False
            return True

        values = self._site.services[service]
        if here.outcome is Outcome.WELL:
            again: asyncio.Future[CheckOutcome] = asyncio.get_running_loop().create_future()
            again.set_result(here)
        else:
            again = asyncio.ensure_future(self._look(service, self._site.hosts[host].address, host))
        try:
            spacing_seconds = look_seconds(values) / (1.5 * PROMPT_CALLS)
            prompt = await is_prompt(call, self._pool, again, spacing_seconds)
            return prompt, await again if prompt else here
        finally:
            again.cancel()

    def _seen(
        self, service: str, host: str, begun: float, *, burst: Burst, gate: ServiceStatus | NoGateAnswer,
        here: CheckOutcome, elsewhere: Sequence[Answer],
    ) -> HostView:  # fmt: skip
        """Build a host's view from the results of its checks, which began at `begun` (the loop's clock)."""
        values, address = self._site.services[service], self._site.hosts[host].address
        seconds = look_seconds(values)
        status = gate if isinstance(gate, ServiceStatus) else None
        heard = self._pinger.heard_since(address, begun)  # including echoes that arrived after the burst
        return HostView(
            name=host,
            echoes_sent=burst.sent,
            echoes_received=burst.received,
            ping_fault=burst.text or None,
            gate_fault=gate.text if isinstance(gate, NoGateAnswer) else None,
            gate_asked=not isinstance(gate, NoGateAnswer) or gate.asked,
            life=self._life_of(host, burst, gate) if isinstance(gate, NoGateAnswer) else NO_LIFE,
            holds=frozenset(a for a, held in status.held.items() if held) if status else None,
            unusable_addresses=status.unusable_addresses if status else {},
            processes=status.processes if status else None,
            age_seconds=status.age_seconds if status else None,
            underway=status.underway if status else None,
            epoch=status.epoch if status else 0,
            unfit=self._unfit(service, host) if status else None,
            drift=why_drifted(service, values, host, status) if status else None,
            looks=(_counted(here, values, status), *(answer.look for answer in elsewhere)),
            fenceable=bool(self._site.hosts[host].fence) and host != self._local,
            pinged_by=tuple(answer.look.vantage_point for answer in elsewhere if answer.echo is Outcome.WELL),
            silent_to=tuple(
                answer.look.vantage_point for answer in elsewhere if answer.echo is Outcome.FAILED
            ),
            silent_since=None if heard else begun,
            slow=_is_slow(burst, seconds if status else min(seconds, GATE_SECONDS), heard=heard),
        )

    def _unfit(self, service: str, host: str) -> str | None:
        """Return why a host whose gate has just answered cannot be given a service."""
        reported = self._reported.get(host)
        values = self._site.services[service]
        return None if reported is None else why_unfit(service, values, host, reported)

    async def _burst(self, address: Address, hurry: asyncio.Event) -> Burst:
        return await self._pinger.burst(
            address,
            count=BURST_ECHOES,
            spacing_seconds=BURST_SPACING_SECONDS,
            wait_seconds=BURST_WAIT_SECONDS,
            enough=BURST_ENOUGH,
            hurry=hurry,
        )

    def _life_of(self, host: str, burst: Burst, gate: NoGateAnswer) -> Life:
        """Return the signs of life of a host whose gate is silent.

        A host that does not answer ping either may have died since its gate last answered; the burst is newer
        evidence. A gate that just answered, but does not know the service, is a sign of life whatever the pings
        show.
        """
        if gate.answered:
            return Life(_answers(gate))
        seconds = self._life.gate_seconds(host) if burst.received else None
        return NO_LIFE if seconds is None else Life(f"its gate answered {seconds:.1f} s ago")

    def life(self, service: str, host: str, *, pinged: bool) -> Life:
        """Check a host once more before it is switched off: its gate, and all services on it, including this one.

        `pinged` says whether it answered ping; if not, it gets less time.
        """
        others = {
            name: values
            for name, values in self._site.services.items()
            if host in values.hosts and _is_asked_directly(values)
        }

        async def everything() -> Life:
            seconds = LAST_QUESTION_SECONDS if pinged else LAST_QUESTION_TO_THE_SILENT_SECONDS
            address = self._site.hosts[host].address
            async with EventLoopLag() as lag:
                gate, looks = await asyncio.gather(
                    self._gate(service, host, seconds),
                    asyncio.gather(*(self._look(name, address, host, seconds) for name in others)),
                )
            services = tuple(
                name for name, look in zip(others, looks, strict=True) if look.outcome is Outcome.WELL
            )
            if not isinstance(gate, NoGateAnswer):
                return Life("its gate answers", services)
            if gate.answered:
                return Life(_answers(gate), services)
            return Life(None, services, lag.hides_a_gate if gate.asked else gate.text)

        try:
            return self._run(everything(), LAST_QUESTION_SECONDS + GRACE_SECONDS + 1.0)
        except TimeoutError:
            return Life(unasked="this host was too busy to ask")

    async def _gate(
        self, service: str, host: str, seconds: float = GATE_SECONDS
    ) -> ServiceStatus | NoGateAnswer:
        """Return what a host's gate reports about a service, or why it does not."""
        loop, begun = asyncio.get_running_loop(), runtime.event()

        def ask() -> GateStatus:
            begun.set()
            return self._gates[host].status(deadline_seconds=seconds)

        try:
            status = await asyncio.wait_for(loop.run_in_executor(self._pool, ask), seconds + 0.2)
        except GateError as fault:
            return NoGateAnswer(str(fault), fault.asked)
        except TimeoutError:
            if not begun.is_set():
                return NoGateAnswer(
                    f"could not be asked: no thread was free within {seconds:g} s", asked=False
                )
            return NoGateAnswer(f"no answer within {seconds:g} s")
        except Exception as fault:
            # For example no threads or descriptors left: all other checks must still be made.
            return NoGateAnswer(f"could not be asked: {type(fault).__name__}: {fault}", asked=False)
        self._life.gate_answered(host)
        self._macs.learn(host, status.macs)
        self._reported[host] = status
        known = status.services.get(service)
        return known or NoGateAnswer(
            f"the gate does not know {service}: run `locum enrol {host}`", answered=True
        )

    async def _look(
        self, service: str, address: Address, host: str | None, seconds: float | None = None
    ) -> CheckOutcome:
        values = self._site.services[service]
        return await look_at_service(
            values.checks,
            address,
            look_seconds(values) if seconds is None else seconds,
            vantage_point=self._local,
            pinger=self._pinger,
            service=service,
            gate=self._gates[host] if host else None,
            executor=self._pool,
        )

    async def _owners(self, service: str) -> Owners | None:
        if self._site.services[service].address_commands is not None:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._pool, self._owners_by_command, service)
        result = await address_check(
            self._neighbours,
            self._site,
            service,
            # If this host was late recently, the answer may be late because of this host.
            OWNERS_SECONDS + min(self._recent_lag.allowance_seconds(), OWNERS_ALLOWANCE_SECONDS),
            this_name=self._local,
            spacing_seconds=OWNERS_SPACING_SECONDS,
        )
        names, macs = result.details.get("owner_names"), result.details.get("names_of_macs")
        if not isinstance(names, tuple) or not isinstance(macs, dict):
            return None
        self._names_of_macs.update(macs)
        hosts = frozenset(self._known(name) for name in names)
        strangers = hosts - self._site.hosts.keys()
        if strangers and not set(self._site.services[service].hosts) <= {*macs.values(), self._local}:
            return None  # the stranger may be a host whose own address was not answered for
        return hosts - strangers, strangers

    def _known(self, name: str) -> str:
        """Return the host that has a MAC address, from earlier answers or gate reports; the name itself if none."""
        mac = name.removeprefix(UNKNOWN_MAC)
        return self._names_of_macs.get(mac) or self._macs.owner(mac) or name

    def _settled(self, found: Owners | None) -> Owners | None:
        """Return the owners, with MACs resolved that the gates have reported in the meantime."""
        if found is None:
            return None
        hosts, strangers = found
        known = frozenset(self._known(name) for name in strangers)
        of_the_site = known & self._site.hosts.keys()
        return hosts | of_the_site, known - of_the_site

    def _owners_by_command(self, service: str) -> Owners | None:
        values = self._site.services[service]
        try:
            holder = holder_by_command(service, values)
        except CommandError as fault:
            log.warning(
                "it could not be checked which host holds it: %s",
                fault,
                extra={"event": "holder_not_known", "service": service},
            )
            return None
        found = frozenset() if holder is None else frozenset({holder})
        return found & frozenset(values.hosts), found - frozenset(values.hosts)

    async def _witnesses(self, source: str | None) -> dict[str, bool]:
        """Ping every witness; with `source` only those of its IP version, from that address."""
        origin = ip_address(source) if source else None
        asked = [w for w in self._site.witnesses if origin is None or w.version == origin.version]
        async with contextlib.AsyncExitStack() as stack:
            pinger = (
                self._pinger if origin is None else await stack.enter_async_context(Pinger(source=origin))
            )
            bursts = await asyncio.gather(
                *(
                    pinger.burst(
                        witness,
                        count=WITNESS_ECHOES,
                        spacing_seconds=WITNESS_SPACING_SECONDS,
                        wait_seconds=BURST_WAIT_SECONDS,
                        enough=1,
                    )
                    for witness in asked
                )
            )
        return {str(witness): burst.received > 0 for witness, burst in zip(asked, bursts, strict=True)}

    def _run(self, work: Coroutine[Any, Any, _T], deadline_seconds: float) -> _T:
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return runtime.result(future, deadline_seconds)
        finally:
            future.cancel()  # hung checks must not accumulate


def _is_asked_directly(service: Service) -> bool:
    """Return whether a check asks the service itself: a ping asks the host, a process check its gate."""
    return not {"ping", "process"} & set(service.checks.deciding)


def _is_slow(burst: Burst, deadline_seconds: float, *, heard: bool) -> bool:
    """Return whether a host's echoes are so late that no other check could be answered within its deadline."""
    if not burst.received:
        return heard
    return ROUND_TRIPS * min(burst.rtts_seconds) > deadline_seconds


def _counted(here: CheckOutcome, service: Service, status: ServiceStatus | None) -> CheckOutcome:
    """Use the gate's process count for a service whose only deciding check is its process.

    The check uses the kept `watch` connection; if that could not be asked, the gate's status has the count.
    """
    if here.outcome is not Outcome.NOT_LOOKED or service.checks.deciding != ("process",):
        return here
    if status is None or status.processes is None:
        return here
    reason = None if status.processes else "absent"
    text = f"its gate counts {status.processes} processes"
    return CheckOutcome(here.vantage_point, outcome_of(reason), text, reason)
