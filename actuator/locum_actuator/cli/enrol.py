"""`locum enrol`: puts the gate on a host over the administrator's own SSH, and pins the host's key."""

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
    "host_file": f"what it may run, {HOST_FILE_PATH}",
    "user": "the user that locum logs in as",
    "runner": "the user that runs locum here",
    "private": "who owns the state directory, the tokens and the keys: this user, and nobody else reads them",
    "keys": "locum's keys in authorized_keys, which may run the gate and nothing else",
    "sudo_rule": "the sudo rule that lets this user run the gate, and nothing else, as root",
    "guard": f"the boot guard, {GUARD_PATH}: from each boot on nobody hears this host for its service "
    "addresses until locum lets it speak",
}
_UNGUARD = "remove the boot guard, and let this host be heard"
_OPTIONAL = {
    "arping": "a claim over this gate will not be announced; on Debian it is in iputils-arping",
    "rsync": "nothing can be mirrored to or from this host",
    "nft": "the boot guard needs it; on Debian, apt install nftables",
    "perl": "a claim of an IPv6 address over this gate will not be announced; on Debian it is in perl-base",
}


@click.command()
@click.argument("host")
@click.option(
    "--admin",
    metavar="USER@ADDRESS",
    help="how you log in there [default: root@ the host's address, at its ssh.port]",
)
@click.option(
    "--identity",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="your private key for it",
)
@click.option(
    "--admin-known-hosts",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="accept only the host key in this file, and ask nothing",
)
@click.option("--su", "use_su", is_flag=True, help="become root there by su and root's password, not by sudo")
@click.option(
    "--owner",
    metavar="USER",
    default="locum",
    show_default=True,
    help="who runs locum on the actuator's host, and owns its keys there",
)
@click.option(
    "--boot-guard/--no-boot-guard",
    "boot_guard",
    default=None,
    help="install, or remove, what keeps the service addresses unheard from boot until locum says otherwise; "
    "without either a guard that is there is kept, and renewed",
)
@click.option("--yes", is_flag=True, help="do not ask")
@click.option("--dry-run", is_flag=True, help="show what would be done, and do nothing")
@click.option("--replace-host-key", is_flag=True, help="pin the host's key though another one is pinned")
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

    On the actuator's host it works without SSH, as root or through sudo. It can be repeated, and should be
    after every change of the site file.
    """
    _, site = load_or_exit(context.obj)
    if host not in site.hosts:
        wrong_use(f"locum: there is no host {host!r} in the site file; there is {', '.join(site.hosts)}")
    if site.hosts[host].ssh is None and host != site.actuator.host:
        wrong_use(f"locum: hosts.{host}.ssh is missing in the site file: how should locum log in there?")
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
    # With keys still to be made a look needs stand-ins for them: they differ from whatever is there.
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
        raise EnrolmentError(f"installed, but not as wanted: {', '.join(left)}")
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
    """Refuse to go on where the pinned key is another than the host's, unless that is what is wished."""
    ssh = site.hosts[host].ssh
    if ssh is None:
        return
    if report.host_key is None:
        raise EnrolmentError("it has no /etc/ssh/ssh_host_ed25519_key.pub: ssh-keygen -A makes one")
    pinned = host_keys.pinned(ssh.known_hosts, host_keys.known_hosts_name(site.hosts[host].address, ssh))
    if not pinned or report.host_key in pinned or wishes.replace_host_key:
        return
    raise EnrolmentError(
        f"its host key has changed: {', '.join(map(host_keys.fingerprint, pinned))} is pinned in "
        f"{ssh.known_hosts}, but the host has {host_keys.fingerprint(report.host_key)}; "
        "if you know why, repeat with --replace-host-key"
    )


def _show_plan(site: Site, host: str, report: HostReport, new_keys: list[Path], guard: GuardWish) -> bool:
    """Say what will be done; return whether that is anything."""
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
            word = "replace the pinned host key by" if pinned else "pin the host key"
            lines.append(f"{word} {host_keys.fingerprint(report.host_key)} in {ssh.known_hosts}")
    if lines:
        say(f"{host}: enrolment will")
    for line in lines:
        say(f"  - {line}")
    for program in report.missing:
        say(f"{host}: {program} is missing: {_OPTIONAL.get(program, 'the gate needs it')}", err=True)
    if guard == "install":
        _say_what_starts(site, host)
    return bool(lines)


def _say_what_starts(site: Site, host: str) -> None:
    """Name the services that a guard cannot keep from starting at boot: nobody knows what starts them."""
    for name, unit in kept_off(site, host).items():
        if unit is None:
            say(
                f"{host}: the start command of {name} is no `systemctl start UNIT`, so the guard does not keep it "
                "from starting at boot: do so with `systemctl disable UNIT` there",
                err=True,
            )


def _try_gate(site: Site, host: str) -> None:
    """Go the way locum itself will go, and show what the gate says."""
    gates = GateClients(site, site.actuator.host, "actuator")
    try:
        status: GateStatus = gates[host].status(deadline_seconds=TRY_SECONDS)
    except GateError as fault:
        raise EnrolmentError(f"installed, but the gate does not answer: {fault}") from None
    finally:
        gates.close()
    if status.version != gate_version():
        raise EnrolmentError(f"its gate is of version {status.version}, not {gate_version()}")
    if status.config_sha256 != host_file_sha256(site, host):
        raise EnrolmentError(f"{HOST_FILE_PATH} is not what the site file says")
    say(
        f"{host}: enrolled; gate version {status.version}, host file sha256 {status.config_sha256}, "
        f"services {', '.join(status.services) or 'none'}"
    )
    for name, service in site.services_on(host).items():
        if (why := why_unfit(name, service, host, status)) is not None:
            say(f"{host}: cannot be given {name}: {why}", err=True)


def _who_gets_keys(owner: str) -> str | None:
    """Return the owner where root enrols and there is such a user already; else whoever runs this keeps them.

    Enrolling the actuator's own host makes the user and hands him what was made before.
    """
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam(owner).pw_name
    except KeyError:
        return None
