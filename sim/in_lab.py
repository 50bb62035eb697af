"""Bring a drawn schedule upon a lab, with real hosts, real locum and a real clock."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from bench.campaign import invariants, trial
from bench.campaign.cards import Cards
from bench.campaign.inject import Injector
from bench.campaign.locum_system import LocumSystem
from bench.campaign.schedule import Fault, Scenario
from lab.lab import SSHD, Lab
from sim.course import Course, Drawn, incidents

BOOT_SERVICES = {"a": (SSHD,), "b": (SSHD,), "c": (SSHD,)}  # none starts the service: locum does
SLOW_SECONDS = 3.0  # that a start takes until the service answers
WRAPPER = Path("usr/local/sbin/apachectl")  # the gate finds it before the real one
LAB_KINDS = {"freeze": "pause", "freeze_processes": "freeze", "cut": "unplug"}  # where the name is another

# Its process is there at once, under the service's name, and it answers later.
SLOW_START = f"""\
#!/bin/sh
late=/run/apache2-late
case $1 in
    start)
        mkdir -p $late && cp /bin/sleep $late/apache2
        $late/apache2 {SLOW_SECONDS} &
        (sleep {SLOW_SECONDS}; exec /usr/sbin/apachectl start) & echo $! >$late/pid ;;
    stop)
        kill "$(cat $late/pid)"; pkill -f $late/apache2
        exec /usr/sbin/apachectl stop ;;
    restart) "$0" stop; "$0" start ;;
    *) exec /usr/sbin/apachectl "$@" ;;
esac
"""
START_FAILS = '#!/bin/sh\ncase $1 in start | restart) exit 1 ;; esac\nexec /usr/sbin/apachectl "$@"\n'


class _Injector(Injector):
    """Brings faults of a service's start too, by another start command."""

    def _bring_slow_start(self, fault: Fault) -> None:
        self._wrap(fault.host, SLOW_START)

    def _bring_start_fails(self, fault: Fault) -> None:
        self._wrap(fault.host, START_FAILS)

    def _heal_slow_start(self, fault: Fault) -> None:
        (self._lab.hosts[fault.host].root / WRAPPER).unlink()

    _heal_start_fails = _heal_slow_start

    def _wrap(self, host: str, script: str) -> None:
        path = self._lab.hosts[host].root / WRAPPER
        path.write_text(script, encoding="ascii")
        path.chmod(0o755)


def in_lab(faults: Sequence[Drawn]) -> Course:
    """Run a schedule in a lab of its own; return what locum did."""
    drawn = tuple(
        Fault(LAB_KINDS.get(one.kind, one.kind), one.host, one.begins, one.heals, {"keeps_address": False})
        for one in faults
    )
    with Lab(hosts=("a", "b", "c"), boot_services=BOOT_SERVICES) as lab:
        lab.start_service("a")
        system = LocumSystem(lab, "three")
        system.start(frozenset())
        cards, injector = Cards(lab), _Injector(lab, system)
        time.sleep(trial.BEFORE_SECONDS)
        began = time.time()
        healed = injector.run(Scenario(0, 0, drawn))
        trial.settle(lab, system, cards, healed)
        served_by = lab.client.answered_by(time.time() - trial.STEADY_SECONDS)
        seconds = invariants.seconds_without_service(lab.client.samples(began))
        journal = system.journal()
        cards.close()
        system.account()
    events = {
        row["id"]: [one for one in journal["events"] if one["incident"] == row["id"]]
        for row in journal["incidents"]
    }
    ours = [row for row in journal["incidents"] if row["opened_at"] >= began]
    return Course(
        incidents({**row, "events": events[row["id"]]} for row in ours), served_by, round(seconds, 2)
    )
