"""Write systemd units: exporter and actuator for an existing Prometheus, or `locum up` as one service.

The capabilities are ambient, because neither runs as root. Some hardening is missing on purpose: the gate runs
through sudo, and a service that it starts on this host is a child of the actuator and inherits the restrictions of
its unit. systemd.exec(5), systemd.kill(5).
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from locum_actuator.domain.patience import end_seconds
from locum_actuator.stack.layout import StackLayout

EXPORTER, ACTUATOR, UP = "locum-exporter.service", "locum-actuator.service", "locum-up.service"
SOCKET = "locum-actuator.socket"

# CAP_NET_RAW is for its own pings. The others are for the gate's read-only commands, the only ones that an exporter
# may run: sudo needs CAP_SETUID and CAP_SETGID to become root, CAP_AUDIT_WRITE for an audit record.
_EXPORTER_CAPABILITIES = (
    "CAP_NET_RAW CAP_SETUID CAP_SETGID CAP_AUDIT_WRITE CAP_DAC_READ_SEARCH CAP_SYS_RESOURCE"
)

_SUDO = """\
# Do not set NoNewPrivileges, or any option that implies it for a user that is not
# root: SystemCallFilter, RestrictAddressFamilies, RestrictNamespaces, RestrictSUIDSGID, PrivateDevices,
# ProtectKernel*, ProtectClock, ProtectHostname, LockPersonality, MemoryDenyWriteExecute. This host's gate is run
# through sudo.
"""


def units(stack: StackLayout, site_file: Path) -> Mapping[str, str]:
    """Return the text of each unit file by its name: three that belong together, and one that replaces them."""
    return {
        EXPORTER: _exporter(stack, site_file),
        SOCKET: _socket(stack),
        ACTUATOR: _actuator(stack, site_file),
        UP: _up(stack, site_file),
    }


def _word(text: object) -> str:
    """Return one word of a setting, as systemd.syntax(7) and systemd.unit(5) read it."""
    plain = str(text).replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{plain}"' if any(c in plain for c in " \t'\";") else plain


def _command(name: str, *words: object) -> str:
    program = Path(sys.executable).with_name(name)
    # Only a command line expands `$` (systemd.service(5)).
    return " ".join(_word(word).replace("$", "$$") for word in (program, *words))


def _head(description: str, kind: str = "notify", instead_of: str = "", socket: str = "") -> str:
    return f"""\
[Unit]
Description={description}
Wants=network-online.target{" " + socket if socket else ""}
After=network-online.target{" " + socket if socket else ""}
{f"Conflicts={instead_of}{chr(10)}" if instead_of else ""}\
# No limit: at night there is no person to reset the start counter.
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


# What the actuator needs, as its own service or under `locum up`.
_FOR_THE_ACTUATOR = f"""\
ExecReload=kill -HUP $MAINPID
# For addresses and their announcement.
AmbientCapabilities=CAP_NET_ADMIN CAP_NET_RAW
# CapabilityBoundingSet is not set: a program that the gate starts as root here may need any capability.
{_SUDO}\
# Do not set any option that changes the view of the file system (ProtectSystem, PrivateTmp ...): a service that is
# started here on takeover would inherit it. Use `systemctl start ...` in commands.start: then the service runs in
# its own unit, and is not affected.
#
# After a stop a held address and the service stay where they are: an upgrade is not an outage. With the default
# KillMode systemd would kill every service that the actuator has started.
KillMode=process
"""


def _exporter(stack: StackLayout, site_file: Path) -> str:
    return f"""\
# /etc/systemd/system/{EXPORTER}, made by `locum generate systemd`.
{_head("locum exporter: checks hosts and services on request")}\
ExecStart={_command("locum-exporter", "--site", site_file.resolve(), "--listen", stack.exporter)}
ExecReload=kill -HUP $MAINPID
# For pings and ARP.
AmbientCapabilities=CAP_NET_RAW
# The most that it can get, through sudo as well: it checks, and changes nothing.
CapabilityBoundingSet={_EXPORTER_CAPABILITIES}
{_SUDO}\
# It answers on the network, so it gets no access to tokens and keys.
InaccessiblePaths={_hidden(stack)}
ProtectSystem=full
ProtectHome=read-only
ProtectControlGroups=yes
PrivateTmp=yes
UMask=0077
# It notifies the watchdog while its event loop runs.
WatchdogSec=15
TimeoutStopSec=10
{_TAIL}"""


def _hidden(stack: StackLayout) -> str:
    """Return the paths that the exporter does not need; `-` ignores those that do not exist."""
    actuator = stack.site.actuator
    paths = [actuator.state_directory, actuator.webhook_token_file]
    paths += [] if actuator.api_token_file is None else [actuator.api_token_file]
    return " ".join(_word(f"-{path}") for path in paths)


def _socket(stack: StackLayout) -> str:
    return f"""\
# /etc/systemd/system/{SOCKET}, made by `locum generate systemd`.
# systemd keeps the actuator's ports open while it is not running, so that no other user can listen on them.
[Unit]
Description=locum actuator: its ports

[Socket]
ListenStream={stack.actuator}
ListenStream={stack.webhook}
Backlog=1024

[Install]
WantedBy=sockets.target
"""


def _actuator(stack: StackLayout, site_file: Path) -> str:
    words = ["--site", site_file.resolve(), "--listen", stack.actuator, "--webhook-listen", stack.webhook]
    return f"""\
# /etc/systemd/system/{ACTUATOR}, made by `locum generate systemd`.
{_head("locum actuator: evaluates alerts, respawns services or takes them over", socket=SOCKET)}\
ExecStart={_command("locum-actuator", *words)}
{_FOR_THE_ACTUATOR}\
# It notifies the watchdog while every worker makes progress and its HTTP server answers.
WatchdogSec=30
# A plan that has started is finished first, within the site file's start_timeout and stop_timeout.
TimeoutStopSec={end_seconds(stack.site) + 15:.0f}
{_TAIL}"""


def _up(stack: StackLayout, site_file: Path) -> str:
    listens = {
        "exporter": stack.exporter,
        "actuator": stack.actuator,
        "webhook": stack.webhook,
        "prometheus": stack.prometheus,
    }
    words: list[object] = [word for name, on in listens.items() for word in (f"--{name}-listen", on)]
    words += [word for on in stack.alertmanagers for word in ("--alertmanager-listen", on)]
    instead_of = f"{EXPORTER} {SOCKET} {ACTUATOR}"
    return f"""\
# /etc/systemd/system/{UP}, made by `locum generate systemd --only up`.
{_head("locum: exporter, Prometheus, Alertmanager and actuator", "exec", instead_of)}\
ExecStart={_command("locum", "--site", site_file.resolve(), "up", *words)}
{_FOR_THE_ACTUATOR}\
# It stops its children in order, and a plan that has started is finished first. If it is killed, the kernel kills
# them too (PR_SET_PDEATHSIG).
TimeoutStopSec={end_seconds(stack.site) + 40:.0f}
{_TAIL}"""
