"""`locum status` in a narrow terminal: nothing is cut, and what keeps locum from acting is said."""

from __future__ import annotations

from typing import Any

import pytest

from locum_actuator.cli.status import _service
from locum_actuator.system.printing import Terminal

ROW: dict[str, Any] = {
    "service": "www",
    "addresses": ["2001:db8:1234:5678:9abc:def0:1234:5678/128", "192.0.2.100/24"],
    "holder": "preferred-host-of-the-site",
    "since": 1764000000.0,
    "hosts": ["preferred-host-of-the-site", "b"],
    "hosts_seen": {"preferred-host-of-the-site": "holds the address, 3 processes"},
    "rejoin": {},
    "failback": None,
    "open_incident": 7,
    "witnesses": {},
    "standby_available": True,
    "pause": None,
    "mode": "act",
}


def printed(row: dict[str, Any], width: int) -> str:
    console = Terminal(width=width)
    with console.capture() as captured:
        for line in _service(row, every=False):
            console.print(line, soft_wrap=True)
    return captured.get()


@pytest.mark.parametrize("width", [20, 80, 200])
def test_f_nothing_is_cut_at_any_width(width: int) -> None:
    lines = printed(ROW, width).splitlines()
    assert lines[0].startswith(
        "www  2001:db8:1234:5678:9abc:def0:1234:5678/128 192.0.2.100/24  "
        "held by preferred-host-of-the-site since 2025-"
    )
    assert lines[1:] == [
        "  preferred-host-of-the-site: holds the address, 3 processes",
        "  b: not asked yet",
        "  incident 7 is open",
    ]  # fmt: skip


def test_f_a_host_that_is_cut_off_says_that_no_witness_answers() -> None:
    cut_off = printed({**ROW, "witnesses": {"192.0.2.254": False, "192.0.2.253": False}}, 80)
    assert "no witness answers (192.0.2.254, 192.0.2.253): this host may be the one" in cut_off
    assert "no witness" not in printed({**ROW, "witnesses": {"192.0.2.254": False, "192.0.2.253": True}}, 80)
