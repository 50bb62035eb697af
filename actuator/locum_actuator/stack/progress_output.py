"""The output of `locum up`: plain text for a terminal, or log lines."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from locum_actuator.stack.supervisor import Say
from locum_actuator.system.printing import say
from locum_inventory.logs.format import begin_log

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ProgressOutput:
    """Functions for progress messages and for warnings."""

    say: Say
    warn: Say

    @classmethod
    def of(cls, log_format: str | None) -> ProgressOutput:
        """Return an output that writes log lines, or plain text to standard output if no format is given."""
        if log_format is None:
            return cls(say, say)
        begin_log(log_format)
        return cls(_say, _warn)


def _say(words: str) -> None:
    log.info("%s", words.strip(), extra={"event": "up"})


def _warn(words: str) -> None:
    log.warning("%s", words.strip(), extra={"event": "up"})
