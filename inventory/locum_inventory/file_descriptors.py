"""How many files and sockets this program may have open."""

from __future__ import annotations

import resource

WANTED = 16384


def raise_limit(wanted: int = WANTED) -> int:
    """Raise the limit as far as wanted and allowed; return what it is now.

    The usual 1024 can be used up by other users' connections, and then no host can be asked any more. It is so low
    for programs that use select(2), which ours do not.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return soft
    wanted = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(wanted, soft), hard))
    return max(wanted, soft)
