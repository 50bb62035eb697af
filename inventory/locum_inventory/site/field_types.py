"""The types of single values in a site file: names, addresses, paths, command lines."""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface, ip_address, ip_interface
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict

Address = IPv4Address | IPv6Address
InterfaceAddress = IPv4Interface | IPv6Interface  # an address with the prefix length of its network
Interval = Literal["100ms", "250ms", "1s", "5s", "15s"]

INTERVAL_SECONDS: Mapping[str, float] = {"100ms": 0.1, "250ms": 0.25, "1s": 1.0, "5s": 5.0, "15s": 15.0}
DEFAULT_EXPORTER_URL = "http://127.0.0.1:10751"

_NAME = re.compile(r"[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?")
_INTERFACE = re.compile(r"[^\s/:]{1,15}")


def _name(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise ValueError(
            f"is '{value}', which cannot be a name: use 1 to 63 of a-z, 0-9, '-' and '_',"
            " a letter or digit at both ends"
        )
    return value


def _interface_name(value: str) -> str:
    if not _INTERFACE.fullmatch(value) or value in {".", ".."}:
        raise ValueError(
            f"is '{value}', which cannot be an interface: use 1 to 15 characters, none of them a space, '/' or ':'"
        )
    return value


def _one_line(value: str) -> str:
    if not value.strip():
        raise ValueError("is empty: give a command line")
    if "\n" in value or "\0" in value:
        raise ValueError("has several lines: give one command line, or the path of a script")
    return value


def _no_zone(value: str) -> None:
    # Python accepts any text as a zone, even `fe80::1%;reboot`, and an address with a zone works on one host only.
    if "%" in value:
        raise ValueError(f"is '{value}': give a global or unique local address, without a zone ('%')")


def _own_address(value: Any) -> Any:
    if isinstance(value, str):
        if "/" in value:
            raise ValueError(f"is '{value}': give the address alone, without a prefix length")
        _no_zone(value)
        try:
            return ip_address(value)
        except ValueError:
            raise ValueError(
                f"is '{value}': give a numeric IPv4 or IPv6 address, such as 192.0.2.1 or 2001:db8::1"
            ) from None
    return value


def _address_with_prefix(value: Any) -> Any:
    if isinstance(value, str):
        _no_zone(value)
        try:
            return ip_interface(value)
        except ValueError:
            raise ValueError(
                f"is '{value}': give an address with its prefix length, such as 192.0.2.100/24"
                " or 2001:db8::100/64"
            ) from None
    return value


def port_is_sound(url: str) -> bool:
    """Return whether a URL has no port or a valid one; `{host}` may stand for the host."""
    try:
        return urlsplit(url.replace("{host}", "host")).port != 0
    except ValueError:
        return False


def _absolute(value: Path) -> Path:
    if not value.is_absolute():
        raise ValueError(f"is '{value}': give an absolute path")
    return value


Name = Annotated[str, AfterValidator(_name)]
InterfaceName = Annotated[str, AfterValidator(_interface_name)]
CommandLine = Annotated[str, AfterValidator(_one_line)]
AbsolutePath = Annotated[Path, AfterValidator(_absolute)]
OwnAddress = Annotated[Address, BeforeValidator(_own_address)]
ServiceAddress = Annotated[InterfaceAddress, BeforeValidator(_address_with_prefix)]


class Value(BaseModel):
    """The base class of the values here: frozen, and an unknown key is a fault."""

    model_config = ConfigDict(frozen=True, extra="forbid")
