"""What is reported about a sound site file all the same, and the example that ships."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from locum_inventory.shared_files import EXAMPLE, shared
from locum_inventory.site.load import advice, load_site
from locum_inventory.site.messages import keys_at

SITE = """\
hosts:
  a: {address: 192.0.2.1, ssh: {user: locum}}
  b: {address: 192.0.2.2}
  c: {address: 192.0.2.3}
services:
  www:
    hosts: [a, b]
    addresses: [192.0.2.100/24]
    interface: eth0
    checks: {process: {name: apache2}}
    commands: {start: apachectl start, stop: apachectl stop, respawn: apachectl restart}
    takeover: {when_unreachable: takeover}
vantage_points: {b: {url: "http://192.0.2.2:10751"}}
witnesses: [192.0.2.254]
actuator: {host: b}
"""

ADVICE = {
    "nothing to say": ("", "", ()),
    "an Alertmanager that every host may write to": (
        "actuator: {host: b}",
        'actuator: {host: b}\nchain: {alertmanagers: ["http://127.0.0.1:9093"], password_file: /etc/locum/p}',
        (
            "chain.alertmanagers: http://127.0.0.1:9093 is reached over plain HTTP without a password: every user"
            " of its host can silence the alerts that trigger locum; docs/security.md describes how to prevent"
            " that",
            "chain.password_file: is sent only over https://, and no address here begins with https://",
        ),
    ),
    "a chain that is shown a password": (
        "actuator: {host: b}",
        'actuator: {host: b}\nchain: {prometheus: "https://127.0.0.1:9090", alertmanagers: ["https://127.0.0.1:9093"],'
        " password_file: /etc/locum/p, ca_file: /etc/locum/c}",
        (),
    ),
    "an even number of vantage points": (
        '2.2:10751"}}',
        '2.2:10751"}, c: {url: "http://192.0.2.3:10751"}}',
        (
            "vantage_points: 2 can split evenly, and half is not a majority: use an odd number",
        ),
    ),
    "a loopback exporter of another host": (
        'b: {url: "http://192.0.2.2:10751"}}',
        'c: {url: "http://127.0.0.1:10751"}}',
        (
            "vantage_points.c.url: http://127.0.0.1:10751 is always the machine that connects, not host 'c':"
            " give c's own address",
        ),
    ),
    "the preferred host watches itself": (
        "points: {b:",
        "points: {a:",
        (
            "services.www.hosts: the only exporter runs on 'a', the preferred host: if that dies, none detects it",
        ),
    ),
    "the preferred host acts for itself": (
        "hosts: [a, b]",
        "hosts: [b, a]",
        (
            "services.www.hosts: the actuator runs on 'b', the preferred host: if that dies, no takeover is"
            " possible",
        ),
    ),
    "a host on another network": (
        "192.0.2.1,",
        "198.51.100.1,",
        (
            "services.www.addresses: 192.0.2.100/24 and host 'a' (198.51.100.1) are not on the same network: an"
            " address can only move between hosts on one network segment",
        ),
    ),
    "an address alone tells no network": ("192.0.2.100/24", "198.51.100.100/32", ()),
    "the other family tells no network, and wants a witness of its own": (
        "192.0.2.100/24",
        "2001:db8::100/64",
        (
            "services.www.addresses: one is IPv6, but no witness is: after a takeover locum cannot verify that the"
            " network reaches it; add the gateway's IPv6 address to witnesses",
        ),
    ),
    "a witness of each family": ("[192.0.2.254]", '[192.0.2.254, "2001:db8::fe"]', ()),
    "a link-local witness": (
        "[192.0.2.254]",
        '[192.0.2.254, "fe80::1"]',
        (
            "witnesses: fe80::1 is link-local: on a host with several interfaces the ping may go out on the"
            " wrong network; give a global or unique local address",
        ),
    ),
    "a host on loopback": (
        "c: {address: 192.0.2.3}",
        "c: {address: 127.0.0.1}",
        ("hosts.c.address: 127.0.0.1 is a loopback address: a host that connects to it reaches only itself",),
    ),
    "no check": (
        "checks: {process: {name: apache2}}",
        "checks: {}",
        ("services.www.checks: none, so only a ping of its host decides: add http, tcp or process",),
    ),
    "no respawn": (
        ", respawn: apachectl restart",
        "",
        ("services.www.commands.respawn: not given: when the process dies, a takeover follows at once",),
    ),
    "observe": (
        "{when_unreachable: takeover}",
        "{when_unreachable: takeover, mode: observe}",
        ("services.www.takeover.mode: observe: locum records what it would do, and changes nothing",),
    ),
    "a mirror": ("    takeover:", "    mirror: {source: /srv/www, destination: /srv/www}\n    takeover:", ()),
    "a mirror of any age": (
        "    takeover:",
        "    mirror: {source: /srv/www, when_stale: takeover}\n    takeover:",
        ("services.www.mirror.when_stale: takeover: a standby takes over with data of any age, complete or not",),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("old", "new", "lines"), ADVICE.values(), ids=ADVICE)
def test_advice(tmp_path: Path, old: str, new: str, lines: tuple[str, ...]) -> None:
    assert old in SITE
    file = tmp_path / "locum.yml"
    file.write_text(SITE.replace(old, new, 1))
    assert advice(load_site(file)) == lines


def test_a_standby_that_runs_needs_no_commands(tmp_path: Path) -> None:
    file = tmp_path / "locum.yml"
    commands = "    commands: {start: apachectl start, stop: apachectl stop, respawn: apachectl restart}\n"
    file.write_text(SITE.replace(commands, "    standby: running\n"))
    assert load_site(file).services["www"].commands is None


def keys(path: tuple[str | int, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every key the model knows, by its path; names of hosts and services are left out."""
    for key in keys_at(path):
        here = (*path, key)
        yield tuple(str(part) for part in here if part != "NAME")
        yield from keys(here)
        yield from keys((*here, "NAME"))


KEYS = sorted(set(keys()))


def test_the_model_has_keys_to_be_documented() -> None:
    assert ("services", "checks", "http", "url") in KEYS
    assert ("hosts", "ssh", "user") in KEYS
    assert len(KEYS) > 50


def test_the_example_is_sound_and_needs_no_advice() -> None:
    assert advice(load_site(shared(EXAMPLE))) == ()


def with_every_key() -> str:
    """The example with each key that stands in it as a comment brought to life."""
    return re.sub(
        r"^( *)#(?=[^ #\n])", r"\1", shared(EXAMPLE).read_text(encoding="utf-8"), flags=re.MULTILINE
    )


def test_the_examples_optional_keys_are_sound_too_and_show_the_defaults(tmp_path: Path) -> None:
    file = tmp_path / "locum.yml"
    file.write_text(with_every_key())
    full, plain = load_site(file), load_site(shared(EXAMPLE))
    full_www, plain_www = full.services["www"], plain.services["www"]
    # Left out it depends on the answer, which no word in its place says.
    takeover = full_www.takeover.model_copy(update={"when_unexpected": None})

    assert (full_www.interval, full_www.standby, takeover, full_www.commands, full.actuator) == (
        plain_www.interval,
        plain_www.standby,
        plain_www.takeover,
        plain_www.commands,
        plain.actuator,
    )


@pytest.fixture(scope="module")
def keys_of_the_example(tmp_path_factory: pytest.TempPathFactory) -> frozenset[tuple[str, ...]]:
    """The paths of all keys that the example gives a value, read once for all."""
    file = tmp_path_factory.mktemp("example") / "locum.yml"
    file.write_text(with_every_key())
    return frozenset(_paths(load_site(file).model_dump(mode="json", exclude_unset=True)))


@pytest.mark.parametrize("key", KEYS, ids=[".".join(key) for key in KEYS])
def test_every_key_is_in_the_example_and_in_the_reference(
    key: tuple[str, ...], keys_of_the_example: frozenset[tuple[str, ...]]
) -> None:
    assert key in keys_of_the_example, f"{'.'.join(key)} is not in {EXAMPLE}"

    reference = (Path(__file__).parents[3] / "docs" / "site-file.md").read_text(encoding="utf-8")
    # One heading per mapping, one row per key: `## hosts.NAME.ssh`, then `| `user` | ...`.
    section = ".".join(key[:-1])
    heading = next(
        (part for part in reference.split("\n## ")[1:] if _plain(part.splitlines()[0]) == section), None
    )
    assert heading is not None, f"no heading for {section or 'the site'}"
    assert f"| `{key[-1]}` |" in heading


def _plain(heading: str) -> str:
    """`services.NAME.checks` in backticks, without the names that people choose."""
    return "" if "`" not in heading else heading.split("`")[1].replace(".NAME", "")


def _paths(value: object, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every path in the values; the second step, a name that people chose, is left out where it is one."""
    named = path[:1] in {("hosts",), ("services",), ("vantage_points",)}
    plain = path[:1] + path[2:] if named else path
    yield tuple(
        key for key in plain if not re.match("(before|after)_", key)
    )  # a hook's name is the user's choice
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _paths(inner, (*path, key))
    if isinstance(value, list):
        for inner in value:
            yield from _paths(inner, path)
