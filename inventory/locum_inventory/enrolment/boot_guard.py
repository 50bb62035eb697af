"""The boot guard: it blocks a host's traffic for its service addresses from boot until locum releases it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

from locum_inventory.site.model import Service, Site

GUARD_PATH = Path("/usr/local/sbin/locum-guard")
MUTE_DIRECTORY = Path("/run/locum-guard/mute")  # a file for each service whose addresses are blocked

_START = re.compile(r"(?:/usr)?(?:/bin/)?systemctl(?: -q| --quiet)? (?:re)?start ([A-Za-z0-9:_.@-]+)")
_UNIT_KINDS = (".service", ".socket", ".target")


def is_muted(service: str) -> bool:
    """Return whether the boot guard blocks the traffic of a service's addresses, even if this machine has them."""
    return (MUTE_DIRECTORY / service).exists()


def guard_files() -> Mapping[str, str]:
    """Return the files that `locum enrol` installs, by their names in install_guard.sh."""
    names = {"guard": "guard.sh", "guard_unit": "guard.service", "guard_init": "guard.init"}
    package = files("locum_inventory.enrolment")
    return {word: package.joinpath(name).read_text(encoding="utf-8") for word, name in names.items()}


def kept_off(site: Site, host: str) -> dict[str, str | None]:
    """Return the services that must not start at boot on a host, with the systemd unit that starts each.

    The unit is None if the start command does not name one: then it is unknown what starts the service at boot.
    """
    return {
        name: unit_of(service.commands.start)
        for name, service in sorted(site.services_on(host).items())
        if service.commands is not None and _stays_off(service)
    }


def _stays_off(service: Service) -> bool:
    return service.standby == "stopped" and bool(service.addresses)


def unit_of(start_command: str) -> str | None:
    """Return the systemd unit that a start command starts; None if it is not simply `systemctl start UNIT`."""
    found = _START.fullmatch(start_command.strip())
    if found is None:
        return None
    unit = found[1]
    return unit if unit.endswith(_UNIT_KINDS) else f"{unit}.service"
