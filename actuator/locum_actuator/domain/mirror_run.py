"""Results and options of a mirror run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, Protocol

from locum_inventory.errors import LocumError

Outcome = Literal[
    "done",  # the copy is complete, and as new as the run's start
    "refused",  # it did not begin: the copy is unchanged
    "failed",  # it did not finish: in place the copy is incomplete; staged the last complete copy is in use
]


@dataclass(frozen=True, slots=True)
class TreeCount:
    """Counts of what was copied from one directory, or from all of them."""

    files: int = 0  # in the copy: files, directories and everything else
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
    """The result of one run. `text` is one line for people; for a run that is done it says what was copied."""

    service: str
    source: str
    destination: str
    run: int  # its number: UTC, YYYYMMDDhhmmss; kept files are stored under it
    outcome: Outcome
    text: str
    started_at: float  # seconds since the epoch; the copy is as new as this
    seconds: float
    count: TreeCount = field(default_factory=TreeCount)

    @property
    def done(self) -> bool:
        """Return whether the copy is complete and new."""
        return self.outcome == "done"


@dataclass(frozen=True, slots=True)
class Progress:
    """Progress of a run as rsync reports it."""

    tree: int  # which directory of the service, from 1
    trees: int
    bytes_done: int
    percent: int
    seconds_left: float | None  # None while rsync does not report it


@dataclass(frozen=True, slots=True)
class Changes:
    """Changes in a host's directories since it last had the same data as another host."""

    host: str
    count: int
    examples: tuple[str, ...]  # the first few absolute paths


@dataclass(frozen=True, slots=True)
class Divergence:
    """Changes on two hosts since they last had the same data. `since` is the run; None: they never had."""

    since: int | None
    one: Changes
    other: Changes

    @property
    def both(self) -> bool:
        """Return whether copying in either direction would overwrite the other host's own changes."""
        return self.one.count > 0 and self.other.count > 0


class MirrorError(LocumError):
    """Raised if a host could not be asked about its copy; the text is one line."""


@dataclass(frozen=True, slots=True)
class RunOptions:
    """Options that a person may set for one run, beyond those of the schedule."""

    allowed_deletions: int = 0  # overrides max_delete; 0: the site file's limit
    discard_changes: bool = False  # overwrite changes on the destination (they are kept aside)
    on_progress: Callable[[Progress], None] | None = None


NO_WISH = RunOptions()


class NoMirrors:
    """A null implementation for a site without mirrors."""

    def is_configured(self, service: str) -> bool:
        """Return False."""
        return False

    def run(self, service: str, source: str, destination: str, wish: RunOptions = NO_WISH) -> MirrorResult:
        """Return a refused result: there is nothing to copy."""
        text = f"the site file has no mirror for {service}"
        return MirrorResult(service, source, destination, 0, "refused", text, 0.0, 0.0)

    def halt(self, service: str, host: str) -> bool:
        """Return True: no run writes."""
        return True

    def divergence(self, service: str, one: str, other: str) -> Divergence:
        """Raise `MirrorError`."""
        raise MirrorError(f"the site file has no mirror for {service}")

    def data_age_seconds(self, service: str, host: str) -> float | None:
        """Return None: the age is not known."""
        return None


class Mirrors(Protocol):
    """The mirror of every service of the site. Threads may share it."""

    def is_configured(self, service: str) -> bool:
        """Return whether the site file has a mirror for the service."""

    def run(self, service: str, source: str, destination: str, wish: RunOptions = NO_WISH) -> MirrorResult:
        """Copy all of a service's directories from one host to another; return when the run has ended.

        Only one run per service at a time: a second one is refused. Faults during the run are not raised; they are
        in the result's outcome and text. The destination must not hold the service.
        """

    def halt(self, service: str, host: str) -> bool:
        """Stop a run that writes on a host; return whether no run writes there any more.

        To be called before that host is made the holder. Takes at most a few seconds.
        """

    def divergence(self, service: str, one: str, other: str) -> Divergence:
        """Return what changed on two hosts since they last had the same data; raises `MirrorError`."""

    def data_age_seconds(self, service: str, host: str) -> float | None:
        """Return the age of a host's data: 0 on the holder, None if they are incomplete or were never mirrored."""
