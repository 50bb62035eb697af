"""Make sure that a command runs on the actuator's host."""

from __future__ import annotations

from locum_actuator.cli.common.exits import wrong_use
from locum_exporter.this_host import WrongMachineError, require_actuator_host
from locum_inventory.site.model import Site


def on_actuator_host_or_exit(site: Site) -> None:
    """Exit 2 with the reason if this machine is not the actuator's host, or if that cannot be determined."""
    try:
        require_actuator_host(site)
    except WrongMachineError as fault:
        wrong_use(f"locum: {fault}")
