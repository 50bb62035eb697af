"""Check that each part of the chain can listen on its address; if not, report why and what to do."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from dataclasses import dataclass

from locum_actuator.stack.layout import StackLayout
from locum_inventory.listen import Listen


@dataclass(frozen=True, slots=True)
class ListenPart:
    """A part of the chain on this machine: its name for people, and its address."""

    title: str
    listen: Listen
    option: str
    unit: str | None = None  # the systemd unit that Debian's package may have started on the same port


def _parts(stack: StackLayout) -> tuple[ListenPart, ...]:
    return (
        ListenPart("the exporter", stack.exporter, "--exporter-listen"),
        ListenPart("the actuator", stack.actuator, "--actuator-listen"),
        ListenPart("the actuator (its webhook)", stack.webhook, "--webhook-listen"),
        ListenPart("Alertmanager", stack.alertmanager, "--alertmanager-listen", "prometheus-alertmanager"),
        ListenPart("Prometheus", stack.prometheus, "--prometheus-listen", "prometheus"),
    )


def port_faults(stack: StackLayout) -> Iterator[str]:
    """Yield one line for each part that cannot listen on its address."""
    for part in _parts(stack):
        family = socket.AF_INET6 if ":" in part.listen.host else socket.AF_INET
        try:
            with socket.socket(family) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((part.listen.host, part.listen.port))
                probe.listen(1)
        except OSError as fault:
            yield _port_fault(part, fault)


def _port_fault(part: ListenPart, fault: OSError) -> str:
    other = f"choose another with {part.option}"
    if fault.errno == errno.EADDRINUSE:
        who = (
            f"Debian's package may have started its own: systemctl disable --now {part.unit}"
            if part.unit
            else "another `locum up` may be running"
        )
        return f"{part.listen} is already in use: {part.title} cannot listen on it; {who}, or {other}"
    if fault.errno == errno.EADDRNOTAVAIL:
        return (
            f"{part.listen} is not an address of this machine: {part.title} cannot listen on it;"
            f" run `locum up` on the host that the site file names as actuator.host, or {other}"
        )
    return f"{part.title} cannot listen on {part.listen} ({fault.strerror}): {other}"
