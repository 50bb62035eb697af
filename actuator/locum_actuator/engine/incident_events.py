"""Write what an incident decides and reports to the journal, the log and the metrics."""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import asdict, dataclass, field

from locum_actuator.domain import patience
from locum_actuator.domain.plan import Plan
from locum_actuator.domain.situation import Situation, situation_to_json
from locum_actuator.engine.context import Context
from locum_actuator.journal.database import JournalError
from locum_actuator.mirror.freshness import copies
from locum_actuator.system import runtime

log = logging.getLogger(__name__)

MIXED_TOO_LONG_SECONDS = 30.0  # after this people are notified that the evidence stays mixed
SAY_EVERY_SECONDS = 10.0  # between two messages that a service is still starting

# Plans and outcomes that are logged as INFO: nothing is wrong, or a person requested it.
_QUIET = frozenset({"nothing", "adopt", "keep_looking", "switchover", "failback", "already"})


@dataclass(slots=True)
class IncidentEvents:
    """The events of one open incident."""

    context: Context
    number: int
    _noted: str = ""  # the last decision that was recorded
    _noted_mixed: bool = False
    _said_at: float = field(default_factory=runtime.monotonic)  # when progress was last reported

    def decided(self, plan: Plan, situation: Situation, age_seconds: float, *, is_fault: bool) -> None:
        """Record a decision if it differs from the previous one: a lasting refusal is one event.

        `age_seconds` is the time since the incident began.
        """
        context, decision = self.context, f"{plan.kind}/{plan.code}"
        self._notice_what_lasts(plan, age_seconds)
        if decision == self._noted:
            return
        self._noted = decision
        log.log(
            logging.INFO if plan.kind in _QUIET else logging.WARNING,
            "%s: %s",
            plan.kind,
            plan.reason,
            extra={"event": "decided", "plan": plan.kind, "code": plan.code, "target": plan.target},
        )
        if plan.kind == "refuse" and is_fault:
            context.metrics.refusals.labels(context.name, plan.code).inc()
        steps = [str(step) for step in plan.steps]
        context.journal.note(
            self.number,
            "decided",
            f"{plan.kind}: {plan.reason}",
            data={
                "kind": plan.kind,
                "code": plan.code,
                "target": plan.target,
                "plan": steps,
                "seen": situation_to_json(situation),
                **self._data_ages(),
            },
        )

    def _notice_what_lasts(self, plan: Plan, age_seconds: float) -> None:
        """Report that a service is still starting, and once that the evidence stays mixed."""
        context, too_long = self.context, MIXED_TOO_LONG_SECONDS
        if plan.code == "starting":
            self._say_starting(plan)
            too_long = max(too_long, patience.start_seconds(context.service))
        if plan.kind != "keep_looking" or self._noted_mixed or age_seconds <= too_long:
            return
        self._noted_mixed = True
        context.metrics.refusals.labels(context.name, plan.code).inc()
        context.journal.note(self.number, "refused", f"for {age_seconds:.0f} s now: {plan.reason}")
        log.warning(
            "for %.0f s now: %s",
            age_seconds,
            plan.reason,
            extra={"event": "evidence_unclear", "code": plan.code},
        )

    def _say_starting(self, plan: Plan) -> None:
        """Report from time to time that a service is still starting."""
        now = runtime.monotonic()
        if now - self._said_at >= SAY_EVERY_SECONDS:
            self._said_at = now
            self.progress(plan.reason, plan.target)

    def progress(self, text: str, host: str | None) -> None:
        """Report the progress of a start."""
        log.info("%s", text, extra={"event": "starting", "host": host})
        with suppress(JournalError):  # a failed progress report is no reason to stop
            self.context.journal.note(self.number, "progress", text, host=host)

    def _data_ages(self) -> dict[str, object]:
        """Return how old the data on each standby are, if they are mirrored."""
        context, journal = self.context, self.context.journal
        holder, now = journal.holder(context.name).host, journal.clock.now()
        known = copies(journal.mirrors, context.name, context.service, holder, now)
        return {"copies": {host: asdict(copy) for host, copy in known.items()}} if known else {}


def log_end(incident: int, outcome: str, reason: str) -> None:
    """Log how an incident ended; its number may have changed to that of the incident that it repeats."""
    log.log(
        logging.INFO if outcome in _QUIET else logging.WARNING,
        "closed: %s: %s",
        outcome,
        reason,
        extra={"event": "incident_closed", "incident": incident, "outcome": outcome},
    )
