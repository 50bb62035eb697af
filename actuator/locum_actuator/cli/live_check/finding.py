"""A result of `locum check --live`, in one line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "note", "wrong", "unknown"]


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check. `unknown` means that the check could not run, which is never ok."""

    what: str
    state: State
    text: str
    mend: str = ""  # what an administrator can do about it; also a key of `--json`

    @property
    def is_trouble(self) -> bool:
        """Return whether an administrator should act."""
        return self.state in {"wrong", "unknown"}

    @property
    def line(self) -> str:
        """The result, and how to fix it."""
        return f"{self.what}: {self.text}" + (f"; fix: {self.mend}" if self.mend else "")
