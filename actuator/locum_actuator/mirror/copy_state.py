"""Ask the gates about a service's copies: their state, their changes, and the files that runs have kept."""

from __future__ import annotations

from dataclasses import dataclass

from locum_actuator.domain.mirror_run import Changes, MirrorError
from locum_actuator.mirror.gate_commands import GateCommands, MirrorArguments
from locum_inventory.gate import answers
from locum_inventory.site.mirror import Mirror, MirrorTree, age_seconds
from locum_inventory.site.model import Service

ASK_SECONDS = 10.0
CHANGES_SECONDS = 300.0  # the gate walks through a whole directory tree
HALT_SECONDS = 6.0


@dataclass(frozen=True, slots=True)
class Copies:
    """The copies of one service, under one epoch. Every call raises `MirrorError` if a host does not answer."""

    lines: GateCommands
    name: str
    epoch: int

    @property
    def service(self) -> Service:
        """The service's values."""
        return self.lines.site.services[self.name]

    @property
    def mirror(self) -> Mirror:
        """The service's mirror."""
        if self.service.mirror is None:
            raise MirrorError(f"the site file has no mirror for {self.name}")
        return self.service.mirror

    @property
    def trees(self) -> tuple[tuple[int, MirrorTree], ...]:
        """The directories with their numbers."""
        return tuple(enumerate(self.mirror.trees, 1))

    def look(self, host: str, number: int) -> list[tuple[str, str]]:
        """Return the state of one directory as a host's gate reports it, as keys and values."""
        return self._ask(host, "mirror-look", ASK_SECONDS, number)

    def state(self, host: str, number: int) -> dict[str, str] | None:
        """Return the state of one directory, or None if the host does not answer."""
        try:
            known = dict(self.look(host, number))
        except MirrorError:
            return None
        return known if {"state", "run", "writing"} <= known.keys() else None

    def halt(self, host: str) -> None:
        """Stop any run that writes on a host; return when none does."""
        self._ask(host, "mirror-halt", HALT_SECONDS)

    def changes(self, host: str, run: int) -> Changes:
        """Return what has changed on a host since a run."""
        count, names = 0, list[str]()
        for number, tree in self.trees:
            path = tree.path_on(preferred=host == self.service.preferred)
            for key, value in self._ask(host, "mirror-changes", CHANGES_SECONDS, number, run):
                if key == "changed":
                    count += _number(host, value)
                elif key == "name":
                    names.append(f"{path}/{value}")
        return Changes(host, count, tuple(names))

    def mark(self, holder: str) -> list[str]:
        """Make each host record that its directories are the right ones; return what was done."""
        done = []
        for host in sorted(self.service.hosts, key=lambda host: host != holder):
            for number, tree in self.trees:
                is_standby = host != holder and tree.mounted_source is None
                if is_standby and ("there", "yes") not in self.look(host, number):
                    done.append(f"{host}: directory {number} does not exist yet: the first run creates it")
                    continue
                self._ask(host, "mirror-mark", ASK_SECONDS, number)
                done.append(f"{host}: directory {number} is marked")
        return done

    def kept(self, host: str) -> list[int]:
        """Return the runs whose deleted or overwritten files a host has kept."""
        known = [pair for number, _ in self.trees for pair in self.look(host, number)]
        return sorted({_number(host, value) for key, value in known if key == "kept"})

    def restore(self, host: str, run: int) -> list[str]:
        """Restore what a run deleted or overwrote; return what was done."""
        if run not in self.kept(host):
            raise MirrorError(f"{host}: no files are kept from run {run}")
        done = []
        for number, _ in self.trees:
            if ("kept", str(run)) not in self.look(host, number):
                done.append(f"{host}: directory {number}: no files are kept from run {run}")
                continue
            self._ask(host, "mirror-restore", age_seconds(self.mirror.timeout), number, run)
            done.append(f"{host}: directory {number}: restored what run {run} deleted or overwrote")
        return done

    def _ask(
        self, host: str, verb: str, deadline_seconds: float, number: int = 0, run: int = 0
    ) -> list[tuple[str, str]]:
        words = MirrorArguments(self.epoch, number, run)
        return self.lines.ask(host, verb, self.name, words, deadline_seconds=deadline_seconds)


def _number(host: str, text: str) -> int:
    """Return a number from a gate's answer; raise `MirrorError` for anything else, so no count is too low."""
    try:
        return answers.number(text)
    except ValueError:
        raise MirrorError(
            f"{host}: the gate's answer holds {answers.clean(text)!r} instead of a number"
        ) from None
