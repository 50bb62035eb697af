"""A host and port to listen on, as given on command lines."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address

_DIALLED = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - not bound here, but never dialled


@dataclass(frozen=True, slots=True)
class Listen:
    """The host and port at which a program listens or is reached. No host means all addresses of the machine."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Listen:
        """Parse `HOST:PORT`, with an IPv6 address in brackets; raise `ValueError` with a hint if it is invalid."""
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
        """The URL for a browser on this machine."""
        return f"http://{Listen(_DIALLED.get(self.host, self.host), self.port)}"

    @property
    def is_loopback(self) -> bool:
        """Return whether only this machine can connect to it."""
        return is_loopback(self.host)


def is_loopback(host: str) -> bool:
    """Return whether a host, given as address or name, is the loopback interface."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
