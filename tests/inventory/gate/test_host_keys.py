"""Pinned host keys: one host's lines change, all others stay."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from locum_inventory.gate.host_keys import fingerprint, known_hosts_name, pin, pinned
from locum_inventory.site.model import Host
from tests.inventory.gate.gate_host import make_key

OLD, NEW = "ssh-ed25519 AAAAold", "ssh-ed25519 AAAAnew"

FILES = {
    "no file": (None, "192.0.2.1 ssh-ed25519 AAAAnew\n"),
    "an empty file": ("", "192.0.2.1 ssh-ed25519 AAAAnew\n"),
    "another host": (f"192.0.2.10 {OLD}\n", f"192.0.2.10 {OLD}\n192.0.2.1 {NEW}\n"),
    "the same host": (f"192.0.2.1 {OLD}\n", f"192.0.2.1 {NEW}\n"),
    "the same host twice": (f"192.0.2.1 {OLD}\n192.0.2.1 ssh-rsa AAAA\n", f"192.0.2.1 {NEW}\n"),
    "a comment": (f"# ours\n\n192.0.2.1 {OLD}\n", f"# ours\n\n192.0.2.1 {NEW}\n"),
    "the same host on another port": (
        f"[192.0.2.1]:2222 {OLD}\n",
        f"[192.0.2.1]:2222 {OLD}\n192.0.2.1 {NEW}\n",
    ),
}


@pytest.mark.parametrize(("before", "after"), FILES.values(), ids=FILES.keys())
def test_pin(tmp_path: Path, before: str | None, after: str) -> None:
    path = tmp_path / "known_hosts"
    if before is not None:
        path.write_text(before)
    pin(path, "192.0.2.1", NEW)
    assert path.read_text() == after
    assert path.stat().st_mode & 0o777 == 0o644
    assert pinned(path, "192.0.2.1") == (NEW,)
    assert list(tmp_path.iterdir()) == [path]


def test_a_hashed_name_is_found_and_replaced(tmp_path: Path) -> None:
    path = tmp_path / "known_hosts"
    path.write_text(f"192.0.2.1 {make_key(tmp_path / 'key')}\n192.0.2.2 {OLD}\n")
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", path], check=True, capture_output=True)
    assert "192.0.2.1" not in path.read_text()
    assert len(pinned(path, "192.0.2.1")) == 1
    pin(path, "192.0.2.1", NEW)
    assert pinned(path, "192.0.2.1") == (NEW,)


def test_a_fingerprint_is_as_ssh_keygen_shows_it(tmp_path: Path) -> None:
    key = make_key(tmp_path / "key")
    shown = subprocess.run(
        ["ssh-keygen", "-lf", tmp_path / "key"], capture_output=True, text=True, check=True
    )
    assert fingerprint(key) == shown.stdout.split()[1]


NAMES = {
    "the usual port": ({"address": "192.0.2.1", "ssh": {"key_file": "/k"}}, "192.0.2.1"),
    "another port": ({"address": "192.0.2.1", "ssh": {"key_file": "/k", "port": 2222}}, "[192.0.2.1]:2222"),
    "IPv6": ({"address": "2001:db8::1", "ssh": {"key_file": "/k", "port": 2222}}, "[2001:db8::1]:2222"),
    "without ssh": ({"address": "192.0.2.1"}, "192.0.2.1"),
}


@pytest.mark.parametrize(("host", "name"), NAMES.values(), ids=NAMES.keys())
def test_names(host: dict[str, object], name: str) -> None:
    named = Host.model_validate(host)
    assert known_hosts_name(named.address, named.ssh) == name
