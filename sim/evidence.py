"""What locum could have known: since when each host has been well, and since when that could be seen.

The invariants need it, because docs/trust.md promises nothing about what no host could see.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from sim.profiles import Profile
from sim.world import World

PROMPT_SECONDS = 0.5  # a round trip that takes longer may hide all that a host answers
FEWEST_RETURN = 0.2  # of the packets: with fewer a check may find none by chance
BY_PERSON_SECONDS = 60.0  # a planned move takes so long at most, its undoing and a restart included
OF_TWO_SECONDS = 30.0  # a host that held the address together with another may be released for so long
CLOCK_SECONDS = 10.0  # after a hypervisor's pause the age of evidence is too low for so long
NEVER = float("-inf")


@dataclass(slots=True)
class Evidence:
    """The state of the hosts as clients and as vantage points see it, with its past."""

    world: World
    profile: Profile
    well_since: dict[str, float] = field(default_factory=dict)  # since when clients are served by it alone
    seen_since: dict[str, float] = field(default_factory=dict)  # since when locum can see that it is there
    back_at: dict[str, float] = field(default_factory=dict)  # when clients could last reach it again
    held_at: dict[str, float] = field(default_factory=dict)  # when it last had the address, and was heard
    silent_to_a_point_at: dict[str, float] = field(default_factory=dict)
    # Since when a service that runs well has not been reached through the address, as others could have seen.
    unreached_since: dict[str, float] = field(default_factory=dict)
    hidden_at: dict[str, float] = field(default_factory=dict)  # when its line last hid what it answers
    _heard: dict[str, bool] = field(default_factory=dict)

    def note(self) -> None:
        """Compare the world with what is known, and write down what has changed."""
        now, world = self.world.now, self.world
        for name, host in world.hosts.items():
            heard = host.is_heard and not host.cut
            if heard and not self._heard.get(name, True):
                self.back_at[name] = now
            self._heard[name] = heard
            if heard and host.has_address:
                self.held_at[name] = now
            _since(self.well_since, name, now, holds=self._is_well(name))
            _since(self.seen_since, name, now, holds=self._is_seen(name))
            _since(self.unreached_since, name, now, holds=self._is_unreached(name))
            if host.is_heard and any(not self._is_clear(point, name) for point in self._points(name)):
                self.hidden_at[name] = now
            if self._is_silent_to_a_point(name):
                self.silent_to_a_point_at[name] = now

    def _is_well(self, name: str) -> bool:
        host = self.world.hosts[name]
        return host.serves and not host.loses and host.delay_seconds < 0.02 and not self.world.wire.stranger

    def _is_seen(self, name: str) -> bool:
        return self.world.hosts[name].is_heard and any(
            self._hears(point, name) and self._is_clear(point, name) for point in self._points(name)
        )

    def _is_unreached(self, name: str) -> bool:
        """Return whether others could see that a service is well, and not reached through the address."""
        host = self.world.hosts[name]
        if not (host.offers_service and host.through_dropped):
            return False
        return not host.check_dropped and any(
            point != name
            and self.world.hosts[point].runs
            and self._hears(point, name)
            and self._is_clear(point, name)
            for point in self._points(name)
        )

    def _points(self, name: str) -> list[str]:
        """Return the actuator's host, and the vantage points that can report to it."""
        home = self.world.home
        return [home] + [
            point
            for point in self.profile.vantage_points
            if point not in {home, name}
            and self.world.hosts[point].exporter == "well"
            and self.world.hosts[point].runs
            and self._hears(home, point)
            and self._is_clear(home, point)
        ]

    def _hears(self, point: str, name: str) -> bool:
        """Return whether packets pass both ways, apart from loss."""
        wire, ends = self.world.wire, (self.world.hosts[point], self.world.hosts[name])
        if point == name:
            return True
        passes = not ({(point, name), (name, point)} & wire.severed)
        return passes and not any(end.cut or not end.is_heard for end in ends)

    def _is_clear(self, point: str, name: str) -> bool:
        """Return whether the line loses and delays so little that a living host is found."""
        ends = {self.world.hosts[point].name: self.world.hosts[point], name: self.world.hosts[name]}
        returned = 1.0
        for end in ends.values():
            returned *= (1.0 - end.loses) ** 2
        return returned >= FEWEST_RETURN and self.world.wire.round_trip(point, name) < PROMPT_SECONDS

    def _is_silent_to_a_point(self, name: str) -> bool:
        """Return whether a vantage point other than the actuator's host can be asked and gets no echo."""
        return any(point != self.world.home and not self._hears(point, name) for point in self._points(name))

    def clock_stood_still(self, name: str) -> bool:
        """Return whether a hypervisor paused a host, or the actuator's, a moment ago."""
        return any(
            self.world.now - self.world.clock_paused_at.get(one, NEVER) <= CLOCK_SECONDS
            for one in (name, self.world.home)
        )

    def moved_by_person(self) -> bool:
        """Return whether a person ordered a move a moment ago."""
        return self.world.now - self.world.moved_by_person_at <= BY_PERSON_SECONDS

    def was_one_of_two(self, name: str) -> bool:
        """Return whether another host had the address a moment ago."""
        others = (self.held_at.get(other, NEVER) for other in self.world.hosts if other != name)
        return self.world.now - max(others) <= OF_TWO_SECONDS

    def seen_for(self, name: str) -> float:
        """Return for how many seconds locum has been able to see that a host is there; 0 if it is not."""
        return self.world.now - self.seen_since.get(name, self.world.now)

    def unreached_for(self, name: str) -> float:
        """Return for how many seconds a service that is well has not been reached; 0 if it is."""
        return self.world.now - self.unreached_since.get(name, self.world.now)

    def well_for(self, name: str) -> float:
        """Return for how many seconds a host has served its clients; 0 if it does not."""
        return self.world.now - self.well_since.get(name, self.world.now)


def _since(times: dict[str, float], name: str, now: float, *, holds: bool) -> None:
    """Keep the time since which something holds."""
    if holds:
        times.setdefault(name, now)
    else:
        times.pop(name, None)
