"""What the gates of a service's hosts know and do of its copies, apart from a run itself."""

from __future__ import annotations

from dataclasses import dataclass

from locum_actuator.domain.mirror_run import Changes, MirrorError
from locum_actuator.mirror.gate_commands import GateCommands, MirrorArguments
from locum_inventory.gate import answers
from locum_inventory.site.mirror import Mirror, MirrorTree, age_seconds
from locum_inventory.site.model import Service

ASK_SECONDS = 10.0
CHANGES_SECONDS = 300.0  # a look through a whole tree
HALT_SECONDS = 6.0


@dataclass(frozen=True, slots=True)
class Copies:
    """The copies of one service, under one epoch. Every call raises `MirrorError` where a host cannot be asked."""

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
        """Return what a host's gate knows of one directory, as keys and values."""
        return self._ask(host, "mirror-look", ASK_SECONDS, number)

    def state(self, host: str, number: int) -> dict[str, str] | None:
        """Return the same, or None where the host cannot be asked."""
        try:
            known = dict(self.look(host, number))
        except MirrorError:
            return None
        return known if {"state", "run", "writing"} <= known.keys() else None

    def halt(self, host: str) -> None:
        """End whatever run writes on a host; returns when none does."""
        self._ask(host, "mirror-halt", HALT_SECONDS)

    def changes(self, host: str, run: int) -> Changes:
        """Look what changed on a host since a run."""
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
        """Have each host note that its directories are the right ones, where it has them; return what was done."""
        done = []
        for host in sorted(self.service.hosts, key=lambda host: host != holder):
            for number, tree in self.trees:
                is_standby = host != holder and tree.mounted_source is None
                if is_standby and ("there", "yes") not in self.look(host, number):
                    done.append(f"{host}: directory {number} is not there yet: the first run makes it")
                    continue
                self._ask(host, "mirror-mark", ASK_SECONDS, number)
                done.append(f"{host}: directory {number} is marked")
        return done

    def kept(self, host: str) -> list[int]:
        """Return the runs of which a host keeps files."""
        known = [pair for number, _ in self.trees for pair in self.look(host, number)]
        return sorted({_number(host, value) for key, value in known if key == "kept"})

    def restore(self, host: str, run: int) -> list[str]:
        """Put back what a run deleted or overwrote; return what was done."""
        if run not in self.kept(host):
            raise MirrorError(f"{host}: nothing is kept of run {run}")
        done = []
        for number, _ in self.trees:
            if ("kept", str(run)) not in self.look(host, number):
                done.append(f"{host}: directory {number}: nothing is kept of run {run}")
                continue
            self._ask(host, "mirror-restore", age_seconds(self.mirror.timeout), number, run)
            done.append(f"{host}: directory {number}: what run {run} deleted or overwrote is back")
        return done

    def _ask(
        self, host: str, verb: str, deadline_seconds: float, number: int = 0, run: int = 0
    ) -> list[tuple[str, str]]:
        words = MirrorArguments(self.epoch, number, run)
        return self.lines.ask(host, verb, self.name, words, deadline_seconds=deadline_seconds)


def _number(host: str, text: str) -> int:
    """Return a number of a gate's answer; `MirrorError` for anything else, which a count must not leave out."""
    try:
        return answers.number(text)
    except ValueError:
        raise MirrorError(f"{host}: the gate's answer holds {answers.clean(text)!r} as a number") from None
