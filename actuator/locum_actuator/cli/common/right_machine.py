"""Commands that act for the actuator's host run on that host, and nowhere else."""

from __future__ import annotations

from locum_actuator.cli.common.exits import wrong_use
from locum_exporter.this_host import WrongMachineError, require_actuator_host
from locum_inventory.site.model import Site


def on_actuator_host_or_exit(site: Site) -> None:
    """Print why this machine is not the actuator's host and exit 2, if it is not or that cannot be determined."""
    try:
        require_actuator_host(site)
    except WrongMachineError as fault:
        wrong_use(f"locum: {fault}")
