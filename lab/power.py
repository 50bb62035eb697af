"""The lab's power switch: it cuts or restores a host's port and power on request of a fence agent.

`fence_lab` (inside/fence_lab.py) is the agent. It reaches the switch over a Unix socket in its own host's /run:
like a real controller, the switch is reachable even if the network of the host to be fenced is down.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import socket
import threading
import time
from pathlib import Path
from typing import Literal

from lab.host import Host
from lab.lab import Lab
from lab.namespaces import INSIDE
from lab.needs import LabError

AGENT = "usr/sbin/fence_lab"
SOCKET = "run/lab-power.sock"
REQUEST_SECONDS = 5.0
END_SECONDS = 40.0  # a boot that is under way is completed first
ON, FAILED, OFF = 0, 1, 2  # exit statuses of an agent

Temper = Literal[
    "sound", "refuses", "claims"
]  # works; does nothing and reports failure; does nothing and reports success


class PowerSwitch:
    """Answers the agent on one host until it is closed. `temper` makes it fail; `switched` lists its actions."""

    def __init__(self, lab: Lab, host: Host) -> None:
        self.temper: Temper = "sound"
        self.password = secrets.token_hex(8)
        self.switched: list[tuple[float, str, str]] = []  # time.time(), off or on, host
        self._lab = lab
        agent = host.root / AGENT
        agent.unlink(missing_ok=True)
        agent.write_text((INSIDE / "fence_lab.py").read_text("utf-8"), encoding="utf-8")
        agent.chmod(0o755)
        self._socket = self._listen(host.root / SOCKET)
        self._thread = threading.Thread(target=self._serve, name="lab-power", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop answering; an action that is under way is completed first."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # wakes accept
        self._thread.join(END_SECONDS)
        self._socket.close()

    @staticmethod
    def _listen(path: Path) -> socket.socket:
        path.unlink(missing_ok=True)
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            listening.bind(str(path))
            path.chmod(0o666)  # anyone with the password may use it, as with a real one
            listening.listen()
        except BaseException:
            listening.close()
            raise
        return listening

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection, contextlib.suppress(OSError):
                connection.settimeout(REQUEST_SECONDS)
                with connection.makefile("rb") as lines:
                    status, text = self._answer(lines.readline(4096))
                connection.sendall(json.dumps({"status": status, "text": text}).encode() + b"\n")

    def _answer(self, line: bytes) -> tuple[int, str]:
        try:
            asked = json.loads(line)
            if asked["password"] != self.password:
                return FAILED, "Unable to connect/login to fencing device"
            host = self._lab.hosts[asked["plug"]]
            return self._carry_out(asked["action"], host)
        except (ValueError, KeyError, TypeError):
            return FAILED, "Failed: Unable to obtain correct plug status or plug is not available"
        except LabError as fault:
            return FAILED, f"Failed: {fault}"

    def _carry_out(self, action: str, host: Host) -> tuple[int, str]:
        if action == "status":
            return (ON, "Status: ON") if host.up else (OFF, "Status: OFF")
        if action not in {"off", "on"}:
            return FAILED, f"Failed: {action} is not known"
        if self.temper == "refuses":
            return FAILED, f"Failed: Timed out waiting to power {action.upper()}"
        if self.temper == "sound":
            if action == "off":
                host.power_off()
            elif not host.up:
                host.boot()
            self.switched.append((time.time(), action, host.name))
        return 0, f"Success: Powered {action.upper()}"
