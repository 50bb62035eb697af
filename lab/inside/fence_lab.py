#!/usr/bin/python3 -ISB
"""A fence agent for hosts of the lab, with the interface of ClusterLabs' agents (FenceAgentAPI.md).

It reads `key=value` lines on standard input and calls the lab's power switch, which listens on a Unix socket in
this host's /run. It exits with 0 when done or on, with 2 if `status` finds the host off, and with 1 otherwise.
"""

from __future__ import annotations

import json
import socket
import sys

SOCKET = "/run/lab-power.sock"
ANSWER_SECONDS = 30.0


def main() -> int:
    """Read the options, call the switch, print its answer."""
    lines = (line.strip() for line in sys.stdin)
    options = dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
    request = {
        "action": options.get("action", "reboot"),
        "plug": options.get("plug") or options.get("nodename", ""),
        "password": options.get("password", ""),
    }
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(ANSWER_SECONDS)
            connection.connect(SOCKET)
            connection.sendall(json.dumps(request).encode() + b"\n")
            with connection.makefile("rb") as answers:
                answer = json.loads(answers.readline())
    except (OSError, ValueError) as fault:
        sys.stderr.write(f"Unable to connect/login to fencing device: {fault}\n")
        return 1
    (sys.stderr if answer["status"] == 1 else sys.stdout).write(answer["text"] + "\n")
    return int(answer["status"])


if __name__ == "__main__":
    sys.exit(main())
