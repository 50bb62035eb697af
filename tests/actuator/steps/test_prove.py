"""The proof after a claim: every service address counts, and what could not be asked is said."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, field

import pytest

from locum_actuator.domain.situation import CheckOutcome
from locum_actuator.observation.service_check import joined
from locum_actuator.steps import prove
from locum_actuator.steps.base import StepContext, StepError
from locum_exporter.result import Outcome
from locum_inventory.site.model import Site
from tests.actuator.fakes import FakeGate, FakeWorld, site
from tests.support.marks import needs_root

WELL, ILL, BLIND = (
    CheckOutcome("b", well, text)
    for well, text in (
        (Outcome.WELL, "200"),
        (Outcome.FAILED, "refused"),
        (Outcome.NOT_LOOKED, "busy"),
    )
)


@pytest.mark.parametrize(
    ("looks", "well", "text"),
    [
        pytest.param([WELL], Outcome.WELL, "200", id="one"),
        pytest.param([WELL, WELL], Outcome.WELL, "200; 200", id="both"),
        pytest.param([WELL, ILL], Outcome.FAILED, "refused", id="one of two does not answer"),
        pytest.param([WELL, BLIND], Outcome.NOT_LOOKED, "busy", id="one of two could not be asked"),
    ],
)
def test_joined(looks: list[CheckOutcome], well: Outcome, text: str) -> None:
    assert joined(looks) == CheckOutcome("b", well, text)


@needs_root
def test_who_has_no_ipv6_asks_nothing_of_it() -> None:
    program = (
        "from ipaddress import ip_address\n"
        "from locum_exporter.checks.through_address import has_route_to\n"
        "print(*(has_route_to(ip_address(one)) for one in ('192.0.2.9', '2001:db8::9', '127.0.0.1')))"
    )
    words = ["ip link set lo up", "ip link add x type veth peer name y", "ip link set x up"]
    words += ["ip addr add 192.0.2.1/24 dev x", f'exec {sys.executable} -c "$1"']
    argv = ["unshare", "--net", "sh", "-c", "; ".join(words), "sh", program]
    done = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=20)
    assert (done.stdout.strip(), done.stderr) == ("True False True", "")


@dataclass
class Witnesses(FakeWorld):
    """A world in which the witness answers to some addresses only."""

    deaf_to: set[str] = field(default_factory=set)

    def witness_answers(self, source: str | None = None) -> bool:
        return source not in self.deaf_to


def proof(
    monkeypatch: pytest.MonkeyPatch, addresses: list[str], witnesses: list[str], deaf_to: str = ""
) -> str:
    """Prove a service of b's, the actuator's own host."""
    values = site().model_dump()
    values["services"]["www"]["addresses"] = addresses
    values["witnesses"] = witnesses
    made = Site.model_validate(values)
    world = Witnesses({"b": FakeGate(held=True, processes=3)}, deaf_to={deaf_to})
    monkeypatch.setattr(prove, "announce", lambda interface, addresses: None)
    monkeypatch.setattr(prove, "ANSWER_SECONDS", 0.05)
    context = StepContext(
        site=made, name="www",
        gates=world.gates, observer=world, epoch=2, old_holder="a",
    )  # fmt: skip
    return prove.Prove(context, "b").do()


FOUR, SIX = "192.0.2.100/24", "2001:db8::100/64"
ANSWERS = "answers through its address (answered 200); "
ALONE = "; not proven from outside: there is no vantage point other than the holder"


@pytest.mark.parametrize(
    ("addresses", "witnesses", "text"),
    [
        pytest.param([FOUR], ["192.0.2.254"], "a witness answers to the service address", id="IPv4"),
        pytest.param([SIX], ["2001:db8::fe"], "a witness answers to the service address", id="IPv6"),
        pytest.param(
            [SIX], ["192.0.2.254"], "no witness of the same IP version can check 2001:db8::100",
            id="IPv6, and the witness has IPv4 alone",
        ),
        pytest.param(
            [FOUR, SIX], ["192.0.2.254"],
            "a witness answers to the service address; "
            "no witness of the same IP version can check 2001:db8::100",
            id="both, and the witness has IPv4 alone",
        ),
    ],
)  # fmt: skip
def test_what_the_witness_says(
    monkeypatch: pytest.MonkeyPatch, addresses: list[str], witnesses: list[str], text: str
) -> None:
    assert proof(monkeypatch, addresses, witnesses) == ANSWERS + text + ALONE


def test_an_address_that_the_witness_does_not_know_fails_the_proof(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        StepError, match=r"^no witness answers to 2001:db8::100: its ARP or neighbour entry is stale\?$"
    ):
        proof(monkeypatch, [FOUR, SIX], ["192.0.2.254", "2001:db8::fe"], deaf_to="2001:db8::100")
