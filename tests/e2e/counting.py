"""A small counter behind Apache, whose data are mirrored, and a client that writes to it all the while."""

from __future__ import annotations

import subprocess
import threading
from dataclasses import dataclass
from types import TracebackType

from lab.lab import Lab
from lab.mirrored import TREE, MirroredLocum
from lab.namespaces import PYTHON
from tests.support.polling import wait_for

DATA = f"{TREE}/acknowledged"
PROGRAM = "/usr/local/lib/lab-counter"
_PROGRAM = f"""\
#!/bin/sh
# Writes the number it is given to the disk, and only then says so.
case $QUERY_STRING in '' | *[!0-9]*) printf 'Status: 400\\r\\n\\r\\n'; exit ;; esac
exec 9>>{DATA} && flock 9 && echo "$QUERY_STRING" >&9 && sync -d {DATA} || exit 1
printf 'Content-Type: text/plain\\r\\n\\r\\ncounted %s\\n' "$QUERY_STRING"
"""
_APACHE = f"""\
LoadModule cgi_module /usr/lib/apache2/modules/mod_cgi.so
ScriptAlias /count {PROGRAM}
<Directory /usr/local/lib>
    Require all granted
</Directory>
"""
# Each number is tried once: whether one that failed was counted is not known.
_WRITER = """
import sys, time, urllib.request
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
number = 0
while True:
    number += 1
    asked = time.time()
    try:
        with opener.open(f"http://{sys.argv[1]}/count?{number}", timeout=0.5) as answer:
            if answer.read() == b"counted %d\\n" % number:
                print(number, asked, time.time(), flush=True)
    except OSError:
        pass
    time.sleep(0.02)
"""


class CountingLocum(MirroredLocum):
    """locum whose service counts; a has the data, and b none yet."""

    def install(self) -> None:
        """Put the counter behind both Apaches, and enrol."""
        for host in ("a", "b"):
            root = self.lab.hosts[host].root
            (root / PROGRAM.lstrip("/")).write_text(_PROGRAM)
            (root / PROGRAM.lstrip("/")).chmod(0o755)
            (root / "etc/apache2/conf-enabled/counter.conf").write_text(_APACHE)
        self.lab.run("a", ["sh", "-c", f"mkdir -p {TREE}; chown www-data: {TREE}; apachectl restart"])
        super().install()

    def counted(self, host: str) -> set[int]:
        """Return the numbers in the data of a host."""
        return {int(line) for line in self.lab.run(host, ["cat", DATA]).stdout.split()}


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """A number that the service said it has counted. Times are time.time()."""

    number: int
    asked: float
    answered: float


class Writer:
    """Writes from the lab's client, one number after the other, until it is closed."""

    def __init__(self, lab: Lab) -> None:
        (address,) = lab.service_addresses
        self._process = lab.popen(
            "client", [*PYTHON, "-c", _WRITER, str(address.ip)], stdout=subprocess.PIPE, text=True
        )
        self._lines: list[Acknowledged] = []
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def __enter__(self) -> Writer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait(5)
        self._thread.join(5)

    def acknowledged(self, since: float = 0.0, until: float = float("inf")) -> list[Acknowledged]:
        """Return what was acknowledged to requests of that time."""
        return [one for one in list(self._lines) if since <= one.asked and one.answered < until]

    def wait(self, count: int, seconds: float = 60.0) -> None:
        """Wait until so many more were acknowledged."""
        wanted = len(self._lines) + count
        wait_for(
            lambda: len(self._lines) >= wanted,
            f"{wanted} are acknowledged", seconds, state=lambda: len(self._lines),
        )  # fmt: skip

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                number, asked, answered = line.split()
                self._lines.append(Acknowledged(int(number), float(asked), float(answered)))
