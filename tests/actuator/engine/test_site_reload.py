"""What a reload would leave behind: refused with a reason where a host still has it, reported where intended."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from locum_actuator.engine.engine import Engine
from locum_actuator.engine.site_reload import AddressLookup, CouldNotLookError, ReloadResult, check_reload
from locum_actuator.journal.journal import Journal
from locum_actuator.metrics import Metrics
from locum_inventory.site.model import InterfaceAddress, Site
from tests.actuator.fakes import FakeGate, FakeWorld, KeptFakes, site
from tests.support.marks import needs_root
from tests.support.namespaces import add_address, ip, network, run_in

TAKE_OFF = "locum pause www, remove 192.0.2.100/24 there (ip addr del), reload again, and locum resume www"


def read(**changes: Any) -> Site:
    """Return the site with changed keys of its service; None takes a key out."""
    values = site().model_dump()
    values["hosts"]["c"] = {"address": "192.0.2.3", "ssh": {"key_file": "/etc/locum/id_ed25519"}}
    service = {**values["services"]["www"], **changes}
    values["services"]["www"] = {key: value for key, value in service.items() if value is not None}
    return Site.model_validate(values)


def named(name: str, **changes: Any) -> Site:
    """Return the site with its service under another name."""
    values = read(**changes).model_dump()
    values["services"] = {name: values["services"]["www"]}
    return Site.model_validate(values)


@dataclass(frozen=True)
class Row:
    """A new reading, who has 192.0.2.100 meanwhile, and what is said."""

    new: Site = field(repr=False)
    owners: frozenset[str] | None = frozenset({"a"})  # None: it could not be asked
    holders: Mapping[str, str] = field(default_factory=lambda: {"www": "a"})
    faults: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


THREE = {"hosts": ["b", "c"], "interface": "eth0"}
ROWS = {
    "nothing changed": Row(read()),
    "another key changed": Row(read(interval="1s")),
    "an address was added": Row(read(addresses=["192.0.2.100/24", "192.0.2.101/24"])),
    "only the prefix length changed": Row(read(addresses=["192.0.2.100/32"])),
    "an address was dropped and its holder still has it": Row(
        read(addresses=["192.0.2.101/24"]),
        faults=(f"services.www.addresses: 192.0.2.100 is no longer there, and a still has it: {TAKE_OFF}",),
    ),
    "an address was dropped and another host has it": Row(
        read(addresses=["192.0.2.101/24"]),
        frozenset({"b", "unknown MAC 02:00:00:00:00:01"}),
        faults=(
            "services.www.addresses: 192.0.2.100 is no longer there, and b, unknown MAC 02:00:00:00:00:01 still has"
            f" it: {TAKE_OFF}",
        ),
    ),
    "an address was dropped and no host has it": Row(read(addresses=["192.0.2.101/24"]), frozenset()),
    "an address was dropped and it could not be asked": Row(
        read(addresses=["192.0.2.101/24"]),
        None,
        faults=(
            "services.www.addresses: 192.0.2.100 is no longer there, and it could not be checked which host has"
            " 192.0.2.100: no socket",
        ),
    ),
    "an address was dropped of a service that no host is known to hold": Row(
        read(addresses=["192.0.2.101/24"]),
        holders={},
        faults=(f"services.www.addresses: 192.0.2.100 is no longer there, and a still has it: {TAKE_OFF}",),
    ),
    "commands in place of the address": Row(
        read(addresses=None, interface=None, address_commands={"claim": "/c", "check": "/k"}),
        faults=(f"services.www.addresses: 192.0.2.100 is no longer there, and a still has it: {TAKE_OFF}",),
    ),
    "the holder was dropped and still has the address": Row(
        read(**THREE),
        faults=(
            "services.www.hosts: a is no longer there, and a still has 192.0.2.100: move the service to"
            " another of its hosts first",
        ),
    ),
    "the holder was dropped and is off": Row(read(**THREE), frozenset()),
    "the holder was dropped and another host has the address": Row(read(**THREE), frozenset({"b"})),
    "a host was dropped that does not hold it": Row(read(**THREE), holders={"www": "b"}),
    "the service was taken out": Row(
        named("mail", addresses=["192.0.2.101/24"]),
        notes=("www is no longer in the site file: it stays on a, and locum no longer watches it",),
    ),
    "the service was taken out and no host was known to hold it": Row(
        named("mail", addresses=["192.0.2.101/24"]),
        holders={},
        notes=("www is no longer in the site file, and locum no longer watches it",),
    ),
    "the service was given another name": Row(
        named("web"),
        notes=("www is no longer in the site file, and its address is another service's now",),
    ),
}


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS.keys())
def test_what_is_said_of_a_new_reading(row: Row) -> None:
    def who_has(_: str, addresses: tuple[InterfaceAddress, ...]) -> Mapping[str, frozenset[str]]:
        assert [str(address.ip) for address in addresses] == ["192.0.2.100"]
        if row.owners is None:
            raise CouldNotLookError("no socket")
        return {"192.0.2.100": row.owners}

    assert check_reload(site(), row.new, row.holders, who_has) == ReloadResult(row.faults, row.notes)


@pytest.fixture
def hosts() -> Iterator[dict[str, str]]:
    """a and b on one wire; b is where the actuator runs."""
    with network("a", "b") as made:
        for number, name in enumerate(made.values(), start=1):
            add_address(name, f"192.0.2.{number}/24")
        yield made


def asked(hosts: dict[str, str], gate: FakeGate) -> Mapping[str, frozenset[str]]:
    """Ask from b who has the service address."""
    wire = AddressLookup(site(), {"a": gate, "b": FakeGate()}, {"www": "a"})

    async def work() -> Mapping[str, frozenset[str]]:
        return wire.with_the_gate("www", await wire.on_the_wire("www", site().services["www"].addresses))

    return run_in(hosts["b"], work)


@needs_root
def test_the_wire_and_the_gate_are_both_asked(hosts: dict[str, str]) -> None:
    assert asked(hosts, FakeGate()) == {"192.0.2.100": frozenset()}
    assert asked(hosts, FakeGate(held=True)) == {"192.0.2.100": {"a"}}, "it says so itself"
    add_address(hosts["a"], "192.0.2.100/32")
    assert asked(hosts, FakeGate(fault="timeout")) == {"192.0.2.100": {"a"}}, "its gate is silent"
    add_address(hosts["b"], "192.0.2.100/32")
    assert asked(hosts, FakeGate()) == {"192.0.2.100": {"a", "b"}}


@needs_root
def test_a_wire_that_cannot_be_asked_is_not_a_wire_where_nobody_answers(hosts: dict[str, str]) -> None:
    ip("-n", hosts["b"], "link", "set", "eth0", "down")
    with pytest.raises(CouldNotLookError, match="could not check"):
        asked(hosts, FakeGate())


def test_a_start_tells_of_a_service_that_is_held_and_not_in_the_file(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    world = FakeWorld({"a": FakeGate(), "b": FakeGate()})
    journal = Journal(tmp_path / "journal.sqlite")
    journal.set_holder("www", "a", 1)
    journal.set_holder("mail", "b", 7)
    with caplog.at_level(logging.WARNING):
        Engine(site(), journal, Metrics(), lambda _: KeptFakes(world), lambda _site, _gates: world)
    assert caplog.messages == [
        "mail is no longer in the site file: it stays on b, and locum no longer watches it"
    ]
    assert (journal.holder("mail").host, journal.holder("mail").epoch) == ("b", 7), "should it come back"
    journal.close()
