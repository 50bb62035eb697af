"""Fence agents as small real scripts, each honest or wrong in one way. Files have their input and what they do."""

from __future__ import annotations

from pathlib import Path

# Reads its options as ClusterLabs' agents do, and notes them and its arguments; then one of the endings below.
_HEAD = """#!/bin/sh
DIR=$(dirname "$0")
while read -r line; do
    echo "$line" >> "$DIR/input.$NAME"
    case $line in action=*) action=${line#action=} ;; password=*) password=${line#password=} ;; esac
done
echo "$action" >> "$DIR/actions"
tr '\\0' ' ' < /proc/$$/cmdline >> "$DIR/argv"
is_off() { [ -e "$DIR/off" ]; }
say_status() { if is_off; then echo "Status: OFF"; exit 2; else echo "Status: ON"; exit 0; fi; }
"""

ENDINGS = {
    "honest": 'case $action in off) touch "$DIR/off" ;; on) rm -f "$DIR/off" ;; status) say_status ;; esac',
    "cannot switch on": """
case $action in off) touch "$DIR/off" ;; on) echo "no current" >&2; exit 1 ;; status) say_status ;; esac""",
    # Says 0 at once; the power goes off at the third look.
    "claims success too early": """
case $action in
    off) touch "$DIR/wanted" ;;
    status)
        if [ -e "$DIR/wanted" ]; then echo >> "$DIR/looks"; fi
        if [ -e "$DIR/looks" ] && [ "$(wc -l < "$DIR/looks")" -ge 3 ]; then touch "$DIR/off"; fi
        say_status ;;
esac""",
    "claims success and never is": "case $action in status) say_status ;; esac",
    "hangs at off": "case $action in off) sleep 60 ;; status) say_status ;; esac",
    "hangs at off and has done it": (
        'case $action in off) touch "$DIR/off"; sleep 60 ;; status) say_status ;; esac'
    ),
    "hangs at everything": "sleep 60",
    "leaves a child that holds its output": """
case $action in off) touch "$DIR/off" ;; esac
sleep 60 &
case $action in status) say_status ;; esac""",
    "knows its password": """
[ "$password" = hunter2 ] || { echo "Unable to connect/login to fencing device with $password" >&2; exit 1; }
case $action in off) touch "$DIR/off" ;; status) say_status ;; esac""",
    "fails and has done it": 'case $action in off) touch "$DIR/off"; exit 1 ;; status) say_status ;; esac',
    "dies": "kill -9 $$",
    "prints garbage": (
        "head -c 300000 /dev/urandom; head -c 300000 /dev/urandom >&2;"
        ' case $action in off) touch "$DIR/off" ;; *) exit 77 ;; esac'
    ),
    "ends with 2 like a broken interpreter": "echo 'agent: 3: Syntax error' >&2; exit 2",
    "ends with 2 and nothing else": 'case $action in off) touch "$DIR/off" ;; status) is_off && exit 2 ;; esac',
    "says off and ends with 0": "echo 'Status: OFF'",
}


def make(directory: Path, name: str, ending: str) -> Path:
    """Write one of the agents; several in one directory switch the same power."""
    path = directory / name
    path.write_text(_HEAD.replace("$NAME", name) + ENDINGS[ending] + "\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def actions(directory: Path) -> list[str]:
    """Return what all agents of a directory were asked to do, in order."""
    file = directory / "actions"
    return file.read_text(encoding="utf-8").split() if file.exists() else []
