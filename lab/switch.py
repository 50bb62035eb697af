"""The switch: a bridge in a network namespace of its own, and what its ports do not let through."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from lab.namespaces import command
from lab.plan import CARD, Place

Direction = Literal["in", "out", "both"]  # as the host sees it

_BRIDGE = "switch"


def port(name: str) -> str:
    """Return the name of a host's port."""
    return f"port-{name}"


@dataclass
class WireFaults:
    """What is wrong with the wires, as the lab wants it. `rules()` says the same to nftables."""

    dead: set[str] = field(default_factory=set)  # hosts to and from which nothing passes
    parted: dict[tuple[str, str], bool] = field(default_factory=dict)  # pairs; whether ARP is cut as well
    lost: dict[tuple[str, Literal["in", "out"]], float] = field(default_factory=dict)  # share of frames lost

    def heal(self, host: str) -> None:
        """Forget every fault that has to do with a host."""
        self.dead.discard(host)
        self.parted = {pair: arp for pair, arp in self.parted.items() if host not in pair}
        self.lost = {(name, way): share for (name, way), share in self.lost.items() if name != host}

    def rules(self) -> str:
        """Return the whole table in nftables' language; loaded at once, it replaces what was there (nft(8))."""
        lines = "".join(f"    {rule}\n" for rule in self.list())
        chain = f"  chain wires {{\n    type filter hook forward priority 0; policy accept;\n{lines}  }}\n"
        return f"table bridge lab\ndelete table bridge lab\ntable bridge lab {{\n{chain}}}\n"

    def list(self) -> Iterator[str]:
        """Yield each rule, one line of nftables' language."""
        for host in sorted(self.dead):
            yield f'iifname "{port(host)}" drop'
            yield f'oifname "{port(host)}" drop'
        for (one, other), arp in sorted(self.parted.items()):
            but = "" if arp else "ether type != arp "
            yield f'iifname "{port(one)}" oifname "{port(other)}" {but}drop'
            yield f'iifname "{port(other)}" oifname "{port(one)}" {but}drop'
        for (host, way), share in sorted(self.lost.items()):
            if share == 0:
                continue
            side = "oifname" if way == "in" else "iifname"
            of_10000 = round(share * 10000)  # nftables refuses a comparison that is always true
            some = f"numgen random mod 10000 < {of_10000} " if of_10000 < 10000 else ""
            yield f'{side} "{port(host)}" {some}drop'


class Switch:
    """One bridge; a host's cable is a veth pair. `pid` is a process in the switch's network namespace."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self.faults = WireFaults()
        self._ip(
            f"link add {_BRIDGE} type bridge stp_state 0 forward_delay 0 mcast_snooping 0",
            f"link set {_BRIDGE} up",
            "link set lo up",
        )

    def plug(self, place: Place, pid: int) -> None:
        """Put a card into the network namespace of process `pid` and its cable into a port."""
        name = port(place.name)
        self._ip(
            f"link add {name} type veth peer name {CARD} address {place.mac} netns {pid}",
            f"link set {name} master {_BRIDGE} up",
        )

    def set_carrier(self, host: str, on: bool) -> None:
        """Pull or plug a host's cable: its card notices."""
        self._ip(f"link set {port(host)} {'up' if on else 'down'}")

    def unplug(self, host: str) -> None:
        """Take a host's card and cable away."""
        self._ip(f"link delete {port(host)}")

    def apply(self) -> None:
        """Make the wires be as `faults` says, all at once."""
        command(self._pid, "n", ["nft", "-f", "-"], text=self.faults.rules())

    def _ip(self, *lines: str) -> None:
        command(self._pid, "n", ["ip", "-batch", "-"], text="\n".join(lines) + "\n")
