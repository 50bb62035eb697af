"""A host and a port that a program listens on, as it is written on command lines."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address

_DIALLED = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - not bound here, but never dialled


@dataclass(frozen=True, slots=True)
class Listen:
    """Where a program listens, or is reached. No host at all means every address of the machine."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Listen:
        """Read `HOST:PORT`, an IPv6 address in brackets; raise `ValueError` saying what would be right."""
        host, colon, port = text.rpartition(":")
        if host.startswith("[") and host.endswith("]"):
            host = host[1:-1]
        elif ":" in host:
            raise ValueError(f"'{text}': write an IPv6 address in brackets, as in [::1]:{port}")
        if not colon or not port.isascii() or not port.isdigit() or not 1 <= int(port) <= 65535:
            raise ValueError(f"'{text}' is not HOST:PORT, as in 127.0.0.1:9090")
        return cls(host, int(port))

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        """The address as a browser on this machine takes it."""
        return f"http://{Listen(_DIALLED.get(self.host, self.host), self.port)}"

    @property
    def is_loopback(self) -> bool:
        """Tell whether it is for this machine alone."""
        return is_loopback(self.host)


def is_loopback(host: str) -> bool:
    """Tell whether a host, by address or name, is this machine over its loopback interface."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
