"""Whether clients reach a service through its addresses, as vantage points found that do not hold them. Plain data.

A host that holds an address reaches it without any network. So its own success shows nothing of what clients get;
its own failure does: nothing listens there.
"""

from __future__ import annotations

from dataclasses import dataclass

from locum_actuator.domain.situation import CheckOutcome, HostView
from locum_exporter.result import Outcome

NOT_PROVEN = "not proven from outside"


@dataclass(frozen=True, slots=True)
class Reach:
    """What was found when the deciding checks were made through the service addresses.

    `outside` has one entry for each vantage point; one that holds an address itself could not look. `here` is what
    the actuator's own host found where it holds one, else None.
    """

    outside: tuple[CheckOutcome, ...] = ()
    here: CheckOutcome | None = None

    @property
    def outcome(self) -> Outcome:
        """Well if a host that does not hold them got an answer, failed if those that could look got none."""
        if any(look.outcome is Outcome.WELL for look in self.outside):
            return Outcome.WELL
        return Outcome.FAILED if self._failed else Outcome.NOT_LOOKED

    @property
    def text(self) -> str:
        """Say it in words."""
        if well := [look for look in self.outside if look.outcome is Outcome.WELL]:
            return f"{well[0].vantage_point} got an answer through the service address: {well[0].text}"
        if self._failed:
            return f"no answer through the service address ({_words(self._failed)})"
        if not self.outside:
            return f"{NOT_PROVEN}: there is no vantage point besides the holder"
        return f"{NOT_PROVEN}: {_words(self.outside)}"

    @property
    def _failed(self) -> tuple[CheckOutcome, ...]:
        looks = self.outside if self.here is None else (self.here, *self.outside)
        return tuple(look for look in looks if look.outcome is Outcome.FAILED)

    def failing(self, holder: HostView) -> tuple[CheckOutcome, ...]:
        """Return the failures that are not a matter of the vantage point; none where the service is reached.

        Whoever gets an answer from the holder's own address and none through the service address is not cut off.
        """
        if self.outcome is Outcome.WELL:
            return ()
        sound = {look.vantage_point for look in holder.looks if look.outcome is Outcome.WELL}
        return tuple(look for look in self._failed if look is self.here or look.vantage_point in sound)


def _words(looks: tuple[CheckOutcome, ...]) -> str:
    return "; ".join(f"{look.vantage_point}: {look.text}" for look in looks)
