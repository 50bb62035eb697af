"""`locum enrol` against a real sshd, sudo and sshd_config, on a machine of the test's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from locum_actuator.cli.common.admin_ssh import administrator
from locum_inventory.enrolment.request import EnrolmentError, read_report
from locum_inventory.site.load import load_site
from tests.actuator.cli.enrol_site import ENROL, LOCAL, SITE, on_a_machine
from tests.support.marks import needs_root


@pytest.fixture
def site_file(tmp_path: Path) -> Path:
    path = tmp_path / "locum.yml"
    path.write_text(SITE)
    return path


PLAN = """\
a: enrolment will:
  - make the key /etc/locum/id_ed25519
  - make the key /etc/locum/exporter_ed25519
  - install the gate, /usr/local/lib/locum/gate
  - install the commands it may run, /etc/locum/gate.conf
  - install the user that locum logs in as
  - install locum's keys in authorized_keys, which may run the gate and nothing else
  - install the sudo rule that lets this user run the gate, and nothing else, as root
""".splitlines()


@pytest.mark.e2e
@needs_root
def test_a_host_is_enrolled_over_ssh(site_file: Path) -> None:
    lines = on_a_machine(
        site_file,
        f"""
        {ENROL} --dry-run; ls /etc/locum /usr/local/lib/locum 2>/dev/null
        echo ---; {ENROL} --yes
        echo ---; {ENROL} --yes
        echo ---
        stat -c '%n %U %a' /etc/locum/* /usr/local/lib/locum/gate /etc/sudoers.d/locum-gate ~locum/.ssh/*
        getent passwd locum | cut -d: -f6,7
        echo ---; sed 's/AAAA[^ ]*/KEY/' ~locum/.ssh/authorized_keys
        ssh -qo UserKnownHostsFile=/etc/locum/known_hosts -i /etc/locum/exporter_ed25519 \\
            locum@192.0.2.1 release www 1
        su -s /bin/sh locum -c 'sudo -n id' 2>&1 | tail -1
        """,
    )
    first, second, third, files, rest = "\n".join(lines).split("\n---\n")
    assert first.splitlines()[: len(PLAN)] == PLAN
    assert first.splitlines()[len(PLAN)].startswith("  - pin the host key SHA256:")
    assert first.splitlines()[len(PLAN) + 1 :] == ["exit 0", "/etc/locum:", "locum.yml"]
    assert second.splitlines()[-2].startswith("a: enrolled; gate version 2, host file sha256 ")
    assert second.splitlines()[-2].endswith(", services www")
    assert second.splitlines()[-1] == "exit 0"
    assert third.splitlines() == ["a: everything is in place", second.splitlines()[-2], "exit 0"]
    assert files.splitlines() == [
        "/etc/locum/exporter_ed25519 root 600",
        "/etc/locum/exporter_ed25519.pub root 644",
        "/etc/locum/gate.conf root 600",
        "/etc/locum/id_ed25519 root 600",
        "/etc/locum/id_ed25519.pub root 644",
        "/etc/locum/known_hosts root 644",
        "/etc/locum/locum.yml root 644",
        "/usr/local/lib/locum/gate root 755",
        "/etc/sudoers.d/locum-gate root 440",
        "/var/lib/locum-gate/.ssh/authorized_keys root 644",
        "/var/lib/locum-gate:/bin/sh",
    ]
    assert rest.splitlines() == [
        'restrict,command="/usr/local/lib/locum/gate actuator" ssh-ed25519 KEY locum-actuator',
        'restrict,command="/usr/local/lib/locum/gate exporter" ssh-ed25519 KEY locum-exporter',
        "locum-gate 2 2",
        "end refused this key may only watch and status",
        "sudo: a password is required",
    ]


@pytest.mark.e2e
@needs_root
def test_what_others_put_there_stays_and_what_locum_put_there_is_renewed(site_file: Path) -> None:
    lines = on_a_machine(
        site_file,
        f"""
        {ENROL} --yes >/dev/null
        printf '192.0.2.9 ssh-ed25519 AAAAother\\n' >>/etc/locum/known_hosts
        echo 'ssh-ed25519 AAAAmine me' >>~locum/.ssh/authorized_keys
        echo 'service evil' >>/etc/locum/gate.conf
        rm /etc/locum/id_ed25519 /etc/locum/id_ed25519.pub
        {ENROL} --yes | head -4
        cut -d' ' -f1 ~locum/.ssh/authorized_keys
        cut -d' ' -f1 /etc/locum/known_hosts
        """,
    )
    assert lines == [
        "a: enrolment will:",
        "  - make the key /etc/locum/id_ed25519",
        "  - update the commands it may run, /etc/locum/gate.conf",
        "  - update locum's keys in authorized_keys, which may run the gate and nothing else",
        "ssh-ed25519",
        'restrict,command="/usr/local/lib/locum/gate',
        'restrict,command="/usr/local/lib/locum/gate',
        "192.0.2.1",
        "192.0.2.9",
    ]


@pytest.mark.e2e
@needs_root
def test_a_changed_host_key_is_shown_and_not_taken(site_file: Path) -> None:
    lines = on_a_machine(
        site_file,
        f"""
        ssh-keygen -q -t ed25519 -N '' -f /run/other
        echo "192.0.2.1 $(cut -d' ' -f1,2 /run/other.pub)" >/etc/locum/known_hosts
        ssh-keygen -lf /run/other | cut -d' ' -f2
        ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key | cut -d' ' -f2
        {ENROL} --yes
        ls /usr/local/lib/locum 2>/dev/null
        {ENROL} --yes --replace-host-key | tail -1
        """,
    )
    pinned, shown, *rest = lines
    assert rest == [
        f"locum: a: its host key has changed: {pinned} is pinned in /etc/locum/known_hosts, but the host has "
        f"{shown}; if you know why, repeat with --replace-host-key",
        "exit 1",
        "exit 0",
    ]


@pytest.mark.e2e
@needs_root
def test_the_actuators_own_host_needs_no_ssh(site_file: Path) -> None:
    lines = on_a_machine(
        site_file, f"kill $sshd 2>/dev/null; {LOCAL} --yes; {LOCAL} --yes | head -1; ls /etc/locum"
    )
    assert lines[:6] == [
        "b: enrolment will:",
        "  - install the gate, /usr/local/lib/locum/gate",
        "  - install the commands it may run, /etc/locum/gate.conf",
        "  - install the user that runs locum here",
        "  - update the owner of the state directory, the tokens and the keys: only this user can read them",
        "  - install the sudo rule that lets this user run the gate, and nothing else, as root",
    ]
    assert lines[6].startswith("b: enrolled; gate version 2")
    assert lines[7:] == ["exit 0", "b: everything is in place", "gate.conf", "locum.yml"]


@pytest.mark.e2e
@needs_root
def test_a5_no_other_machine_gets_a_hosts_file(site_file: Path) -> None:
    """`--admin` leads to a machine that is not a: nothing is done there."""
    lines = on_a_machine(
        site_file,
        f"""
        ip addr flush dev lo scope global; ip addr add 192.0.2.2/24 dev lo
        sed -i 's/^192.0.2.1 /192.0.2.2 /' /run/admin_known_hosts
        {ENROL} --admin root@192.0.2.2 --yes; {ENROL} --admin root@192.0.2.2 --dry-run
        ls /etc/locum /usr/local/lib/locum 2>/dev/null; :
        """,
    )
    refused = "locum: a: this machine is not a: none of its interfaces has 192.0.2.1; nothing was done"
    assert lines == [refused, "exit 1", refused, "exit 1", "/etc/locum:", "locum.yml"]


GUARD_PLAN = (
    "the boot guard, /usr/local/sbin/locum-guard: after each boot it blocks this host's answers for its service "
    "addresses until locum allows them"
)
GUARD_FILES = "ls /etc/init.d/locum-guard /etc/rcS.d/S01locum-guard /usr/local/sbin/locum-guard 2>/dev/null"


@pytest.mark.e2e
@needs_root
def test_a_boot_guard_is_put_there_renewed_and_taken_away(site_file: Path) -> None:
    lines = on_a_machine(
        site_file,
        f"""
        {ENROL} --yes >/dev/null; {GUARD_FILES} | wc -l
        echo ---; {ENROL} --yes --boot-guard | head -3
        echo ---; {ENROL} --yes --boot-guard | sed -n 2p
        echo ---; /etc/rcS.d/S01locum-guard start; locum-guard status
        echo '#' >>/usr/local/sbin/locum-guard
        {ENROL} --yes | head -2
        echo ---; {ENROL} --yes --no-boot-guard | head -2
        {GUARD_FILES}; nft list ruleset; ls /run/locum-guard/mute
        """,
    )
    assert "\n".join(lines).split("\n---\n") == [
        "0",
        "a: enrolment will:\n"
        f"  - install {GUARD_PLAN}\n"
        "a: the start command of www is not `systemctl start UNIT`, so the guard cannot keep it from starting at "
        "boot: run `systemctl disable UNIT` on that host",
        "a: everything is in place",
        f"www: on\na: enrolment will:\n  - update {GUARD_PLAN}",
        "a: enrolment will:\n"
        "  - remove the boot guard, so that nothing blocks this host's service addresses after a boot",
    ]


@pytest.mark.e2e
@needs_root
def test_a_boot_guard_under_systemd(site_file: Path) -> None:
    """The machine of the test has its files, and is not booted with it."""
    site_file.write_text(SITE.replace('start: "exit 1"', "start: systemctl start nginx"))
    drop_in = "/etc/systemd/system/nginx.service.d/locum-guard.conf"
    lines = on_a_machine(
        site_file,
        f"""
        mkdir -p /run/systemd/system
        {ENROL} --yes --boot-guard | tail -1
        {ENROL} --yes --boot-guard | head -1
        {GUARD_FILES}; systemctl --root=/ is-enabled locum-guard; systemd-analyze verify locum-guard.service
        grep -v '^#' {drop_in}
        locum-guard boot; systemd-analyze condition "$(grep Condition {drop_in})" 2>/dev/null; echo "$?"
        locum-guard off www; systemd-analyze condition "$(grep Condition {drop_in})" 2>/dev/null; echo "$?"
        {ENROL} --yes --no-boot-guard | tail -1; ls /etc/systemd/system | grep -ce locum -e nginx; :
        """,
    )
    assert lines == [
        "exit 0",
        "a: everything is in place",
        "/usr/local/sbin/locum-guard",
        "enabled",
        "[Unit]",
        "ConditionPathExists=!/run/locum-guard/stopped/www",
        "1",
        "0",
        "exit 0",
        "0",
    ]


@pytest.mark.e2e
@needs_root
def test_a_boot_guard_needs_nft(site_file: Path) -> None:
    lines = on_a_machine(
        site_file,
        f"""
        {ENROL} --yes >/dev/null
        mount --bind /dev/null "$(command -v nft)"
        {ENROL} --yes --boot-guard
        """,
    )
    assert lines == [
        "a: enrolment will:",
        f"  - install {GUARD_PLAN}",
        "a: nft is missing: the boot guard needs it; on Debian, apt install nftables",
        "a: the start command of www is not `systemctl start UNIT`, so the guard cannot keep it from starting at "
        "boot: run `systemctl disable UNIT` on that host",
        "locum: a: nft is missing, and the boot guard needs it: on Debian, apt install nftables",
        "exit 1",
    ]


@pytest.mark.e2e
@needs_root
def test_the_gate_does_not_wait_for_dns(site_file: Path) -> None:
    lines = on_a_machine(
        site_file,
        f"""
        {ENROL} --yes >/dev/null
        echo 'nameserver 192.0.2.1' >/etc/resolv.conf   # where a socket is open and does not answer
        python3 -c 'import socket, time; s = socket.socket(type=socket.SOCK_DGRAM)
s.bind(("192.0.2.1", 53)); time.sleep(60)' &
        sleep 0.3
        timeout 3 su -s /bin/sh locum -c 'sudo -n /usr/local/lib/locum/gate actuator status' 2>&1
        kill $!
        """,
    )
    assert lines[0] == "locum-gate 2 2"
    assert lines[-1] == "end ok"


REFUSED = {
    "no such host": ("enrol nowhere", "locum: there is no host 'nowhere' in the site file; it has a, b, c", 2),
    "no ssh": ("enrol c", "locum: hosts.c.ssh is missing in the site file, so locum cannot log in to c", 2),
    "an option as target": ("enrol a --admin -oA=b", "locum: --admin: '-oA=b' is not USER@ADDRESS", 2),
    "a target with spaces": ("enrol a --admin 'root@x id'", "locum: --admin: 'root@x id' is not USER@ADDRESS", 2),
    "the administrator's key is not accepted": (
        "enrol a --yes --admin anna@192.0.2.1 --admin-known-hosts /run/admin_known_hosts",
        "locum: a: ssh ended with 255 before anything was done", 1,
    ),
    "the administrator knows another host key": (
        "enrol a --yes --admin-known-hosts /dev/null",
        "locum: a: ssh ended with 255 before anything was done", 1,
    ),
    "no person to say yes": (
        "enrol a --admin-known-hosts /run/admin_known_hosts", "Do this? [y/N]: Aborted!", 1,
    ),
}  # fmt: skip


@pytest.mark.e2e
@needs_root
def test_refusals(site_file: Path) -> None:
    # One machine for all rows: each leaves nothing behind.
    script = "".join(f"echo '>>>'; locum {words}\n" for words, _, _ in REFUSED.values())
    rounds = "\n".join(on_a_machine(site_file, script + "ls /etc/locum")).split(">>>\n")[1:]
    for name, (_, text, code), said in zip(REFUSED, REFUSED.values(), rounds, strict=True):
        assert text in said, name
        assert f"exit {code}" in said.splitlines(), name
    assert rounds[-1].splitlines()[-1] == "locum.yml"


def test_ssh_gets_arguments_and_one_constant_command(site_file: Path, tmp_path: Path) -> None:
    site = load_site(site_file)
    key = tmp_path / "key with spaces"
    way = administrator(site, "a", "admin@host", key, tmp_path / "known")
    assert way.command[:-1] == (
        "ssh", "-T", "-o", "ConnectTimeout=10", "-o", "ServerAliveInterval=5",
        "-i", str(key), "-o", "IdentitiesOnly=yes",
        "-o", f'UserKnownHostsFile="{tmp_path}/known"', "-o", "StrictHostKeyChecking=yes",
        "--", "admin@host",
    )  # fmt: skip
    assert administrator(site, "a", None, None, None).command[-1] == way.command[-1]


REPORTS = {
    "a failure": ("locum-install failed no luck\n", "no luck"),
    "cut short": ("locum-install gate same\n", "the host's report was cut short"),
    "an unknown part": (
        "locum-install colour same\nlocum-install done\n",
        "the host's report has an invalid line: 'locum-install colour same'",
    ),
    "an unknown state": (
        "locum-install gate odd\nlocum-install done\n",
        "the host's report has an invalid line: 'locum-install gate odd'",
    ),
}


@pytest.mark.parametrize(("report", "text"), REPORTS.values(), ids=REPORTS.keys())
def test_a_report_is_read_strictly(report: str, text: str) -> None:
    with pytest.raises(EnrolmentError) as raised:
        read_report(report)
    assert str(raised.value) == text
