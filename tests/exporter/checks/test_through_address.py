"""Checks through the service address: who can make them, what they say, and what an exporter refuses."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

import pytest

from locum_exporter.checks import through_address
from locum_exporter.checks.through_address import through_addresses
from locum_exporter.discovery import targets
from locum_exporter.probe_request import (
    NotInSiteError,
    ParameterMissingError,
    ProbeRequest,
    parse_probe_request,
)
from locum_exporter.result import CheckResult, Outcome, Reason
from locum_inventory.site.model import Address
from tests.exporter.sites import service, site

FOUR, SIX = ip_address("127.0.0.11"), ip_address("2001:db8::100")


async def result(
    monkeypatch: pytest.MonkeyPatch,
    addresses: list[Address],
    *,
    held: frozenset[Address] = frozenset(),
    routed: frozenset[Address] = frozenset({FOUR, SIX}),
    reasons: dict[Address, Reason | None] | None = None,
) -> tuple[CheckResult, list[Address]]:
    asked: list[Address] = []

    async def here() -> frozenset[Address]:
        return held

    async def ask(address: Address) -> CheckResult:
        asked.append(address)
        return CheckResult((reasons or {}).get(address), 0.1, f"{address} asked")

    monkeypatch.setattr(through_address, "local_addresses", here)
    monkeypatch.setattr(through_address, "has_route_to", lambda address: address in routed)
    return await through_addresses("www", addresses, ask), asked


async def test_b4_every_address_that_is_routed_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    seen, asked = await result(monkeypatch, [FOUR, SIX])
    assert (seen.outcome, asked) == (Outcome.WELL, [FOUR, SIX])
    seen, asked = await result(monkeypatch, [FOUR, SIX], routed=frozenset({FOUR}))
    assert (seen.outcome, asked) == (Outcome.WELL, [FOUR])


async def test_b4_one_address_that_fails_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    seen, _ = await result(monkeypatch, [FOUR, SIX], reasons={SIX: "timeout"})
    assert (seen.outcome, seen.reason) == (Outcome.FAILED, "timeout")
    assert seen.text == "www through its address: 2001:db8::100 asked"


async def test_b5_the_holder_cannot_show_that_others_reach_it(monkeypatch: pytest.MonkeyPatch) -> None:
    seen, asked = await result(monkeypatch, [FOUR, SIX], held=frozenset({SIX}))
    assert (seen.outcome, seen.reason, asked) == (Outcome.NOT_LOOKED, "holder", [])


async def test_b4_without_a_route_nothing_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    seen, asked = await result(monkeypatch, [FOUR, SIX], routed=frozenset())
    assert (seen.outcome, seen.reason, asked) == (Outcome.NOT_LOOKED, "interface", [])


def test_b4_targets_of_every_vantage_point() -> None:
    found = [entry["labels"] for entry in targets(site()) if "through" in entry["labels"]]
    assert sorted((labels["vantage_point"], labels["check"]) for labels in found) == [
        ("b", "http"), ("b", "tcp"), ("c", "http"), ("c", "tcp"),
    ]  # fmt: skip
    assert {
        (labels["through"], labels["__param_through"], labels["decides"], labels["votes"]) for labels in found
    } == {("address", "address", "false", "false")}
    assert not any("host" in labels or "__param_host" in labels for labels in found)


@pytest.mark.parametrize(
    ("checks", "asked"), [({}, {"ping"}), ({"process": {"name": "named"}}, set())], ids=["none", "process"]
)
def test_b4_a_service_without_checks_is_pinged_and_a_process_is_not_asked(
    checks: dict[str, Any], asked: set[str]
) -> None:
    made = site(services={"www": service(checks=checks)})
    entries = [entry["labels"] for entry in targets(made)]
    assert {labels["check"] for labels in entries if "through" in labels} == asked


def test_b4_what_is_asked_through_the_address() -> None:
    assert parse_probe_request(site(), "http", "www", None, "address") == ProbeRequest(
        "http", "www", None, "address"
    )


REFUSED: dict[str, tuple[str, str | None, str | None, str, type[ValueError]]] = {
    "no service": ("http", None, None, "address", ParameterMissingError),
    # An exporter of an older version ignores `through`: with a host it would answer for that host's own address.
    "a host": ("http", "www", "a", "address", ParameterMissingError),
    "another way": ("http", "www", None, "tunnel", NotInSiteError),
    "a check that needs the gate": ("process", "www", None, "address", NotInSiteError),
    "a check that does not decide": ("ping", "www", None, "address", NotInSiteError),
    "who has the address": ("address", "www", None, "address", NotInSiteError),
    "no such service": ("http", "ftp", None, "address", NotInSiteError),
}


@pytest.mark.parametrize(("check", "name", "host", "through", "fault"), REFUSED.values(), ids=REFUSED)
def test_b4_what_is_refused(
    check: str, name: str | None, host: str | None, through: str, fault: type[ValueError]
) -> None:
    with pytest.raises(fault):
        parse_probe_request(site(), check, name, host, through)
