"""The `locum` command. Each subcommand has its own file, which is imported only when it is called."""

from __future__ import annotations

import faulthandler
import importlib
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import click

from locum_inventory.shared_files import shared

# subcommand -> module:object
COMMANDS: Mapping[str, str] = {
    "init": "locum_actuator.cli.init:init",
    "check": "locum_actuator.cli.check:check",
    "up": "locum_actuator.cli.up:up",
    "status": "locum_actuator.cli.status:status",
    "explain": "locum_actuator.cli.explain:explain",
    "incidents": "locum_actuator.cli.incidents:incidents",
    "incident": "locum_actuator.cli.incident:incident",
    "pause": "locum_actuator.cli.pause:pause",
    "resume": "locum_actuator.cli.resume:resume",
    "switchover": "locum_actuator.cli.switchover:switchover",
    "failback": "locum_actuator.cli.failback:failback",
    "mirror": "locum_actuator.cli.mirror:mirror",
    "reset-epoch": "locum_actuator.cli.reset_epoch:reset_epoch",
    "enrol": "locum_actuator.cli.enrol:enrol",
    "generate": "locum_actuator.cli.generate:generate",
}


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name].partition(":")
        command: Any = getattr(importlib.import_module(module), name)
        return command if isinstance(command, click.Command) else None


@click.group(
    cls=_LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=f"Documentation: {shared('docs')}",
)
@click.option(
    "--site",
    "site_file",
    metavar="FILE",
    default=None,
    help="the site file [default: /etc/locum/locum.yml, then ./locum.yml]",
)
@click.version_option(package_name="locum", prog_name="locum")
@click.pass_context
def main(context: click.Context, site_file: str | None) -> None:
    """Keep a network service up: check it, respawn it, take it over."""
    with suppress(OSError, RuntimeError):  # stderr is not a file
        faulthandler.enable()  # a crash in a library's compiled code says where it was
    context.obj = site_file
