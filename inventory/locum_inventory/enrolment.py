"""What `locum enrol` sends to a host, and what the host reports."""

from __future__ import annotations

import base64
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Literal

from locum_inventory.gate_config import GATE_PATH, gate_script, host_file
from locum_inventory.model import Site

State = Literal["absent", "same", "differs"]
PARTS = ("gate", "host_file", "user", "keys", "sudo_rule")
_MARK = "locum-install "


class EnrolFault(Exception):  # noqa: N818 - why a host could not be enrolled
    """A host could not be enrolled."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be on a host."""

    user: str  # whom the locum keys log in as; "" where no key may log in
    sudo_user: str  # who may run the gate as root
    host_file: str
    authorized_keys: tuple[str, ...]

    def script(self, mode: Literal["look", "install"]) -> str:
        """Return the text for `sh -s`, run there as root: `look` changes nothing."""
        words = {
            "mode": mode,
            "user": self.user,
            "sudo_user": self.sudo_user,
            "gate": _base64(gate_script()),
            "host_file": _base64(self.host_file),
            "keys": _base64("".join(f"{line}\n" for line in self.authorized_keys)),
        }
        head = "".join(f"{name}={shlex.quote(value)}\n" for name, value in words.items())
        return head + files("locum_inventory").joinpath("install.sh").read_text(encoding="utf-8")


@dataclass(frozen=True, slots=True)
class Report:
    """What a host has."""

    parts: Mapping[str, State]
    missing: tuple[str, ...]  # programs the gate needs
    host_key: str | None  # kind and key, as in known_hosts


def wanted_on(site: Site, host: str, actuator_key: str | None, exporter_key: str | None) -> Wanted:
    """Return what is to be on a host; the keys are the public halves, None where that role logs in nowhere."""
    ssh = site.hosts[host].ssh
    lines = [
        f'restrict,command="{GATE_PATH} {role}" {_bare(key)} locum-{role}'
        for role, key in (("actuator", actuator_key), ("exporter", exporter_key))
        if key is not None
    ]
    user = ssh.user if ssh is not None else ""
    return Wanted(user, user or "locum", host_file(site, host), tuple(lines))


def read_report(text: str) -> Report:
    """Return what a host reported; raise `EnrolFault` where it failed or the report is cut short."""
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
                raise EnrolFault(value)
            case "missing", _:
                missing.append(value)
            case "host_key", _:
                host_key = value
            case "done", "":
                done = True
            case _, "absent" | "same" | "differs" if key in PARTS:
                parts[key] = value
            case _:
                raise EnrolFault(f"the host's report holds {line!r}")
    if not done:
        raise EnrolFault("the host's report was cut short")
    return Report(parts, tuple(missing), host_key)


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _bare(public_key: str) -> str:
    kind, body = public_key.split()[:2]
    return f"{kind} {body}"
