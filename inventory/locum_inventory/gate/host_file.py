"""The file on a host that defines what its gate may run, generated from the site."""

from __future__ import annotations

import hashlib
from importlib.resources import files
from pathlib import Path

from locum_inventory.site.mirror import gate_lines
from locum_inventory.site.model import Service, Site

GATE_PATH = Path("/usr/local/lib/locum/gate")
HOST_FILE_PATH = Path("/etc/locum/gate.conf")

_HEAD = """\
# What locum's gate on this host ({host}) may run. Written by `locum enrol`; do not edit it here:
# change the site file and enrol again. `locum check --live` compares the two.
locum-gate 1
"""


def gate_script() -> str:
    """Return the gate's script in the form in which it is installed."""
    text = _part("gate.sh")
    for name in ("gate_mirror.sh", "gate_tree.sh"):
        text = text.replace(f"#@ {name}\n", _part(name).removeprefix("#!/bin/sh\n"), 1)
    return text


def _part(name: str) -> str:
    return files("locum_inventory.gate").joinpath(name).read_text(encoding="utf-8")


def gate_version() -> str:
    """Return the version that this gate reports."""
    line = next(line for line in gate_script().splitlines() if line.startswith("VERSION="))
    return line.removeprefix("VERSION=")


def host_file(site: Site, host: str) -> str:
    """Return the host file for the gate of `host`: its services, one `key value` per line."""
    return _HEAD.format(host=host) + "".join(
        _section(name, service, host) for name, service in sorted(site.services_on(host).items())
    )


def host_file_sha256(site: Site, host: str) -> str:
    """Return the SHA-256 that the gate of `host` reports if its file was generated from this site."""
    return hashlib.sha256(host_file(site, host).encode()).hexdigest()


def _section(name: str, service: Service, host: str) -> str:
    lines = [f"service {name}"]
    lines += [f"address {address}" for address in service.addresses]
    if service.address_commands is None:
        lines.append(f"interface {service.interface[host]}")
    if service.checks.process is not None:
        process = service.checks.process
        lines.append(f"process {_encoded(process.name)}")
        lines += [f"process_user {process.user}"] if process.user is not None else []
        lines += [f"process_unit {process.unit}"] if process.unit is not None else []
    commands = service.commands
    # A service without commands runs on every host: a release removes the address and nothing else.
    lines.append(f"standby {service.standby if commands is not None else 'running'}")
    if commands is not None:
        lines += [f"start {commands.start.strip()}", f"stop {commands.stop.strip()}"]
        if commands.respawn is not None:
            lines.append(f"respawn {commands.respawn.strip()}")
        for verb in ("start", "respawn", "stop"):
            lines.append(f"{verb}_timeout_ms {round(getattr(commands, f'{verb}_timeout') * 1000)}")
    if service.mirror is not None:
        lines += gate_lines(service.mirror, preferred=host == service.preferred)
    return "\n" + "\n".join(lines) + "\n"


def _encoded(name: str) -> str:
    """Encode a process name for the gate: characters that a line cannot contain become octal escapes."""
    encoded = name.encode()
    return "".join(
        chr(byte)
        if (0x20 < byte < 0x7F and byte != 0x5C) or (byte == 0x20 and 0 < at < len(encoded) - 1)
        else f"\\0{byte:03o}"
        for at, byte in enumerate(encoded)
    )
