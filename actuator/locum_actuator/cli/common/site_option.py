"""Load the site file named by `--site`, for commands that need one."""

from __future__ import annotations

from pathlib import Path

from locum_actuator.cli.common.exits import wrong_use
from locum_inventory.site.load import SiteError, find_site, load_site
from locum_inventory.site.model import Site


def load_or_exit(site_file: str | None) -> tuple[Path, Site]:
    """Return the site file's absolute path and its content; print its errors and exit 2 if it is not valid."""
    try:
        path = find_site(site_file)
        return path.absolute(), load_site(path)
    except SiteError as fault:
        wrong_use(*fault.lines)
