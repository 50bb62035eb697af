"""What comes of a mirror run, and what is asked of one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, Protocol

from locum_inventory.errors import LocumError

Outcome = Literal[
    "done",  # the copy is whole, and as new as the run's start
    "refused",  # it was not begun: the copy is as it was, byte for byte
    "failed",  # it was begun and not ended: in place the copy is not whole; staged the last whole copy is in use
]


@dataclass(frozen=True, slots=True)
class TreeCount:
    """What was copied of one directory, or of all of them together."""

    files: int = 0  # in the copy: files, directories and all else
    copied: int = 0  # regular files whose content was sent, whole or in part
    deleted: int = 0
    bytes_sent: int = 0  # over the wire, to the destination

    def __add__(self, other: TreeCount) -> TreeCount:
        return TreeCount(
            self.files + other.files,
            self.copied + other.copied,
            self.deleted + other.deleted,
            self.bytes_sent + other.bytes_sent,
        )


@dataclass(frozen=True, slots=True)
class MirrorResult:
    """How one run ended. `text` is one line for people; a run that is done says what was copied."""

    service: str
    source: str
    destination: str
    run: int  # its number: UTC, YYYYMMDDhhmmss; the kept files of a run go by it
    outcome: Outcome
    text: str
    started_at: float  # seconds since the epoch; the copy is as new as this
    seconds: float
    count: TreeCount = field(default_factory=TreeCount)

    @property
    def done(self) -> bool:
        """Tell whether the copy is whole and new."""
        return self.outcome == "done"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is, as rsync tells it."""

    tree: int  # which directory of the service, from 1
    trees: int
    bytes_done: int
    percent: int
    seconds_left: float | None  # None while rsync cannot tell


@dataclass(frozen=True, slots=True)
class Changes:
    """What changed in a host's directories since it last had the same data as another host."""

    host: str
    count: int
    examples: tuple[str, ...]  # paths, the first few, whole from /


@dataclass(frozen=True, slots=True)
class Divergence:
    """Whether two hosts have both changed since they last had the same data. `since` is the run, None: never."""

    since: int | None
    one: Changes
    other: Changes

    @property
    def both(self) -> bool:
        """Tell whether copying either way would overwrite what the other has of its own."""
        return self.one.count > 0 and self.other.count > 0


class MirrorError(LocumError):
    """A host could not be asked about its copy; the text is one line."""


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What a person may ask of one run beyond the schedule's."""

    allowed_deletions: int = 0  # more than max_delete allows; 0: what the site file says
    discard_changes: bool = False  # overwrite what changed on the destination (it is kept aside)
    on_progress: Callable[[Progress], None] | None = None


NO_WISH = RunOptions()


class NoMirrors:
    """The mirrors of a site that has none."""

    def is_configured(self, service: str) -> bool:
        """Tell that there is none."""
        return False

    def run(self, service: str, source: str, destination: str, wish: RunOptions = NO_WISH) -> MirrorResult:
        """Refuse: there is nothing to copy."""
        text = f"the site file has no mirror for {service}"
        return MirrorResult(service, source, destination, 0, "refused", text, 0.0, 0.0)

    def halt(self, service: str, host: str) -> bool:
        """Tell that nothing writes."""
        return True

    def divergence(self, service: str, one: str, other: str) -> Divergence:
        """Raise `MirrorError`: nobody could tell."""
        raise MirrorError(f"the site file has no mirror for {service}")

    def data_age_seconds(self, service: str, host: str) -> float | None:
        """Tell that it is not known."""
        return None


class Mirrors(Protocol):
    """The mirror of every service of the site. Threads may share it."""

    def is_configured(self, service: str) -> bool:
        """Tell whether the site file has a mirror for the service."""

    def run(self, service: str, source: str, destination: str, wish: RunOptions = NO_WISH) -> MirrorResult:
        """Copy a service's directories from one host to another, all of them; returns when it ended.

        One run a service at a time: another one is refused. Never raises for what goes wrong on the way: that is
        the result's outcome and text. The destination must not hold the service.
        """

    def halt(self, service: str, host: str) -> bool:
        """End a run that writes on a host, and return whether none writes there now. To be called before that
        host is made the holder; bounded to a few seconds."""

    def divergence(self, service: str, one: str, other: str) -> Divergence:
        """Look what two hosts changed since they last had the same data; raises `MirrorError`."""

    def data_age_seconds(self, service: str, host: str) -> float | None:
        """How old a host's data are: 0 on the holder, None where they are not whole or were never mirrored."""
