"""Looks at this machine: the files that the site file names, and the interfaces."""

from __future__ import annotations

import socket
import stat
from collections.abc import Iterator
from pathlib import Path

from locum_actuator.api.bearer_auth import how_to_make
from locum_actuator.cli.live_check.finding import Finding
from locum_inventory.site.model import Site
from locum_inventory.site.notifications import read_url


def files(site: Site) -> Iterator[Finding]:
    """Look at tokens, keys and pinned host keys: there, not empty, and safe from others."""
    for token in (site.actuator.webhook_token_file, site.actuator.api_token_file):
        if token is not None:
            mend = f"{how_to_make(token)}, and locum enrol {site.actuator.host} gives it to its user"
            yield _file("token file", token, forbidden=0o037, mend=mend)
    ways = {name: host.ssh for name, host in site.hosts.items() if host.ssh is not None}
    keys = {ssh.key_for(role): name for name, ssh in ways.items() for role in ("actuator", "exporter")}
    for key, host in keys.items():
        yield _file("key file", key, forbidden=0o077, mend=f"locum enrol {host} makes it")
    yield from _files_of_alertmanager(site)
    for pinned, host in {ssh.known_hosts: name for name, ssh in ways.items()}.items():
        yield _file("pinned host keys", pinned, forbidden=0o022, mend=f"locum enrol {host} makes it")


def _files_of_alertmanager(site: Site) -> Iterator[Finding]:
    """Look at the secrets that Alertmanager shows to the mail server and to somebody outside."""
    if site.mail is not None and (password := site.mail.password_file) is not None:
        found = _file("mail password", password, forbidden=0o037, mend="an administrator makes it")
        if found.state == "ok" and _ends_a_line(password):
            found = Finding(
                found.what,
                "wrong",
                "ends with a newline, which Alertmanager 0.25 takes for a part of the password",
                f"printf %s 'PASSWORD' > {password}",
            )
        yield found
    if site.deadman is not None:
        found = _file(
            "dead-man's URL", site.deadman.url_file, forbidden=0o037, mend="an administrator makes it"
        )
        if found.state == "ok":
            try:
                read_url(site.deadman.url_file.read_text(encoding="utf-8"))
            except (OSError, ValueError):
                found = Finding(
                    found.what, "wrong", "cannot be read, or holds no URL", "write one URL into it"
                )
        yield found


def _ends_a_line(file: Path) -> bool:
    try:
        return file.read_bytes().endswith(b"\n")
    except OSError:
        return False


def interfaces(site: Site, this_name: str) -> Iterator[Finding]:
    """Look whether the interfaces that services use on this host are there."""
    there = sorted(name for _, name in socket.if_nameindex())
    for name, service in site.services_on(this_name).items():
        if service.address_commands is not None:
            continue
        interface = service.interface[this_name]
        what = f"interface {interface} for {name}"
        if interface in there:
            yield Finding(what, "ok", "is there")
        else:
            others = [other for other in there if other != "lo"]
            mend = f"name one of {', '.join(others)}" if others else "this host has none but lo"
            yield Finding(what, "wrong", f"is not on this host, '{this_name}'", mend)


def _file(kind: str, path: Path, *, forbidden: int, mend: str) -> Finding:
    what = f"{kind} {path}"
    try:
        status = path.stat()
    except FileNotFoundError:
        return Finding(what, "wrong", "is missing", mend)
    except OSError as error:
        return Finding(what, "unknown", f"cannot be looked at: {error.strerror}", "run this as root")
    mode = stat.S_IMODE(status.st_mode)
    if not stat.S_ISREG(status.st_mode):
        return Finding(what, "wrong", "is no ordinary file", f"remove it; {mend}")
    if status.st_size == 0:
        return Finding(what, "wrong", "is empty", f"remove it; {mend}")
    if mode & forbidden:
        whom = "read or changed" if forbidden & 0o004 else "changed"
        text = f"may be {whom} by others than its owner (mode {mode:04o})"
        return Finding(what, "wrong", text, f"chmod {mode & ~forbidden:04o} {path}")
    return Finding(what, "ok", f"is there (mode {mode:04o})")
