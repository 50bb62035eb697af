"""A lab in which a serves, kept for the tests of one file and put right again after each of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab import Lab


@pytest.fixture(scope="module")
def kept_lab() -> Iterator[Lab]:
    with Lab(holder="a") as made:
        made.client.wait_good()
        yield made


@pytest.fixture
def served(kept_lab: Lab) -> Iterator[Lab]:
    """a holds the service address and serves; b has no Apache running; nothing is wrong."""
    yield kept_lab
    kept_lab.heal_all()
    for name, host in kept_lab.hosts.items():
        if not host.up:
            kept_lab.reboot(name)
    for name in kept_lab.holders():
        kept_lab.drop_address(name)
    kept_lab.kill_service("b")
    if not any(name == "apache2" and state != "Z" for _, name, state in kept_lab.hosts["a"].processes()):
        kept_lab.start_service("a")
    kept_lab.add_address("a", announce=True)
    kept_lab.client.wait_good(n=3)
