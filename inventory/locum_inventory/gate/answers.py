"""Parse a gate's answers strictly: everything that docs/gate.md does not describe is an error."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_interface

from locum_inventory import since_boot
from locum_inventory.gate.clock import GateClock
from locum_inventory.gate.protocol import (
    FaultReason,
    GateError,
    GateStatus,
    Link,
    LinkState,
    ServiceStatus,
)
from locum_inventory.site.model import InterfaceAddress

PROTOCOLS = ("1", "2")  # gates of version 1 speak the first
ANSWER_LIMIT_BYTES = 262_144

_REFUSALS: Mapping[str, FaultReason] = {
    "old_epoch": "old_epoch", "too_late": "too_late", "failed": "failed", "refused": "gate",
}  # fmt: skip
# On an interface but not in use: ip-address(8), or muted by the host's boot guard.
_STUCK = ("tentative", "dadfailed", "muted")
_STATES: Mapping[str, bool] = {"held": True, "absent": False, **dict.fromkeys(_STUCK, False)}
_LINK_STATES: Mapping[str, LinkState] = {"up": "up", "no_carrier": "no_carrier", "down": "down"}
_VERBS: Mapping[str, str] = {verb: verb for verb in ("start", "respawn", "claim")}
_NUMBER = re.compile(r"[0-9]{1,18}")
_BOOT_ID = re.compile(r"[0-9a-f-]{36}")
_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")


@dataclass
class _Section:
    """One service of an answer while it is being parsed."""

    epoch: int = 0
    held: dict[IPv4Address | IPv6Address, bool] = field(default_factory=dict)
    processes: int | None = None
    unusable_addresses: dict[IPv4Address | IPv6Address, str] = field(default_factory=dict)
    guarded: bool | None = None
    addresses: tuple[InterfaceAddress, ...] | None = None
    interface: str | None = None
    age_seconds: float | None = None
    underway: str | None = None
    epoch_damaged: bool = False

    def take(self, key: str, value: str) -> None:
        """Parse one line; raise ValueError if it is not known."""
        match key:
            case "epoch":
                self.epoch = number(value)
            case "processes":
                self.processes = number(value)
            case "age_ms":
                self.age_seconds = number(value) / 1000
            case "underway":
                self.underway = _VERBS[value]
            case "guard":
                self.guarded = {"on": True, "off": False}[value]
            case "knows":
                self.addresses = tuple(map(ip_interface, value.split()))
            case "damaged":
                if value != "epoch":
                    raise ValueError(value)
                self.epoch_damaged = True
            case "interface":
                self.interface = value
            case "address":
                text, _, state = value.partition(" ")
                address = ip_address(text)
                self.held[address] = _STATES[state]
                if state in _STUCK:
                    self.unusable_addresses[address] = state
            case _:
                raise ValueError(key)

    def done(self) -> ServiceStatus:
        """Return the parsed service."""
        return ServiceStatus(
            self.epoch, self.held, self.processes, self.unusable_addresses, self.guarded, self.addresses,
            self.interface, self.age_seconds, self.underway, self.epoch_damaged,
        )  # fmt: skip


@dataclass
class _Host:
    """The part of an answer about the host itself while it is being parsed."""

    config_sha256: str = ""
    boot_id: str | None = None
    uptime_hundredths: int | None = None
    links: dict[str, Link] = field(default_factory=dict)

    def take(self, key: str, value: str) -> bool:
        """Parse one line; return False if it is not about the host; raise ValueError if it is invalid."""
        match key:
            case "config":
                self.config_sha256 = value
            case "boot":
                if not _BOOT_ID.fullmatch(value):
                    raise ValueError(value)
                self.boot_id = value
            case "uptime":
                self.uptime_hundredths = number(value)
            case "link":
                name, state, *macs = value.split(" ")
                if not all(map(_MAC.fullmatch, macs)):
                    raise ValueError(value)
                self.links[name] = Link(_LINK_STATES[state], tuple(macs))
            case _:
                return False
        return True

    def clock(self) -> GateClock | None:
        """Return the host's clock, which it read no later than now."""
        if self.boot_id is None or self.uptime_hundredths is None:
            return None
        return GateClock(self.boot_id, self.uptime_hundredths, since_boot.seconds())


def number(text: str) -> int:
    """Return a decimal number of at most 18 digits; raise ValueError for anything else."""
    if not _NUMBER.fullmatch(text):
        raise ValueError(text)
    return int(text)


def parse_banner(line: str, host: str) -> str:
    """Return the version in a gate's greeting line."""
    match line.split(" "):
        case ["locum-gate", protocol, version]:
            if protocol not in PROTOCOLS:
                raise GateError(
                    "gate",
                    f"{host}: its gate speaks protocol {protocol}, not {PROTOCOLS[-1]}: run `locum enrol {host}`",
                )
            return version
        case _:
            raise GateError("gate", f"{host}: what answered is not a gate: {clean(line)!r}")


def refusal(words: str, host: str) -> GateError:
    """Return the error for an `end` line other than `end ok`."""
    reason, _, text = words.partition(" ")
    return GateError(_REFUSALS.get(reason, "gate"), f"{host}: {clean(text) or reason}")


def read_answer(answer: str, complaint: str, host: str) -> GateStatus:
    """Parse a gate's answer to `status` or to a change.

    `complaint` is the text from standard error, used if there is no answer. Raises `GateError`: `closed` if the
    last line is missing.
    """
    lines = answer.split("\n")
    if len(lines) < 2:
        raise GateError(
            "gate", f"{host}: no gate answered{f': {clean(complaint)}' if complaint.strip() else ''}"
        )
    version = parse_banner(lines[0], host)
    if lines[-1] != "" or not lines[-2].startswith("end "):
        raise GateError("closed", f"{host}: the gate's answer was cut short")
    verdict = lines[-2].removeprefix("end ")
    if verdict != "ok":
        raise refusal(verdict, host)
    of_host, sections = _Host(), dict[str, _Section]()
    for line in lines[1:-2]:
        key, _, value = line.partition(" ")
        try:
            if key == "service":
                sections[value] = section = _Section()
            elif not of_host.take(key, value):
                section.take(key, value)
        except (ValueError, KeyError, UnboundLocalError):
            raise GateError(
                "gate", f"{host}: the gate's answer has an invalid line: {clean(line)!r}"
            ) from None
    services = {name: section.done() for name, section in sections.items()}
    return GateStatus(version, of_host.config_sha256, services, of_host.clock(), of_host.links)


def clean(text: str, limit: int = 300) -> str:
    """Return an untrusted text as one printable line."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:limit]
