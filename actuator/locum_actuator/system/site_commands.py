"""Run the administrator's own commands on this host: their environment, their output and their exit status.

docs/hooks.md documents the same for administrators.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from locum_actuator.system.bounded_process import ProcessError, run_bounded
from locum_actuator.system.printable import printable
from locum_inventory.errors import LocumError
from locum_inventory.site.model import Service

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
HEARD_CHARACTERS = 1000  # of a command's output; the rest is discarded


class CommandError(LocumError):
    """The command could not be started, timed out, or exited with a status other than 0."""


def command_environment(service: str, step: str, **more: str) -> dict[str, str]:
    """Return the complete environment of a command."""
    keys = ("incident", "host", "host_address", "epoch", "reason", "old_holder", "new_holder")
    values = {"service": service, "step": step, **{key: more.get(key, "") for key in keys}}
    # A NUL ends a variable early (environ(7)), and Python refuses it.
    return {
        "PATH": PATH,
        **{f"LOCUM_{key.upper()}": value.replace("\0", " ") for key, value in values.items()},
    }


def run(words: Sequence[str], environment: Mapping[str, str], timeout_seconds: float) -> str:
    """Run a command and return its output in one bounded line; raises `CommandError`."""
    try:
        ran = run_bounded(words, "", deadline_seconds=timeout_seconds, environment=environment)
    except ProcessError as fault:
        raise CommandError(f"{words[0]}: {fault}") from fault
    printed = _one_line(f"{ran.output} {ran.errors}")
    if ran.status != 0:
        how = f"was killed by signal {-ran.status}" if ran.status < 0 else f"ended with {ran.status}"
        raise CommandError(f"{words[0]} {how}{f': {printed}' if printed else ''}")
    return printed


def holder_by_command(name: str, service: Service) -> str | None:
    """Return the holder of the record according to the service's `check` command; None if no host holds it.

    Raises `CommandError` if the command failed, so that the holder is not known.
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
