"""Describe the result of each check on each host of a service, from the reports of the vantage points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from locum_actuator.page.check_results import Vote, Votes
from locum_exporter.result import Outcome
from locum_inventory.site.model import Service

Verdict = Literal["ok", "bad", "mixed", "off", "unknown"]


@dataclass(frozen=True, slots=True)
class Cell:
    """One check on one host. `off` means that a service is stopped on a standby, as configured."""

    verdict: Verdict
    text: str


def checks_of(service: Service) -> tuple[str, ...]:
    """Return the names of a service's checks."""
    return (
        "ping",
        *(name for name in ("http", "tcp", "process") if getattr(service.checks, name) is not None),
    )


def cell_of(votes: Votes, name: str, service: Service, host: str, check: str, *, holds: bool) -> Cell:
    """Return the result of a check on a host; `holds`: it is the service's holder."""
    seen = votes.votes.get((None if check == "ping" else name, host, check), ())
    may_be_off = check != "ping" and not holds and service.standby == "stopped"
    return judge(seen, may_be_off=may_be_off)


def judge(seen: Sequence[Vote], *, may_be_off: bool) -> Cell:
    """Combine the results of several vantage points; they are named if they differ."""
    looked = [vote for vote in seen if vote.outcome is not Outcome.NOT_LOOKED]
    if not seen:
        return Cell("unknown", "not known")
    if not looked:
        return Cell("unknown", f"could not check ({_reasons(seen)})")
    if all(vote.outcome is Outcome.WELL for vote in looked):
        return Cell("ok", "ok")
    if any(vote.outcome is Outcome.WELL for vote in looked):
        each = (
            f"{'ok' if vote.outcome is Outcome.WELL else vote.reason or 'failed'} from {vote.vantage_point}"
            for vote in looked
        )
        return Cell("mixed", ", ".join(each))
    if may_be_off:
        return Cell("off", "stopped (standby)")
    return Cell("bad", _reasons(looked))


def _reasons(votes: Sequence[Vote]) -> str:
    return ", ".join(dict.fromkeys(vote.reason or "failed" for vote in votes))
