"""A real name server in the lab's gateway: BIND, with one record that every client with the key may move."""

from __future__ import annotations

import subprocess
from pathlib import Path
from types import TracebackType

from lab.lab import Lab
from lab.namespaces import Inside
from tests.support.polling import wait_for

ZONE, NAME = "example.org", "www.example.org"
UP_SECONDS = 15.0

_CONFIG = """\
include "{directory}/dns.key";
options {{
    directory "{directory}";
    pid-file none;
    session-keyfile none;
    listen-on {{ {address}; }};
    listen-on-v6 {{ none; }};
    recursion no;
    dnssec-validation no;
}};
controls {{ }};
zone "{zone}" {{ type primary; file "zone"; allow-update {{ key locum; }}; }};
"""
_ZONE = """\
$TTL 5
@    IN SOA gw admin 1 60 60 3600 5
     IN NS gw
gw   IN A {address}
www  IN A {first}
"""


class NameServer:
    """named in gw of a lab, for as long as the `with` block lasts; www.example.org is a at first."""

    def __init__(self, lab: Lab, directory: Path) -> None:
        self._lab = lab
        self._directory = directory
        self._named: Inside | None = None
        made = subprocess.run(
            ["tsig-keygen", "locum"], capture_output=True, text=True, timeout=10, check=True
        )
        self.key = made.stdout  # as named and nsupdate read it

    def __enter__(self) -> NameServer:
        address = self._lab.everybody["gw"].address
        parts = {"directory": self._directory, "address": address, "zone": ZONE}
        (self._directory / "dns.key").write_text(self.key)
        (self._directory / "named.conf").write_text(_CONFIG.format(**parts))
        (self._directory / "zone").write_text(
            _ZONE.format(address=address, first=self._lab.hosts["a"].address)
        )
        with (self._directory / "log").open("w") as log:
            self._named = self._lab.popen(
                "gw", ["named", "-g", "-n", "1", "-c", f"{self._directory}/named.conf"], stderr=log, stdout=log
            )  # fmt: skip
        wait_for(
            lambda: self.lookup() == str(self._lab.hosts["a"].address),
            "named answers", UP_SECONDS, state=lambda: (self._directory / "log").read_text()[-2000:],
        )  # fmt: skip
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._named is not None:
            self._named.kill()
            self._named.wait(10)

    def lookup(self) -> str:
        """Look the name up as a client does; return its address, or what dig said."""
        asked = ["dig", "+short", "+time=1", "+tries=1", f"@{self._lab.everybody['gw'].address}", NAME, "A"]
        return self._lab.run("client", asked, check=False).stdout.strip()
