"""Make the checks of an incident, and remember what they have shown so far."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field

from locum_actuator.decision.vetoes import has_let_go, unable_to_judge
from locum_actuator.domain.reach import Reach
from locum_actuator.domain.situation import Situation
from locum_actuator.engine.context import Context
from locum_actuator.journal.database import JournalError
from locum_actuator.system import runtime

# How long to wait for a vantage point that could not check a silent host before judging without it: restarting an
# exporter takes a few seconds.
OTHERS_SECONDS = 5.0


@dataclass(slots=True)
class IncidentChecks:
    """The checks of one incident; each also updates what is known of the service beyond it."""

    context: Context
    number: int  # of the incident
    last: Situation | None = None
    silent: set[str] = field(default_factory=set)  # hosts whose gate did not answer in one of the checks
    doubtful: bool = False  # at least once it was not clear that the holder alone has the address
    _alone_since: float | None = None  # since when no other vantage point can check a silent host
    # Hosts that may still hold the address; None: read the journal.
    _unconfirmed: frozenset[str] | None = None
    # Vantage points that got no answer through the service address when they could last check.
    _unreached_from: frozenset[str] = frozenset()

    @property
    def may_wait(self) -> bool:
        """Return whether to wait for other vantage points, which could not check for only a moment so far."""
        return self._alone_since is None or runtime.monotonic() - self._alone_since < OTHERS_SECONDS

    @property
    def unconfirmed(self) -> frozenset[str]:
        """Return the hosts that may still hold the address: the last step on them was never confirmed."""
        if self._unconfirmed is None:
            self._unconfirmed = self.context.journal.unconfirmed(self.context.name)
        return self._unconfirmed

    def steps_follow(self) -> None:
        """Read from the journal again which hosts may hold the address: steps are about to run."""
        self._unconfirmed = None

    def may_be_unreached(self, situation: Situation) -> bool:
        """Return whether a vantage point that got no answer before could not check this time."""
        reach = situation.reach
        return reach is not None and bool(self._unreached_from & reach.unable())

    def unproven(self, reach: Reach) -> None:
        """Record from where the service was not reached when a plan's result was to be proven."""
        self._unreached_from = reach.unreached_from(self._unreached_from)

    def check(self) -> Situation:
        """Run all checks of the service, and record the results."""
        begun = runtime.monotonic()
        situation = self.context.observer.situation(self.context.name)
        self.context.metrics.look_seconds.labels(self.context.name).observe(runtime.monotonic() - begun)
        self.context.loss_history.looked(situation)
        self.last = situation
        if not any(unable_to_judge(view) for view in situation.hosts.values()):
            self._alone_since = None
        elif self._alone_since is None:
            self._alone_since = begun
        self.context.starts.looked(situation)
        self.context.update_starting_metric()
        if situation.reach is not None:
            self.context.metrics.set_reached(self.context.name, situation.reach.outcome)
        self._confirm(situation)
        holder = self.context.journal.holder(self.context.name).host
        self.silent |= {
            name for name, view in situation.hosts.items() if view.gate_asked and not view.gate_answers
        }
        self.doubtful |= bool(situation.strangers) or situation.holders != {holder}
        view = None if holder is None else situation.hosts.get(holder)
        if situation.reach is not None:
            failing = () if view is None else situation.reach.failing(view)
            self._unreached_from = situation.reach.unreached_from(self._unreached_from, failing)
        if view is None or view.looked_at:  # a holder that could not be checked does not count as failing
            self.context.storm.looked(self.context.name, holder, failing=view is not None and view.is_silent)
        return situation

    def _confirm(self, situation: Situation) -> None:
        """Record which of the hosts that may still hold the address now report that they do not."""
        may_hold = self.unconfirmed
        for host in may_hold & situation.hosts.keys():
            if has_let_go(situation.hosts[host], self.context.service):
                text = f"{host} reports that it neither holds the address nor runs the service"
                with suppress(JournalError):  # if not written, it is confirmed again after a restart
                    self.context.journal.note(self.number, "confirmed", text, host=host)
                may_hold -= {host}
        self._unconfirmed = may_hold
