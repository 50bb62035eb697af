"""SIGINT for programs that a shell script started in the background: there it is ignored (POSIX sh, 2.11)."""

from __future__ import annotations

import signal
import threading


def hear_interrupts() -> None:
    """Have SIGINT raise KeyboardInterrupt again where this process was started with it ignored.

    A lab has to end by SIGINT however it was started. A handler that a program has set itself stays.
    """
    if (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    ):
        signal.signal(signal.SIGINT, signal.default_int_handler)
