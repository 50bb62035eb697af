"""Compute the age of each host's data from the journal. Asks no host."""

from __future__ import annotations

from locum_actuator.domain.situation import Copy
from locum_actuator.journal.mirror_runs import MirrorLedger, Run
from locum_inventory.site.mirror import Mirror, age_seconds
from locum_inventory.site.model import Service


def copies(
    ledger: MirrorLedger, name: str, service: Service, holder: str | None, now: float
) -> dict[str, Copy]:
    """Return the copies by host; empty if nothing is mirrored, or no holder is known."""
    if service.mirror is None or holder is None:
        return {}
    return {
        host: copy_on(ledger, name, service.mirror, host, now) for host in service.hosts if host != holder
    }


def copy_on(ledger: MirrorLedger, name: str, mirror: Mirror, host: str, now: float) -> Copy:
    """Return the state of one host's copy."""
    done, left_at = ledger.last_done(name, host), ledger.left_at(name, host)
    wrote = ledger.last_that_wrote(name, host)
    if (
        mirror.mode == "in_place"
        and wrote is not None
        and wrote.outcome != "done"
        and _is_later(wrote, left_at)
    ):
        return Copy(None, stale=True, text=f"an incomplete copy (run {wrote.run} was interrupted)")
    if done is None and left_at is None:
        return Copy(None, stale=True, text="no copy: it was never mirrored")
    if done is not None and _is_later(done, left_at):
        age = max(0.0, now - done.started_at)
        text = f"a copy of {words(age)} ago (run {done.run})"
    else:
        age = max(0.0, now - (left_at or 0.0))
        text = f"the data it had when it was the holder, {words(age)} ago"
    return Copy(age, age > age_seconds(mirror.max_age), text)


def _is_later(run: Run, left_at: float | None) -> bool:
    return left_at is None or run.started_at > left_at


def words(seconds: float) -> str:
    """Return a duration as text for people: 45 s, 12 min, 26 h, 3 days."""
    for unit, name in ((86400.0 * 2, "days"), (7200.0, "h"), (120.0, "min")):
        if seconds >= unit:
            return f"{seconds / (unit / 2):.0f} {name}"
    return f"{seconds:.0f} s"
