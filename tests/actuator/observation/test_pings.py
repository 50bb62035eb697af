"""What a burst of pings shows of the line to a host."""

from __future__ import annotations

import pytest

from locum_actuator.observation.pings import is_slow
from locum_exporter.net.icmp import Burst

BURSTS: dict[str, tuple[Burst, bool, bool]] = {
    "quick echoes": (Burst(5, 5, (0.001,) * 5), True, False),
    "four round trips just fit into a check": (Burst(20, 20, (0.0875,) * 20), True, False),
    "four round trips do not fit into a check": (Burst(20, 20, (0.2, 0.1, 0.3)), True, True),
    "one was quick: this host was busy when the others came": (Burst(20, 3, (0.2, 0.001, 0.3)), True, False),
    "no echo": (Burst(20, 0, ()), False, False),
    "no echo within the burst, but one after it": (Burst(20, 0, ()), True, True),
    "none could be sent": (Burst(0, 0, (), unsent=20), False, False),
}


@pytest.mark.parametrize("row", BURSTS)
def test_slow(row: str) -> None:
    burst, heard, slow = BURSTS[row]
    assert is_slow(burst, 0.35, heard=heard) is slow
