"""Judge whether clients reach a service through its addresses, from vantage points that do not hold them.

A host that holds an address reaches it without using the network, so its own success does not show what clients
get. Its own failure does: nothing listens on the address.
"""

from __future__ import annotations

from dataclasses import dataclass

from locum_actuator.domain.situation import CheckOutcome, HostView
from locum_exporter.result import Outcome

NOT_PROVEN = "not proven from outside"


@dataclass(frozen=True, slots=True)
class Reach:
    """Results of the deciding checks through the service addresses.

    `outside` has one entry per vantage point; one that holds an address itself counts as unable to check. `here` is
    the result of the actuator's own host if it holds one, otherwise None.
    """

    outside: tuple[CheckOutcome, ...] = ()
    here: CheckOutcome | None = None

    @property
    def outcome(self) -> Outcome:
        """Return WELL if another vantage point got an answer, FAILED if those able to check got none."""
        if any(look.outcome is Outcome.WELL for look in self.outside):
            return Outcome.WELL
        return Outcome.FAILED if self._failed else Outcome.NOT_LOOKED

    @property
    def text(self) -> str:
        """Describe the result in words."""
        if well := [look for look in self.outside if look.outcome is Outcome.WELL]:
            return f"{well[0].vantage_point} got an answer through the service address: {well[0].text}"
        if self._failed:
            return f"no answer through the service address ({_words(self._failed)})"
        if not self.outside:
            return f"{NOT_PROVEN}: there is no vantage point other than the holder"
        return f"{NOT_PROVEN}: {_words(self.outside)}"

    @property
    def _looks(self) -> tuple[CheckOutcome, ...]:
        return self.outside if self.here is None else (self.here, *self.outside)

    @property
    def _failed(self) -> tuple[CheckOutcome, ...]:
        return tuple(look for look in self._looks if look.outcome is Outcome.FAILED)

    def unreached_from(
        self, before: frozenset[str], failing: tuple[CheckOutcome, ...] | None = None
    ) -> frozenset[str]:
        """Return the vantage points whose last check got no answer; `before` are those of the earlier checks.

        `failing` are the failures that count, by default all. A vantage point that could not check this time stays
        one of them. One answer from outside is enough for all.
        """
        if self.outcome is Outcome.WELL:
            return frozenset()
        failed = self._failed if failing is None else failing
        well = {look.vantage_point for look in self._looks if look.outcome is Outcome.WELL}
        return (before - well) | {look.vantage_point for look in failed}

    def unable(self) -> frozenset[str]:
        """Return the vantage points that could not check."""
        return frozenset(look.vantage_point for look in self._looks if look.outcome is Outcome.NOT_LOOKED)

    def failing(self, holder: HostView) -> tuple[CheckOutcome, ...]:
        """Return the failures that the vantage points do not explain; empty if the service is reached.

        A vantage point that gets an answer from the holder's own address is not cut off.
        """
        if self.outcome is Outcome.WELL:
            return ()
        sound = {look.vantage_point for look in holder.looks if look.outcome is Outcome.WELL}
        return tuple(look for look in self._failed if look is self.here or look.vantage_point in sound)


def _words(looks: tuple[CheckOutcome, ...]) -> str:
    return "; ".join(f"{look.vantage_point}: {look.text}" for look in looks)
