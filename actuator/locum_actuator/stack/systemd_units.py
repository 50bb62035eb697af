"""Unit files for systemd: exporter and actuator as services beside an existing Prometheus, or `locum up` as one.

The capabilities are ambient, for neither runs as root. What looks like hardening left out was left out on purpose:
the gate runs through sudo, and a service that it starts on this host is a child of the actuator, with all that its
unit was given. systemd.exec(5), systemd.kill(5).
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from locum_actuator.domain.patience import end_seconds
from locum_actuator.stack.layout import StackLayout

EXPORTER, ACTUATOR, UP = "locum-exporter.service", "locum-actuator.service", "locum-up.service"
SOCKET = "locum-actuator.socket"

# What the gate needs when it only looks, which is all that an exporter may ask of it: sudo becomes root by two of
# them and writes an audit record by the third.
_LOOKING = "CAP_NET_RAW CAP_SETUID CAP_SETGID CAP_AUDIT_WRITE CAP_DAC_READ_SEARCH CAP_SYS_RESOURCE"

_SUDO = """\
# Not set, and not to be: NoNewPrivileges, and what implies it for a user that is not
# root: SystemCallFilter, RestrictAddressFamilies, RestrictNamespaces, RestrictSUIDSGID, PrivateDevices,
# ProtectKernel*, ProtectClock, ProtectHostname, LockPersonality, MemoryDenyWriteExecute. This host's gate is run
# through sudo.
"""


def units(chain: StackLayout, site_file: Path) -> Mapping[str, str]:
    """Return the text of each unit file by its name: three that go together, and one that stands in for them."""
    return {
        EXPORTER: _exporter(chain, site_file),
        SOCKET: _socket(chain),
        ACTUATOR: _actuator(chain, site_file),
        UP: _up(chain, site_file),
    }


def _word(text: object) -> str:
    """Return one word of a command line, as systemd.service(5) reads it."""
    plain = str(text).replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{plain}"' if any(c in plain for c in " \t'\";") else plain


def _command(name: str, *words: object) -> str:
    program = Path(sys.executable).with_name(name)
    return " ".join(_word(word) for word in (program, *words))


def _head(description: str, kind: str = "notify", instead_of: str = "", socket: str = "") -> str:
    return f"""\
[Unit]
Description={description}
Wants=network-online.target{" " + socket if socket else ""}
After=network-online.target{" " + socket if socket else ""}
{f"Conflicts={instead_of}{chr(10)}" if instead_of else ""}\
# Nobody is there at night to reset a counter of starts.
StartLimitIntervalSec=0

[Service]
Type={kind}
{"NotifyAccess=main" + chr(10) if kind == "notify" else ""}\
User=locum
"""


_TAIL = """\
Restart=on-failure
RestartSec=2

[Install]
WantedBy=multi-user.target
"""


# What the actuator needs, by itself or under `locum up`.
_HANDS = f"""\
ExecReload=kill -HUP $MAINPID
# For addresses and their announcement.
AmbientCapabilities=CAP_NET_ADMIN CAP_NET_RAW
# CapabilityBoundingSet is not set either: what a gate starts as root here may need any of them.
{_SUDO}\
# Nor anything that changes what a process sees of the file system (ProtectSystem, PrivateTmp ...): a service that
# is started here on takeover would see the same. Best let commands.start be `systemctl start ...`: then the service
# is in a unit of its own, and none of this touches it.
#
# A stop leaves a held address where it is, and the service too: an upgrade is no outage. With the usual KillMode
# systemd would kill whatever the actuator has started.
KillMode=process
"""


def _exporter(chain: StackLayout, site_file: Path) -> str:
    return f"""\
# /etc/systemd/system/{EXPORTER}, made by `locum generate systemd`.
{_head("locum exporter: looks at hosts and services when asked")}\
ExecStart={_command("locum-exporter", "--site", site_file.resolve(), "--listen", chain.exporter)}
ExecReload=kill -HUP $MAINPID
# For pings and ARP.
AmbientCapabilities=CAP_NET_RAW
# All that it can ever have, through sudo as well: it looks, and changes nothing.
CapabilityBoundingSet={_LOOKING}
{_SUDO}\
# It answers on the network. What others authenticate with is none of its business.
InaccessiblePaths={_hidden(chain)}
ProtectSystem=full
ProtectHome=read-only
ProtectControlGroups=yes
PrivateTmp=yes
UMask=0077
# It says that it is alive while its event loop turns.
WatchdogSec=15
TimeoutStopSec=10
{_TAIL}"""


def _hidden(chain: StackLayout) -> str:
    """Return the paths that the exporter has no use for, each where it is there."""
    actuator = chain.site.actuator
    paths = [actuator.state_directory, actuator.webhook_token_file]
    paths += [] if actuator.api_token_file is None else [actuator.api_token_file]
    return " ".join(_word(f"-{path}") for path in paths)


def _socket(chain: StackLayout) -> str:
    return f"""\
# /etc/systemd/system/{SOCKET}, made by `locum generate systemd`.
# systemd holds the ports of the actuator also while it is not running: no other user can listen there meanwhile.
[Unit]
Description=locum actuator: its ports

[Socket]
ListenStream={chain.actuator}
ListenStream={chain.webhook}
Backlog=1024

[Install]
WantedBy=sockets.target
"""


def _actuator(chain: StackLayout, site_file: Path) -> str:
    words = ["--site", site_file.resolve(), "--listen", chain.actuator, "--webhook-listen", chain.webhook]
    return f"""\
# /etc/systemd/system/{ACTUATOR}, made by `locum generate systemd`.
{_head("locum actuator: looks again, decides, respawns or takes over", socket=SOCKET)}\
ExecStart={_command("locum-actuator", *words)}
{_HANDS}\
# It says that it is alive while every worker moves and its HTTP server answers.
WatchdogSec=30
# A plan that has begun is finished first, as far as the site file's start_timeout and stop_timeout let it.
TimeoutStopSec={end_seconds(chain.site) + 15:.0f}
{_TAIL}"""


def _up(chain: StackLayout, site_file: Path) -> str:
    listens = {
        "exporter": chain.exporter,
        "actuator": chain.actuator,
        "webhook": chain.webhook,
        "prometheus": chain.prometheus,
    }
    words: list[object] = [word for name, on in listens.items() for word in (f"--{name}-listen", on)]
    words += [word for on in chain.alertmanagers for word in ("--alertmanager-listen", on)]
    instead_of = f"{EXPORTER} {SOCKET} {ACTUATOR}"
    return f"""\
# /etc/systemd/system/{UP}, made by `locum generate systemd --only up`.
{_head("locum: exporter, Prometheus, Alertmanager and actuator", "exec", instead_of)}\
ExecStart={_command("locum", "--site", site_file.resolve(), "up", *words)}
{_HANDS}\
# It ends its children in order, and a plan that has begun is finished first. They die with it in any case.
TimeoutStopSec={end_seconds(chain.site) + 40:.0f}
{_TAIL}"""
