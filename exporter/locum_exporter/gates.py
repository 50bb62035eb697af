"""The gates an exporter may ask: a shell for each host that has one."""

from __future__ import annotations

from collections.abc import Mapping

from locum_inventory.model import Site
from locum_inventory.shell import Shell


def open_shells(site: Site, this_name: str | None) -> Mapping[str, Shell]:
    """Return the shells by host name; nothing is connected before it is asked.

    The host this runs on (`this_name`) is asked directly, others over SSH with the exporter's key.
    """
    try:
        from locum_inventory.shells import Shells  # type: ignore[import-untyped]  # noqa: PLC0415
    except ImportError:
        return {}
    shells: Mapping[str, Shell] = Shells(site, this_name, role="exporter")
    return shells


def close_shells(shells: Mapping[str, Shell]) -> None:
    """Give up all connections."""
    for shell in shells.values():
        shell.close()
