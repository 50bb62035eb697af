"""A takeover as it is reported: by the actuator's log, on a line of time, and in the file for a post-mortem."""

from __future__ import annotations

import pytest

from lab.lab import Lab
from lab.locum import HOME, Locum
from lab.trial import FAULTS, trial
from tests.support.log_reading import read_logfmt

pytestmark = pytest.mark.e2e

STEPS = ["release on a", "confirm on b", "start on b", "claim on b", "prove on b"]


def test_a_takeover_is_told_in_every_way() -> None:
    with Lab() as lab, Locum(lab) as locum:
        done = trial(lab, locum, FAULTS["hung"], seconds=60)  # how fast it is, others measure
        assert done.faults() == [], done.incident
        number = str(done.incident["id"])
        drawn = locum.command("incident", number).stdout
        written = locum.command("incident", number, "--markdown").stdout
        log = lab.run(HOME, ["cat", "/var/lib/locum/log/actuator.log"]).stdout
    lines = [fields for line in log.splitlines() if (fields := read_logfmt(line)).get("incident") == number]
    assert {fields["service"] for fields in lines} == {"www"}
    taken = [fields["step"] + " on " + fields["host"] for fields in lines if fields.get("state") == "done"]
    assert taken == STEPS
    decided = [fields for fields in lines if fields["event"] == "decided" and fields["plan"] == "takeover"]
    assert [(fields["level"], fields["target"]) for fields in decided] == [("warning", "b")]
    assert (lines[-1]["event"], lines[-1]["outcome"]) == ("incident_closed", "takeover")
    assert drawn.startswith(f"incident {number}: www taken over by b\n")
    assert written.startswith(f"# Incident {number}: www taken over by b\n")
    for text in (" ".join(drawn.split()), written):
        assert [step for step in STEPS if f"{step} done" not in text] == []
    seconds = done.incident["impact"]["seconds"]
    assert done.seconds_without_service is not None
    assert 0 < seconds <= done.seconds_without_service + 1, "from the alert, which is later than the fault"
    assert f"| {seconds:.2f} s, until a check proved that the service answers |" in written
    print(drawn)
