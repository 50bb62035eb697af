"""Decide about single addresses while the service is well: one missing on the holder, one unused on any host.

An unused address is an IPv6 address that is on an interface while the kernel still checks whether another host has
it (tentative), or has found that one does (dadfailed; RFC 4862). A dadfailed address stays unused until removed.
"""

from __future__ import annotations

from locum_actuator.domain.plan import Plan, PlannedStep
from locum_actuator.domain.situation import HostView, Memory, Situation
from locum_inventory.site.model import Service


def incomplete(holder: HostView, situation: Situation, memory: Memory, service: Service) -> Plan | None:
    """Give the holder back one of several addresses that it lacks, without touching the others."""
    wanted = {address.ip for address in service.addresses}
    if holder.holds is None or not (missing := wanted - holder.holds):
        return None
    lacks = (
        f"{holder.name} serves and does not hold {', '.join(sorted(map(str, missing)))}{why_unused(holder)}"
    )
    if holder.unfit is not None:
        return Plan("refuse", "unfit", f"{lacks}, and cannot be given the address: {holder.unfit}")
    if f"take:{holder.name}" in memory.tried:
        return Plan(
            "refuse", "incomplete", f"{lacks}, and a claim did not help: find out why on {holder.name}"
        )
    if holder.unusable_addresses and not situation.address_looked:
        return Plan(
            "refuse", "could_not_look", f"{lacks}, and it could not be checked whether another host does"
        )
    steps = (*sure(holder), PlannedStep("claim", holder.name), PlannedStep("prove", holder.name))
    return Plan("claim", "incomplete", lacks, steps, holder.name)


def left_about(situation: Situation, memory: Memory) -> Plan | None:
    """Release an unused address on a host other than the holder, before the kernel starts to use it."""
    hosts = [
        view for view in situation.hosts.values() if view.name != memory.holder and view.unusable_addresses
    ]
    if not hosts:
        return None
    found = " and ".join(f"{view.name} has {unused_words(view)}" for view in hosts)
    if any(f"release:{view.name}" in memory.tried for view in hosts):
        return Plan("refuse", "unused", f"{found}, and a release did not remove it: find out why there")
    steps = tuple(PlannedStep("release", view.name) for view in hosts)
    return Plan("release", "unused", f"{found}, and {memory.holder} is the holder", steps)


def sure(view: HostView) -> tuple[PlannedStep, ...]:
    """Return the confirm step that is needed if the kernel doubts that an address is free."""
    return (PlannedStep("confirm", view.name),) if view.unusable_addresses else ()


def why_unused(view: HostView) -> str:
    """Return the kernel's words about unused addresses on a host, in brackets; empty if there are none."""
    return (
        f" (there, unused: {', '.join(sorted(set(view.unusable_addresses.values())))})"
        if view.unusable_addresses
        else ""
    )


def unused_words(view: HostView) -> str:
    """Name the unused addresses on a host."""
    return ", ".join(
        f"{address} unused ({why})" for address, why in sorted(view.unusable_addresses.items(), key=str)
    )
