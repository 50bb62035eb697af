"""The script that `locum enrol` sends to a host, and the report that the host returns."""

from __future__ import annotations

import base64
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib.resources import files
from pathlib import Path
from typing import Literal

from locum_inventory.enrolment.boot_guard import guard_files, kept_off
from locum_inventory.errors import LocumError
from locum_inventory.gate.host_file import GATE_PATH, gate_script, host_file
from locum_inventory.site.model import Site

State = Literal["absent", "same", "differs"]
GuardWish = Literal["keep", "install", "remove"]  # keep: update the boot guard if it is installed
PARTS = ("gate", "host_file", "user", "keys", "runner", "private", "sudo_rule", "guard")
_MARK = "locum-install "


class EnrolmentError(LocumError):
    """A host could not be enrolled."""


@dataclass(frozen=True, slots=True)
class HostSetup:
    """The wanted setup of a host."""

    host: str
    address: str  # the host's own: a machine without it is not enrolled
    user: str  # the user that locum's keys log in as; "" if no key may log in
    sudo_user: str  # the user that may run the gate as root
    host_file: str
    authorized_keys: tuple[str, ...]
    runner: str = ""  # the user that runs locum on this host; "" if it does not run here
    state_directory: str = ""
    private: tuple[str, ...] = ()  # files that only the runner may read
    guard_wish: GuardWish = "keep"
    kept_off: Mapping[str, str | None] = field(default_factory=dict)  # service -> unit that starts it at boot

    def script(self, mode: Literal["look", "install"]) -> str:
        """Return the script for `sh -s`, which runs there as root; in mode `look` it changes nothing."""
        words = {
            "mode": mode,
            "host": self.host,
            "address": self.address,
            "user": self.user,
            "sudo_user": self.sudo_user,
            "gate": _base64(gate_script()),
            "host_file": _base64(self.host_file),
            "keys": _base64("".join(f"{line}\n" for line in self.authorized_keys)),
            "runner": self.runner,
            "state_directory": self.state_directory,
            "private": "\n".join(self.private),
            "guard_wish": self.guard_wish,
            **{name: _base64(text) for name, text in guard_files().items()},
            "guard_drop_ins": "\n".join(f"{unit} {name}" for name, unit in self.kept_off.items() if unit),
        }
        head = "".join(f"{name}={shlex.quote(value)}\n" for name, value in words.items())
        package = files("locum_inventory.enrolment")
        scripts = (package.joinpath(name).read_text("utf-8") for name in ("install_guard.sh", "install.sh"))
        return head + "".join(scripts)


@dataclass(frozen=True, slots=True)
class HostReport:
    """The actual setup of a host, as it reported it."""

    parts: Mapping[str, State]
    missing: tuple[str, ...]  # programs the gate needs
    host_key: str | None  # kind and key, as in known_hosts


def wanted_on(
    site: Site,
    host: str,
    actuator_key: str | None,
    exporter_key: str | None,
    runner: str = "locum",
    *,
    guard_wish: GuardWish = "keep",
) -> HostSetup:
    """Return the wanted setup of a host. The keys are public keys, None if that role does not log in there.

    `runner` is the user that runs locum on the actuator's host; it owns locum's state and secrets there.
    """
    ssh = site.hosts[host].ssh
    lines = [
        f'restrict,command="{GATE_PATH} {role}" {_bare(key)} locum-{role}'
        for role, key in (("actuator", actuator_key), ("exporter", exporter_key))
        if key is not None
    ]
    user = ssh.user if ssh is not None else ""
    wanted = HostSetup(
        host,
        str(site.hosts[host].address),
        user,
        user or runner,
        host_file(site, host),
        tuple(lines),
        guard_wish=guard_wish,
        kept_off=kept_off(site, host),
    )
    if host != site.actuator.host or runner == "root":
        return wanted
    return replace(
        wanted,
        sudo_user=runner,
        runner=runner,
        state_directory=str(site.actuator.state_directory),
        private=tuple(map(str, _secrets(site))),
    )


def _secrets(site: Site) -> list[Path]:
    """Return the files that only locum may read on the host where it runs."""
    actuator = site.actuator
    keys = [
        key
        for host in site.hosts.values()
        if host.ssh is not None
        for key in (host.ssh.key_file, host.ssh.exporter_key_file)
    ]
    every = [actuator.webhook_token_file, actuator.api_token_file, *keys]
    return sorted({path for path in every if path is not None})


def read_report(text: str) -> HostReport:
    """Parse a host's report; raise `EnrolmentError` if the script failed there or the report is cut short."""
    parts: dict[str, State] = {}
    missing: list[str] = []
    host_key: str | None = None
    done = False
    for line in text.splitlines():
        if not line.startswith(_MARK):
            continue  # other output of the host, such as a greeting
        key, _, value = line.removeprefix(_MARK).partition(" ")
        match key, value:
            case "failed", _:
                raise EnrolmentError(value)
            case "missing", _:
                missing.append(value)
            case "host_key", _:
                host_key = value
            case "done", "":
                done = True
            case _, "absent" | "same" | "differs" if key in PARTS:
                parts[key] = value
            case _:
                raise EnrolmentError(f"the host's report has an invalid line: {line!r}")
    if not done:
        raise EnrolmentError("the host's report was cut short")
    return HostReport(parts, tuple(missing), host_key)


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _bare(public_key: str) -> str:
    kind, body = public_key.split()[:2]
    return f"{kind} {body}"
