"""Track starting services: started a moment ago, and not known to have answered since.

A young process that does not answer yet is not hung. The gate reports its age (docs/gate.md). Whether it has
answered since is recorded here, so that a young service which hangs is not mistaken for one that is starting.
"""

from __future__ import annotations

from collections.abc import Mapping

from locum_actuator.domain.situation import HostView, Situation
from locum_actuator.system import runtime

_STARTING_VERBS = frozenset({"start", "respawn"})


class Starts:
    """The starts of one service, by host. Threads may share it."""

    def __init__(self) -> None:
        self._lock = runtime.lock()
        self._began_at: dict[str, float] = {}  # of starts whose service has not answered since
        self._served_at: dict[str, float] = {}

    def began(self, host: str) -> None:
        """Record that locum starts the service on a host now."""
        with self._lock:
            self._began_at[host] = runtime.monotonic()

    def served(self, host: str) -> None:
        """Record that the service on a host answers."""
        with self._lock:
            self._served_at[host] = runtime.monotonic()
            self._began_at.pop(host, None)

    def ended(self, host: str) -> None:
        """Record that the service on a host no longer runs."""
        with self._lock:
            self._began_at.pop(host, None)

    def looked(self, situation: Situation) -> None:
        """Record the results of one check of all hosts."""
        for view in situation.hosts.values():
            if view.serves:
                self.served(view.name)
            elif view.gate_answers:
                self._asked(view)

    def starting(self, within_seconds: float) -> Mapping[str, float]:
        """Return the age of each unanswered start that is younger than `within_seconds`, by host."""
        now = runtime.monotonic()
        with self._lock:
            ages = {host: now - at for host, at in self._began_at.items()}
        return {host: age for host, age in ages.items() if age < within_seconds}

    def _asked(self, view: HostView) -> None:
        """Record a gate's report about a service that does not answer."""
        now = runtime.monotonic()
        with self._lock:
            if view.underway in _STARTING_VERBS:
                self._began_at.setdefault(view.name, now)
            elif view.processes == 0:
                self._began_at.pop(view.name, None)
            elif view.age_seconds is not None:
                began_at = now - view.age_seconds
                if self._served_at.get(view.name, float("-inf")) >= began_at:
                    self._began_at.pop(view.name, None)
                else:
                    self._began_at[view.name] = min(began_at, self._began_at.get(view.name, began_at))
