"""The mirror in the lab: two hosts, real sshd between them, the actuator as a user without root."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from lab.lab import Lab
from lab.locum import PROMETHEUS, curl
from lab.mirrored import TREE, MirroredLocum
from tests.support.polling import wait_for

pytestmark = pytest.mark.e2e

ALERT_SECONDS = 40.0  # the mirror's rules are evaluated every 15 s


@pytest.fixture(scope="module")
def mirrored() -> Iterator[MirroredLocum]:
    """locum with a mirror, a holding the service and its directory marked."""
    with Lab() as lab, MirroredLocum(lab) as locum:
        locum.write("a", {"index.html": "one", "pages/about.html": "about"})
        assert "a: directory 1 is marked" in locum.command("mirror", "www", "--mark").stdout
        yield locum


def alerts(locum: MirroredLocum) -> set[tuple[str, str]]:
    """Return the alerts that fire, by name and host, as Prometheus knows them."""
    said = locum.lab.run("b", curl(f"{PROMETHEUS}/api/v1/alerts")).stdout
    found = json.loads(said)["data"]["alerts"]
    return {
        (one["labels"]["alertname"], one["labels"].get("host", ""))
        for one in found
        if one["state"] == "firing"
    }


def test_what_is_on_the_holder_is_on_the_standby(mirrored: MirroredLocum) -> None:
    said = mirrored.command("mirror", "www").stdout
    assert said.startswith("a to b: done: 4 files, 2 copied, 0 deleted, ")
    assert mirrored.files("b") == mirrored.files("a") == {"index.html": "one", "pages/about.html": "about"}
    (row,) = json.loads(mirrored.command("status", "--json").stdout)
    assert row["copies"]["b"]["stale"] is False


def test_nobody_but_root_reads_what_is_kept(mirrored: MirroredLocum) -> None:
    mirrored.write("a", {"index.html": "two"})
    mirrored.command("mirror", "www")
    assert mirrored.lab.run("b", ["stat", "-c", "%U %a", f"{TREE}/.locum-kept"]).stdout == "root 700\n"


def test_a_key_of_locums_reads_that_tree_and_no_other(mirrored: MirroredLocum) -> None:
    """A program with the key speaks rsync's protocol: no path leads out of the tree, and nothing is written."""
    lab = mirrored.lab
    # What the real destination does with the wire, but as rsync's client of one's own: the names go first.
    steal = (
        "#!/bin/sh\n"
        "exec 3<&0 4>&1\n"
        "ssh -T -i /etc/locum/id_ed25519 -o UserKnownHostsFile=/etc/locum/known_hosts -l locum "
        f"{lab.hosts['a'].address} 'mirror-send www 1 1 1 0 0 0 0' <&3 | "
        "{ read -r _ length; head -c $length >/dev/null; exec cat; }\n"
    )
    lab.run("b", ["sh", "-c", 'printf %s "$1" >/tmp/steal; chmod 755 /tmp/steal', "sh", steal])
    lab.run("a", ["ln", "-sfn", "/etc/passwd", f"{TREE}/out"])
    take = ("rsync", "--timeout=5", "--blocking-io", "-e", "/tmp/steal")
    for words in (
        [*take, "x::tree/index.html", "/tmp/got/"],
        [*take, "x::tree/../../etc/passwd", "/tmp/got/"],
        [*take, "-L", "x::tree/out", "/tmp/got/"],
        [*take, "-rL", "x::tree/", "/tmp/got/"],
        [*take, "/etc/hostname", "x::tree/"],
    ):
        lab.run("b", words, check=False)
    lab.run("a", ["rm", f"{TREE}/out"])
    got = lab.run("b", ["find", "/tmp/got", "-type", "f", "-printf", "%P\n"]).stdout.splitlines()
    assert sorted(got) == ["index.html", "pages/about.html"]
    assert "hostname" not in mirrored.files("a")


def test_the_trap_of_2001(mirrored: MirroredLocum) -> None:
    """The source is not mounted and everything says delete: the copy is untouched, exit 1, one line, an alert."""
    lab, before = mirrored.lab, mirrored.files("b")
    assert before
    lab.run("a", ["sh", "-c", f"mv {TREE} {TREE}.away && mkdir {TREE}"])
    try:
        refused = mirrored.command("mirror", "www", check=False)
        assert (refused.returncode, refused.stderr) == (
            1,
            f"locum: a to b: refused: www tree 1 ({TREE}): the source is another directory than the "
            "one that was marked: is it mounted? If it is the right one: locum mirror www --mark\n",
        )
        assert mirrored.files("b") == before
        wait_for(
            lambda: ("LocumMirrorFailing", "b") in alerts(mirrored),
            "LocumMirrorFailing has come", ALERT_SECONDS, state=lambda: alerts(mirrored),
        )  # fmt: skip
    finally:
        lab.run("a", ["sh", "-c", f"rmdir {TREE} && mv {TREE}.away {TREE}"])
    assert mirrored.command("mirror", "www").returncode == 0


def test_nothing_is_mirrored_onto_the_holder_and_the_incident_says_how_old_the_data_are(
    mirrored: MirroredLocum,
) -> None:
    """Last in this lab: a dies and b takes over, with the copy that it has."""
    lab = mirrored.lab
    mirrored.command("mirror", "www")
    lab.client.wait_good()
    at = lab.crash("a")
    incident = mirrored.wait_incident("takeover", since=at, seconds=30)
    assert "; b has a copy of " in incident["reason"]
    assert "(run 20" in incident["reason"]
    refused = mirrored.command("mirror", "www", "--to", "b", check=False)
    assert (refused.returncode, "b cannot be mirrored onto itself" in refused.stderr) == (1, True)
    gate = lab.run(
        "b", ["/usr/local/lib/locum/gate", "actuator", "mirror-receive", "www", "99", "1", "9", "0", "0", "0", "0"],
        check=False,
    )  # fmt: skip
    assert "this host holds 192.0.2.100, and nothing is mirrored onto it" in gate.stderr
    refused = mirrored.command("mirror", "www", check=False)
    assert refused.returncode == 1
    assert "locum: b to a: refused: ssh: connect to host 192.0.2.1" in refused.stderr
