"""Check fence devices: ask each for its status, and check the files of its secrets. Switches nothing."""

from __future__ import annotations

import asyncio
import os
import pwd
import stat
from collections.abc import Iterator
from pathlib import Path

from locum_actuator.cli.live_check.finding import Finding
from locum_actuator.system.fence_agent import FenceAgent, FenceAgentError
from locum_exporter.net.icmp import Pinger
from locum_inventory.shared_files import shared
from locum_inventory.site.model import FenceDevice, Site

STATUS_SECONDS = 20.0  # a login to a controller over a slow line may take that long
ECHO_COUNT = 5
ECHO_SPACING_SECONDS = 0.1
ECHO_WAIT_SECONDS = 0.5
ACTUATORS_USER = "locum"


async def devices(site: Site, pinger: Pinger) -> list[Finding]:
    """Ask every fence device of every host for its status, all at once."""
    asked = [
        _device(site, pinger, name, device, f" {number}" if len(host.fence) > 1 else "")
        for name, host in site.hosts.items()
        for number, device in enumerate(host.fence, 1)
    ]
    return list(await asyncio.gather(*asked))


async def _device(site: Site, pinger: Pinger, host: str, device: FenceDevice, number: str) -> Finding:
    what = f"fence{number} of {host} ({device.name})"
    try:
        power = await asyncio.to_thread(FenceAgent(host, device).power, deadline_seconds=STATUS_SECONDS)
    except FenceAgentError as fault:
        fix = f"a device that does not answer cannot fence {host}: see {shared('docs/fencing.md')}"
        return Finding(what, "wrong", f"did not answer: {fault}", fix)
    if power == "on":
        return Finding(what, "ok", f"reports that {host} is on")
    burst = await pinger.burst(
        site.hosts[host].address,
        count=ECHO_COUNT,
        spacing_seconds=ECHO_SPACING_SECONDS,
        wait_seconds=ECHO_WAIT_SECONDS,
        enough=1,
    )
    if burst.received:
        fix = "find out what it switches: if not the power of this host, locum must not rely on it"
        return Finding(what, "wrong", f"reports that {host} is off, but {host} answers a ping", fix)
    if not burst.sent:
        return Finding(
            what, "unknown", f"reports that {host} is off, and {host} could not be pinged: {burst.text}"
        )
    return Finding(
        what,
        "note",
        f"reports that {host} is off, and it answers no ping",
        "switch it on when it is repaired",
    )


def secrets(site: Site) -> Iterator[Finding]:
    """Check the files of fence devices' secrets: present, not empty, readable by the actuator and no other user."""
    paths = (
        path for host in site.hosts.values() for device in host.fence for path in device.secret_files.values()
    )
    for path in dict.fromkeys(paths):
        yield _secret(path)


def _secret(path: Path) -> Finding:
    what = f"fence secret {path}"
    try:
        status = path.stat()
    except FileNotFoundError:
        return Finding(what, "wrong", "is missing", "write the secret there, as its first line")
    except OSError as error:
        return Finding(what, "unknown", f"cannot be checked: {error.strerror}", "run this as root")
    mode = stat.S_IMODE(status.st_mode)
    if status.st_size == 0:
        return Finding(what, "wrong", "is empty", "write the secret there, as its first line")
    if mode & 0o037:
        return Finding(what, "wrong", f"is accessible to other users (mode {mode:04o})", f"chmod 0640 {path}")
    if not _actuator_may_read(status):
        fix = f"chgrp {ACTUATORS_USER} {path} && chmod 0640 {path}"
        return Finding(
            what, "wrong", f"cannot be read by {ACTUATORS_USER}, the user that runs the actuator", fix
        )
    return Finding(what, "ok", f"present (mode {mode:04o})")


def _actuator_may_read(status: os.stat_result) -> bool:
    """Return whether the actuator's user may read a file; True if this host has no such user."""
    try:
        user = pwd.getpwnam(ACTUATORS_USER)
    except KeyError:
        return True
    if status.st_uid == user.pw_uid:
        return bool(status.st_mode & stat.S_IRUSR)
    groups = os.getgrouplist(ACTUATORS_USER, user.pw_gid)
    return status.st_gid in groups and bool(status.st_mode & stat.S_IRGRP)
