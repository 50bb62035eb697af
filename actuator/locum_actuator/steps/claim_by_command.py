"""Claim by command: the administrator's command moves a record, and another says that it did."""

from __future__ import annotations

from dataclasses import dataclass

from locum_actuator.steps.base import StepContext, StepError, environment
from locum_actuator.system.site_commands import CommandError, holder_by_command, run
from locum_inventory.site.model import AddressCommands


@dataclass(frozen=True, slots=True)
class ClaimByCommand:
    """Make a host the holder of what stands in place of an address."""

    context: StepContext
    host: str

    def already(self) -> bool:
        """Say no: to claim what is held is harmless, and a record may be stale somewhere."""
        return False

    def do(self) -> str:
        """Release where the site file says how, claim, and take only the check's word for it."""
        self.context.require_silent_holder(self.host)
        self.context.evidence.require_free()
        try:
            self._move(self.host, self.context.old_holder)
            holder = holder_by_command(self.context.name, self.context.service)
        except CommandError as fault:
            raise StepError(f"claim for {self.host}: {fault}") from fault
        if holder != self.host:
            raise StepError(f"claimed for {self.host}, but the check says that {holder or 'nobody'} holds it")
        return f"the check says that {self.host} holds it"

    def undo(self) -> str | None:
        """Give it back to the holder before."""
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
            told = environment(self.context, "release", before)
            run(commands.release, told, commands.timeout)
        run(commands.claim, environment(self.context, "claim", host), commands.timeout)

    def _commands(self) -> AddressCommands:
        commands = self.context.service.address_commands
        if commands is None:
            raise CommandError("the site file gives no address_commands")
        return commands
