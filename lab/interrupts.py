"""Restore SIGINT, which is ignored in programs that a shell script started in the background (POSIX sh, 2.11)."""

from __future__ import annotations

import signal
import threading


def hear_interrupts() -> None:
    """Make SIGINT raise KeyboardInterrupt again if this process was started with SIGINT ignored.

    A lab must end on SIGINT no matter how it was started. A handler that the program has set is kept.
    """
    if (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    ):
        signal.signal(signal.SIGINT, signal.default_int_handler)
