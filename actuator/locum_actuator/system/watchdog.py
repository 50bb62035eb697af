"""Notify systemd's watchdog while every worker makes progress and the HTTP server answers.

Without these notifications systemd (WatchdogSec) restarts the actuator. A held address stays where it is; the new
actuator evaluates the state and finishes or undoes an interrupted plan.
"""

from __future__ import annotations

import http.client
import logging
import threading
from collections.abc import Callable

from locum_actuator.system.background import BackgroundThread, Health
from locum_inventory.sd_notify import ALIVE, tell, tell_alive_every_seconds

log = logging.getLogger(__name__)

ANSWER_SECONDS = 3.0


class Watchdog:
    """The thread that notifies systemd. `stuck` returns a text about what makes no progress, or None.

    `connect` returns a connection to our own HTTP server, on a path that other clients cannot fill.
    """

    def __init__(
        self,
        stuck: Callable[[], str | None],
        connect: Callable[[], http.client.HTTPConnection],
        health: Health | None = None,
    ) -> None:
        self._thread = BackgroundThread("watchdog", self.run, health or Health())
        self._stuck = stuck
        self._connect = connect
        self._every_seconds = tell_alive_every_seconds()
        self._ending = threading.Event()

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def is_alive(self) -> bool:
        """Return whether the thread was started and has not ended."""
        return self._thread.is_alive()

    def join(self, timeout_seconds: float | None = None) -> None:
        """Wait until the thread has ended, at most so long."""
        self._thread.join(timeout_seconds)

    def ending(self) -> None:
        """Stop checking: the actuator finishes its plan before it ends, and its HTTP server no longer answers."""
        self._ending.set()

    def end(self) -> None:
        """Ask the thread to end."""
        self._thread.end()

    def run(self) -> None:
        """Notify systemd until `end` is called; return at once if systemd has no watchdog for us."""
        if self._every_seconds is None:
            return
        while not self._thread.ended.is_set():
            why = None if self._ending.is_set() else self.look()
            if why is None:
                tell(ALIVE)
            else:
                log.critical("systemd's watchdog is not notified: %s", why, extra={"event": "not_alive"})
            self._thread.ended.wait(self._every_seconds)

    def look(self) -> str | None:
        """Return a text with the reason if we are not alive, or None."""
        return self._stuck() or self._silent()

    def _silent(self) -> str | None:
        asked = self._connect()
        try:
            asked.request("GET", "/-/healthy")
            status = asked.getresponse().status
        except (OSError, http.client.HTTPException) as fault:
            return f"our own HTTP server does not answer ({fault})"
        finally:
            asked.close()
        return None if status == 200 else f"our own HTTP server answers {status}"
