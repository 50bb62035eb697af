"""locum in the lab with a mirror, and a separate directory on each host to be mirrored."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from lab.lab import Lab
from lab.locum import Locum
from lab.needs import LabError
from lab.site_text import TAKEOVER, before

TREE = "/srv/www"


class MirroredLocum(Locum):
    """locum whose service has a mirror of /srv/www; `mirror` is its value in the site file."""

    def __init__(
        self,
        lab: Lab,
        mirror: str = f"{{source: {TREE}}}",
        *,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        super().__init__(lab, say=say)
        self._mirror = mirror

    def __enter__(self) -> MirroredLocum:
        super().__enter__()
        return self

    def own_site(self, text: str) -> str:
        """Return the site file with a mirror."""
        return before(super().own_site(text), TAKEOVER, f"    mirror: {self._mirror}\n")

    def wait_holder(self, seconds: float = 90.0) -> str:
        """Wait until locum knows the holder, which is the source of the mirror; return it."""
        deadline = time.monotonic() + seconds
        while True:
            (row,) = json.loads(self.command("status", "--json").stdout)
            if row["holder"] is not None:
                return str(row["holder"])
            if time.monotonic() > deadline:
                raise LabError(f"locum knows no holder of www after {seconds:g} s")
            time.sleep(0.2)

    def write(self, host: str, files: Mapping[str, str]) -> None:
        """Write files below the mirrored directory of a host."""
        for name, text in files.items():
            self.lab.run(
                host, ["sh", "-c", 'mkdir -p "${1%/*}" && printf %s "$2" >"$1"', "sh", f"{TREE}/{name}", text]
            )

    def files(self, host: str) -> dict[str, str]:
        """Return the files in the mirrored directory of a host, without the mirror's own."""
        listed = self.lab.run(
            host, ["find", f"{TREE}/", "-type", "f", "!", "-path", "*/.locum-*", "-print"]
        ).stdout
        return {
            str(Path(path).relative_to(TREE)): self.lab.run(host, ["cat", path]).stdout
            for path in listed.splitlines()
        }
