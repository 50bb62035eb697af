"""What `locum enrol` sends to a host, and what the host reports."""

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
GuardWish = Literal["keep", "install", "remove"]  # keep: renew the boot guard where there is one
PARTS = ("gate", "host_file", "user", "keys", "runner", "private", "sudo_rule", "guard")
_MARK = "locum-install "


class EnrolmentError(LocumError):
    """A host could not be enrolled."""


@dataclass(frozen=True, slots=True)
class HostSetup:
    """What is to be on a host."""

    host: str
    address: str  # of the host: only a machine that has it is enrolled
    user: str  # whom the locum keys log in as; "" where no key may log in
    sudo_user: str  # who may run the gate as root
    host_file: str
    authorized_keys: tuple[str, ...]
    runner: str = ""  # who runs locum on this host; "" where it does not run
    state_directory: str = ""
    private: tuple[str, ...] = ()  # files that are the runner's, and nobody else's to read
    guard_wish: GuardWish = "keep"
    kept_off: Mapping[str, str | None] = field(default_factory=dict)  # service -> unit that starts it at boot

    def script(self, mode: Literal["look", "install"]) -> str:
        """Return the text for `sh -s`, run there as root: `look` changes nothing."""
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
    """What a host has."""

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
    """Return what is to be on a host; the keys are the public halves, None where that role logs in nowhere.

    `runner` is who runs locum on the actuator's host; he is given what locum writes and its secrets there.
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
    """Return the files that only locum itself may read, on the host it runs on."""
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
    """Return what a host reported; raise `EnrolmentError` where it failed or the report is cut short."""
    parts: dict[str, State] = {}
    missing: list[str] = []
    host_key: str | None = None
    done = False
    for line in text.splitlines():
        if not line.startswith(_MARK):
            continue  # a greeting of the host's own
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
                raise EnrolmentError(f"the host's report holds {line!r}")
    if not done:
        raise EnrolmentError("the host's report was cut short")
    return HostReport(parts, tuple(missing), host_key)


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _bare(public_key: str) -> str:
    kind, body = public_key.split()[:2]
    return f"{kind} {body}"
