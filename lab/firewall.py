"""Firewalls of hosts: an administrator's own rules that block traffic of a healthy host.

Each verb loads a table of nftables (nft(8)) on the host, and `drop_firewall` removes it.
"""

from __future__ import annotations

import time

from lab.half_dead import HalfDead

TABLE = "lab_firewall"


class Firewall(HalfDead):
    """The verbs."""

    def limit_pings(self, name: str, each_second: int = 1) -> float:
        """Limit answers to this many pings per second, as on a hardened host; all other traffic passes."""
        more = f"limit rate over {each_second}/second burst 1 packets drop"
        return self._load(name, [f"icmp type echo-request {more}", f"icmpv6 type echo-request {more}"])

    def close_service_address(self, name: str) -> float:
        """Drop traffic from other hosts to the service addresses; the host's own address is not affected."""
        return self._load(
            name,
            [
                f'iifname != "lo" {"ip" if address.version == 4 else "ip6"} daddr {address.ip} drop'
                for address in self.service_addresses
            ],
        )

    def drop_firewall(self, name: str) -> float:
        """Remove the rules of the verbs above."""
        moment = time.time()
        self.host(name).run(["nft", "-f", "-"], input=f"table inet {TABLE}\ndelete table inet {TABLE}\n")
        return moment

    def _load(self, name: str, rules: list[str]) -> float:
        text = "\n".join(f"    {rule}" for rule in rules)
        chain = f"  chain input {{\n    type filter hook input priority 0;\n{text}\n  }}"
        moment = time.time()
        self.host(name).run(
            ["nft", "-f", "-"],
            input=f"table inet {TABLE}\ndelete table inet {TABLE}\ntable inet {TABLE} {{\n{chain}\n}}\n",
        )
        return moment
