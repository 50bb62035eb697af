"""Rules about several keys of a site file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from pydantic import ValidationError

from locum_inventory.site import address_rules
from locum_inventory.site.checks import ProcessCheck
from locum_inventory.site.draft import Breach, Draft, mapping, read_draft
from locum_inventory.site.messages import did_you_mean, field_at
from locum_inventory.site.yaml_positions import KeyPath


def breaches(data: dict[str, Any]) -> Iterator[Breach]:
    """Yield the path of each key that contradicts others, with what to give instead."""
    draft = read_draft(data)
    for rule in _RULES:
        yield from rule(draft)


def _named_hosts_exist(draft: Draft) -> Iterator[Breach]:
    if not draft.hosts:
        return  # the hosts themselves are missing: one fault, not one per mention
    mentions = [place for service in draft.services for place in draft.hosts_of(service)]
    mentions += [(("vantage_points", name), name) for name in draft.vantage_points]
    if draft.actuator_host is not None:
        mentions.append((("actuator", "host"), draft.actuator_host))
    for path, name in mentions:
        if name not in draft.hosts:
            proposal = did_you_mean(name, draft.hosts)
            yield (
                path,
                f"names '{name}', which is not a host: {proposal}the hosts are {', '.join(draft.hosts)}",
            )


def _hosts_of_a_service_differ(draft: Draft) -> Iterator[Breach]:
    for service in draft.services:
        seen: set[str] = set()
        for path, name in draft.hosts_of(service):
            if name in seen:
                yield path, f"names '{name}' twice: name each host once, the preferred one first"
            seen.add(name)


def _interfaces_are_complete(draft: Draft) -> Iterator[Breach]:
    for service, values in draft.services.items():
        interface = values.get("interface")
        hosts = [name for _, name in draft.hosts_of(service)]
        if not isinstance(interface, dict) or not hosts:
            continue
        path: KeyPath = ("services", service, "interface")
        for name in dict.fromkeys(hosts):
            if name not in interface:
                yield path, f"has no interface for host '{name}': give one for each host of the service"
        for name in interface:
            if name not in hosts:
                proposal = did_you_mean(name, hosts)
                yield (
                    (*path, name),
                    f"is not a host of the service: {proposal}its hosts are {', '.join(hosts)}",
                )


def _something_moves(draft: Draft) -> Iterator[Breach]:
    """Require addresses and an interface, or address_commands instead."""
    for service, values in draft.services.items():
        for key in ("addresses", "interface"):
            path: KeyPath = ("services", service, key)
            if "address_commands" in values and key in values:
                yield path, "cannot be combined with address_commands: keep one of them"
            elif "address_commands" not in values and key not in values:
                field = field_at(path)
                yield path, f"is missing: give {field.description if field is not None else 'it'}"


def _hosts_can_be_reached(draft: Draft) -> Iterator[Breach]:
    actuator_host = draft.actuator_host
    if actuator_host not in draft.hosts:
        return
    for name in dict.fromkeys(name for service in draft.services for _, name in draft.hosts_of(service)):
        host = draft.hosts.get(name)
        if name != actuator_host and isinstance(host, dict) and "ssh" not in host:
            why = f"is missing: the actuator on '{actuator_host}' connects to '{name}' over SSH to release it"
            yield ("hosts", name, "ssh"), f"{why}: give how to log in there, such as {{user: locum}}"


def _what_is_stopped_can_be_started(draft: Draft) -> Iterator[Breach]:
    for service, values in draft.services.items():
        path: KeyPath = ("services", service)
        if "commands" not in values and values.get("standby", "stopped") == "stopped":
            why = "is missing: locum must start the service on a standby where it is stopped"
            what = "give {start: ..., stop: ..., respawn: ...}, or set standby: running"
            yield (*path, "commands"), f"{why}: {what}"
        for key in ("when_hung", "when_unexpected"):
            restarts = mapping(values.get("takeover")).get(key) == "restart"
            if restarts and "respawn" not in mapping(values.get("commands")):
                what = "is 'restart', but there is no command for it: give commands.respawn, or use takeover"
                yield (*path, "takeover", key), what


def _after_hooks_do_not_abort(draft: Draft) -> Iterator[Breach]:
    for service, values in draft.services.items():
        for name, hook in mapping(values.get("hooks")).items():
            if str(name).startswith("after_") and mapping(hook).get("on_failure") == "abort":
                why = "is 'abort', but a hook after a step cannot stop it: use ignore, or a hook before the step"
                yield ("services", service, "hooks", name, "on_failure"), why


def _no_host_fences_itself(draft: Draft) -> Iterator[Breach]:
    name = draft.actuator_host
    if name is not None and "fence" in mapping(draft.hosts.get(name)):
        why = f"would let the actuator on '{name}' switch its own host off: leave it out"
        yield ("hosts", name, "fence"), why


def _vantage_points_differ(draft: Draft) -> Iterator[Breach]:
    first: dict[str, str] = {}
    for name, values in draft.vantage_points.items():
        url = mapping(values).get("url")
        if isinstance(url, str) and url in first:
            text = (
                f"is {url}, which is already the exporter of '{first[url]}': one exporter cannot vote twice"
            )
            yield ("vantage_points", name, "url"), text
        if isinstance(url, str):
            first.setdefault(url, name)


def _processes_are_distinct(draft: Draft) -> Iterator[Breach]:
    """Require that no process matches two services on one host, so that it cannot be killed for the wrong one."""
    known: list[tuple[str, ProcessCheck]] = []
    for service, values in draft.services.items():
        try:
            check = ProcessCheck.model_validate(mapping(values.get("checks")).get("process"))
        except ValidationError:
            continue  # there is none, or it is invalid itself
        hosts = [name for _, name in draft.hosts_of(service)]
        for other, its in known:
            theirs = {name for _, name in draft.hosts_of(other)}
            both = [name for name in hosts if name in theirs]
            one_daemon = _is_one_daemon(values, draft.services[other])
            if both and not one_daemon and not check.is_apart_from(its):
                why = (
                    f"is '{check.name}' on host '{both[0]}', and service '{other}' counts the same processes"
                )
                what = "give each its own unit, such as unit: apache2.service, or its own user"
                yield ("services", service, "checks", "process"), f"{why}: {what}"
                break
        known.append((service, check))


def _is_one_daemon(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Return whether two services share a daemon that runs on every host and that neither of them stops."""
    runs_everywhere = one.get("standby") == other.get("standby") == "running"
    return runs_everywhere and one.get("commands") == other.get("commands")


_RULES: tuple[Callable[[Draft], Iterator[Breach]], ...] = (
    _named_hosts_exist,
    _hosts_of_a_service_differ,
    _interfaces_are_complete,
    _something_moves,
    address_rules.breaches,
    _hosts_can_be_reached,
    _what_is_stopped_can_be_started,
    _after_hooks_do_not_abort,
    _no_host_fences_itself,
    _vantage_points_differ,
    _processes_are_distinct,
)
