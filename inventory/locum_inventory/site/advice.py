"""Advice on a valid site file: settings that an administrator may want to change."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv6Address
from urllib.parse import urlsplit

from locum_inventory.site.model import Service, Site
from locum_inventory.site.payload import shown_bytes


def advice(site: Site) -> Iterator[str]:
    """Yield one line for each setting that an administrator may want to change."""
    yield from _on_those_who_watch(site)
    for name, host in site.hosts.items():
        if host.address.is_loopback:
            yield (
                f"hosts.{name}.address: {host.address} is a loopback address: a host that connects to it reaches"
                " only itself"
            )
    for witness in site.witnesses:
        if isinstance(witness, IPv6Address) and witness.is_link_local:
            yield (
                f"witnesses: {witness} is link-local: on a host with several interfaces the ping may go out on the"
                " wrong network; give a global or unique local address"
            )
    if "chain" in site.model_fields_set:
        yield from _on_the_chain(site)
    for name, service in site.services.items():
        yield from (f"services.{name}.{line}" for line in _on_a_service(site, service))


def _on_the_chain(site: Site) -> Iterator[str]:
    plain = [url for url in site.chain.alertmanagers if url.startswith("http://")]
    if plain:
        yield (
            f"chain.alertmanagers: {plain[0]} is reached over plain HTTP without a password: every user of its"
            " host can silence the alerts that trigger locum; docs/security.md describes how to prevent that"
        )
    if site.chain.password_file and not any(
        url.startswith("https://") for url in (site.chain.prometheus, *site.chain.alertmanagers)
    ):
        yield "chain.password_file: is sent only over https://, and no address here begins with https://"


def conversations(site: Site) -> Iterator[str]:
    """Yield one line for each tcp check that sends or expects something, showing the bytes."""
    for name, service in site.services.items():
        if (check := service.checks.tcp) is None:
            continue
        said = [
            f"{verb} {len(payload)} byte{'' if len(payload) == 1 else 's'}: {shown_bytes(payload)}"
            for verb, payload in (("sends", check.send), ("expects", check.expect))
            if payload
        ]
        if said:
            yield f"services.{name}.checks.tcp: {', '.join(said)}"


def _on_those_who_watch(site: Site) -> Iterator[str]:
    points = site.vantage_points
    if len(points) % 2 == 0:
        yield (
            f"vantage_points: {len(points)} can split evenly, and half is not a majority: use an odd number"
        )
    for name, point in points.items():
        if name != site.actuator.host and urlsplit(point.url).hostname in {"127.0.0.1", "::1", "localhost"}:
            yield (
                f"vantage_points.{name}.url: {point.url} is always the machine that connects, not host '{name}':"
                f" give {name}'s own address"
            )


def _on_a_service(site: Site, service: Service) -> Iterator[str]:
    first = service.preferred
    if site.actuator.host == first:
        yield f"hosts: the actuator runs on '{first}', the preferred host: if that dies, no takeover is possible"
    elif tuple(site.vantage_points) == (first,):
        yield f"hosts: the only exporter runs on '{first}', the preferred host: if that dies, none detects it"
    yield from _on_the_network(site, service)
    if service.checks.deciding == ("ping",):
        yield "checks: none, so only a ping of its host decides: add http, tcp or process"
    if (
        service.checks.process is not None
        and service.commands is not None
        and service.commands.respawn is None
    ):
        yield "commands.respawn: not given: when the process dies, a takeover follows at once"
    if service.takeover.mode == "observe":
        yield "takeover.mode: observe: locum records what it would do, and changes nothing"
    if service.mirror is not None and service.mirror.when_stale == "takeover":
        yield "mirror.when_stale: takeover: a standby takes over with data of any age, complete or not"


def _on_the_network(site: Site, service: Service) -> Iterator[str]:
    spoken = {witness.version for witness in site.witnesses}
    for version in sorted({interface.version for interface in service.addresses} - spoken):
        yield (
            f"addresses: one is IPv{version}, but no witness is: after a takeover locum cannot verify that the"
            f" network reaches it; add the gateway's IPv{version} address to witnesses"
        )
    for interface in service.addresses:
        network = interface.network
        if network.num_addresses == 1:
            continue  # a /32 or /128 does not show which network it belongs to
        for name in service.hosts:
            address = site.hosts[name].address
            if address.version == interface.version and address not in network:
                yield (
                    f"addresses: {interface} and host '{name}' ({address}) are not on the same network:"
                    " an address can only move between hosts on one network segment"
                )
