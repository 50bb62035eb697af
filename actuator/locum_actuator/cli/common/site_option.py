"""The site file that `--site` names, loaded for a command that cannot do without it."""

from __future__ import annotations

from pathlib import Path

from locum_actuator.cli.common.exits import wrong_use
from locum_inventory.site.load import SiteError, find_site, load_site
from locum_inventory.site.model import Site


def load_or_exit(site_file: str | None) -> tuple[Path, Site]:
    """Return the site file's whole path and what it says; print its faults and exit 2 if it cannot be used."""
    try:
        path = find_site(site_file)
        return path.absolute(), load_site(path)
    except SiteError as fault:
        wrong_use(*fault.lines)
