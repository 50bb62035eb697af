"""`locum enrol` and accounts: the administrator's own, and the one that locum logs in as, against a real sshd."""

from __future__ import annotations

from pathlib import Path

import pytest

from locum_actuator.cli.common.admin_ssh import administrator
from locum_inventory.enrolment.request import EnrolmentError
from locum_inventory.enrolment.user_keys import make_key
from locum_inventory.site.load import load_site
from tests.actuator.cli.enrol_site import ENROL, LOCAL, MAIN, SITE, on_a_machine
from tests.support.marks import needs_root

# An account that people use: with a home directory and keys of its own.
OPS = (
    "useradd --create-home --home-dir /run/ops --shell /bin/sh ops; usermod --password '*' ops\n"
    "install -d -o ops -g ops -m 700 /run/ops/.ssh\n"
    "install -o ops -g ops -m 600 /root/.ssh/id_ed25519.pub /run/ops/.ssh/authorized_keys\n"
)
STAT = "stat -c '%n %U %a' /run/ops/.ssh /run/ops/.ssh/*"
THEIRS = ["/run/ops/.ssh ops 700", "/run/ops/.ssh/authorized_keys ops 600"]


@pytest.fixture
def site_file(tmp_path: Path) -> Path:
    path = tmp_path / "locum.yml"
    path.write_text(SITE)
    return path


@pytest.fixture
def ops_site(site_file: Path) -> Path:
    """The site whose `ssh.user` is an account that people use."""
    site_file.write_text(SITE.replace("user: locum", "user: ops"))
    return site_file


def port_of(command: tuple[str, ...]) -> str | None:
    return command[command.index("-p") + 1] if "-p" in command else None


def test_f_the_administrator_logs_in_at_the_hosts_port(site_file: Path) -> None:
    site_file.write_text(SITE.replace("user: locum", "user: locum\n      port: 2222"))
    site = load_site(site_file)
    assert port_of(administrator(site, "a", None, None, None).command) == "2222"
    assert port_of(administrator(site, "a", "ops@192.0.2.1", None, None).command) == "2222"
    assert port_of(administrator(site, "a", "ssh://ops@192.0.2.1:22", None, None).command) is None


def test_f_no_port_is_named_where_the_site_file_names_none(site_file: Path) -> None:
    """An administrator's own ssh configuration may name one."""
    assert port_of(administrator(load_site(site_file), "a", None, None, None).command) is None


def typed(password: str, command: str) -> str:
    """Return a shell command with a terminal at which a person types a password whenever one is asked for."""
    return (
        f"(while sleep 0.2; do echo {password}; done) | timeout 40 script -qec '{command}' /dev/null | "
        "tr -d '\\r' | grep -v '^secret$'\n"
    )


ASKED = {
    "sudo": (
        "echo 'ops ALL=(ALL) ALL' >/etc/sudoers.d/ops; echo ops:secret | chpasswd",
        "",
        "your password for sudo",
    ),
    "su": ("echo root:secret | chpasswd", "--su ", "root's password"),
}


@pytest.mark.e2e
@needs_root
@pytest.mark.parametrize(("before", "option", "asks"), ASKED.values(), ids=ASKED)
def test_f_an_administrator_whose_root_needs_a_password(
    site_file: Path, before: str, option: str, asks: str
) -> None:
    command = f"{ENROL} {option}--admin ops@192.0.2.1 --yes".replace("locum ", "/run/locum ", 1)
    lines = on_a_machine(
        site_file,
        f"{OPS}{before}\ncat >/run/locum <<'END'\n#!/bin/sh\nexec {MAIN} \"$@\"\nEND\nchmod 755 /run/locum\n"
        f"{typed('secret', command)}stat -c '%n %U' /usr/local/lib/locum/gate",
    )
    assert any(asks in line for line in lines), lines
    assert any(line.startswith("a: enrolled; ") for line in lines), lines
    assert lines[-1] == "/usr/local/lib/locum/gate root"


@pytest.mark.e2e
@needs_root
def test_f_without_a_terminal_no_password_is_asked_for(site_file: Path) -> None:
    lines = on_a_machine(
        site_file,
        f"{OPS}echo 'ops ALL=(ALL) ALL' >/etc/sudoers.d/ops; echo ops:secret | chpasswd\n"
        f"{ENROL} --admin ops@192.0.2.1 --yes; {ENROL} --su --admin ops@192.0.2.1 --yes\n"
        "ls /usr/local/lib/locum; :",
    )
    assert lines == [
        "locum: a: sudo on that host asks for a password, but there is no terminal to enter it",
        "exit 1",
        "locum: a: su on that host asks for a password, but there is no terminal to enter it",
        "exit 1",
    ]


@pytest.mark.e2e
@needs_root
def test_f_a_home_directory_of_others_stays_theirs(ops_site: Path) -> None:
    lines = on_a_machine(
        ops_site,
        f"""{OPS}
        {ENROL} --yes | tail -1; {STAT}; grep -c gate /run/ops/.ssh/authorized_keys
        grep -c "$(cut -d' ' -f2 /root/.ssh/id_ed25519.pub)" /run/ops/.ssh/authorized_keys
        {ENROL} --yes | head -1
        """,
    )
    assert lines == ["exit 0", *THEIRS, "2", "1", "a: everything is in place"]


@pytest.mark.e2e
@needs_root
def test_f_what_an_earlier_version_made_roots_is_given_back(ops_site: Path) -> None:
    lines = on_a_machine(
        ops_site,
        f"""{OPS}
        chown -R root:root /run/ops/.ssh; chmod 755 /run/ops/.ssh; chmod 644 /run/ops/.ssh/*
        {ENROL} --yes | tail -1; {STAT}
        """,
    )
    assert lines == ["exit 0", *THEIRS]


LINKS = {
    "the scratch name": ".ssh/authorized_keys.locum-new",
    "the file itself": ".ssh/authorized_keys",
    "the directory": ".ssh",
}


@pytest.mark.e2e
@needs_root
@pytest.mark.parametrize("name", LINKS.values(), ids=LINKS)
def test_f_root_follows_no_link_in_a_home_directory_of_others(ops_site: Path, name: str) -> None:
    lines = on_a_machine(
        ops_site,
        f"""{OPS}
        mkdir -m 700 /root/own; echo ROOTS-SECRET >/root/own/authorized_keys; chmod 600 /root/own/authorized_keys
        touch -d @1 /root/own/authorized_keys /root/own
        rm -rf /run/ops/{name}
        ln -s /root/own{"" if name == ".ssh" else "/authorized_keys"} /run/ops/{name}
        {ENROL} --yes | tail -1
        stat -c '%n %U %a %Y' /root/own /root/own/*; cat /root/own/*
        grep -r SECRET /run/ops 2>/dev/null; ls -A /run/ops/.ssh >/dev/null 2>&1; :
        """,
    )
    assert lines[0] in {"exit 0", "exit 1"}
    assert lines[1:] == ["/root/own root 700 1", "/root/own/authorized_keys root 600 1", "ROOTS-SECRET"]


CANNOT = {
    "no shell": (
        "usermod --shell /usr/sbin/nologin {user}",
        "its login shell is /usr/sbin/nologin: usermod --shell",
    ),
    "an expired password": (
        "chage --lastday 2020-01-01 --maxdays 30 {user}",
        "its password has expired, and sshd",
    ),
    "a password to be changed": ("chage --lastday 0 {user}", "its password has expired, and sshd"),
    "an expired account": (
        "chage --expiredate 2020-01-01 {user}",
        "the account has expired: chage --expiredate -1",
    ),
}


@pytest.mark.e2e
@needs_root
def test_f_an_account_of_others_that_cannot_log_in_is_named_with_the_command_that_helps(
    ops_site: Path,
) -> None:
    commands = [how.format(user="ops") for how, _ in CANNOT.values()]
    well = "usermod -s /bin/sh ops >/dev/null; chage --maxdays -1 --expiredate -1 --lastday 2026-01-01 ops"
    script = "".join(f"{how}; {ENROL} --yes; {well}\n" for how in commands)
    lines = on_a_machine(ops_site, f"{OPS}{script} ls /usr/local/lib/locum; :")
    assert len(lines) == 2 * len(CANNOT), "\n".join(lines)
    for (_, why), said, code in zip(CANNOT.values(), lines[::2], lines[1::2], strict=True):
        assert said.startswith(f"locum: a: user ops cannot log in: {why}"), said
        assert code == "exit 1"


@pytest.mark.e2e
@needs_root
def test_f_locums_own_account_is_put_right(site_file: Path) -> None:
    commands = [how.format(user="locum") for how, _ in CANNOT.values()]
    script = "".join(f"{how}; {ENROL} --yes | grep -e user -e exit\n" for how in commands)
    lines = on_a_machine(site_file, f"{ENROL} --yes >/dev/null\n{script}")
    assert lines == ["  - update the user that locum logs in as", "exit 0"] * len(CANNOT)


@pytest.mark.e2e
@needs_root
def test_f_a_link_that_the_runner_put_at_a_secrets_name_gives_him_nothing(site_file: Path) -> None:
    """The runner owns the directory of the token: root must not give away what a link there leads to."""
    site_file.write_text(SITE.replace("/etc/locum/webhook.token", "/var/lib/own/webhook.token"))
    lines = on_a_machine(
        site_file,
        f"""
        kill $sshd 2>/dev/null; {LOCAL} --yes >/dev/null
        install -d -o locum /var/lib/own; ln -s /etc/shadow /var/lib/own/webhook.token
        {LOCAL} --yes | tail -2; stat -c %U /etc/shadow
        rm /var/lib/own/webhook.token; echo token >/var/lib/own/webhook.token
        {LOCAL} --yes | tail -1; stat -c '%U %a' /var/lib/own/webhook.token
        """,
    )
    assert lines == [
        "locum: b: /var/lib/own/webhook.token cannot be given to locum: no part of its path may be a symbolic link",
        "exit 1",
        "root",
        "exit 0",
        "locum 600",
    ]


@needs_root
@pytest.mark.parametrize("name", ["key", "key.pub"])
def test_f_a_key_is_made_past_no_link(tmp_path: Path, name: str) -> None:
    (tmp_path / "keys").mkdir()
    victim = tmp_path / "victim"
    (tmp_path / "keys" / name).symlink_to(victim)
    if name == "key":
        with pytest.raises(EnrolmentError, match="File exists"):
            make_key(tmp_path / "keys" / "key", "nobody")
    else:
        make_key(tmp_path / "keys" / "key", "nobody")
    assert not victim.exists()
    (tmp_path / "way").symlink_to(tmp_path / "keys")
    with pytest.raises(EnrolmentError, match="its path contains a symbolic link"):
        make_key(tmp_path / "way" / "other", "nobody")
