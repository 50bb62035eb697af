"""Compare the mirror with plain rsync: `python -m bench.mirror`. 100,000 files of 1 GB, in the lab.

b pulls the same tree from a in turn with `locum mirror www` and with plain rsync (`rsync -aHAX --numeric-ids
--modify-window=-1 --delete-delay` over ssh, which compares as the mirror does): once all of it, then several times
with nothing changed, with one file in a hundred changed, and with one in a hundred gone and as many new. Time is
from begin to end of the run; memory is the most that the processes begun for a run had together on both hosts (PSS,
proc_pid_smaps(5)), and what the actuator grew by. The command that a person waits at is separate: the schedule
has none. Medians, with the least and the most. Writes bench/results/mirror.json; exit 1 where the steady state
takes more than 1.2 times as long.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from lab.lab import Lab
from lab.mirrored import TREE, MirroredLocum

RESULTS = Path(__file__).parent / "results" / "mirror.json"
PLAIN_TREE = "/srv/plain"
FILES, SIZE_BYTES, FILES_PER_DIRECTORY = 100_000, 10_000, 100
MOST = 1.2  # how many times as long the steady state may take
SAMPLE_SECONDS = 0.1
HEADING = ("", "runs", "locum, s", "plain rsync, s", "ratio", "locum, MiB", "plain rsync, MiB")


@dataclass(frozen=True, slots=True)
class Run:
    """One run of either way."""

    seconds: float
    mib: float
    command_mib: float  # of the command that a person waits at; 0 for plain rsync, which is its own


@dataclass(frozen=True, slots=True)
class Cost:
    """Several runs of both ways, in turn."""

    what: str
    locum: tuple[Run, ...]
    plain: tuple[Run, ...]

    @property
    def ratio(self) -> float:
        """How many times as long the mirror takes, by the medians."""
        return median(run.seconds for run in self.locum) / median(run.seconds for run in self.plain)

    def row(self) -> tuple[str, ...]:
        """Return what the table says."""
        seconds = [_spread([run.seconds for run in way]) for way in (self.locum, self.plain)]
        mib = [f"{median(run.mib for run in way):.1f}" for way in (self.locum, self.plain)]
        return (self.what, str(len(self.locum)), *seconds, f"{self.ratio:.2f}", *mib)

    def values(self) -> dict[str, object]:
        """Return what the file says."""
        ways = {"locum": self.locum, "plain": self.plain}
        figures = {
            f"{way}_{name}": [round(getattr(run, name), 2) for run in runs]
            for way, runs in ways.items()
            for name in ("seconds", "mib")
        }
        command = max(round(run.command_mib, 2) for run in self.locum)
        return {"what": self.what, "ratio": round(self.ratio, 2), "locum_command_mib": command, **figures}


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--runs", type=int, default=5, help="runs of each kind, but for the first copy (default 5)"
    )
    parser.add_argument("--files", type=int, default=FILES)
    parser.add_argument("--output", type=Path, default=RESULTS)
    asked = parser.parse_args()
    with Lab() as lab, MirroredLocum(lab) as locum:
        bench = _Bench(lab, locum, asked.files)
        bench.fill()
        costs = [
            bench.cost("all of it", 1, lambda: None),
            bench.cost("nothing has changed", asked.runs, lambda: None),
            bench.cost("1 % has changed", asked.runs, bench.change),
            bench.cost("1 % is gone, 1 % is new", asked.runs, bench.replace),
        ]
        bench.tidy()
    _report(costs, asked.files)
    values = {
        "files": asked.files, "bytes": asked.files * SIZE_BYTES, "costs": [cost.values() for cost in costs]
    }  # fmt: skip
    asked.output.write_text(json.dumps(values, indent=2) + "\n")
    return 0 if costs[1].ratio <= MOST else 1


class _Bench:
    """The two ways to the same copy."""

    def __init__(self, lab: Lab, locum: MirroredLocum, files: int) -> None:
        self._lab, self._locum, self._numbers = lab, locum, list(range(files))
        self._tree = lab.hosts["a"].root / TREE.lstrip("/")
        self._chance = random.Random(1)

    def fill(self) -> None:
        """Make the source, and say that it is the right one."""
        for number in self._numbers:
            self._write(number)
        self._locum.command("mirror", "www", "--mark")
        self._lab.run("b", ["mkdir", "-p", PLAIN_TREE])

    def tidy(self) -> None:
        """Give the memory back that the trees are in: all at once it would take the lab too long to end."""
        for host in ("a", "b"):
            self._lab.run(host, ["rm", "-rf", TREE, PLAIN_TREE], timeout=300)

    def change(self) -> None:
        """Rewrite every hundredth file, in other directories each time."""
        for number in self._drawn():
            self._write(number)

    def replace(self) -> None:
        """Delete every hundredth file, and write as many new ones."""
        for number in self._drawn():
            self._path(number).unlink()
            self._numbers.remove(number)
        new = range(self._numbers[-1] + 1, self._numbers[-1] + 1 + len(self._numbers) // 100)
        for number in new:
            self._write(number)
        self._numbers += new

    def _drawn(self) -> list[int]:
        return self._chance.sample(self._numbers, len(self._numbers) // 100)

    def _write(self, number: int) -> None:
        path = self._path(number)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(SIZE_BYTES))

    def _path(self, number: int) -> Path:
        directory = number // FILES_PER_DIRECTORY
        return self._tree / f"{directory % 32}" / f"{directory}" / f"{number}.html"

    def cost(self, what: str, runs: int, prepare: Callable[[], None]) -> Cost:
        """Measure both ways in turn, each going first in every other run."""
        ways: dict[str, Callable[[], float]] = {"locum": self._mirror, "plain": self._plain}
        ended: dict[str, list[Run]] = {way: [] for way in ways}
        for number in range(runs):
            prepare()
            for way in sorted(ways, reverse=number % 2 == 1):
                with _Memory(self._lab) as memory:
                    seconds = ways[way]()
                ended[way].append(Run(seconds, memory.most_mib, memory.command_mib))
        return Cost(what, tuple(ended["locum"]), tuple(ended["plain"]))

    def _mirror(self) -> float:
        said = self._locum.command("mirror", "www", "--json", timeout=600)
        (result,) = json.loads(said.stdout)
        return float(result["seconds"])

    def _plain(self) -> float:
        begun = time.monotonic()
        ssh = f"ssh -i {self._lab.admin_key} -o BatchMode=yes"
        self._lab.run(
            "b",
            ["rsync", "-aHAX", "--numeric-ids", "--modify-window=-1", "--delete-delay", "--stats", "-e", ssh,
             f"root@{self._lab.hosts['a'].address}:{TREE}/", f"{PLAIN_TREE}/"],
            timeout=600,
        )  # fmt: skip
        return time.monotonic() - begun


class _Memory:
    """The most that what is begun on both hosts while this is open has together, and what the actuator grew by."""

    def __init__(self, lab: Lab) -> None:
        hosts = (lab.hosts[name] for name in ("a", "b"))
        self._wires = {Path(f"/proc/{host.running_pid}/ns/net").stat().st_ino for host in hosts}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self.most_mib = self.command_mib = 0.0

    def __enter__(self) -> _Memory:
        # Prometheus and other Go programs grow and shrink independently.
        self._before = {
            pid: _pss_mib(pid) if b"locum_actuator" in words else None for pid, words in self._all()
        }
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(SAMPLE_SECONDS):
            total = 0.0
            for pid, words in self._all():
                before = self._before.get(pid, 0.0)
                if before is None:
                    continue
                mib = _pss_mib(pid) - before
                if b"\0mirror\0www\0" in words:
                    self.command_mib = max(self.command_mib, mib)
                else:
                    total += mib
            self.most_mib = max(self.most_mib, total)

    def _all(self) -> Iterator[tuple[int, bytes]]:
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if (process / "ns/net").stat().st_ino in self._wires:
                    yield int(process.name), (process / "cmdline").read_bytes()


def _pss_mib(pid: int) -> float:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
    return 0.0


def _spread(seconds: list[float]) -> str:
    middle = f"{median(seconds):.2f}"
    return middle if len(seconds) == 1 else f"{middle} ({min(seconds):.2f} to {max(seconds):.2f})"


def _report(costs: list[Cost], files: int) -> None:
    table = Table(*HEADING, title=f"{files} files of {SIZE_BYTES} bytes")
    for cost in costs:
        table.add_row(*cost.row())
    console = Console(width=120)
    console.print(table)
    command = max(run.command_mib for cost in costs for run in cost.locum)
    console.print(f"The command locum mirror, while a person waits at it: {command:.0f} MiB more.")


if __name__ == "__main__":
    sys.exit(main())
