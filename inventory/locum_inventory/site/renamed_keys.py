"""Keys of the site file that had another name in version 0.1.0; the fault of an old file names the new one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from locum_inventory.site.yaml_positions import KeyPath


@dataclass(frozen=True, slots=True)
class Renamed:
    """The current name of a key, and of its values that were renamed."""

    name: str
    values: Mapping[str, str] = field(default_factory=dict)

    def sentence(self, value: object) -> str:
        """Return what to write instead of the old key with this value."""
        if not isinstance(value, str):
            return f"was renamed: write {self.name} instead"
        return f"was renamed: write '{self.name}: {self.values.get(value, value)}' instead"


# Keyed by the last two names of the path, without list positions.
_RENAMED: Mapping[tuple[str, str], Renamed] = {
    ("takeover", "unreachable"): Renamed("when_unreachable", {"probe": "takeover"}),
    ("takeover", "unconfirmed_fence"): Renamed("when_fence_unconfirmed", {"take_over": "takeover"}),
    ("takeover", "storm"): Renamed("when_storm", {"act": "takeover"}),
    ("mirror", "stale"): Renamed("when_stale", {"go_ahead": "takeover"}),
    ("mirror", "through"): Renamed("mounted_source"),
    ("also", "through"): Renamed("mounted_source"),
}


def renamed(path: KeyPath) -> Renamed | None:
    """Return the current name of the key at the path; None if it was not renamed."""
    names = [key for key in path if isinstance(key, str)]
    return _RENAMED.get((names[-2], names[-1])) if len(names) > 1 else None


def old_names(path: KeyPath) -> tuple[KeyPath, ...]:
    """Return the former paths of the key at this path."""
    names = [key for key in path if isinstance(key, str)]
    if len(names) < 2:
        return ()
    return tuple(
        (*path[:-1], old)
        for (parent, old), new in _RENAMED.items()
        if parent == names[-2] and new.name == names[-1]
    )
