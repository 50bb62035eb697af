"""Two hosts on this machine for tests of the mirror: real gates, real rsync, a real journal, a directory each."""

from __future__ import annotations

import hashlib
import os
import shutil
import struct
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from locum_actuator.domain.mirror_run import MirrorResult, RunOptions
from locum_actuator.journal.journal import Journal
from locum_actuator.mirror.gate_commands import GateCommands, MirrorArguments
from locum_actuator.mirror.manager import MirrorManager
from locum_inventory.site.mirror import gate_lines
from locum_inventory.site.model import Site
from tests.inventory.gate.gate_host import GateHost, install_gate

KEPT = ".locum-kept"
# acl(5) as the kernel stores it: version 2, then tag, permissions and id of each entry.
ANY = 2**32 - 1
READABLE_BY_1235 = struct.pack("<I", 2) + b"".join(
    struct.pack("<HHI", tag, permissions, owner)
    for tag, permissions, owner in ((1, 6, ANY), (2, 4, 1235), (4, 4, ANY), (16, 4, ANY), (32, 4, ANY))
)
NOBODYS = "203.0.113.9"  # TEST-NET-3: on no card of this machine


class PairLines(GateCommands):
    """Lines to gates that are all on this machine, each in a directory of its own."""

    gates: Mapping[str, GateHost]

    def command(self, host: str, verb: str, service: str, words: MirrorArguments) -> list[str]:
        """Run the host's gate here."""
        return self.gates[host].command("actuator", verb, service, *str(words).split())


@dataclass
class MirrorHosts:
    """Hosts a and b; a holds www. What is below `trees[host]` is that host's disk."""

    base: Path
    site: Site
    journal: Journal
    mirrors: MirrorManager
    gates: dict[str, GateHost]
    results: list[MirrorResult]

    def tree(self, host: str, number: int = 1) -> Path:
        """Return a directory of www on a host."""
        return self.base / host / f"srv{number}"

    def run(self, source: str = "a", destination: str = "b", **wish: Any) -> MirrorResult:
        """Mirror from one host to the other."""
        return self.mirrors.run("www", source, destination, RunOptions(**wish))

    def mark(self, host: str = "a", number: int = 1) -> None:
        """Mark a directory as the right one."""
        said = self.gates[host].run("mirror-mark", "www", "3", str(number), *["0"] * 5)
        assert said[-1] == "end ok", said

    def mark_file(self, host: str, number: int = 1, service: str = "www") -> Path:
        """Return the file of root's own that says which directory is the right one."""
        return self.gates[host].state / "mirror" / f"{service}.{number}.mark"

    def close(self) -> None:
        """Close the journal."""
        self.journal.close()


@contextmanager
def in_memory() -> Iterator[Path]:
    """Yield an empty directory on its own file system in memory."""
    with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="locum-mirror-") as directory:
        yield Path(directory)


def make_hosts(
    base: Path,
    mirror: Mapping[str, Any] | None = None,
    *,
    trees: int = 1,
    address: str = NOBODYS,
    service: Mapping[str, Any] | None = None,
) -> MirrorHosts:
    """Make both hosts; a's directories have a file each and are marked, b has none."""
    results: list[MirrorResult] = []
    site = _site(base, dict(mirror or {}), trees, dict(service or {}))
    journal = Journal(base / "journal.sqlite")
    journal.set_holder("www", "a", 3)
    values = site.services["www"]
    assert values.mirror is not None
    gates = {}
    for host in ("a", "b"):
        lines = gate_lines(values.mirror, preferred=host == "a")
        text = (
            f"service www\naddress {address if host == 'b' else NOBODYS}/32\ninterface lo\nstandby running\n"
        )
        # Each host has a disk of its own, where the site file names one path for both.
        text += "\n".join(line.replace("/HOST/", f"/{host}/") for line in lines) + "\n"
        gates[host] = install_gate(base / host / "root", text)
    hosts = MirrorHosts(
        base,
        site,
        journal,
        MirrorManager(lambda: site, journal, lambda site: _lines(site, gates), results.append),
        gates,
        results,
    )
    for number in range(1, trees + 1):
        hosts.tree("a", number).mkdir()
        (hosts.tree("a", number) / "index.html").write_text(f"tree {number}\n")
        hosts.mark("a", number)
    return hosts


def _lines(site: Site, gates: Mapping[str, GateHost]) -> GateCommands:
    lines = PairLines(site, "b")
    object.__setattr__(lines, "gates", gates)
    return lines


def _site(base: Path, mirror: dict[str, Any], trees: int, service: dict[str, Any]) -> Site:
    def tree(number: int) -> dict[str, Any]:
        return {"source": str(base / "HOST" / f"srv{number}")}

    mirror = {**tree(1), "also": [tree(number) for number in range(2, trees + 1)], **mirror}
    address = {} if "address_commands" in service else {"addresses": [f"{NOBODYS}/24"], "interface": "lo"}
    return Site.model_validate(
        {
            "hosts": {
                "a": {"address": "192.0.2.1", "ssh": {"user": "locum"}},
                "b": {"address": "192.0.2.2", "ssh": {"user": "locum"}},
            },
            "services": {
                "www": {
                    "hosts": ["a", "b"], "standby": "running", "takeover": {"when_unreachable": "takeover"},
                    "mirror": mirror, **address, **service,
                }
            },
            "witnesses": ["192.0.2.254"],
            "actuator": {"host": "b"},
        }
    )  # fmt: skip


def picture(tree: Path, *, times: bool = True) -> dict[str, tuple[object, ...]]:
    """Return everything in a tree but what is kept aside, by name: kind, mode, owner, content, time of change."""
    found: dict[str, tuple[object, ...]] = {}
    for directory, names, files in os.walk(tree):
        names[:] = [name for name in names if name != KEPT]
        for name in (*names, *files):
            path = Path(directory) / name
            status = path.lstat()
            what: object = None
            if path.is_symlink():
                what = path.readlink()
            elif path.is_file():
                what = hashlib.sha256(path.read_bytes()).hexdigest()
            kind = (status.st_mode, status.st_uid, status.st_gid, what)
            # A directory's own time changes with a file that comes and goes in it.
            timeless = not times or path.is_dir()
            found[str(path.relative_to(tree))] = (*kind, 0 if timeless else status.st_mtime_ns)
    return found


def forget(tree: Path) -> None:
    """Empty a directory, as a file system that is not mounted leaves it."""
    for path in tree.iterdir():
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
