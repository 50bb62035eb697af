"""`locum enrol`: install the gate on a host over the administrator's own SSH, and pin the host's key."""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import click

from locum_actuator.cli.common.admin_ssh import Administrator, administrator
from locum_actuator.cli.common.exits import did_not_work, wrong_use
from locum_actuator.cli.common.right_machine import on_actuator_host_or_exit
from locum_actuator.cli.common.site_option import load_or_exit
from locum_actuator.decision.fitness import why_unfit
from locum_actuator.system.printing import confirm, say
from locum_inventory.enrolment import user_keys
from locum_inventory.enrolment.boot_guard import GUARD_PATH, kept_off
from locum_inventory.enrolment.request import EnrolmentError, GuardWish, HostReport, HostSetup, wanted_on
from locum_inventory.gate import host_keys
from locum_inventory.gate.gates import GateClients
from locum_inventory.gate.host_file import GATE_PATH, HOST_FILE_PATH, gate_version, host_file_sha256
from locum_inventory.gate.protocol import GateError, GateStatus
from locum_inventory.site.model import Site, Ssh

TRY_SECONDS = 10.0

_GUARD_WISHES: Mapping[bool | None, GuardWish] = {None: "keep", True: "install", False: "remove"}

_PLANS: Mapping[str, str] = {
    "gate": f"the gate, {GATE_PATH}",
    "host_file": f"the commands it may run, {HOST_FILE_PATH}",
    "user": "the user that locum logs in as",
    "runner": "the user that runs locum here",
    "private": "the owner of the state directory, the tokens and the keys: only this user can read them",
    "keys": "locum's keys in authorized_keys, which may run the gate and nothing else",
    "sudo_rule": "the sudo rule that lets this user run the gate, and nothing else, as root",
    "guard": f"the boot guard, {GUARD_PATH}: after each boot it blocks this host's answers for its service "
    "addresses until locum allows them",
}
_UNGUARD = "remove the boot guard, so that nothing blocks this host's service addresses after a boot"
_OPTIONAL = {
    "arping": "when this host claims an address, it cannot announce it; on Debian: apt install iputils-arping",
    "rsync": "no data can be mirrored to or from this host",
    "nft": "the boot guard needs it; on Debian, apt install nftables",
    "perl": "when this host claims an IPv6 address, it cannot announce it; on Debian: apt install perl-base",
}


@click.command()
@click.argument("host")
@click.option(
    "--admin",
    metavar="USER@ADDRESS",
    help="how you log in to the host [default: root@ the host's address, at its ssh.port]",
)
@click.option(
    "--identity",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="your private key for that login",
)
@click.option(
    "--admin-known-hosts",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="accept only the host key in this file, and do not ask",
)
@click.option("--su", "use_su", is_flag=True, help="become root with su and root's password, not with sudo")
@click.option(
    "--owner",
    metavar="USER",
    default="locum",
    show_default=True,
    help="the user that runs locum on the actuator's host and owns its keys there",
)
@click.option(
    "--boot-guard/--no-boot-guard",
    "boot_guard",
    default=None,
    help="install, or remove, the guard that blocks the service addresses after a boot until locum allows them; "
    "without either option an installed guard is kept and updated",
)
@click.option("--yes", is_flag=True, help="do not ask")
@click.option("--dry-run", is_flag=True, help="show what would be done, and do nothing")
@click.option("--replace-host-key", is_flag=True, help="pin the host's key even if a different one is pinned")
@click.pass_context
def enrol(
    context: click.Context,
    *,
    host: str,
    admin: str | None,
    identity: Path | None,
    admin_known_hosts: Path | None,
    use_su: bool,
    owner: str,
    boot_guard: bool | None,
    yes: bool,
    dry_run: bool,
    replace_host_key: bool,
) -> None:
    """Install locum's gate on HOST over your own SSH, and pin its host key.

    On the actuator's host it needs no SSH: run it as root or with sudo. Repeat it after every change of the site
    file; repeating it is harmless.
    """
    _, site = load_or_exit(context.obj)
    if host not in site.hosts:
        wrong_use(f"locum: there is no host {host!r} in the site file; it has {', '.join(site.hosts)}")
    if site.hosts[host].ssh is None and host != site.actuator.host:
        wrong_use(f"locum: hosts.{host}.ssh is missing in the site file, so locum cannot log in to {host}")
    on_actuator_host_or_exit(site)
    way = administrator(site, host, admin, identity, admin_known_hosts, use_su=use_su)
    try:
        _enrol(site, way, owner, _Wishes(yes, dry_run, replace_host_key, _GUARD_WISHES[boot_guard]))
    except EnrolmentError as fault:
        did_not_work(f"locum: {host}: {fault}")
    except OSError as error:
        did_not_work(f"locum: {host}: {error.filename}: {error.strerror}")


@dataclass(frozen=True, slots=True)
class _Wishes:
    yes: bool
    dry_run: bool
    replace_host_key: bool
    guard: GuardWish


def _enrol(site: Site, way: Administrator, owner: str, wishes: _Wishes) -> None:
    host, ssh = way.host, site.hosts[way.host].ssh
    new_keys = [path for path in _key_files(ssh) if not path.exists()]
    # Keys that do not exist yet are None here: install.sh then reports the installed ones as different.
    before = way.run(_wanted(site, host, _public_or_none, owner, wishes.guard).script("look"))
    _check_host_key(site, host, before, wishes)
    if not _show_plan(site, host, before, new_keys, wishes.guard):
        say(f"{host}: everything is in place")
    if wishes.dry_run:
        return
    if not wishes.yes and not confirm("Do this?"):
        did_not_work("locum: nothing was done")
    for path in new_keys:
        user_keys.make_key(path, _who_gets_keys(owner))
    after = way.run(_wanted(site, host, user_keys.public_key, owner, wishes.guard).script("install"))
    left = [part for part, state in after.parts.items() if state != "same"]
    if left:
        raise EnrolmentError(f"installed, but these parts are not as they should be: {', '.join(left)}")
    if ssh is not None and before.host_key is not None:
        name = host_keys.known_hosts_name(site.hosts[host].address, ssh)
        if host_keys.pinned(ssh.known_hosts, name) != (before.host_key,):
            host_keys.pin(ssh.known_hosts, name, before.host_key)
    _try_gate(site, host)


def _wanted(
    site: Site, host: str, public: Callable[[Path], str | None], owner: str, guard: GuardWish
) -> HostSetup:
    ssh = site.hosts[host].ssh
    if ssh is None:
        return wanted_on(site, host, None, None, owner, guard_wish=guard)
    exporter = public(ssh.exporter_key_file) if ssh.exporter_key_file is not None else None
    return wanted_on(site, host, public(ssh.key_file), exporter, owner, guard_wish=guard)


def _key_files(ssh: Ssh | None) -> list[Path]:
    if ssh is None:
        return []
    return [ssh.key_file] + ([ssh.exporter_key_file] if ssh.exporter_key_file is not None else [])


def _public_or_none(path: Path) -> str | None:
    return user_keys.public_key(path) if path.exists() else None


def _check_host_key(site: Site, host: str, report: HostReport, wishes: _Wishes) -> None:
    """Stop if the pinned key differs from the host's key, unless `--replace-host-key` was given."""
    ssh = site.hosts[host].ssh
    if ssh is None:
        return
    if report.host_key is None:
        raise EnrolmentError("it has no /etc/ssh/ssh_host_ed25519_key.pub: create it with ssh-keygen -A")
    pinned = host_keys.pinned(ssh.known_hosts, host_keys.known_hosts_name(site.hosts[host].address, ssh))
    if not pinned or report.host_key in pinned or wishes.replace_host_key:
        return
    raise EnrolmentError(
        f"its host key has changed: {', '.join(map(host_keys.fingerprint, pinned))} is pinned in "
        f"{ssh.known_hosts}, but the host has {host_keys.fingerprint(report.host_key)}; "
        "if you know why, repeat with --replace-host-key"
    )


def _show_plan(site: Site, host: str, report: HostReport, new_keys: list[Path], guard: GuardWish) -> bool:
    """Print what will be done; return False if there is nothing to do."""
    lines = [f"make the key {path}" for path in new_keys]
    words = {"absent": "install", "differs": "update"}
    plans = {
        part: f"{words[state]} {_PLANS[part]}" for part, state in report.parts.items() if state != "same"
    }
    if guard == "remove" and "guard" in plans:
        plans["guard"] = _UNGUARD
    lines += plans.values()
    ssh = site.hosts[host].ssh
    if ssh is not None and report.host_key is not None:
        pinned = host_keys.pinned(ssh.known_hosts, host_keys.known_hosts_name(site.hosts[host].address, ssh))
        if pinned != (report.host_key,):
            word = "replace the pinned host key with" if pinned else "pin the host key"
            lines.append(f"{word} {host_keys.fingerprint(report.host_key)} in {ssh.known_hosts}")
    if lines:
        say(f"{host}: enrolment will:")
    for line in lines:
        say(f"  - {line}")
    for program in report.missing:
        say(f"{host}: {program} is missing: {_OPTIONAL.get(program, 'the gate needs it')}", err=True)
    if guard == "install":
        _say_what_starts(site, host)
    return bool(lines)


def _say_what_starts(site: Site, host: str) -> None:
    """Warn about services that a guard cannot keep from starting at boot, because their unit is not known."""
    for name, unit in kept_off(site, host).items():
        if unit is None:
            say(
                f"{host}: the start command of {name} is not `systemctl start UNIT`, so the guard cannot keep it "
                "from starting at boot: run `systemctl disable UNIT` on that host",
                err=True,
            )


def _try_gate(site: Site, host: str) -> None:
    """Connect to the gate in the same way as the actuator does, and print its status."""
    gates = GateClients(site, site.actuator.host, "actuator")
    try:
        status: GateStatus = gates[host].status(deadline_seconds=TRY_SECONDS)
    except GateError as fault:
        raise EnrolmentError(f"installed, but the gate does not answer: {fault}") from None
    finally:
        gates.close()
    if status.version != gate_version():
        raise EnrolmentError(f"its gate has version {status.version}, not {gate_version()}")
    if status.config_sha256 != host_file_sha256(site, host):
        raise EnrolmentError(f"{HOST_FILE_PATH} does not match the site file")
    say(
        f"{host}: enrolled; gate version {status.version}, host file sha256 {status.config_sha256}, "
        f"services {', '.join(status.services) or 'none'}"
    )
    for name, service in site.services_on(host).items():
        if (why := why_unfit(name, service, host, status)) is not None:
            say(f"{host}: cannot be given {name}: {why}", err=True)


def _who_gets_keys(owner: str) -> str | None:
    """Return the owner if root enrols and that user exists; else None: the keys stay with the current user.

    Enrolling the actuator's own host creates the user and gives it the files that were made before.
    """
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam(owner).pw_name
    except KeyError:
        return None
