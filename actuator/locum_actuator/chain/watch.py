"""Monitor the monitoring chain: a thread that checks each of its parts.

The heartbeat shows that the chain as a whole works; this shows which part does not. A missing part is reported
once, within ten seconds, and once when it is back: there is a check every two seconds, a second check must confirm
a failure, and a heartbeat is late after eight seconds.
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
from locum_actuator.journal.database import JournalError
from locum_actuator.journal.journal import Journal
from locum_actuator.journal.recovery import BEGUN_ANEW
from locum_actuator.metrics import Metrics
from locum_actuator.system.background import BackgroundThread, Health

log = logging.getLogger(__name__)

EVERY_SECONDS = 2.0
UNSURE_SECONDS = 0.5  # between two checks while a part is missing or not known yet
BELIEVED_SECONDS = 2.5  # a part that is missing for no longer than this was restarted, which is not reported
HEARTBEAT = "heartbeat"
ROUNDS = "own rounds"
HEARTBEAT_LATE_SECONDS = 8.0  # it comes every two or three: Alertmanager's repeat_interval for it is 2 s


@dataclass(slots=True)
class ChainPart:
    """The state of one part. `up` is None until its first check, and while it cannot be checked."""

    name: str
    up: bool | None = None
    text: str = "not checked yet"
    since: float = field(default_factory=time.time)  # seconds since the epoch
    _missed_at: float | None = None  # monotonic: the first failed check

    def take(self, seen: PartHealth, now: float, *, at_once: bool = False) -> bool:
        """Take the result of a check at monotonic time `now`; return whether the state has changed.

        A part counts as missing after two failed checks, unless `at_once`.
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
        """Whether it should be checked again soon."""
        return self.up is not True or self._missed_at is not None


class ChainWatch:
    """The thread that checks the chain, and the state of its parts.

    `chain` returns the current URLs of the parts. `own` has the parts that need no confirming check, each with its
    check function: the heartbeat has its own limit, and a journal that cannot be written has failed.
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
        """Return the parts with their last known state."""
        return list(self._parts.values())

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def is_alive(self) -> bool:
        """Return whether the thread was started and has not ended."""
        return self._thread.is_alive()

    def join(self, timeout_seconds: float | None = None) -> None:
        """Wait until the thread has ended, or until the timeout."""
        self._thread.join(timeout_seconds)

    def end(self) -> None:
        """Ask the thread to end."""
        self._thread.end()

    def run(self) -> None:
        """Check until `end` is called."""
        asyncio.run(self._watch())

    async def _watch(self) -> None:
        async with looking_session() as session:
            while not self._thread.ended.is_set():
                try:
                    await self._round(session)
                except Exception as fault:
                    self._health.failed(self._thread.name, fault)
                    log.exception(
                        "a check of the monitoring chain failed; the next one follows",
                        extra={"event": "unexpected_error"},
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
        """Take the results of a check at monotonic time `now`, and log what has changed."""
        parts = {name: self._parts.get(name) or ChainPart(name) for name in (*seen, *own)}
        for name, part in parts.items():
            if part.take(own.get(name) or seen[name], now, at_once=name in own):
                _say(part)
            self._metrics.set_part(name, part.up)
        for name in self._parts.keys() - parts.keys():
            self._metrics.forget_part(name)
        self._parts = parts


def judge_heartbeat(age_seconds: float | None) -> PartHealth:
    """Evaluate the age of the last heartbeat; None if none has arrived yet."""
    if age_seconds is None:
        return PartHealth(False, "none has arrived through Prometheus and Alertmanager yet")
    if age_seconds > HEARTBEAT_LATE_SECONDS:
        return PartHealth(
            False,
            f"the last one arrived {age_seconds:.0f} s ago: Prometheus, Alertmanager or the rules are missing",
        )
    return PartHealth(True, "arrives through Prometheus and Alertmanager")


def judge_rounds(blind: Mapping[str, str | None]) -> PartHealth:
    """Evaluate the actuator's own checks: which services it cannot check, and why."""
    faults = [f"{name}: {why}" for name, why in blind.items() if why is not None]
    if faults:
        return PartHealth(False, f"the actuator cannot check {'; '.join(faults)}")
    return PartHealth(True, "the actuator itself checks every service")


def _say(part: ChainPart) -> None:
    if part.up is False:
        log.error(
            "monitoring chain: %s is missing: %s",
            part.name,
            part.text,
            extra={"event": "chain_part", "part": part.name},
        )
    elif part.up is None:
        log.warning(
            "monitoring chain: %s: %s", part.name, part.text, extra={"event": "chain_part", "part": part.name}
        )
    else:
        log.info(
            "monitoring chain: %s is ok: %s",
            part.name,
            part.text,
            extra={"event": "chain_part", "part": part.name},
        )


def look_at_journal(journal: Journal, services: Iterable[str]) -> PartHealth:
    """Check that the journal can be written and read, and that no service waits for a person after its loss."""
    fault = journal.look()
    if fault is not None:
        return PartHealth(False, f"{fault}: locum takes no action meanwhile")
    try:
        pauses = {service: journal.pauses.current(service) for service in services}
    except JournalError as unreadable:
        return PartHealth(False, f"{unreadable}: locum takes no action meanwhile")
    waiting = [name for name, pause in pauses.items() if pause and pause.reason.startswith(BEGUN_ANEW)]
    if waiting:
        return PartHealth(
            False,
            f"was corrupt and has been replaced: locum takes no action for {', '.join(waiting)} until a person has"
            " checked which host holds what, and runs locum resume SERVICE, or --all",
        )
    return PartHealth(True, "can be written")
