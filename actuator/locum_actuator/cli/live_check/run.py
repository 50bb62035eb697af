"""Check that hosts, gates, addresses and files match the site file. Changes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

import aiohttp

from locum_actuator.cli.live_check import (
    fencing,
    reload,
)
from locum_actuator.cli.live_check import (
    files as check_files,
)
from locum_actuator.cli.live_check import (
    programs as check_programs,
)
from locum_actuator.cli.live_check.finding import Finding
from locum_actuator.decision.fitness import why_unfit
from locum_actuator.observation.pings import BURST_ECHOES, BURST_SPACING_SECONDS
from locum_exporter.checks.address import address as look_for_address
from locum_exporter.net.icmp import Pinger
from locum_exporter.net.neighbours import Neighbours
from locum_exporter.net.os_errors import text_of_os_error
from locum_exporter.probe_request import through_checks
from locum_exporter.result import Outcome
from locum_exporter.this_host import find_this_name
from locum_inventory.gate.gates import GateClients
from locum_inventory.gate.host_file import GATE_PATH, gate_version, host_file_sha256
from locum_inventory.gate.protocol import FaultReason, GateClient, GateError, GateStatus
from locum_inventory.site.model import Address, Site

BURST_SECONDS = BURST_ECHOES * BURST_SPACING_SECONDS
ECHO_COUNT = 5
ECHO_SPACING_SECONDS = 0.1
ECHO_WAIT_SECONDS = 1.0
GATE_DEADLINE_SECONDS = 5.0
ADDRESS_DEADLINE_SECONDS = 1.0
EXPORTER_DEADLINE_SECONDS = 3.0

_MEND: Mapping[FaultReason, str] = {
    "unreachable": "check that it is up and that its firewall allows SSH from here",
    "refused": "start its sshd, or set the port on which it listens (ssh.port)",
    "timeout": "check that it is up and that its firewall allows SSH from here",
    "auth": "locum enrol {host} installs the key, or reports why the account cannot log in",
    "host_key_unknown": "locum enrol {host} pins its host key",
    "host_key_changed": "make sure that it is the right machine; then locum enrol {host}",
}
_ENROL = "locum enrol {host} installs the gate"
# Messages of a login that succeeds but runs no command: nologin(8), passwd(1) in its place, pam_nologin(8).
_NO_LOGIN = (
    ("currently not available", "locum enrol {host} gives the account a shell, or reports how to"),
    ("expired", "locum enrol {host} removes the expiry, or reports how to"),
    (
        "System is going down",
        "wait for it, or remove its /etc/nologin: no account can log in while that file exists",
    ),
    ("System is booting up", "wait for it: no account can log in while it boots"),
)


async def look(site: Site, *, gate_path: Path = GATE_PATH) -> list[Finding]:
    """Run all checks at the same time, each with its own deadline."""
    this_name = await find_this_name(site)
    gates = GateClients(site, this_name, "actuator", gate_path=gate_path)
    try:
        async with Pinger() as pinger, Neighbours() as neighbours:
            looks = [_ping_host(pinger, f"host {name}", host.address) for name, host in site.hosts.items()]
            looks += [_ping(pinger, "witness", witness) for witness in site.witnesses]
            looks += [_gate(site, name, gates[name]) for name in _hosts_of_services(site)]
            looks += [
                _holder(neighbours, site, name, this_name)
                for name, service in site.services.items()
                if service.addresses
            ]
            looks += [_exporter(site, name) for name in site.vantage_points]
            found, fences, left = await asyncio.gather(
                asyncio.gather(*looks), fencing.devices(site, pinger), reload.differences(site)
            )
    finally:
        await asyncio.to_thread(gates.close)
    here = [_this_machine(site, this_name), *check_files.files(site), *fencing.secrets(site)]
    here += _proofs(site)
    here += check_files.interfaces(site, this_name) if this_name is not None else []
    here += check_programs.programs(site) if this_name == site.actuator.host else []
    return [*here, *found, *fences, *left]


def _proofs(site: Site) -> list[Finding]:
    """Report the services that no other host can check once the actuator's host holds them."""
    here = site.actuator.host
    if tuple(site.vantage_points) != (here,):
        return []
    names = [name for name, one in site.services.items() if here in one.hosts and through_checks(one)]
    text = f"'{here}' is the only vantage point: once it holds the service itself, no other host can check it"
    fix = "run locum-exporter on another host as well, and add it to vantage_points"
    return [Finding(f"proof of {name} from outside", "note", text, fix) for name in names]


def _hosts_of_services(site: Site) -> list[str]:
    return [name for name in site.hosts if site.services_on(name)]


def _this_machine(site: Site, this_name: str | None) -> Finding:
    what, actuator_host = "this machine", site.actuator.host
    if this_name == actuator_host:
        return Finding(what, "ok", f"is host '{this_name}', where the actuator runs")
    is_what = "none of the site's hosts" if this_name is None else f"host '{this_name}'"
    fix = f"run this on host '{actuator_host}', where the actuator runs: only its view of the network counts"
    return Finding(what, "wrong", f"is {is_what}", fix)


async def _ping(pinger: Pinger, what: str, address: Address) -> Finding:
    what = f"{what} ({address})"
    burst = await pinger.burst(
        address,
        count=ECHO_COUNT,
        spacing_seconds=ECHO_SPACING_SECONDS,
        wait_seconds=ECHO_WAIT_SECONDS,
        enough=1,
    )
    if burst.received:
        return Finding(what, "ok", f"answers a ping in {min(burst.rtts_seconds) * 1000:.1f} ms")
    if burst.reason == "permission":
        return Finding(what, "unknown", f"could not be pinged: {burst.text}", "run this as root")
    text = f"answers none of {burst.sent} pings: {burst.text}"
    return Finding(what, "wrong", text, "check that it is up and that its firewall allows ICMP echo")


async def _ping_host(pinger: Pinger, what: str, address: Address) -> Finding:
    """Send the same burst as an evaluation: a host that limits pings answers only the first echoes."""
    found = await _ping(pinger, what, address)
    if found.state != "ok":
        return found
    burst = await pinger.burst(
        address, count=BURST_ECHOES, spacing_seconds=BURST_SPACING_SECONDS, wait_seconds=ECHO_WAIT_SECONDS
    )
    if burst.received >= burst.sent:
        return found
    text = f"answers {burst.received} of {burst.sent} pings sent within {BURST_SECONDS:g} s"
    fix = (
        f"let its firewall accept {BURST_ECHOES} pings at once; if it has no such limit, its line loses packets."
        " Until then only a prompt answer of its gate shows that the line is clean"
    )
    return Finding(found.what, "note", text, fix)


async def _gate(site: Site, host: str, gate: GateClient) -> Finding:
    what, enrol = f"gate of {host}", f"locum enrol {host}"
    try:
        status = await asyncio.to_thread(gate.status, deadline_seconds=GATE_DEADLINE_SECONDS)
    except GateError as fault:
        text = str(fault).removeprefix(f"{host}: ")
        said = next((fix for words, fix in _NO_LOGIN if words in text), _ENROL)
        return Finding(what, "wrong", text, _MEND.get(fault.reason, said).format(host=host))
    if status.version != gate_version():
        text = f"has version {status.version}, but this locum has {gate_version()}"
        return Finding(what, "wrong", text, enrol)
    if status.config_sha256 != host_file_sha256(site, host):
        return Finding(what, "wrong", "its configuration was generated from a different site file", enrol)
    for name, service in site.services_on(host).items():
        if (why := why_unfit(name, service, host, status)) is not None:
            text = f"{host} cannot be given {name}: {why}"
            return Finding(
                what, "wrong", text, f"correct the interface in the site file or on the host, then {enrol}"
            )
    held = [
        str(one) for service in status.services.values() for one, is_held in service.held.items() if is_held
    ]
    return Finding(what, "ok", f"answers; holds {', '.join(held) or 'no service address'}; {_guard(status)}")


def _guard(status: GateStatus) -> str:
    """Describe whether a host has a boot guard, and for which services it is on."""
    if all(service.guarded is None for service in status.services.values()):
        return "no boot guard"
    on = [name for name, service in status.services.items() if service.guarded]
    return f"boot guard on for {', '.join(on)}" if on else "boot guard installed"


async def _holder(neighbours: Neighbours, site: Site, service: str, this_name: str | None) -> Finding:
    addresses = ", ".join(str(interface.ip) for interface in site.services[service].addresses)
    what = f"addresses of {service} ({addresses})"
    result = await look_for_address(neighbours, site, service, ADDRESS_DEADLINE_SECONDS, this_name=this_name)
    text = result.text.removeprefix(f"address of {service}: ")
    if result.outcome is Outcome.WELL:
        return Finding(what, "ok", text)
    if result.reason == "conflict":
        return Finding(what, "wrong", text, f"locum explain {service} shows which of them must release it")
    if result.reason == "absent":
        return Finding(what, "note", text, "once locum up runs, the first host that is able to will claim it")
    return Finding(what, "unknown", text, "run this as root, on a host with an interface in that network")


async def _exporter(site: Site, name: str) -> Finding:
    url = site.vantage_points[name].url
    what = f"exporter of {name} ({url})"
    timeout = aiohttp.ClientTimeout(total=EXPORTER_DEADLINE_SECONDS)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, trust_env=False) as session,
            session.get(f"{url}/-/healthy", allow_redirects=False) as answer,
        ):
            status = answer.status
    except TimeoutError:
        text = f"does not answer within {EXPORTER_DEADLINE_SECONDS:g} s"
    except (aiohttp.ClientError, OSError) as error:
        text = f"does not answer: {_reason(error)}"
    else:
        if status == 200:
            return Finding(what, "ok", "is healthy")
        return Finding(what, "wrong", f"answers {status}", f"check its log on host '{name}'")
    if name == site.actuator.host:
        return Finding(what, "note", text, "start it with locum up")
    return Finding(what, "wrong", text, f"start locum-exporter on host '{name}'")


def _reason(error: Exception) -> str:
    """Return why there was no answer, without Python's own class names."""
    cause = getattr(error, "os_error", error)
    return text_of_os_error(cause) if isinstance(cause, OSError) else str(error)
