"""A takeover goes through while a local user without rights holds slow connections to every socket of the chain."""

from __future__ import annotations

import pytest

from bench.dripped import SOCKETS, dripping
from lab.lab import Lab
from lab.locum import Locum
from lab.trial import FAULTS, trial

pytestmark = pytest.mark.e2e

CONNECTIONS = 1000  # to each: three times as many as the page takes, and fifteen times as many as the webhook


def test_e4_a_takeover_goes_through_while_a_local_user_holds_slow_connections() -> None:
    held: dict[str, tuple[int, str]] = {}
    with Lab() as lab, Locum(lab) as locum:
        lab.client.wait_good(timeout=60)
        with dripping(lab, CONNECTIONS, held):
            done = trial(lab, locum, FAULTS["hung"], seconds=60)  # how fast it is, the benchmark measures
        assert done.faults() == [], done.incident
    *open_to_him, of_the_commands = SOCKETS
    assert [name for name in open_to_him if held[name][0] < CONNECTIONS / 2] == []
    assert held[of_the_commands] == (0, "Permission denied")
