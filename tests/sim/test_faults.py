"""Each kind of fault bites: alone it leads to what locum does about it, or to what is seen of it."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from sim.faults import KINDS, Fault
from sim.scenario import Result, run
from sim.schedule import Schedule

pytestmark = pytest.mark.simulation


@dataclass(frozen=True, slots=True)
class Row:
    """Faults of one kind, and what is seen of them: an outcome of an incident, or words of an event."""

    kind: str
    seen: str
    host: str = "a"
    amount: float = 0.5
    lasts: float = 20.0
    profile: str = "takeover"
    also: tuple[Fault, ...] = ()  # what it meets

    def run(self) -> Result:
        fault = Fault(self.kind, self.host, 10.0, self.lasts, amount=self.amount)
        faults = sorted([fault, *self.also], key=lambda one: one.at)
        return run(Schedule(1, self.profile, tuple(faults)))


def killed_at(at: float) -> tuple[Fault, ...]:
    """Return the fault that the service's processes end at that time."""
    return (Fault("kill", "a", at, 1.0),)


def hung_at(at: float) -> tuple[Fault, ...]:
    """Return the fault that the service hangs from that time on."""
    return (Fault("hang", "a", at, 60.0),)


def crashed_at(at: float) -> tuple[Fault, ...]:
    """Return the fault that a loses its power."""
    return (Fault("crash", "a", at, 40.0, amount=0.9),)


GATE_GONE = (Fault("gate_gone", "a", 9.0, 15.0),)

ROWS = (
    Row("kill", "respawn"),
    Row("hang", "takeover", lasts=60.0),
    Row("crash", "takeover", amount=0.9),
    Row("crash", "has booted with the address", amount=0.1),
    Row("freeze", "takeover"),
    Row("freeze_processes", "fence: off", profile="fence"),
    Row("pause_machine", "takeover"),
    Row("suspend_machine", "takeover"),
    Row("cut", "takeover"),
    Row("sever", "only the line to it is cut", amount=0.95, also=hung_at(11.0)),
    Row("lose", "lost packets do not prove", amount=0.9),
    Row("delay", "delay does not prove"),
    Row("second_card", "belongs to no host of this site", also=(*GATE_GONE, *killed_at(11.0))),
    Row("stranger", "02:00:00:00:99:99 answers for the service address"),
    Row("witness_dead", "no witness answers", also=hung_at(10.5)),
    Row("drop_check", "takeover"),
    Row("drop_service_address", "is not reached through the service address"),
    Row("gate_gone", "connection refused", also=hung_at(10.5)),
    Row("drop_address", "no host holds the address"),
    Row("answer_wrongly", "answers, but not as expected"),
    Row("slow_start", "is starting on b", amount=0.99, host="b", also=crashed_at(11.0)),
    Row("slow_stop", "release is sent", amount=0.99, also=hung_at(11.0)),
    Row("start_fails", "takeover", also=killed_at(11.0)),
    Row("die_again", "takeover", amount=0.05),
    Row("kill_actuator", "the actuator is killed", also=hung_at(9.9)),
    Row("restart_actuator", "the actuator has ended"),
    Row("stop_actuator", "takeover", also=hung_at(10.5)),
    Row("reload", "reload is there"),
    Row("slow_disk", "takeover", amount=0.5, also=hung_at(10.5)),
    Row("disk_fails", "respawn", amount=0.1, lasts=8.0, also=killed_at(10.5)),
    Row("gate_disk_fails", "the epoch could not be stored", host="b", also=hung_at(11.0)),
    Row("busy", "too busy to check", amount=0.99, also=hung_at(11.0)),
    Row("restored_journal", "b holds the address (the journal named a)", lasts=15.0, also=hung_at(12.0)),
    Row("set_clock", "takeover", also=hung_at(11.0)),
    Row("drift", "takeover", host="b", also=hung_at(11.0)),
    Row("exporter", "takeover", host="b", amount=0.1, also=crashed_at(11.0)),
    Row("prometheus_dead", "patrol: the service does not answer on a", also=killed_at(11.0)),
    Row("alertmanager_dead", "patrol: the service does not answer on a", also=killed_at(11.0)),
    Row("silenced", "patrol: the service does not answer on a", also=killed_at(11.0)),
    Row("alerts_late", "respawn", also=killed_at(11.0)),
    Row("forged_alerts", "LocumNotReached (firing) is accepted"),
    Row("fence_device", "it could not be confirmed", amount=0.4, profile="fence", also=crashed_at(11.0)),
    Row("pause", "paused", also=killed_at(11.0)),
    Row("switchover", "switchover", host="b"),
    Row("failback", "failback", also=(Fault("switchover", "b", 5.0, 1.0),)),
)  # fmt: skip


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.kind}-{row.seen}")
def test_a_fault_bites(row: Row) -> None:
    result = row.run()
    assert result.broken is None
    texts = [event.text for event in result.events]
    assert row.seen in {incident["outcome"] for incident in result.incidents} or any(
        row.seen in text for text in texts
    )


def test_every_kind_of_fault_has_a_row() -> None:
    assert {row.kind for row in ROWS} == KINDS.keys()
