"""The last question to a host that is to be switched off, with real sockets on this machine."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

import pytest

from locum_actuator.domain.life import Life
from locum_actuator.domain.situation import HostView
from locum_actuator.observation import host_checks, last_check, observer
from locum_actuator.observation.observer import HostObserver
from locum_exporter.net.icmp import Burst
from locum_inventory.gate.protocol import GateError, GateStatus, ServiceStatus
from locum_inventory.listen import Listen
from locum_inventory.site.model import Site
from tests.support.http_server import QuietHandler, http_server
from tests.support.marks import needs_root
from tests.support.polling import wait_for

# A host that is busy counts its own failures as not checked, which is what some of these tests are not about.
pytestmark = [pytest.mark.timed, needs_root]
ANSWERS, REFUSES = 200, 500


class Gate:
    """A gate that does what the test says."""

    def __init__(self, answer: Callable[[], GateStatus]) -> None:
        self.answer = answer

    def status(self, *, deadline_seconds: float) -> GateStatus:
        return self.answer()


def well() -> GateStatus:
    return GateStatus("1", "", {"www": ServiceStatus(1, {}, 0)})


def silent() -> GateStatus:
    raise GateError("timeout", "a: no answer")


def busy() -> GateStatus:
    raise GateError.busy("a: could not be asked: Too many open files")


def unaware() -> GateStatus:
    return GateStatus("1", "", {})


def breaks() -> GateStatus:
    raise MemoryError


class Handler(QuietHandler):
    status = ANSWERS

    def get(self) -> None:
        self.answer(status=self.status)


@pytest.fixture
def mail() -> Iterator[Listen]:
    with http_server(Handler) as at:
        yield at


def site(port: int) -> Site:
    def service(number: int, checks: Mapping[str, object]) -> dict[str, object]:
        return {
            "hosts": ["a", "b"],
            "addresses": [f"192.0.2.{number}/24"],
            "interface": "lo",
            "checks": checks,
            "takeover": {"when_unreachable": "refuse"},
        }

    return Site.model_validate(
        {
            "hosts": {"a": {"address": "127.0.0.1"}, "b": {"address": "127.0.0.2"}},
            "services": {
                "www": service(100, {"tcp": {"port": 1}}),
                "mail": service(101, {"http": {"url": f"http://{{host}}:{port}/"}}),
                "pinged": service(102, {}),
                "counted": service(103, {"process": {"name": "no-such-init"}}),
            },
            "vantage_points": {"b": {"url": "http://127.0.0.2:10751"}},
            "witnesses": ["192.0.2.254"],
            "actuator": {"host": "b", "webhook_token_file": "/etc/locum/webhook.token"},
        }
    )


@pytest.fixture
def gate() -> Gate:
    return Gate(silent)


@pytest.fixture
def evidence(gate: Gate, mail: Listen, monkeypatch: pytest.MonkeyPatch) -> Iterator[HostObserver]:
    monkeypatch.setattr(Handler, "status", ANSWERS)
    evidence = HostObserver(site(mail.port), {"a": gate, "b": gate})  # type: ignore[dict-item]
    yield evidence
    evidence.close()


@pytest.mark.parametrize(
    ("answer", "mail_status", "expected"),
    [
        (silent, REFUSES, Life()),
        (silent, ANSWERS, Life(None, ("mail",))),
        (well, REFUSES, Life("its gate answers")),
        (well, ANSWERS, Life("its gate answers", ("mail",))),
        (unaware, REFUSES, Life("its gate answers (the gate does not know www: run `locum enrol a`)")),
        (busy, REFUSES, Life(unasked="a: could not be asked: Too many open files")),
    ],
)
def test_a2_gate_and_other_services_are_asked_once_more(
    evidence: HostObserver,
    gate: Gate,
    monkeypatch: pytest.MonkeyPatch,
    answer: Callable[[], GateStatus],
    mail_status: int,
    expected: Life,
) -> None:
    """A ping is the host's own answer and a process is counted by the gate: neither is a service that answers."""
    gate.answer = answer
    monkeypatch.setattr(Handler, "status", mail_status)
    assert evidence.life("www", "a", pinged=True) == expected


def test_a2_a_gate_is_not_silent_at_the_last_question_where_this_host_was_too_busy(
    evidence: HostObserver, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    def held_up() -> GateStatus:
        evidence._loop.call_soon_threadsafe(time.sleep, 0.35)
        return silent()

    gate.answer = held_up
    monkeypatch.setattr(Handler, "status", REFUSES)
    unasked = evidence.life("www", "a", pinged=True).unasked
    assert unasked is not None
    assert unasked.endswith("ms too busy to check")


def test_a2_a_last_question_that_does_not_end_is_no_silence(
    evidence: HostObserver, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (last_check, observer):
        monkeypatch.setattr(module, "LAST_QUESTION_SECONDS", 0.0)
    monkeypatch.setattr(observer, "GRACE_SECONDS", 0.0)
    evidence._loop.call_soon_threadsafe(time.sleep, 2.0)
    assert evidence.life("www", "a", pinged=True) == Life(unasked="this host was too busy to ask")
    turns = threading.Event()  # the loop has to turn again before it can be closed
    evidence._loop.call_soon_threadsafe(lambda: evidence._loop.call_later(0.1, turns.set))
    assert turns.wait(10)


def test_a10_a_gate_that_does_not_know_the_service_is_not_silent(
    evidence: HostObserver, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its host filters pings, and a host that answers none is dead where its gate is silent too."""

    async def no_echo(*_: object) -> Burst:
        return Burst(20, 0, ())

    monkeypatch.setattr(host_checks, "full_burst", no_echo)
    gate.answer = unaware
    seen = view(evidence)
    assert seen.life.gate == "its gate answers (the gate does not know www: run `locum enrol a`)"
    gate.answer = silent
    assert view(evidence).life.gate is None


def test_a13_the_service_itself_is_asked_once_more_too(
    evidence: HostObserver, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its host may be well again since the check, with nothing wrong but its sshd."""
    gate.answer = silent
    assert evidence.life("mail", "a", pinged=True) == Life(None, ("mail",))
    monkeypatch.setattr(Handler, "status", REFUSES)
    assert evidence.life("mail", "a", pinged=True) == Life()


def view(evidence: HostObserver) -> HostView:
    return evidence.situation("www").hosts["a"]


@pytest.mark.parametrize(("answer", "asked"), [(silent, True), (busy, False), (breaks, False)])
def test_a2_silence_and_what_could_not_be_asked_are_two_things(
    evidence: HostObserver, gate: Gate, answer: Callable[[], GateStatus], *, asked: bool
) -> None:
    gate.answer = answer
    seen = view(evidence)
    assert (seen.gate_answers, seen.gate_asked) == (False, asked)


def test_a2_no_free_thread_is_not_the_gates_silence(evidence: HostObserver) -> None:
    """Other calls have every thread of the pool."""
    over = threading.Event()
    evidence._gates._pool = ThreadPoolExecutor(1)
    evidence._gates._pool.submit(over.wait, 30)
    try:
        seen = view(evidence)
    finally:
        over.set()
    assert not seen.gate_asked
    assert seen.gate_fault == "could not be asked: no thread was free within 0.4 s"


def test_a2_an_answer_for_another_service_is_a_sign_of_life(evidence: HostObserver, gate: Gate) -> None:
    def said() -> str | None:
        """Return the sign of life; there is none if all echoes come too late, as on a busy machine."""
        gate.answer = well
        evidence.situation("mail")
        gate.answer = silent
        return view(evidence).life.gate

    found = wait_for(said, "the gate's answer for mail is a sign of life")
    assert re.fullmatch(r"its gate answered \d+\.\d s ago", found)
