"""A relay between a host's cable and its port that delays every frame. It exists only while a wire is slow."""

from __future__ import annotations

import subprocess

from lab.namespaces import INSIDE, PYTHON, Inside, enter
from lab.needs import ENVIRONMENT, LabError

START_SECONDS = 10.0


class Relay:
    """Connects two cards of the switch's namespace after `begin`. It ends with the lab, or by `end`."""

    def __init__(self, anchor: int, one: str, other: str, seconds: float) -> None:
        self.seconds = seconds
        program = [*PYTHON, str(INSIDE / "relays.py"), one, other, str(seconds)]
        self._process = Inside(
            enter(anchor, "mnp", program),
            env=dict(ENVIRONMENT), stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        self._hear("ready")

    def begin(self) -> None:
        """Start passing frames. Earlier frames are not passed, because the bridge has already done so."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"begin\n")
        self._process.stdin.flush()
        self._hear("begun")

    def end(self) -> None:
        """End the relay; frames in transit are lost."""
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
