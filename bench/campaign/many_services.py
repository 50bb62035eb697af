"""Four services more on the hosts of a lab, each with an address, a daemon and commands of its own.

They are there where a scenario hangs many services of one host at once: the host and its www are well, and its gate
has to stop and start others.
"""

from __future__ import annotations

from ipaddress import IPv4Address
from pathlib import Path

from lab.lab import Lab
from lab.locum import Locum
from lab.namespaces import PYTHON
from lab.plan import CARD, NETWORK
from lab.site_text import after

NAMES = ("app1", "app2", "app3", "app4")
ADDRESSES = tuple(IPv4Address(int(NETWORK.network_address) + 111 + number) for number in range(len(NAMES)))
PORTS = tuple(8001 + number for number in range(len(NAMES)))
SERVER = Path(__file__).parent / "inside" / "app.py"
COMMAND = "/usr/local/sbin/lab-app"
STOP_SECONDS = 2  # the time for the daemon to end before it is killed: a hung one takes all of it

# As many an init script does it. A stopped process ends by SIGKILL only.
_COMMAND = f"""#!/bin/sh
case $1 in
start) exec {" ".join(PYTHON)} {SERVER} "$2" "$3" ;;
stop)
    pkill -TERM -x "$2" || exit 0
    sleep {STOP_SECONDS}
    pkill -KILL -x "$2" || :
    ;;
esac
"""
_SERVICE = """\
  {name}:
    hosts: [a, b]
    addresses: [{address}/{prefix}]
    interface: {card}
    checks:
      http: {{url: "http://{{host}}:{port}/", expect_body: well}}
      process: {{name: {name}}}
    interval: 250ms
    commands: {{start: {command} start {name} {port}, stop: {command} stop {name}}}
    takeover: {{when_unreachable: refuse}}
"""


class ManyServices(Locum):
    """locum with www and these services, all on a at first."""

    def own_site(self, text: str) -> str:
        """Return the site file that `init` wrote with these services in it."""
        services = "".join(
            _SERVICE.format(
                name=name, address=address, prefix=NETWORK.prefixlen, card=CARD, port=port, command=COMMAND
            )
            for name, address, port in zip(NAMES, ADDRESSES, PORTS, strict=True)
        )
        return after(super().own_site(text), "services:\n", services)

    def install(self) -> None:
        """Write the daemon's command to both hosts, start all on a, and enrol as ever."""
        for host in ("a", "b"):
            path = self.lab.hosts[host].root / COMMAND.lstrip("/")
            path.write_text(_COMMAND, encoding="ascii")
            path.chmod(0o755)
        for name, address, port in zip(NAMES, ADDRESSES, PORTS, strict=True):
            self.lab.run("a", [COMMAND, "start", name, str(port)])
            self.lab.run("a", ["ip", "address", "add", f"{address}/{NETWORK.prefixlen}", "dev", CARD])
        super().install()


def hang(lab: Lab, host: str) -> bool:
    """SIGSTOP to every daemon of them on a host; return whether there was one."""
    return _signal(lab, host, "-STOP")


def wake(lab: Lab, host: str) -> None:
    """SIGCONT to those that are left."""
    _signal(lab, host, "-CONT")


def _signal(lab: Lab, host: str, signal: str) -> bool:
    done = [lab.run(host, ["pkill", signal, "-x", name], check=False).returncode for name in NAMES]
    return 0 in done
