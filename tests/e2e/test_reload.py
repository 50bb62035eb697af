"""A reload that would leave an address behind is refused, and the way that the words name is one."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from lab.locum import HOME, SITE, Locum
from tests.support.polling import wait_for

pytestmark = pytest.mark.e2e

RELOAD = (
    'curl -sS --max-time 5 -X POST -H "Authorization: Bearer $(cat /etc/locum/api.token)"'
    " http://127.0.0.1:10752/-/reload"
)


def edit(locum: Locum, change: Callable[[str], str]) -> None:
    path = locum.lab.hosts[HOME].root / SITE.lstrip("/")
    path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")


def reload(locum: Locum) -> Any:
    return json.loads(locum.lab.run(HOME, ["sh", "-c", RELOAD]).stdout)


def addresses_of_a(locum: Locum) -> str:
    return locum.lab.run("a", ["ip", "-4", "-o", "addr"]).stdout


def test_an_address_is_changed_as_the_words_say(running: Locum) -> None:
    lab = running.lab
    edit(running, lambda text: text.replace("192.0.2.100/", "192.0.2.101/"))
    said = running.command("check", "--live", check=False).stdout
    assert "running actuator: 192.0.2.100 of www is no longer in the site file: a reload is refused" in said
    assert reload(running)["error"].startswith(
        "services.www.addresses: 192.0.2.100 is no longer there, and a still has it: locum pause www, remove"
    )
    assert running.get("http://127.0.0.1:10752/api/v1/services/www")["addresses"] == ["192.0.2.100/24"]
    lab.client.wait_good()
    running.command("pause", "www", "--reason", "another address")
    lab.run("a", ["ip", "addr", "del", "192.0.2.100/24", "dev", "eth0"])
    running.command("enrol", "b", "--yes")
    running.command(
        "enrol", "a", "--yes", "--admin", f"root@{lab.hosts['a'].address}", "--identity", str(lab.admin_key)
    )
    assert reload(running) == {"reloaded": True, "notes": []}
    running.command("resume", "www")
    wait_for(lambda: "inet 192.0.2.101/24" in addresses_of_a(running), "a has the new address", 20)
    assert running.get("http://127.0.0.1:10752/api/v1/services/www")["holder"] == "a"


def test_a_service_that_is_taken_out_stays_where_it_is_and_people_are_told(running: Locum) -> None:
    edit(running, lambda text: text.replace("\n  www:", "\n  web:").replace("192.0.2.101/", "192.0.2.102/"))
    assert reload(running)["notes"] == [
        "www is no longer in the site file: it stays on a, and locum no longer watches it"
    ]
    assert "inet 192.0.2.101/24" in addresses_of_a(running)
    assert [row["service"] for row in running.get("http://127.0.0.1:10752/api/v1/services")["services"]] == [
        "web"
    ]
