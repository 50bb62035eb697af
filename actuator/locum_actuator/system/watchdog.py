"""Tell the service manager that we are alive, as long as we are: every worker moves, and HTTP answers.

When we no longer say so, systemd (WatchdogSec) ends the actuator and starts it anew; a held address stays where it
is, and the new one looks at the world and finishes or undoes what was under way.
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
    """The thread that tells. `stuck` returns in words what no longer moves, or None.

    `connect` returns a connection to our own HTTP server, on a way that strangers cannot crowd.
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
        """Ask nothing any more: a plan under way is finished before the end, and then HTTP no longer answers."""
        self._ending.set()

    def end(self) -> None:
        """Ask the thread to end."""
        self._thread.end()

    def run(self) -> None:
        """Tell until told to end; return at once where nobody waits to be told."""
        if self._every_seconds is None:
            return
        while not self._thread.ended.is_set():
            why = None if self._ending.is_set() else self.look()
            if why is None:
                tell(ALIVE)
            else:
                log.critical(
                    "the watchdog is not told that we are alive: %s", why, extra={"event": "not_alive"}
                )
            self._thread.ended.wait(self._every_seconds)

    def look(self) -> str | None:
        """Return in words why we are not alive, or None."""
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
