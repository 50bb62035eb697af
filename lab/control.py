"""Accept verbs over a Unix socket, so that a person can use them from another terminal.

The socket is in the lab's own directory in memory, which only root can access and which disappears with the lab.
One request per connection, one line of JSON each way.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.lab import Lab
from lab.needs import LabError
from lab.switch import Direction

SOCKET = "control.sock"
REQUEST_SECONDS = 5.0  # for a request to be sent
ANSWER_SECONDS = 90.0  # for the slowest verb, a reboot
LONGEST_REQUEST = 4096


@dataclass(frozen=True, slots=True)
class Verb:
    """A verb and its implementation. `least` to `most` words follow the verb."""

    words: str
    help: str
    do: Callable[[Lab, Sequence[str]], object]
    least: int = 1
    most: int = 1


def _zombie(lab: Lab, words: Sequence[str]) -> object:
    return lab.zombie(*words)


def _loss(lab: Lab, words: Sequence[str]) -> object:
    name, percent, *way = words
    directions: dict[str, Direction] = {"in": "in", "out": "out", "both": "both"}
    direction = directions.get(way[0] if way else "both")
    if direction is None:
        raise LabError(f"'{way[0]}' is not a direction: in, out or both, from the host's point of view")
    try:
        share = float(percent.rstrip("%")) / 100
    except ValueError:
        raise LabError(f"'{percent}' is not a percentage") from None
    return lab.loss(name, share, direction)


def _partition(lab: Lab, words: Sequence[str]) -> object:
    flags = words[2:]
    if strange := [word for word in flags if word not in {"arp-passes", "one-way"}]:
        raise LabError(f"'{strange[0]}' is not known: arp-passes, one-way or nothing")
    return lab.partition(words[0], words[1], arp="arp-passes" not in flags, one_way="one-way" in flags)


def _delay(lab: Lab, words: Sequence[str]) -> object:
    try:
        milliseconds = float(words[1].removesuffix("ms"))
    except ValueError:
        raise LabError(f"'{words[1]}' is not a number of milliseconds") from None
    return lab.delay(words[0], milliseconds)


def _cut_off(lab: Lab, words: Sequence[str]) -> object:
    return lab.cut_off(words[0], carrier=_flag(words[1:], "no-carrier"))


def _flag(words: Sequence[str], name: str) -> bool:
    """Return False if the flag was given, True if nothing was given."""
    if words and words[0] != name:
        raise LabError(f"'{words[0]}' is not known: {name} or nothing")
    return not words


def _heal(lab: Lab, words: Sequence[str]) -> object:
    return lab.heal(words[0]) if words else lab.heal_all()


VERBS: Mapping[str, Verb] = {
    "status": Verb(
        "",
        "which hosts are up, which hold the address, what the client receives",
        lambda lab, _: status(lab),
        0,
        0,
    ),
    "crash": Verb("HOST", "power loss", lambda lab, words: lab.crash(words[0])),
    "reboot": Verb("HOST", "power back, same disk", lambda lab, words: lab.reboot(words[0])),
    "kill": Verb("HOST", "kill -9 its Apache", lambda lab, words: lab.kill_service(words[0])),
    "hang": Verb("HOST", "stop its Apache with SIGSTOP", lambda lab, words: lab.hang_service(words[0])),
    "start": Verb("HOST", "apachectl start", lambda lab, words: lab.start_service(words[0])),
    "stop": Verb("HOST", "apachectl stop", lambda lab, words: lab.stop_service(words[0])),
    "zombie": Verb("HOST [NAME]", "leave a dead process in its process table", _zombie, 1, 2),
    "blackhole": Verb(
        "HOST", "its link fails silently; the host keeps running", lambda lab, words: lab.blackhole(words[0])
    ),
    "cut-off": Verb("HOST [no-carrier]", "the same, or its cable is pulled", _cut_off, 1, 2),
    "partition": Verb(
        "HOST HOST [arp-passes] [one-way]",
        "two hosts do not receive each other's frames; or only the second does not",
        _partition,
        2,
        4,
    ),
    "delay": Verb("HOST MILLISECONDS", "delay its frames by this much, each way", _delay, 2, 2),
    "freeze": Verb(
        "HOST", "stop all its processes; its kernel still answers", lambda lab, words: lab.freeze(words[0])
    ),
    "thaw": Verb("HOST", "let them continue", lambda lab, words: lab.thaw(words[0])),
    "loss": Verb("HOST PERCENT [in|out|both]", "drop a share of its frames", _loss, 2, 3),
    "heal": Verb("[HOST]", "repair wires, resume a stopped Apache", _heal, 0, 1),
    "add-address": Verb(
        "HOST", "add the service address to its card", lambda lab, words: lab.add_address(words[0])
    ),
    "drop-address": Verb("HOST", "remove it from its card", lambda lab, words: lab.drop_address(words[0])),
    "pid": Verb(
        "HOST",
        "the process id of its process 1 on this machine",
        lambda lab, words: lab.host(words[0]).running_pid,
    ),
}


def status(lab: Lab) -> str:
    """Return the state of the lab as text."""
    holders = lab.holders()
    lines = []
    for name, host in lab.hosts.items():
        processes = (
            Counter(comm for _, comm, state in host.processes() if state != "Z") if host.up else Counter()
        )
        runs = f"{processes['apache2']} apache2 processes" if processes["apache2"] else "no apache2"
        holds = f", holds {', '.join(map(str, lab.service_addresses))}" if name in holders else ""
        lines.append(f"{name}  {host.address}  " + (f"up, {runs}{holds}" if host.up else "down"))
    samples = lab.client.samples(time.time() - 1.2)
    seen = Counter(f"answered by {sample.host}" if sample.ok else f"{sample.fault}" for sample in samples)
    lines.append(
        "client, the last second: "
        + (", ".join(f"{n} {what}" for what, n in seen.most_common()) or "nothing")
    )
    for watcher in lab.watchers:
        rounds = watcher.rounds(time.time() - 1)
        answering = ", ".join(sorted(rounds[-1].holders)) if rounds else ""
        lines.append(f"watcher: {answering or 'no host'} answers for {watcher.address}")
    lines += [f"wire: {rule}" for rule in lab.switch.faults.list()]
    return "\n".join(lines)


def carry_out(lab: Lab, words: Sequence[str]) -> str:
    """Carry out a verb and return a line about it; raise `LabError` if it is invalid."""
    name, *rest = words or [""]
    verb = VERBS.get(name)
    if verb is None:
        raise LabError(f"'{name}' is not a verb: use {', '.join(VERBS)}, shell")
    if not verb.least <= len(rest) <= verb.most:
        raise LabError(f"use: {name} {verb.words}".rstrip())
    done = verb.do(lab, rest)
    return " ".join([name, *rest]) + ": done" if isinstance(done, float) else str(done)


class Control:
    """Answers on the lab's socket until it is closed, one request at a time, so that verbs never overlap."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._path = lab.anchor.directory / SOCKET
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.bind(str(self._path))  # only root can access its directory
            self._path.chmod(0o600)
            self._socket.listen()
        except BaseException:
            self._socket.close()
            raise
        self._thread = threading.Thread(target=self._serve, name="lab-control", daemon=True)
        self._thread.start()

    def __enter__(self) -> Control:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop answering; a running verb is finished first."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # wakes accept
        self._thread.join(ANSWER_SECONDS)
        self._socket.close()
        self._path.unlink(missing_ok=True)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection, contextlib.suppress(OSError):
                connection.settimeout(REQUEST_SECONDS)
                connection.sendall(json.dumps(self._answer(_read_line(connection))).encode() + b"\n")

    def _answer(self, line: bytes) -> dict[str, object]:
        try:
            words = json.loads(line)
            if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
                return {"ok": False, "text": "a request is a list of words"}
            return {"ok": True, "text": carry_out(self._lab, words)}
        except json.JSONDecodeError:
            return {"ok": False, "text": "a request is one line of JSON"}
        except subprocess.CalledProcessError as fault:
            said = " ".join(f"{fault.stdout}{fault.stderr}".split())
            return {"ok": False, "text": f"{' '.join(fault.cmd)} ended with {fault.returncode}: {said}"}
        except (LabError, OSError, subprocess.TimeoutExpired) as fault:
            return {"ok": False, "text": str(fault)}


def _read_line(connection: socket.socket) -> bytes:
    line = b""
    while (
        not line.endswith(b"\n")
        and len(line) < LONGEST_REQUEST
        and (some := connection.recv(LONGEST_REQUEST))
    ):
        line += some
    return line


def running() -> dict[int, Path]:
    """Return the labs that can be controlled: process id of the anchor -> socket."""
    labs = {}
    for directory in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (directory / "cmdline").read_bytes().split(b"\0")
            path = directory / "root/run" / SOCKET
            anchors = words[0] != b"unshare" and any(word.endswith(b"lab/inside/anchor.py") for word in words)
            if anchors and path.is_socket():
                labs[int(directory.name)] = path
    return labs


def ask(words: Sequence[str], lab: int | None = None) -> str:
    """Let the running lab carry out a verb; return its answer, raise `LabError` if it failed."""
    if os.geteuid() != 0:
        raise LabError("the lab belongs to root: run this with sudo")
    labs = running()
    if not labs:
        raise LabError("no lab is running: start one with `make lab` in another terminal")
    if lab is None and len(labs) > 1:
        raise LabError(
            f"{len(labs)} labs are running: choose one with --lab {' or --lab '.join(map(str, labs))}"
        )
    if lab is not None and lab not in labs:
        raise LabError(f"there is no lab {lab}: {', '.join(map(str, labs))}")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(ANSWER_SECONDS)
        connection.connect(str(labs[lab] if lab is not None else next(iter(labs.values()))))
        connection.sendall(json.dumps(list(words)).encode() + b"\n")
        with connection.makefile("rb") as answers:
            answer = json.loads(answers.readline() or b'{"ok": false, "text": "the lab has ended"}')
    if not answer["ok"]:
        raise LabError(answer["text"])
    return str(answer["text"])
