"""Signs of life of a host from the last moments, besides the check of one of its services."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Life:
    """Signs of life of a host, in words."""

    gate: str | None = None  # when its gate answered; None: not recently
    services: tuple[str, ...] = ()  # other services of the site that answer on it
    unasked: str | None = None  # why its gate could not be asked again; None: it was asked


NO_LIFE = Life()
