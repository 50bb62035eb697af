"""The switch: a bridge in its own network namespace, and the faults of its ports."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from lab.namespaces import command
from lab.plan import CARD, Place
from lab.relay import Relay

Direction = Literal["in", "out", "both"]  # from the host's point of view

_BRIDGE = "switch"
# The traffic that a cut drops if ARP passes, and with it IPv6's equivalent: solicitations and advertisements.
_ALL_BUT_ARP = (
    "ether type != { arp, ip6 } ",
    "ether type ip6 meta l4proto != ipv6-icmp ",
    "icmpv6 type != { nd-neighbor-solicit, nd-neighbor-advert } ",
)


def port(name: str) -> str:
    """Return the name of the switch's end of a host's cable, which is its port unless a relay is in between."""
    return f"port-{name}"


def slow_port(name: str) -> str:
    """Return the name of the port of a host whose frames go through a relay."""
    return f"slow-{name}"


@dataclass
class WireFaults:
    """The faults of the wires. `rules()` expresses them for nftables."""

    dead: set[str] = field(default_factory=set)  # hosts with all traffic dropped in both directions
    parted: dict[tuple[str, str], bool] = field(default_factory=dict)  # (from, to); whether ARP is also cut
    lost: dict[tuple[str, Literal["in", "out"]], float] = field(default_factory=dict)  # share of frames lost
    slow: dict[str, float] = field(default_factory=dict)  # delay of each frame in seconds, each way

    def heal(self, host: str) -> None:
        """Remove all faults of a host."""
        self.dead.discard(host)
        self.parted = {pair: arp for pair, arp in self.parted.items() if host not in pair}
        self.lost = {(name, way): share for (name, way), share in self.lost.items() if name != host}
        self.slow.pop(host, None)

    def rules(self) -> str:
        """Return the whole table in nftables' language; loading it replaces the previous one (nft(8))."""
        lines = "".join(f"    {rule}\n" for rule in self.list())
        chain = f"  chain wires {{\n    type filter hook forward priority 0; policy accept;\n{lines}  }}\n"
        return f"table bridge lab\ndelete table bridge lab\ntable bridge lab {{\n{chain}}}\n"

    def list(self) -> Iterator[str]:
        """Yield each rule, one line of nftables' language."""
        for host in sorted(self.dead):
            yield f'iifname "{self._port(host)}" drop'
            yield f'oifname "{self._port(host)}" drop'
        for (one, other), arp in sorted(self.parted.items()):
            for what in ("",) if arp else _ALL_BUT_ARP:
                yield f'iifname "{self._port(one)}" oifname "{self._port(other)}" {what}drop'
        for (host, way), share in sorted(self.lost.items()):
            if share == 0:
                continue
            side = "oifname" if way == "in" else "iifname"
            of_10000 = round(share * 10000)  # nftables rejects a comparison that is always true
            some = f"numgen random mod 10000 < {of_10000} " if of_10000 < 10000 else ""
            yield f'{side} "{self._port(host)}" {some}drop'

    def _port(self, host: str) -> str:
        return slow_port(host) if host in self.slow else port(host)


class Switch:
    """One bridge; a host's cable is a veth pair. `anchor` is a process in the switch's network namespace."""

    def __init__(self, anchor: int) -> None:
        self._pid = anchor
        self.faults = WireFaults()
        self._relays: dict[str, Relay] = {}
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
        self._slow_down(place.name)

    def set_carrier(self, host: str, on: bool) -> None:
        """Pull or plug a host's cable: its card loses or gains its carrier."""
        self._ip(f"link set {port(host)} {'up' if on else 'down'}")

    def unplug(self, host: str) -> None:
        """Remove a host's card and cable."""
        self._speed_up(host)
        self._ip(f"link delete {port(host)}")

    def apply(self) -> None:
        """Apply `faults` to the wires. Frames in transit in a relay are lost."""
        for host in [*self._relays]:
            if self._relays[host].seconds != self.faults.slow.get(host):
                self._speed_up(host)
        for host in self.faults.slow:
            self._slow_down(host)
        command(self._pid, "n", ["nft", "-f", "-"], text=self.faults.rules())

    def _slow_down(self, host: str) -> None:
        """Put a relay between a host's cable and the bridge, if it is wanted and not yet there."""
        if host not in self.faults.slow or host in self._relays or not self._plugged(host):
            return
        self._ip(
            f"link add {slow_port(host)} type veth peer name {_far(host)}",
            f"link set {_far(host)} addrgenmode none up",
            f"link set {slow_port(host)} master {_BRIDGE} up",
            f"link set {port(host)} addrgenmode none",
        )
        relay = Relay(self._pid, port(host), _far(host), self.faults.slow[host])
        self._ip(f"link set {port(host)} nomaster")
        relay.begin()
        self._relays[host] = relay

    def _speed_up(self, host: str) -> None:
        """Remove the relay and connect the cable to the bridge again."""
        relay = self._relays.pop(host, None)
        if relay is None:
            return
        relay.end()
        self._ip(f"link delete {slow_port(host)}", f"link set {port(host)} master {_BRIDGE}")

    def _plugged(self, host: str) -> bool:
        return f" {port(host)}@" in command(self._pid, "n", ["ip", "-oneline", "link"])

    def _ip(self, *lines: str) -> None:
        command(self._pid, "n", ["ip", "-batch", "-"], text="\n".join(lines) + "\n")


def _far(host: str) -> str:
    """Return the name of the relay's own end of a slow port."""
    return f"far-{host}"
