"""The systems that a campaign can be run against, by name, and the hosts that each needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bench.campaign import revision
from bench.campaign.keepalived_system import SETTINGS, KeepalivedSystem
from bench.campaign.locum_system import HOSTS, PROFILES, LocumSystem
from bench.campaign.system import System
from lab.lab import Lab


@dataclass(frozen=True, slots=True)
class Candidate:
    """How a system is made, and what must hold for it."""

    name: str
    hosts: tuple[str, ...]
    make: Callable[[Lab], System]
    revision: Callable[[], str]  # of what is tried
    must_hold: bool  # whether a violation is a fault of the run; peers are only measured
    excused: frozenset[str] = frozenset()  # what cannot be promised for it: in a table of its own


# In a partition with two hosts alone, a guess takes a healthy holder over, and so does a fence.
_EXCUSED = {"probe": frozenset({"held_by_two", "healthy_taken"}), "fence-two": frozenset({"healthy_taken"})}


def _locum(profile: str) -> Candidate:
    return Candidate(
        f"locum {profile}", HOSTS.get(profile, ("a", "b")), lambda lab: LocumSystem(lab, profile),
        revision.of_locum, must_hold=True, excused=_EXCUSED.get(profile, frozenset()),
    )  # fmt: skip


def _keepalived(setting: str) -> Candidate:
    return Candidate(
        f"keepalived {setting}", ("a", "b"), lambda lab: KeepalivedSystem(lab, setting),
        revision.of_keepalived, must_hold=False,
    )  # fmt: skip


CANDIDATES: Mapping[str, Candidate] = {
    **{profile: _locum(profile) for profile in PROFILES},
    **{f"keepalived-{setting}": _keepalived(setting) for setting in SETTINGS},
}
