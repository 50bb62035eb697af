"""`locum check --live` sends each host the burst that a check sends, and says where part of it is not answered."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Address

import pytest

from locum_actuator.cli.live_check.run import _ping_host
from locum_actuator.observation.pings import BURST_ECHOES, BURST_SPACING_SECONDS
from locum_exporter.net.icmp import Burst

ADDRESS = IPv4Address("192.0.2.1")


@dataclass
class Limited:
    """A pinger whose target returns so many echoes of each burst."""

    returns: int
    asked: list[tuple[int, float]] = field(default_factory=list)

    async def burst(
        self, address: object, *, count: int, spacing_seconds: float, wait_seconds: float, enough: int = 0
    ) -> Burst:
        self.asked.append((count, spacing_seconds))
        received = min(self.returns, count)
        return Burst(count, received, (0.001,) * received, text="no reply within 1000 ms")


ANSWERS = {
    "all": (BURST_ECHOES, "ok", "answers a ping in 1.0 ms"),
    "one a second": (1, "note", "answers 1 of 20 pings sent within 0.3 s"),
    "none": (0, "wrong", "answers none of 5 pings: no reply within 1000 ms"),
}


@pytest.mark.parametrize(("returns", "state", "text"), ANSWERS.values(), ids=ANSWERS)
async def test_b6_check_live_sends_the_burst_of_a_look(returns: int, state: str, text: str) -> None:
    pinger = Limited(returns)
    found = await _ping_host(pinger, "host a", ADDRESS)  # type: ignore[arg-type]  # all it uses
    assert (found.state, found.text) == (state, text)
    if returns:
        assert pinger.asked[-1] == (BURST_ECHOES, BURST_SPACING_SECONDS)
    if state == "note":
        assert "let its firewall accept 20 pings at once" in found.mend
