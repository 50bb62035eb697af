"""The actuator dies in the middle of a real takeover, at each of its steps: the next start finishes or undoes it.

A hook before and after every step is the instrument: armed for one instant, it kills the actuator, or `locum up`
with all its children, or waits for the power cut that takes the whole host b.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from lab.lab import Lab
from lab.locum import HOME
from lab.needs import LabError
from tests.e2e.often_moved import OftenMoved
from tests.support.polling import wait_for

pytestmark = pytest.mark.e2e

STEPS = ("release", "confirm", "start", "claim", "prove", "respawn")
INSTANTS = [f"{when}_{step}" for step in STEPS for when in ("before", "after")]
ARMED, FIRED = "/var/lib/locum/armed", "/var/lib/locum/fired"
BACK_SECONDS = 60.0
SETTLED_SECONDS = 1.5

_HOOK = f"""\
#!/bin/sh
# dies INSTANT: where that is armed, the process that is to die does; once.
read -r instant who 2>/dev/null <{ARMED} || exit 0
[ "$instant" = "$1" ] || exit 0
mv {ARMED} {FIRED}
[ "$who" != power ] || exec sleep 60
for place in /proc/[0-9]*; do
    line=$(tr '\\0' ' ' 2>/dev/null <"$place/cmdline")
    case $who/$line in
        actuator/*" locum_actuator.server "* | up/*"/locum --site "*" up "*) kill -9 "${{place#/proc/}}" ;;
    esac
done
"""
_HOOKS = "".join(
    f"      {instant}: {{command: /etc/locum/dies {instant}, timeout: 120}}\n" for instant in INSTANTS
)


class Mortal(OftenMoved):
    """locum whose hooks kill it."""

    def __init__(self, lab: Lab) -> None:
        super().__init__(lab, service=f"    hooks:\n{_HOOKS}")

    def install(self) -> None:
        """Add the hook."""
        super().install()
        hook = self.lab.hosts[HOME].root / "etc/locum/dies"
        hook.write_text(_HOOK, encoding="ascii")
        hook.chmod(0o755)

    def arm(self, instant: str, who: str) -> None:
        """Have a process die at an instant, once."""
        host = self.lab.hosts[HOME]
        (host.root / FIRED.lstrip("/")).unlink(missing_ok=True)
        line = f"echo {instant} {who} >{ARMED}.new; chown locum: {ARMED}.new; mv {ARMED}.new {ARMED}"
        self.lab.run(HOME, ["sh", "-c", line])

    def die_and_come_back(self, who: str) -> None:
        """Wait for the armed instant, and give back what died there."""
        fired = self.lab.hosts[HOME].root / FIRED.lstrip("/")
        wait_for(fired.exists, "it died", BACK_SECONDS)
        if who == "power":
            self.lab.crash(HOME)
            self.lab.reboot(HOME)
        if who != "actuator":  # that one is started again by `locum up`
            wait_for(lambda: not self.running, "locum up is gone", BACK_SECONDS)
            self.up()

    def settled(self, since: float) -> dict[str, Any]:
        """Wait until no incident is open; return the first at `since` (time.time()) or later that took a step.

        An alert of before may still be looked into, find nothing, and be closed after `since`.
        """
        rows: list[dict[str, Any]] = []

        def all_closed() -> bool:
            with suppress(LabError):  # it does not answer while it is down
                rows[:] = self.incidents_since(since)
                return bool(rows) and all(row["outcome"] for row in rows)
            return False

        wait_for(all_closed, "every incident closed", BACK_SECONDS, state=lambda: rows)
        stepped = [row for row in rows if any(event["step"] for event in row["events"])]
        assert stepped, f"no incident took a step: {rows}"
        return stepped[0]


@pytest.fixture(scope="module")
def mortal() -> Iterator[Mortal]:
    """a holds the service at first; each test uses the host that holds it when the test begins."""
    with Lab() as lab:
        locum = Mortal(lab)
        with locum:
            yield locum


def killed(mortal: Mortal, instant: str, who: str, fault: str) -> dict[str, Any]:
    """Bring a fault upon the holder, have the actuator die at an instant, and see that all ends well."""
    lab = mortal.lab
    lab.client.wait_good(timeout=BACK_SECONDS)
    (holder,) = lab.holders()
    mortal.arm(instant, who)
    at: float = getattr(lab, fault)(holder)
    mortal.die_and_come_back(who)
    lab.client.wait_good(since=time.time(), timeout=BACK_SECONDS)
    time.sleep(SETTLED_SECONDS)  # what would move it again, does
    first = mortal.settled(at)
    lab.client.wait_good(since=time.time(), timeout=BACK_SECONDS)
    assert len(lab.holders()) == 1
    assert lab.watcher.held_by_two_seconds(at) == 0
    (now,) = lab.holders()
    serves = {
        name
        for name, host in lab.hosts.items()
        if any(command == "apache2" and state not in "ZX" for _, command, state in host.processes())
    }
    assert serves == {now}, "it runs on the holder alone"
    print(f"{instant} ({who}), {holder} -> {now}: {first['outcome']}: {first['reason']}")
    return first


def says_which(incident: dict[str, Any]) -> None:
    """See that an incident says that it was broken off, and what became of it."""
    assert "resumed" in [event["kind"] for event in incident["events"]]
    reason = incident["reason"]
    assert "interrupted in the middle of" in reason
    assert ("finished: " in reason) != ("undone: " in reason)


# `locum up` starts what died too often later and later; so its own deaths, and b's, stand between the actuator's.
DEATHS = [
    ("before_release", "actuator"), ("after_release", "actuator"), ("before_confirm", "actuator"),
    ("after_release", "up"),
    ("after_confirm", "actuator"), ("before_start", "actuator"), ("after_start", "actuator"),
    ("after_claim", "up"),
    ("before_claim", "actuator"), ("after_claim", "actuator"),
    ("after_release", "power"), ("before_claim", "power"), ("after_claim", "power"),
    ("before_prove", "actuator"), ("after_prove", "actuator"),
]  # fmt: skip


@pytest.mark.parametrize(("instant", "who"), DEATHS, ids=lambda word: word)
def test_it_dies_in_the_middle_of_a_takeover(mortal: Mortal, instant: str, who: str) -> None:
    """`actuator` and `up` are killed with -9; `power` is b's."""
    if who == "power":
        mortal.bring_back()
    incident = killed(mortal, instant, who, "hang_service")
    if instant != "before_release":  # nothing had begun: the incident is as any other
        says_which(incident)


@pytest.mark.parametrize("instant", ["before_respawn", "after_respawn"])
def test_killed_while_a_killed_service_is_respawned(mortal: Mortal, instant: str) -> None:
    mortal.bring_back()
    incident = killed(mortal, instant, "actuator", "kill_service")
    assert mortal.lab.holders() == ["a"]
    if instant == "after_respawn":
        says_which(incident)
        assert incident["reason"].endswith("respawn on a, and finished: a is still the holder)")


@pytest.mark.parametrize("instant", ["before_claim", "after_claim"])
def test_killed_while_it_stands_in_for_a_crashed_host(mortal: Mortal, instant: str) -> None:
    mortal.bring_back()
    lab = mortal.lab
    mortal.arm(instant, "actuator")
    at = lab.crash("a")
    mortal.die_and_come_back("actuator")
    lab.client.wait_good(since=time.time(), timeout=BACK_SECONDS)
    incident = mortal.settled(at)
    assert lab.holders() == ["b"]
    assert lab.watcher.held_by_two_seconds(at) == 0
    says_which(incident)
    assert incident["reason"].endswith("and finished: b is the holder now)")
