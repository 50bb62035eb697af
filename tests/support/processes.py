"""What tests ask about processes that are not their children."""

from __future__ import annotations

from pathlib import Path

from tests.support.polling import wait_for


def alive(pid: int) -> bool:
    """Whether a process runs. A zombie does not: in many a container process 1 collects no orphans."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def wait_for_name(pid: int, name: str) -> None:
    """Wait until a process that was just started has its program's name.

    `subprocess.Popen` returns once the kernel has closed the descriptors that are not inherited, and the name is
    set a moment later (`begin_new_exec` in Linux' fs/exec.c). Until then the process has its parent's name.
    """
    wait_for(lambda: Path(f"/proc/{pid}/comm").read_text() == f"{name}\n", f"process {pid} is named {name}")
