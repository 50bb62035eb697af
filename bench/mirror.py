"""What the mirror costs beside plain rsync: `python -m bench.mirror`. 100,000 files of 1 GB, in the lab.

b pulls the same tree from a in turn with `locum mirror www` and with plain rsync (`rsync -aHAX --numeric-ids
--modify-window=-1 --delete-delay` over ssh, which compares as the mirror does): once all of it, then several times
with nothing changed, and several times with one file in a hundred changed. Time is from begin to end of the run;
memory is the most that all processes of both hosts had together (PSS, proc_pid_smaps(5)) beyond what they had
before, the locum command's own among them. Writes bench/results/mirror.json; exit 1 where the steady state takes
more than 1.2 times as long.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
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
SAMPLE_SECONDS = 0.25
HEADING = ("", "locum, s", "plain rsync, s", "ratio", "locum, MiB", "plain rsync, MiB")


@dataclass(frozen=True, slots=True)
class Cost:
    """Medians of several runs."""

    what: str
    runs: int
    locum_seconds: float
    plain_seconds: float
    locum_mib: float
    plain_mib: float

    @property
    def ratio(self) -> float:
        """How many times as long the mirror takes."""
        return self.locum_seconds / self.plain_seconds


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
        ]
        bench.tidy()
    _report(costs, asked.files)
    rows = [{**asdict(cost), "ratio": round(cost.ratio, 2)} for cost in costs]
    asked.output.write_text(
        json.dumps({"files": asked.files, "bytes": asked.files * SIZE_BYTES, "costs": rows}, indent=2) + "\n"
    )
    return 0 if costs[1].ratio <= MOST else 1


class _Bench:
    """The two ways to the same copy."""

    def __init__(self, lab: Lab, locum: MirroredLocum, files: int) -> None:
        self._lab, self._locum, self._files = lab, locum, files
        self._tree = lab.hosts["a"].root / TREE.lstrip("/")
        self._chance = random.Random(1)

    def fill(self) -> None:
        """Make the source, and say that it is the right one."""
        for number in range(self._files):
            path = self._path(number)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(os.urandom(SIZE_BYTES))
        self._locum.command("mirror", "www", "--mark")
        self._lab.run("b", ["mkdir", "-p", PLAIN_TREE])

    def tidy(self) -> None:
        """Give the memory back that the trees are in: all at once it would take the lab too long to end."""
        for host in ("a", "b"):
            self._lab.run(host, ["rm", "-rf", TREE, PLAIN_TREE], timeout=300)

    def change(self) -> None:
        """Write every hundredth file anew, in other directories each time."""
        for number in self._chance.sample(range(self._files), self._files // 100):
            self._path(number).write_bytes(os.urandom(SIZE_BYTES))

    def _path(self, number: int) -> Path:
        directory = number // FILES_PER_DIRECTORY
        return self._tree / f"{directory % 32}" / f"{directory}" / f"{number}.html"

    def cost(self, what: str, runs: int, prepare: Callable[[], None]) -> Cost:
        """Measure both ways in turn, each going first in every other run."""
        ways: dict[str, Callable[[], float]] = {"locum": self._mirror, "plain": self._plain}
        seconds: dict[str, list[float]] = {way: [] for way in ways}
        mib: dict[str, list[float]] = {way: [] for way in ways}
        for number in range(runs):
            prepare()
            for way in sorted(ways, reverse=number % 2 == 1):
                with _Memory(self._lab) as memory:
                    seconds[way].append(ways[way]())
                mib[way].append(memory.most_mib)
        figures = [round(median(values), 2) for values in (*seconds.values(), *mib.values())]
        return Cost(what, runs, *figures)

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
    """The most that the processes of both hosts have together while this is open, beyond what they had before."""

    def __init__(self, lab: Lab) -> None:
        hosts = (lab.hosts[name] for name in ("a", "b"))
        self._wires = {Path(f"/proc/{host.running_pid}/ns/net").stat().st_ino for host in hosts}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self.most_mib = 0.0

    def __enter__(self) -> _Memory:
        self._before = self._now_mib()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(SAMPLE_SECONDS):
            self.most_mib = max(self.most_mib, self._now_mib() - self._before)

    def _now_mib(self) -> float:
        total = 0
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if (process / "ns/net").stat().st_ino not in self._wires:
                    continue
                for line in (process / "smaps_rollup").read_text().splitlines():
                    if line.startswith("Pss:"):
                        total += int(line.split()[1])
        return total / 1024


def _report(costs: list[Cost], files: int) -> None:
    table = Table(*HEADING, title=f"{files} files of {SIZE_BYTES} bytes, medians")
    for cost in costs:
        figures = (cost.locum_seconds, cost.plain_seconds, cost.ratio, cost.locum_mib, cost.plain_mib)
        table.add_row(cost.what, *(f"{figure:.2f}" for figure in figures))
    Console().print(table)


if __name__ == "__main__":
    sys.exit(main())
