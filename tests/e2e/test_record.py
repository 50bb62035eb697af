"""A DNS record in place of a service address, with a real name server; and a hook that reports the takeover."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.lab import Lab
from lab.locum import HOME, Locum
from tests.e2e.name_server import NAME, NameServer
from tests.support.how_to import only_block
from tests.support.polling import wait_for

pytestmark = pytest.mark.e2e

_COMMANDS = """\
    address_commands: {claim: /etc/locum/record claim, check: /etc/locum/record check}
    hooks: {after_takeover: {command: "sh -c 'env > /var/lib/locum/hook'"}}
"""


class LocumWithRecord(Locum):
    """locum whose service has a record instead of an address."""

    def __init__(self, lab: Lab, key: str) -> None:
        super().__init__(lab)
        self._key = key

    def own_site(self, text: str) -> str:
        text = re.sub(r"^    interface:.*\n", "", super().own_site(text), flags=re.MULTILINE)
        return re.sub(r"^    addresses:.*\n", _COMMANDS, text, flags=re.MULTILINE)

    def install(self) -> None:
        """Add the script, and the key that only the user locum may read."""
        super().install()
        etc = self.lab.hosts[HOME].root / "etc/locum"
        (etc / "record").write_text(only_block("address-in-dns", "sh"))
        (etc / "dns.key").write_text(self._key)
        self.lab.run(
            HOME, ["sh", "-c", "cd /etc/locum; chmod 755 record; chmod 640 dns.key; chgrp locum dns.key"]
        )


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[LocumWithRecord, NameServer]]:
    with Lab() as lab, NameServer(lab, tmp_path) as names:
        locum = LocumWithRecord(lab, names.key)
        with locum:
            locum.wait_incident("nothing", since=0)
            yield locum, names


def wait_lookup(names: NameServer, address: str, seconds: float) -> None:
    wait_for(lambda: names.lookup() == address, f"{NAME} is {address}", seconds, state=names.lookup)


def test_the_record_moves_when_its_host_dies(served: tuple[LocumWithRecord, NameServer]) -> None:
    locum, names = served
    lab = locum.lab
    status = json.loads(locum.command("status", "www", "--json").stdout)
    assert (status["holder"], status["addresses"]) == ("a", [])
    killed = lab.kill_service("a")
    locum.wait_incident("respawn", since=killed)
    assert names.lookup() == "192.0.2.1", "a respawn moves nothing"

    time.sleep(3)
    at = lab.crash("a")
    incident = locum.wait_incident("takeover", since=at)
    assert names.lookup() == "192.0.2.2"
    assert "and a witness answers" in incident["reason"]
    assert (
        lab.run("client", ["curl", "-sS", "--max-time", "3", "http://192.0.2.2/"]).stdout.count("<b>b</b>")
        == 1
    )
    environment = dict(
        line.split("=", 1) for line in lab.run(HOME, ["cat", "/var/lib/locum/hook"]).stdout.splitlines()
    )
    assert environment["LOCUM_OLD_HOLDER"] == "a"
    assert environment["LOCUM_NEW_HOLDER"] == "b"
    assert "after_takeover worked" in [event["text"] for event in incident["events"]]
    print(f"the record moved {incident['closed_at'] - at:.2f} s after the crash")


def test_a_pause_holds_everything_back(served: tuple[LocumWithRecord, NameServer]) -> None:
    locum, names = served
    lab = locum.lab
    locum.command("pause", "www", "--for", "10m", "--reason", "new kernel on a")
    at = lab.crash("a")
    time.sleep(4)
    assert names.lookup() == "192.0.2.1"
    explained = locum.command("explain", "www").stdout
    assert "(new kernel on a); would have: confirm on b" in " ".join(explained.split())
    assert "would claim on b\n" in explained
    assert "but is held back: paused\n" in explained
    locum.command("resume", "www")
    locum.wait_incident("takeover", since=at)
    wait_lookup(names, "192.0.2.2", 5)
