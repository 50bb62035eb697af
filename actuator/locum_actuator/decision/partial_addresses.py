"""Decide about single addresses while the service is well: one that the holder lacks, one that lies about unused.

Unused is an IPv6 address of which the kernel asks whether another host has it, or has learnt that one does
(tentative, dadfailed: RFC 4862). It stays as it is, for ever in the second case, until somebody takes it off.
"""

from __future__ import annotations

from locum_actuator.domain.plan import Plan, PlannedStep
from locum_actuator.domain.situation import HostView, Memory, Situation
from locum_inventory.site.model import Service


def incomplete(holder: HostView, situation: Situation, memory: Memory, service: Service) -> Plan | None:
    """One of several addresses is missing on the holder: give it that one back, and leave the others alone."""
    wanted = {address.ip for address in service.addresses}
    if holder.holds is None or not (missing := wanted - holder.holds):
        return None
    lacks = (
        f"{holder.name} serves and does not hold {', '.join(sorted(map(str, missing)))}{why_unused(holder)}"
    )
    if holder.unfit is not None:
        return Plan("refuse", "unfit", f"{lacks}, and cannot be given it: {holder.unfit}")
    if f"take:{holder.name}" in memory.tried:
        return Plan("refuse", "incomplete", f"{lacks}, and a claim did not help: see why on {holder.name}")
    if holder.unusable_addresses and not situation.address_looked:
        return Plan(
            "refuse", "could_not_look", f"{lacks}, and nobody could be asked whether another host does"
        )
    steps = (*sure(holder), PlannedStep("claim", holder.name), PlannedStep("prove", holder.name))
    return Plan("claim", "incomplete", lacks, steps, holder.name)


def left_about(situation: Situation, memory: Memory) -> Plan | None:
    """Another host than the holder has an address on a card, unused: it goes before it comes to be used."""
    hosts = [
        view for view in situation.hosts.values() if view.name != memory.holder and view.unusable_addresses
    ]
    if not hosts:
        return None
    found = " and ".join(f"{view.name} has {unused_words(view)}" for view in hosts)
    if any(f"release:{view.name}" in memory.tried for view in hosts):
        return Plan("refuse", "unused", f"{found}, and a release did not take it off: see why there")
    steps = tuple(PlannedStep("release", view.name) for view in hosts)
    return Plan("release", "unused", f"{found}, and {memory.holder} is the holder", steps)


def sure(view: HostView) -> tuple[PlannedStep, ...]:
    """Return the step that asks the wire at the last moment, where the kernel doubts that an address is free."""
    return (PlannedStep("confirm", view.name),) if view.unusable_addresses else ()


def why_unused(view: HostView) -> str:
    """Say in brackets what lies about unused on a host; nothing where nothing does."""
    return (
        f" (there, unused: {', '.join(sorted(set(view.unusable_addresses.values())))})"
        if view.unusable_addresses
        else ""
    )


def unused_words(view: HostView) -> str:
    """Name what lies about unused on a host."""
    return ", ".join(
        f"{address} unused ({why})" for address, why in sorted(view.unusable_addresses.items(), key=str)
    )
