"""Evaluate now and then what locum would do for each service, but not while there is work to do."""

from __future__ import annotations

from collections.abc import Mapping

from locum_actuator.engine.engine import Engine
from locum_actuator.engine.explain import Explainer, Explanation

EVERY_SECONDS = 15.0


class Explanations:
    """The last explanation of each service."""

    def __init__(self, engine: Engine, explainer: Explainer) -> None:
        self._engine = engine
        self._explainer = explainer
        self._known: dict[str, Explanation] = {}

    def look_round(self) -> Mapping[str, Explanation]:
        """Evaluate one service after the other and return the explanation of each.

        Stops as soon as any incident is open, so that its worker has the gates and the network to
        itself.
        """
        for name in list(self._engine.workers):
            if any(worker.incident is not None for worker in self._engine.workers.values()):
                break
            try:
                found = self._explainer.explain(name, wait_seconds=0.0)
            except KeyError:  # removed by a reload
                found = None
            if found is not None:
                self._known[name] = found
        self._known = {name: one for name, one in self._known.items() if name in self._engine.workers}
        return dict(self._known)
