"""Watch the chain that watches the services: a thread that looks whether each of its parts is there.

The heartbeat tells that the chain as a whole is alive; this tells which part is not. What is missing is said once,
when it goes and when it comes back, and within ten seconds: a look every two seconds, a second one before it is
believed, and a heartbeat that is late after eight.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import aiohttp

from locum_actuator.chain.access import Access
from locum_actuator.chain.alarm import Alarm
from locum_actuator.chain.health import ChainEndpoints, PartHealth, look, looking_session
from locum_actuator.journal.journal import Journal, JournalError
from locum_actuator.journal.recovery import BEGUN_ANEW
from locum_actuator.metrics import Metrics
from locum_actuator.system.background import BackgroundThread, Health

log = logging.getLogger(__name__)

EVERY_SECONDS = 2.0
UNSURE_SECONDS = 0.5  # between two looks while a part is not there, or not known yet
BELIEVED_SECONDS = 2.5  # a part that is away no longer than this was restarted: nobody needs to know
HEARTBEAT = "heartbeat"
ROUNDS = "own rounds"
HEARTBEAT_LATE_SECONDS = 8.0  # it comes every two or three: Alertmanager's repeat_interval for it is 2 s


@dataclass(slots=True)
class ChainPart:
    """What is known of one part. `up` is None until it was seen, and while nobody can look."""

    name: str
    up: bool | None = None
    text: str = "not looked at yet"
    since: float = field(default_factory=time.time)  # seconds since the epoch
    _missed_at: float | None = None  # monotonic: when the looks that failed began

    def take(self, seen: PartHealth, now: float, *, at_once: bool = False) -> bool:
        """Take what a look at monotonic time `now` found; return whether that changed what is believed.

        That a part is missing takes two looks, unless `at_once`.
        """
        if seen.up is False:
            self._missed_at = now if self._missed_at is None else self._missed_at
            if self.up is not False and now - self._missed_at < BELIEVED_SECONDS and not at_once:
                return False
        else:
            self._missed_at = None
        changed = self.up is not seen.up
        self.up, self.text = seen.up, seen.text
        if changed:
            self.since = time.time()
        return changed

    @property
    def doubted(self) -> bool:
        """Whether it should be looked at again soon."""
        return self.up is not True or self._missed_at is not None


class ChainWatch:
    """The thread that watches the chain, and what it knows.

    `chain` returns where the parts are now. `own` are parts that need no second look, with who looks at them: the
    heartbeat has a limit of its own, and what cannot be written is not there.
    """

    def __init__(
        self,
        chain: Callable[[], ChainEndpoints],
        own: Mapping[str, Callable[[], PartHealth]],
        metrics: Metrics,
        health: Health | None = None,
    ) -> None:
        self._health = health or Health()
        self._thread = BackgroundThread("chain-watch", self.run, self._health)
        self._chain = chain
        self._own = own
        self._metrics = metrics
        self._alarm = Alarm()
        self._parts: dict[str, ChainPart] = {}

    def parts(self) -> list[ChainPart]:
        """Return the parts as they were seen last."""
        return list(self._parts.values())

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def is_alive(self) -> bool:
        """Return whether the thread was started and has not ended."""
        return self._thread.is_alive()

    def join(self, timeout_seconds: float | None = None) -> None:
        """Wait until the thread has ended, at most so long."""
        self._thread.join(timeout_seconds)

    def end(self) -> None:
        """Ask the thread to end."""
        self._thread.end()

    def run(self) -> None:
        """Look until told to end."""
        asyncio.run(self._watch())

    async def _watch(self) -> None:
        async with looking_session() as session:
            while not self._thread.ended.is_set():
                try:
                    await self._round(session)
                except Exception as fault:
                    self._health.failed(self._thread.name, fault)
                    log.exception(
                        "the watch over the chain stumbled and goes on", extra={"event": "unexpected_error"}
                    )
                else:
                    self._health.succeeded(self._thread.name)
                await self._rest(UNSURE_SECONDS if self._doubted() else EVERY_SECONDS)

    async def _round(self, session: aiohttp.ClientSession) -> None:
        chain, begun = self._chain(), time.monotonic()
        seen = await look(session, chain)
        own = {name: await asyncio.to_thread(one) for name, one in self._own.items()}
        self.learn(seen, own, begun)
        await self._alarm.sound(session, Access(chain.parts), self.parts(), chain.runbook)

    async def _rest(self, seconds: float) -> None:
        await asyncio.to_thread(self._thread.ended.wait, seconds)

    def _doubted(self) -> bool:
        return any(part.doubted for part in self._parts.values())

    def learn(self, seen: Mapping[str, PartHealth], own: Mapping[str, PartHealth], now: float) -> None:
        """Take in what a look at monotonic time `now` found, and say what changed."""
        parts = {name: self._parts.get(name) or ChainPart(name) for name in (*seen, *own)}
        for name, part in parts.items():
            if part.take(own.get(name) or seen[name], now, at_once=name in own):
                _say(part)
            self._metrics.set_part(name, part.up)
        for name in self._parts.keys() - parts.keys():
            self._metrics.forget_part(name)
        self._parts = parts


def judge_heartbeat(age_seconds: float | None) -> PartHealth:
    """Judge the last heartbeat by its age; None where none ever came."""
    if age_seconds is None:
        return PartHealth(False, "none has come through Prometheus and Alertmanager yet")
    if age_seconds > HEARTBEAT_LATE_SECONDS:
        return PartHealth(
            False,
            f"the last one came {age_seconds:.0f} s ago: Prometheus, Alertmanager or the rules are missing",
        )
    return PartHealth(True, "comes through Prometheus and Alertmanager")


def judge_rounds(blind: Mapping[str, str | None]) -> PartHealth:
    """Judge the actuator's own checks: which services they cannot make, and why."""
    faults = [f"{name}: {why}" for name, why in blind.items() if why is not None]
    if faults:
        return PartHealth(False, f"the actuator cannot check {'; '.join(faults)}")
    return PartHealth(True, "the actuator itself checks every service")


def _say(part: ChainPart) -> None:
    if part.up is False:
        log.error(
            "chain: %s is missing: %s", part.name, part.text, extra={"event": "chain_part", "part": part.name}
        )
    elif part.up is None:
        log.warning("chain: %s: %s", part.name, part.text, extra={"event": "chain_part", "part": part.name})
    else:
        log.info(
            "chain: %s is there: %s", part.name, part.text, extra={"event": "chain_part", "part": part.name}
        )


def look_at_journal(journal: Journal, services: Iterable[str]) -> PartHealth:
    """Check whether the journal can be written and read, and whether it waits for a person."""
    fault = journal.look()
    if fault is not None:
        return PartHealth(False, f"{fault}: nothing is done meanwhile")
    try:
        pauses = {service: journal.pause(service) for service in services}
    except JournalError as unreadable:
        return PartHealth(False, f"{unreadable}: nothing is done meanwhile")
    waiting = [name for name, pause in pauses.items() if pause and pause.reason.startswith(BEGUN_ANEW)]
    if waiting:
        return PartHealth(
            False,
            f"was corrupt and is begun anew: nothing is done for {', '.join(waiting)} until a person has seen who"
            " holds what, and says locum resume SERVICE, or --all",
        )
    return PartHealth(True, "can be written")
