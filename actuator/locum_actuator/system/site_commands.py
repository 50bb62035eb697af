"""The administrator's own commands, on this host: what they are told, and what is heard of them.

docs/hooks.md says the same to the administrator.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from locum_actuator.system.bounded_process import ProcessError, run_bounded
from locum_actuator.system.printable import printable
from locum_inventory.errors import LocumError
from locum_inventory.site.model import Service

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
HEARD_CHARACTERS = 1000  # of what a command prints; the rest is dropped


class CommandError(LocumError):
    """The command could not be run, did not end in time, or ended with another status than 0."""


def command_environment(service: str, step: str, **more: str) -> dict[str, str]:
    """Return what a command is told: this and nothing else."""
    keys = ("incident", "host", "host_address", "epoch", "reason", "old_holder", "new_holder")
    told = {"service": service, "step": step, **{key: more.get(key, "") for key in keys}}
    # A NUL ends a variable early (environ(7)), and Python refuses it.
    return {
        "PATH": PATH,
        **{f"LOCUM_{key.upper()}": value.replace("\0", " ") for key, value in told.items()},
    }


def run(words: Sequence[str], told: Mapping[str, str], timeout_seconds: float) -> str:
    """Run a command and return what it printed, in one bounded line; raises `CommandError`."""
    try:
        ran = run_bounded(words, "", deadline_seconds=timeout_seconds, environment=told)
    except ProcessError as fault:
        raise CommandError(f"{words[0]}: {fault}") from fault
    printed = _one_line(f"{ran.output} {ran.errors}")
    if ran.status != 0:
        how = f"was killed by signal {-ran.status}" if ran.status < 0 else f"ended with {ran.status}"
        raise CommandError(f"{words[0]} {how}{f': {printed}' if printed else ''}")
    return printed


def holder_by_command(name: str, service: Service) -> str | None:
    """Ask the service's `check` command who holds the record: a name, None where nobody does.

    Raises `CommandError` where it could not look, which is neither.
    """
    commands = service.address_commands
    if commands is None:
        raise CommandError(f"{name} has no address_commands")
    try:
        ran = run_bounded(
            commands.check,
            "",
            deadline_seconds=commands.timeout,
            environment=command_environment(name, "check"),
        )
    except ProcessError as fault:
        raise CommandError(f"{commands.check[0]}: {fault}") from fault
    if ran.status != 0:
        raise CommandError(f"{commands.check[0]} ended with {ran.status}: {_one_line(ran.errors)}")
    words = ran.output.split()
    if len(words) > 1:
        raise CommandError(f"{commands.check[0]} printed '{_one_line(ran.output)}', not one name")
    return _one_line(words[0])[:253] if words else None


def _one_line(text: str) -> str:
    return printable(text)[:HEARD_CHARACTERS]
