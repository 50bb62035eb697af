"""Hold a lab's namespaces open, and end them when the process that created the lab ends.

It is process 1 of a PID namespace, and every process of the lab is in that namespace or in one below it. When it
ends, the kernel kills them all and removes their resources: networks, bridge, mounts, disks. It waits on a pidfd of
the lab's creator, which becomes readable when that process ends for any reason, including kill -9 (pidfd_open(2),
pid_namespaces(7)).

Usage: anchor.py OWNER_PIDFD REPORT_FD
"""

from __future__ import annotations

import os
import select
import signal
import sys
from pathlib import Path


def main() -> None:
    """Report the machine's process id of this process, then wait for the owner to end."""
    owner_fd, report_fd = (int(word) for word in sys.argv[1:3])
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # orphans come to process 1: let the kernel reap them
    # /proc is still the machine's, so this link has the machine's process id.
    os.write(report_fd, bytes(Path("/proc/self").readlink()) + b"\n")
    os.close(report_fd)
    owner = select.poll()
    owner.register(owner_fd, select.POLLIN)
    while not owner.poll():
        pass


if __name__ == "__main__":
    main()
