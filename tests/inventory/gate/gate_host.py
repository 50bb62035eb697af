"""A host for tests: the gate installed under a directory of its own, and sshd where one is asked for."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from locum_inventory.gate.host_file import gate_script
from locum_inventory.gate.protocol import GateClient, ServiceStatus, Verb
from locum_inventory.site.model import Ssh
from tests.support.polling import wait_for
from tests.support.ports import unused_port

HEAD = "locum-gate 1\n"
GREETING = "locum-gate 2 2"
GIVES = ("claim", "start", "respawn")  # verbs that get the time until when their evidence is good


@dataclass(frozen=True)
class GateHost:
    """Where the gate of one test lives."""

    prefix: Path
    shell: tuple[str, ...] = ("dash",)

    @property
    def gate(self) -> Path:
        return self.prefix / "usr/local/lib/locum/gate"

    @property
    def host_file(self) -> Path:
        return self.prefix / "etc/locum/gate.conf"

    @property
    def state(self) -> Path:
        return self.prefix / "var/lib/locum-gate"

    @property
    def run_directory(self) -> Path:
        return self.prefix / "run/locum-gate"

    def command(self, role: str, *words: str) -> list[str]:
        return [*self.shell, str(self.gate), role, *words]

    def permit(self, service: str, *, seconds: float = 3600.0) -> tuple[str, ...]:
        """Return the words that allow a verb for so long: a boot id, an uptime, the addresses of the host file."""
        uptime = float(Path("/proc/uptime").read_text().split()[0]) + seconds
        boot_id = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        section = self.host_file.read_text().partition(f"service {service}\n")[2].partition("\nservice ")[0]
        lines = [line.split() for line in section.splitlines()]
        addresses = [line[1] for line in lines if line[:1] == ["address"]]
        return boot_id, str(int(uptime * 100)), *addresses

    def run(self, *words: str, role: str = "actuator", timeout: float = 15.0) -> list[str]:
        """Run one verb, with a permit for an hour where it takes one, and return the lines of its answer."""
        if words[:1] and words[0] in GIVES and len(words) == 3:
            words = (*words, *self.permit(words[1]))
        return self.run_as_is(*words, role=role, timeout=timeout)

    def run_as_is(self, *words: str, role: str = "actuator", timeout: float = 15.0) -> list[str]:
        """Run these words and return the lines of the answer."""
        done = subprocess.run(
            self.command(role, *words),
            check=False,
            capture_output=True,
            text=True,
            timeout=timeout,
            stdin=subprocess.DEVNULL,
        )
        assert done.stderr == "", done.stderr
        return [line for line in done.stdout.splitlines() if not line.startswith("age_ms ")]

    def ask(self, original_command: str, role: str = "actuator") -> list[str]:
        """Run what came over SSH, as sshd hands it to a forced command."""
        done = subprocess.run(
            self.command(role),
            check=False,
            capture_output=True,
            text=True,
            timeout=15.0,
            env={**os.environ, "SSH_ORIGINAL_COMMAND": original_command},
        )
        assert done.stderr == "", done.stderr
        return [line for line in done.stdout.splitlines() if not line.startswith("age_ms ")]

    def write_host_file(self, text: str) -> None:
        """Write a new host file as enrol does: next to the old one, then over it."""
        new = self.host_file.with_suffix(".new")
        new.write_text(HEAD + text)
        new.rename(self.host_file)


def give(
    shell: GateClient, verb: Verb, service: str, epoch: int, *, deadline_seconds: float
) -> ServiceStatus:
    """Have a gate carry out a verb that takes a permit, with one that lasts for an hour."""
    gate = shell.status(deadline_seconds=5.0)
    assert gate.clock is not None
    known = gate.services[service].addresses or () if service in gate.services else ()
    permit = gate.clock.permit(gate.clock.answered_at + 3600.0, known)
    return shell.run_verb(verb, service, epoch, deadline_seconds=deadline_seconds, permit=permit)


def install_gate(prefix: Path, host_file: str, shell: tuple[str, ...] = ("dash",)) -> GateHost:
    """Install the gate under `prefix`, as a test's own."""
    host = GateHost(prefix, shell)
    for directory in (host.gate.parent, host.host_file.parent, host.state.parent, host.run_directory.parent):
        directory.mkdir(parents=True, exist_ok=True)
    script = gate_script()
    line = next(line for line in script.splitlines() if line.startswith("PREFIX="))
    host.gate.write_text(
        script.replace(line, f"PREFIX={prefix}", 1).replace(
            "#!/bin/sh", f"#!/usr/bin/env -S {' '.join(shell)}", 1
        )
    )
    host.gate.chmod(0o755)
    host.write_host_file(host_file)
    return host


def copy_of_sleep(directory: Path, name: str) -> Path:
    """A program of that name which does nothing, so that its processes carry the name."""
    path = directory / name
    shutil.copy("/bin/sleep", path)
    return path


@dataclass(frozen=True)
class Sshd:
    """A real sshd on loopback."""

    port: int
    directory: Path
    process: subprocess.Popen[bytes]

    def ssh(self, key: str = "actuator", known_hosts: str = "known_hosts") -> Ssh:
        return Ssh(
            user="root",
            port=self.port,
            key_file=self.directory / key,
            known_hosts=self.directory / known_hosts,
        )

    def log(self) -> str:
        return (self.directory / "log").read_text()


ADDRESS = ip_address("127.0.0.1")


def make_key(path: Path) -> str:
    """Make an ed25519 key pair and return its public half."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", path], check=True)
    return path.with_name(path.name + ".pub").read_text().strip()


def prepare_sshd(directory: Path, gate_command: str, port: int) -> None:
    """Write keys, authorized_keys, known_hosts and configuration."""
    host_key = make_key(directory / "host_key")
    keys = [
        f'restrict,command="{gate_command} {role}" {make_key(directory / role)}'
        for role in ("actuator", "exporter")
    ]
    make_key(directory / "stranger")
    (directory / "authorized_keys").write_text("\n".join(keys) + "\n")
    (directory / "known_hosts").write_text(f"[127.0.0.1]:{port} {host_key}\n")
    (directory / "sshd_config").write_text(
        f"ListenAddress 127.0.0.1:{port}\nHostKey {directory}/host_key\nPidFile none\nUsePAM no\n"
        f"StrictModes no\nAuthorizedKeysFile {directory}/authorized_keys\nPermitRootLogin yes\n"
        "PasswordAuthentication no\nUseDNS no\nLogLevel VERBOSE\n"
        f"SetEnv HOME={directory}\n"  # root's own start-up files may be slow
    )


@contextmanager
def fresh_sshd(directory: Path, host: GateHost) -> Iterator[Sshd]:
    """Run an sshd with new keys for a host's gate until the end of the block."""
    port = unused_port()
    prepare_sshd(directory, str(host.gate), port)
    with running_sshd(directory, port) as running:
        yield running


@contextmanager
def running_sshd(directory: Path, port: int, namespace: tuple[str, ...] = ()) -> Iterator[Sshd]:
    """Run sshd until the end of the block, with every process it has by then."""
    Path("/run/sshd").mkdir(exist_ok=True)
    with (directory / "log").open("ab") as log:
        process = subprocess.Popen(
            [*namespace, "/usr/sbin/sshd", "-D", "-e", "-f", str(directory / "sshd_config")],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    try:
        wait_for(lambda: process.poll() is not None or _listens(port), f"sshd listens on {port}")
        assert process.poll() is None, (directory / "log").read_text()
        yield Sshd(port, directory, process)
    finally:
        process.terminate()
        process.wait(timeout=5.0)


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=0.2).close()
    except OSError:
        return False
    return True
