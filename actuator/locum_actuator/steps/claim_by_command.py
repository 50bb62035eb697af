"""Claim by command: one command of the administrator moves a record, another checks the result."""

from __future__ import annotations

from locum_actuator.steps.base import Step, StepError, environment
from locum_actuator.system.site_commands import CommandError, holder_by_command, run
from locum_inventory.site.model import AddressCommands


class ClaimByCommand(Step):
    """Make a host the holder of the record that replaces an address."""

    def already(self) -> bool:
        """Return False: claiming again is harmless, and the record may be stale somewhere."""
        return False

    def do(self) -> str:
        """Release if the site file has a command for it, claim, and verify the result with the check command."""
        self.context.require_silent_holder(self.host)
        self.context.evidence.require_free()
        try:
            self._move(self.host, self.context.old_holder)
            holder = holder_by_command(self.context.name, self.context.service)
        except CommandError as fault:
            raise StepError(f"claim for {self.host}: {fault}") from fault
        if holder != self.host:
            raise StepError(
                f"claimed for {self.host}, but the check reports that {holder or 'no host'} holds it"
            )
        return f"the check reports that {self.host} holds it"

    def undo(self) -> str | None:
        """Give it back to the previous holder."""
        old = self.context.old_holder
        if old is None or old == self.host:
            return None
        try:
            self._move(old, self.host)
        except CommandError as fault:
            raise StepError(f"giving it back to {old}: {fault}") from fault
        return f"{old} has it back"

    def _move(self, host: str, before: str | None) -> None:
        commands = self._commands()
        if commands.release is not None and before is not None and before != host:
            variables = environment(self.context, "release", before)
            run(commands.release, variables, commands.timeout)
        run(commands.claim, environment(self.context, "claim", host), commands.timeout)

    def _commands(self) -> AddressCommands:
        commands = self.context.service.address_commands
        if commands is None:
            raise CommandError("the site file gives no address_commands")
        return commands
