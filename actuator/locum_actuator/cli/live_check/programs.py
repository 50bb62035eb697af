"""Check that the programs of hooks and of address commands exist on this machine. Runs none of them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence

from locum_actuator.cli.live_check.finding import Finding
from locum_actuator.system.site_commands import PATH
from locum_inventory.site.model import Service, Site


def programs(site: Site) -> Iterator[Finding]:
    """Check the programs of each service; fence agents are checked in `fencing`, which runs them."""
    for name, service in site.services.items():
        for what, words in _commands(service):
            yield _program(f"{what} of {name} ({words[0]})", words[0])


def _commands(service: Service) -> Iterator[tuple[str, Sequence[str]]]:
    for when, hook in service.hooks.items():
        yield f"hook {when}", hook.command
    commands = service.address_commands
    if commands is not None:
        yield "claim command", commands.claim
        yield "check command", commands.check
        if commands.release is not None:
            yield "release command", commands.release


def _program(what: str, program: str) -> Finding:
    if shutil.which(program, path=PATH) is not None:
        return Finding(what, "ok", "exists")
    if "/" not in program:
        fix = f"install it in one of {', '.join(PATH.split(':'))}, or give its path"
        return Finding(what, "wrong", "is not on this host", fix)
    if os.path.isfile(program):  # noqa: PTH113 - Path.is_file raises if a directory on the path is closed to us
        return Finding(what, "wrong", "is not executable", f"chmod +x {program}")
    return Finding(what, "wrong", "is not on this host", "install it there, or correct its path")
