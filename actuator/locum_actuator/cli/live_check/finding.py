"""What `locum check --live` found of one thing, in one line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "note", "wrong", "unknown"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `unknown` is that it could not be looked at, which is never ok."""

    what: str
    state: State
    text: str
    mend: str = ""  # what an administrator can do about it

    @property
    def is_trouble(self) -> bool:
        """Tell whether somebody should do something."""
        return self.state in {"wrong", "unknown"}

    @property
    def line(self) -> str:
        """What was found, and how to mend it."""
        return f"{self.what}: {self.text}" + (f"; mend: {self.mend}" if self.mend else "")
