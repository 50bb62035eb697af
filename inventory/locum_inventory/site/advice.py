"""What is worth saying about a site file that is sound all the same."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv6Address
from urllib.parse import urlsplit

from locum_inventory.site.model import Service, Site
from locum_inventory.site.payload import shown_bytes


def advice(site: Site) -> Iterator[str]:
    """Yield one line for each thing that an administrator may want otherwise."""
    yield from _on_those_who_watch(site)
    for name, host in site.hosts.items():
        if host.address.is_loopback:
            yield f"hosts.{name}.address: {host.address} is loopback: every host that asks it asks itself"
    for witness in site.witnesses:
        if isinstance(witness, IPv6Address) and witness.is_link_local:
            yield (
                f"witnesses: {witness} is link-local: with several interfaces the wrong network may be asked;"
                " give a global or unique local one"
            )
    if "chain" in site.model_fields_set:
        yield from _on_the_chain(site)
    for name, service in site.services.items():
        yield from (f"services.{name}.{line}" for line in _on_a_service(site, service))


def _on_the_chain(site: Site) -> Iterator[str]:
    plain = [url for url in site.chain.alertmanagers if url.startswith("http://")]
    if plain:
        yield (
            f"chain.alertmanagers: {plain[0]} is asked over plain HTTP and without a password: every user of its"
            " host can silence the alerts that wake locum; docs/security.md says how to close it"
        )
    if site.chain.password_file and not any(
        url.startswith("https://") for url in (site.chain.prometheus, *site.chain.alertmanagers)
    ):
        yield "chain.password_file: is sent over https:// alone, and no address here begins with that"


def conversations(site: Site) -> Iterator[str]:
    """Yield for each tcp check that sends or expects something one line that shows the bytes."""
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
            f"vantage_points: {len(points)} can be split evenly, and half is no majority:"
            " an odd number survives more"
        )
    for name, point in points.items():
        if name != site.actuator.host and urlsplit(point.url).hostname in {"127.0.0.1", "::1", "localhost"}:
            yield (
                f"vantage_points.{name}.url: {point.url} is whichever machine asks, not host '{name}':"
                f" give {name}'s own address"
            )


def _on_a_service(site: Site, service: Service) -> Iterator[str]:
    first = service.preferred
    if site.actuator.host == first:
        yield f"hosts: the actuator runs on '{first}', the preferred host: when that dies, nobody acts for it"
    elif tuple(site.vantage_points) == (first,):
        yield f"hosts: only '{first}', the preferred host, watches: when that dies, nobody notices"
    yield from _on_the_network(site, service)
    if service.checks.deciding == ("ping",):
        yield "checks: none, so that a ping of its host must do: add http, tcp or process"
    if (
        service.checks.process is not None
        and service.commands is not None
        and service.commands.respawn is None
    ):
        yield "commands.respawn: not given: a died process leads to a takeover at once"
    if service.takeover.mode == "observe":
        yield "takeover.mode: observe: what would be done is recorded, and nothing is touched"
    if service.mirror is not None and service.mirror.when_stale == "takeover":
        yield "mirror.when_stale: takeover: a standby takes over with data of any age, whole or not"


def _on_the_network(site: Site, service: Service) -> Iterator[str]:
    spoken = {witness.version for witness in site.witnesses}
    for version in sorted({interface.version for interface in service.addresses} - spoken):
        yield (
            f"addresses: one is of IPv{version}, and no witness is: nothing shows after a takeover that the network"
            f" knows the way to it; add the gateway's IPv{version} address to witnesses"
        )
    for interface in service.addresses:
        network = interface.network
        if network.num_addresses == 1:
            continue  # a /32 or /128 does not say which network it lies in
        for name in service.hosts:
            address = site.hosts[name].address
            if address.version == interface.version and address not in network:
                yield (
                    f"addresses: {interface} and host '{name}' ({address}) are not on one network:"
                    " an address can only move between hosts on one network segment"
                )
