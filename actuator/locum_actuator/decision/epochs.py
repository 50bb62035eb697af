"""Judge the epochs that gates report: how far one may be ahead, and which holder has the newest."""

from __future__ import annotations

from collections.abc import Sequence

from locum_actuator.domain.situation import Memory, Situation

DAMAGED_FROM = 10**12  # no service changes its holder this often
MOST_AHEAD = 1_000_000  # EPOCH_JUMP of the gate: an epoch further ahead of the journal is damaged


def highest_epoch(situation: Situation, known: int) -> int:
    """Return the highest epoch known to the journal or a gate, ignoring any that is implausibly far ahead.

    Each change of holder adds one. If the journal adopted a number near the maximum, every gate would refuse every
    later verb; `locum reset-epoch` replaces such an epoch.
    """
    epochs = (view.epoch for view in situation.hosts.values())
    return max([known, *(epoch for epoch in epochs if epoch <= known + MOST_AHEAD)])


def next_sound_epoch(epochs: Sequence[int]) -> int:
    """Return the next epoch: one more than the highest sound epoch.

    An epoch is damaged if no number of holder changes could reach it, or if it is too far above the lowest.
    """
    sound = sorted(epoch for epoch in epochs if epoch < DAMAGED_FROM)
    return 1 + max((epoch for epoch in sound if epoch <= sound[0] + MOST_AHEAD), default=0)


def holder_by_epoch(situation: Situation, memory: Memory) -> str | None:
    """Return the holder whose epoch is newer than the journal's and every other holder's; None if there is none.

    The journal stores each epoch before any gate does. A journal with an older epoch than a gate was therefore
    restored from a backup, or could not be written.
    """
    epochs = {name: situation.hosts[name].epoch for name in situation.holders if name in situation.hosts}
    newest = max(epochs.values(), default=0)
    if not memory.epoch < newest <= memory.epoch + MOST_AHEAD:
        return None
    names = [name for name, epoch in epochs.items() if epoch == newest]
    return names[0] if len(names) == 1 else None
