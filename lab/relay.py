"""A relay between a host's cable and its port: passes every frame on, later. There only while a wire is slow."""

from __future__ import annotations

import subprocess

from lab.namespaces import INSIDE, PYTHON, Inside, enter
from lab.needs import ENVIRONMENT, LabError

START_SECONDS = 10.0


class Relay:
    """Joins two cards of the switch's namespace, once `begin` was said. It dies with the lab, or by `end`."""

    def __init__(self, anchor: int, one: str, other: str, seconds: float) -> None:
        self.seconds = seconds
        program = [*PYTHON, str(INSIDE / "relays.py"), one, other, str(seconds)]
        self._process = Inside(
            enter(anchor, "mnp", program),
            env=dict(ENVIRONMENT), stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        self._hear("ready")

    def begin(self) -> None:
        """Let it pass frames on: what came before is not passed, for the bridge did that itself."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"begin\n")
        self._process.stdin.flush()
        self._hear("begun")

    def end(self) -> None:
        """End it; what is on its way is lost."""
        self._process.kill()
        self._process.wait(timeout=START_SECONDS)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    def _hear(self, word: str) -> None:
        assert self._process.stdout is not None
        if self._process.stdout.readline() != f"{word}\n".encode():
            self.end()
            raise LabError("the relay that makes a wire slow has ended")
