"""The limit on open files and sockets of this program."""

from __future__ import annotations

import resource

WANTED = 16384


def raise_limit(wanted: int = WANTED) -> int:
    """Raise the limit to `wanted`, as far as allowed; return the limit in effect.

    Other users' connections can exhaust the usual 1024, and then locum can no longer connect to any host. That
    default is low for the sake of programs that use select(2), which locum does not.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return soft
    wanted = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(wanted, soft), hard))
    return max(wanted, soft)
