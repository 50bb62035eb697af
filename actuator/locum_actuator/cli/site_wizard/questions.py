"""The questions of `locum init`, with defaults read from this machine."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

import click
from pydantic import TypeAdapter, ValidationError

from locum_actuator.system.printing import prompt, say
from locum_inventory.site.checks import HttpCheck, ProcessCheck
from locum_inventory.site.field_types import (
    Address,
    CommandLine,
    InterfaceName,
    Name,
    OwnAddress,
    ServiceAddress,
)
from locum_inventory.site.messages import RISKS

_ROUTES = Path("/proc/net/route")


@dataclass(frozen=True, slots=True)
class DefaultRoute:
    """This machine's default route."""

    interface: str
    gateway: str


Check = Callable[[str], object]  # raises ValueError for an invalid answer


class Questions:
    """The questions of one `locum init`; it keeps the answers, so that none is lost if the command fails."""

    def __init__(self) -> None:
        self._answered: list[tuple[str, str]] = []

    @property
    def any_asked(self) -> bool:
        """Whether at least one question was answered, so that not everything was given as options."""
        return bool(self._answered)

    def as_options(self) -> str:
        """Return the answers so far as the options that give them, quoted for a shell."""
        return " ".join(shlex.quote(f"{option}={answer}") for option, answer in self._answered)

    def ask(
        self, given: str | None, option: str, question: str, default: str | None = None, *,
        check: Check | None = None,
    ) -> str:  # fmt: skip
        """Return the option's value, or ask for it; `-` means none, and an invalid answer is asked for again.

        At the end of standard input the default is used; without a default that is a usage error.
        """
        if given is not None:
            return given
        while True:
            answer = self._prompt(option, question, default)
            if (fault := _fault_of(answer, check)) is None:
                self._answered.append((option, answer))
                return answer
            say(fault, err=True)

    def _prompt(self, option: str, question: str, default: str | None) -> str:
        try:
            answer = prompt(question, default)
        except click.Abort:
            if sys.stdin.isatty():
                raise
            say(err=True)
            if default is None:
                raise click.UsageError(f"standard input has ended: give {option}") from None
            return default
        return "" if answer == "-" else answer

    def ask_when_unreachable(self) -> str:
        """Ask for `when_unreachable`, the one choice that has no default."""
        say("When a host does not answer at all, locum cannot know whether it is dead or cut off:", err=True)
        for line in RISKS.split("; "):
            say(f"  {line}", err=True)
        return self.ask(
            None,
            "--when-unreachable",
            "What is to be done then, takeover or refuse",
            check=_takeover_or_refuse,
        )

    def ask_host(self, question: str, others: Mapping[str, str]) -> tuple[str, str]:
        """Ask for one more host, NAME=ADDRESS, and return name and address."""

        def fits(answer: str) -> None:
            name, address = name_and_address(answer)
            _NAME.validate_python(name)
            _OWN_ADDRESS.validate_python(address)
            if name in others:
                raise ValueError(f"host '{name}' is given twice")
            if address in others.values():
                raise ValueError(f"{address} is another host's address")

        return name_and_address(self.ask(None, "--host", question, check=fits))


def _takeover_or_refuse(answer: str) -> None:
    if answer not in {"takeover", "refuse"}:
        raise ValueError("answer takeover or refuse")


def _fault_of(answer: str, check: Check | None) -> str | None:
    """Return why an answer is invalid, in one line; None if it is valid."""
    if check is None:
        return None
    try:
        check(answer)
    except ValidationError as invalid:
        error = invalid.errors(include_url=False)[0]
        return str(error["ctx"]["error"] if error["type"] == "value_error" else error["msg"])
    except ValueError as fault:
        return str(fault)
    return None


_NAME: TypeAdapter[str] = TypeAdapter(Name)
_OWN_ADDRESS: TypeAdapter[Address] = TypeAdapter(OwnAddress)

is_name: Check = _NAME.validate_python
is_own_address: Check = _OWN_ADDRESS.validate_python
is_service_address: Check = TypeAdapter(ServiceAddress).validate_python
is_interface: Check = TypeAdapter(InterfaceName).validate_python
is_command: Check = TypeAdapter(CommandLine).validate_python


def is_url(answer: str) -> None:
    """Raise ValueError unless the answer is empty or a URL that a check can request."""
    if answer:
        HttpCheck(url=answer)


def is_process(answer: str) -> None:
    """Raise ValueError unless the answer is empty or the name of a process."""
    if answer:
        ProcessCheck(name=answer)


def name_and_address(pair: str) -> tuple[str, str]:
    """Return name and address from NAME=ADDRESS; raise ValueError for anything else."""
    name, equals, address = pair.partition("=")
    if not equals or not name or not address:
        raise ValueError(f"'{pair}' is not a host and its address: write NAME=ADDRESS")
    return name, address


def named_addresses(given: tuple[str, ...], questions: Questions) -> dict[str, str]:
    """Return the hosts, name and address, from the options; without options ask for two."""
    hosts: dict[str, str] = {}
    if not given:
        for question in ("Preferred host, as NAME=ADDRESS", "Standby host, as NAME=ADDRESS"):
            name, address = questions.ask_host(question, hosts)
            hosts[name] = address
        return hosts
    for pair in given:
        try:
            name, address = name_and_address(pair)
        except ValueError as fault:
            raise click.UsageError(str(fault)) from None
        if name in hosts:
            raise click.UsageError(f"host '{name}' is given twice")
        hosts[name] = address
    return hosts


def default_route() -> DefaultRoute | None:
    """Read the IPv4 default route from the kernel (proc(5), /proc/net/route: hexadecimal, host byte order)."""
    try:
        rows = [line.split() for line in _ROUTES.read_text(encoding="ascii").splitlines()[1:]]
    except OSError:
        return None
    for row in rows:
        if len(row) > 2 and row[1] == "00000000" and row[2] != "00000000":
            gateway = int(row[2], 16).to_bytes(4, sys.byteorder)
            return DefaultRoute(row[0], str(IPv4Address(gateway)))
    return None
