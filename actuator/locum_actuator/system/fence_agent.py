"""Control a fence device through its agent: options on standard input, the answer in the exit status.

This is the interface of ClusterLabs' fence agents (FenceAgentAPI.md): `off` and `on` exit with 0 when done;
`status` exits with 0 if the host is on, 2 if it is off, and anything else if the state is not known.
"""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from locum_actuator.system.bounded_process import ProcessError, Ran, run_bounded
from locum_inventory.errors import LocumError
from locum_inventory.site.model import FenceDevice

Power = Literal["on", "off"]
Action = Literal["off", "on", "status"]

# Agents are in sbin, which an unprivileged user's PATH often lacks. They get nothing else of our environment.
AGENT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_ENVIRONMENT = {"PATH": AGENT_PATH, "LANG": "C.UTF-8", "HOME": "/nonexistent"}
_SAYS_OFF = re.compile(r"\boff\b", re.IGNORECASE)
_LONGEST_WORDS = 200  # characters of an agent's output that are shown to people
_MAX_SECRET_BYTES = 4096


class FenceAgentError(LocumError):
    """The agent could not be run, failed, or gave no clear answer. The text holds no secret."""


@dataclass(frozen=True, slots=True)
class FenceAgent:
    """The agent of one device, for one host."""

    host: str
    device: FenceDevice

    def power(self, *, deadline_seconds: float) -> Power:
        """Return whether the host is on or off; raise `FenceAgentError` if that is not clear."""
        ran = self._run("status", deadline_seconds)
        says_off = bool(_SAYS_OFF.search(ran.output))
        if ran.status == 0 and not says_off:
            return "on"
        # Interpreters also exit with 2, if they cannot read a script, but then they print an error.
        if ran.status == 2 and (says_off or not ran.errors.strip()):
            return "off"
        raise FenceAgentError(f"status is not clear: {self._words(ran)}")

    def turn(self, action: Literal["off", "on"], *, deadline_seconds: float) -> None:
        """Switch the host off or on; raises `FenceAgentError`. Returning proves nothing: check with `power`."""
        ran = self._run(action, deadline_seconds)
        if ran.status != 0:
            raise FenceAgentError(f"{action} failed: {self._words(ran)}")

    def _run(self, action: Action, deadline_seconds: float) -> Ran:
        options = {**self.device.options, **self._secrets(), "nodename": self.host, "action": action}
        text = "".join(f"{key}={value}\n" for key, value in options.items())
        try:
            return run_bounded(
                self._argv(), text, deadline_seconds=deadline_seconds, environment=_ENVIRONMENT
            )
        except ProcessError as fault:
            raise FenceAgentError(f"{action}: {fault}") from None

    def _argv(self) -> list[str]:
        words = [self.device.agent] if self.device.agent else list(self.device.command or ())
        found = shutil.which(words[0], path=AGENT_PATH)
        if found is None:
            raise FenceAgentError(f"there is no program {words[0]} on this host")
        return [found, *words[1:]]

    def _secrets(self) -> dict[str, str]:
        return {key: _first_line(path) for key, path in self.device.secret_files.items()}

    def _words(self, ran: Ran) -> str:
        """Return how an agent ended and its last line of output, without secrets, in one printable line."""
        ended = f"ended with {ran.status}" if ran.status >= 0 else f"was killed by signal {-ran.status}"
        lines = (ran.errors.strip() or ran.output.strip()).splitlines()
        said = lines[-1] if lines else ""
        for secret in self._secrets().values():
            said = said.replace(secret, "***")
        said = "".join(c if c.isprintable() else "?" for c in said[:_LONGEST_WORDS])
        return f"{ended}: {said}" if said else f"{ended} without output"


def _first_line(path: Path) -> str:
    try:
        with path.open("rb") as file:
            line = file.readline(_MAX_SECRET_BYTES)
        secret = line.decode().rstrip("\r\n")
    except OSError as fault:
        raise FenceAgentError(f"its secret file {path} cannot be read: {fault.strerror}") from None
    except UnicodeDecodeError:
        raise FenceAgentError(f"its secret file {path} is not text") from None
    if not secret:
        raise FenceAgentError(f"its secret file {path} is empty")
    return secret
