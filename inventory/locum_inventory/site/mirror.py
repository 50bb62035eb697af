"""The site file's `mirror` key: which directories are copied, when, and within which limits."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from cronsim import CronSim, CronSimError
from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from locum_inventory.site.field_types import AbsolutePath, CommandLine, Value

_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_AGE = re.compile(r"([1-9][0-9]{0,6})([smhd])")
_RATE = re.compile(r"([1-9][0-9]{0,6})([KMG])")
_RATE_KIB = {"K": 1, "M": 1024, "G": 1024 * 1024}
_SHARE = re.compile(r"([0-9]{1,2}|100)%")


def _tree(value: Path) -> Path:
    """Validate a directory: it must fit on one line of the gate's file and must not be shared with others."""
    text = str(value)
    if "\n" in text or "\0" in text or text != text.strip():
        raise ValueError("contains a line break, or begins or ends with a space: give another directory")
    if ".." in value.parts:
        raise ValueError(f"is '{value}': give the directory without '..'")
    if len(value.parts) < 3:
        raise ValueError(f"is '{value}': give a directory that only the service uses, such as /srv/www")
    return value


def _schedule(value: str) -> str:
    try:
        CronSim(value, datetime(2026, 1, 1, tzinfo=UTC))
    except CronSimError as error:
        raise ValueError(
            f"is '{value}': give when to copy, as the five fields of crontab(5) ({str(error).lower()})"
        ) from None
    return value


def _age(value: Any) -> Any:
    if isinstance(value, str) and not _AGE.fullmatch(value):
        raise ValueError(f"is '{value}': give a number and s, m, h or d, such as 90m, 26h or 2d")
    return value


def _share(value: Any) -> Any:
    found = _SHARE.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError(f"is '{value}': give a percentage of the copy, from 0% to 100%, such as 25%")
    return value


def _rate(value: Any) -> Any:
    if not isinstance(value, str) or not _RATE.fullmatch(value):
        raise ValueError(f"is '{value}': give KiB, MiB or GiB per second, such as 500K, 10M or 1G")
    return value


def _pattern(value: str) -> str:
    # '!' would clear rsync's list of filters, and '+ ' would turn an exclusion into an inclusion.
    if not value or "\n" in value or "\0" in value or value != value.strip() or value[0] in "!+-":
        raise ValueError(f"is '{value}': give a pattern of rsync(1), such as /cache/ or *.tmp")
    return value


Tree = Annotated[AbsolutePath, AfterValidator(_tree)]
Schedule = Annotated[str, AfterValidator(_schedule)]
Age = Annotated[str, BeforeValidator(_age)]
Share = Annotated[str, BeforeValidator(_share)]
Rate = Annotated[str, BeforeValidator(_rate)]
Pattern = Annotated[str, AfterValidator(_pattern)]


def age_seconds(age: Age) -> int:
    """Return an age such as 26h in seconds."""
    return int(age[:-1]) * _UNIT_SECONDS[age[-1]]


class MirrorTree(Value):
    """One directory, on each host of the service."""

    source: Tree = Field(description="the directory on the preferred host, such as /srv/www")
    destination: Tree | None = Field(
        default=None, description="the directory on the standbys, if it differs from the source"
    )
    exclude: tuple[Pattern, ...] = Field(
        default=(),
        description="rsync(1) patterns of what is neither copied nor deleted, such as [/cache/, '*.tmp']",
    )
    mounted: tuple[Tree, ...] = Field(
        default=(), description="directories that must be mount points on every host, such as [/srv/www]"
    )

    mounted_source: Tree | None = Field(
        default=None,
        description="where a standby has the source mounted and reads it, such as /mnt/a/www",
    )

    def path_on(self, *, preferred: bool) -> Path:
        """Return where the directory is on the preferred host, or on a standby."""
        return self.source if preferred or self.destination is None else self.destination


class MaxDelete(Value):
    """How much one run may delete; a run that would exceed either limit does not begin."""

    share: Share = Field(default="50%", description="a percentage of the copy's files, such as 25%")
    number: int | None = Field(
        default=None,
        ge=1,
        le=1_000_000_000,
        description="the maximum number of files that one run may delete",
    )

    @property
    def percent(self) -> int:
        """The share in percent."""
        return int(self.share.removesuffix("%"))


class Mirror(MirrorTree):
    """How a standby gets its copy of the data."""

    also: tuple[MirrorTree, ...] = Field(
        default=(), description="further directories, such as [{source: /var/lib/app}]"
    )
    schedule: Schedule = Field(
        default="0 4 * * *", description="when to copy, as the five fields of crontab(5)"
    )
    jitter: Age = Field(
        default="60s", description="the longest random delay before it begins, such as 60s or 10m"
    )
    max_age: Age = Field(default="26h", description="how old a copy may be, such as 90m, 26h or 2d")
    when_stale: Literal["refuse", "takeover"] = Field(
        default="refuse",
        description="'refuse', or 'takeover' to let a standby take over although its copy is older or incomplete",
    )
    mode: Literal["in_place", "staged"] = Field(
        default="in_place",
        description="'in_place', or 'staged' to write a second copy and switch to it when it is complete",
    )
    max_delete: MaxDelete = Field(
        default=MaxDelete(), description="what one run may delete: {share: 25%, number: 1000}"
    )
    keep_runs: int = Field(
        default=3, ge=1, le=365, description="for how many runs deleted and overwritten files are kept"
    )
    xattrs: bool = Field(
        default=True,
        description="true, or false where a copy's file system keeps no extended attributes (user.*)",
    )
    acls: bool = Field(
        default=True,
        description="true, or false where a copy's file system keeps no access control lists",
    )
    privileges: Literal["drop", "copy"] = Field(
        default="drop",
        description="'drop', or 'copy' to copy setuid and setgid files, devices and file capabilities too: "
        "root on either host can then become root on the other",
    )
    bandwidth_limit: Rate | None = Field(
        default=None, description="the maximum number of bytes per second, such as 10M"
    )
    timeout: Age = Field(default="6h", description="how long a run may take before it is aborted, such as 6h")
    before: CommandLine | None = Field(
        default=None,
        description="a command line on the source before a run, such as one that dumps a database",
    )
    after: CommandLine | None = Field(
        default=None, description="a command line on the destination after a completed run"
    )

    @model_validator(mode="after")
    def _trees_are_apart(self) -> Mirror:
        """Reject nested directories: both entries would copy and delete the same files."""
        for preferred in (True, False):
            paths = [tree.path_on(preferred=preferred) for tree in self.trees]
            for number, path in enumerate(paths):
                for other in paths[number + 1 :]:
                    if path == other or path in other.parents or other in path.parents:
                        raise ValueError(f"names {path} and {other}: one directory may not be inside another")
        return self

    @property
    def trees(self) -> tuple[MirrorTree, ...]:
        """All directories, in the order of their numbers at the gate: the first is 1."""
        return (self, *self.also)

    @property
    def bandwidth_kib(self) -> int:
        """The maximum in KiB per second; 0 if there is no limit."""
        if self.bandwidth_limit is None:
            return 0
        return int(self.bandwidth_limit[:-1]) * _RATE_KIB[self.bandwidth_limit[-1]]


def gate_lines(mirror: Mirror, *, preferred: bool) -> list[str]:
    """Return the lines about the mirror for the host file of a gate."""
    lines: list[str] = []
    for number, tree in enumerate(mirror.trees, 1):
        lines += [
            f"mirror {number}",
            f"mirror_path {tree.path_on(preferred=preferred)}",
            f"mirror_mode {mirror.mode}",
            f"mirror_keep {mirror.keep_runs}",
            f"mirror_max_percent {mirror.max_delete.percent}",
            f"mirror_max_number {mirror.max_delete.number or 0}",
            f"mirror_bandwidth_kib {mirror.bandwidth_kib}",
        ]
        if not mirror.xattrs:
            lines.append("mirror_xattrs no")
        if not mirror.acls:
            lines.append("mirror_acls no")
        if mirror.privileges == "copy":
            lines.append("mirror_privileges copy")
        if tree.mounted_source is not None and not preferred:
            lines.append(f"mirror_from {tree.mounted_source}")
        lines += [f"mirror_mounted {mount}" for mount in tree.mounted]
        lines += [f"mirror_exclude {pattern}" for pattern in tree.exclude]
        # Once per run, not once per directory: before the first, after the last.
        if number == 1 and mirror.before is not None:
            lines.append(f"mirror_before {mirror.before.strip()}")
        if number == len(mirror.trees) and mirror.after is not None:
            lines.append(f"mirror_after {mirror.after.strip()}")
    return lines
