"""Epochs as the gates report them: how far one may be ahead, and who holds by the newest."""

from __future__ import annotations

from collections.abc import Sequence

from locum_actuator.domain.situation import Memory, Situation

DAMAGED_FROM = 10**12  # no service changes its holder so often
MOST_AHEAD = 1_000_000  # as EPOCH_JUMP of the gate: what is further ahead of the journal is damaged


def highest_epoch(situation: Situation, known: int) -> int:
    """Return the highest epoch that the journal or a gate knows; one that is absurdly far ahead is left out.

    Each change of holder adds one. A number near the highest there is would else be taken over by the journal, and
    every later verb of every gate be refused for it: `locum reset-epoch` replaces such a one.
    """
    epochs = (view.epoch for view in situation.hosts.values())
    return max([known, *(epoch for epoch in epochs if epoch <= known + MOST_AHEAD)])


def next_sound_epoch(epochs: Sequence[int]) -> int:
    """Return the epoch to go on with, one above all that are sound.

    Damaged is what no number of changes of holder comes to, and what is too far above the lowest.
    """
    sound = sorted(epoch for epoch in epochs if epoch < DAMAGED_FROM)
    return 1 + max((epoch for epoch in sound if epoch <= sound[0] + MOST_AHEAD), default=0)


def holder_by_epoch(situation: Situation, memory: Memory) -> str | None:
    """Return which of several holders has a newer epoch than the journal and than every other; None where none has.

    The journal knows an epoch before any gate does. So one that knows less is older than what went on since: it was
    restored, or could not be written.
    """
    epochs = {name: situation.hosts[name].epoch for name in situation.holders if name in situation.hosts}
    newest = max(epochs.values(), default=0)
    if not memory.epoch < newest <= memory.epoch + MOST_AHEAD:
        return None
    names = [name for name, epoch in epochs.items() if epoch == newest]
    return names[0] if len(names) == 1 else None
