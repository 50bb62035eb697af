"""Check this machine: the files that the site file names, and the interfaces."""

from __future__ import annotations

import socket
import stat
from collections.abc import Iterator
from pathlib import Path

from locum_actuator.api.bearer_auth import token_command
from locum_actuator.cli.live_check.finding import Finding
from locum_inventory.site.model import Site
from locum_inventory.site.notifications import read_url


def files(site: Site) -> Iterator[Finding]:
    """Check tokens, keys and pinned host keys: present, not empty, and not accessible to other users."""
    for token in (site.actuator.webhook_token_file, site.actuator.api_token_file):
        if token is not None:
            fix = f"{token_command(token)}; then locum enrol {site.actuator.host} sets its owner"
            yield _file("token file", token, forbidden=0o037, fix=fix)
    ways = {name: host.ssh for name, host in site.hosts.items() if host.ssh is not None}
    keys = {ssh.key_for(role): name for name, ssh in ways.items() for role in ("actuator", "exporter")}
    for key, host in keys.items():
        yield _file("key file", key, forbidden=0o077, fix=f"locum enrol {host} creates it")
    yield from _files_of_alertmanager(site)
    for pinned, host in {ssh.known_hosts: name for name, ssh in ways.items()}.items():
        yield _file("pinned host keys", pinned, forbidden=0o022, fix=f"locum enrol {host} creates it")


def _files_of_alertmanager(site: Site) -> Iterator[Finding]:
    """Check the secrets that Alertmanager sends to the mail server and to the dead man's switch outside."""
    if site.mail is not None and (password := site.mail.password_file) is not None:
        found = _file("mail password", password, forbidden=0o037, fix="an administrator creates it")
        if found.state == "ok" and _ends_a_line(password):
            found = Finding(
                found.what,
                "wrong",
                "ends with a newline, which Alertmanager 0.25 takes as part of the password",
                f"printf %s 'PASSWORD' > {password}",
            )
        yield found
    if site.deadman is not None:
        found = _file(
            "dead-man's URL", site.deadman.url_file, forbidden=0o037, fix="an administrator creates it"
        )
        if found.state == "ok":
            try:
                read_url(site.deadman.url_file.read_text(encoding="utf-8"))
            except (OSError, ValueError):
                found = Finding(
                    found.what, "wrong", "cannot be read, or contains no URL", "write one URL into it"
                )
        yield found


def _ends_a_line(file: Path) -> bool:
    try:
        return file.read_bytes().endswith(b"\n")
    except OSError:
        return False


def interfaces(site: Site, this_name: str) -> Iterator[Finding]:
    """Check that the interfaces that services use exist on this host."""
    there = sorted(name for _, name in socket.if_nameindex())
    for name, service in site.services_on(this_name).items():
        if service.address_commands is not None:
            continue
        interface = service.interface[this_name]
        what = f"interface {interface} for {name}"
        if interface in there:
            yield Finding(what, "ok", "exists")
        else:
            others = [other for other in there if other != "lo"]
            fix = f"use one of {', '.join(others)}" if others else "this host has no interface but lo"
            yield Finding(what, "wrong", f"is not on this host, '{this_name}'", fix)


def _file(kind: str, path: Path, *, forbidden: int, fix: str) -> Finding:
    what = f"{kind} {path}"
    try:
        status = path.stat()
    except FileNotFoundError:
        return Finding(what, "wrong", "is missing", fix)
    except OSError as error:
        return Finding(what, "unknown", f"cannot be checked: {error.strerror}", "run this as root")
    mode = stat.S_IMODE(status.st_mode)
    if not stat.S_ISREG(status.st_mode):
        return Finding(what, "wrong", "is not a regular file", f"remove it; {fix}")
    if status.st_size == 0:
        return Finding(what, "wrong", "is empty", f"remove it; {fix}")
    if mode & forbidden:
        may = "read or change" if forbidden & 0o004 else "change"
        text = f"other users may {may} it (mode {mode:04o})"
        return Finding(what, "wrong", text, f"chmod {mode & ~forbidden:04o} {path}")
    return Finding(what, "ok", f"present (mode {mode:04o})")
