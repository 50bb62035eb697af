"""What of a host was heard a moment ago, besides the look at one of its services."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Life:
    """What of a host was heard, in words."""

    gate: str | None = None  # when its gate answered; None: not lately
    services: tuple[str, ...] = ()  # other services of the site that answer on it
    unasked: str | None = None  # why its gate could not be asked once more; None: it was


NO_LIFE = Life()
