"""Write the steps of a plan to the journal, before each begins and after it ended.

No step begins if its row could not be written, except a release, which needs no journal. A journal without the
claim would later lead to a plan that takes the address from the host that serves. Nothing is written between the
last check of an address and its claim, because a slow disk would make every answer too old; those rows are held
back and written afterwards.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial

from locum_actuator.domain.plan import PlannedStep
from locum_actuator.journal.database import JournalError
from locum_actuator.journal.journal import Journal

log = logging.getLogger(__name__)

# Log levels of a step's results; all others are INFO.
_LEVELS = {"failed": logging.ERROR, "undo_failed": logging.ERROR, "undone": logging.WARNING}


class StepRows:
    """The rows of one plan in the journal, each of which is logged as well."""

    def __init__(self, journal: Journal, incident: int) -> None:
        self._journal = journal
        self._incident = incident
        self._held_back: list[Callable[[], None]] | None = None  # rows to write once a step is over
        self.begun = False  # the first step is in the journal

    def hold_back(self) -> None:
        """Hold further rows back until `write_held_back`."""
        self._held_back = []

    def write_held_back(self) -> None:
        """Write the rows that were held back, and hold no more back."""
        rows, self._held_back = self._held_back or [], None
        for row in rows:
            self.write(row)

    def note(
        self, kind: str, step: PlannedStep, text: str, seconds: float | None = None, *, must: bool = False
    ) -> None:
        """Record and log what happened to a step, and how long it took."""
        log.log(
            _LEVELS.get(kind, logging.INFO),
            "%s %s: %s",
            step,
            kind,
            text,
            extra={
                "event": "step",
                **log_fields(step),
                "state": kind,
                "seconds": None if seconds is None else round(seconds, 3),
            },
        )
        note = partial(self._journal.note, self._incident, kind, text)
        row = partial(note, step=step.name, host=step.host, seconds=seconds)
        if self._held_back is None:
            self.write(row, must=must)
        else:
            self._held_back.append(row)

    def note_hook(self, text: str, step: str, host: str, seconds: float) -> None:
        """Record what a hook did before or after a step."""
        note = partial(self._journal.note, self._incident, "hook", text)
        self.write(partial(note, step=step, host=host, seconds=seconds))

    def write(self, write: Callable[[], None], *, must: bool = False) -> None:
        """Write to the journal. A plan does not begin if that fails, nor does a step whose row `must` be written.

        The result of a step is written if possible: what was done is not undone for that.
        """
        try:
            write()
        except JournalError as fault:
            if must or not self.begun:
                raise
            log.error(
                "the plan continues although this could not be written to the journal: %s",
                fault,
                extra={"event": "journal_not_written"},
            )
        self.begun = True


def log_fields(step: PlannedStep) -> dict[str, str]:
    """Return the log fields of a step."""
    return {"step": step.name, "host": step.host}
