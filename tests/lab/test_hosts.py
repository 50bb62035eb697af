"""Hosts are hosts: names, process tables, disks, keys and users of their own, and they can lose their power."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path

import pytest

from lab import Lab, LabError
from lab.host import CHECKOUT

pytestmark = pytest.mark.e2e


def test_a_host_has_a_name_and_a_process_table_of_its_own(served: Lab) -> None:
    assert served.run("b", ["hostname"]).stdout == "b\n"
    assert served.run("b", ["ps", "-p", "1", "-o", "args="]).stdout.split()[-2].endswith("lab/inside/init.py")
    assert "apache2" not in served.run("b", ["ps", "-e", "-o", "comm="]).stdout
    assert "apache2" in served.run("a", ["ps", "-e", "-o", "comm="]).stdout


def test_what_is_written_in_a_host_stays_in_it(served: Lab) -> None:
    served.run("a", ["useradd", "--create-home", "visitor"])
    served.run("a", ["sh", "-c", "echo mark > /etc/mark; echo mark > /run/mark; echo mark > /var/log/mark"])
    assert served.run("a", ["id", "-un"], user="visitor").stdout == "visitor\n"
    for name in ("/etc/mark", "/run/mark", "/var/log/mark", "/home/visitor"):
        assert not Path(name).exists()
        assert served.run("b", ["test", "-e", name], check=False).returncode == 1
    assert "visitor" not in Path("/etc/passwd").read_text()


def test_the_project_is_there_and_cannot_be_written(served: Lab) -> None:
    assert served.run("b", ["cat", f"{CHECKOUT}/pyproject.toml"]).stdout == Path("pyproject.toml").read_text()
    tried = served.run("b", ["touch", f"{CHECKOUT}/mark"], check=False)
    assert "Read-only file system" in tried.stderr


def test_the_administrator_reaches_every_host_from_b_and_knows_its_key(served: Lab) -> None:
    ssh = ["ssh", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes", "-i", str(served.admin_key)]
    for address in (str(served.hosts["a"].address), str(served.hosts["a"].address6), "a"):
        assert served.run("b", [*ssh, f"root@{address}", "hostname"]).stdout == "a\n"
    assert served.run("b", [*ssh, "root@b", "hostname"]).stdout == "b\n"
    assert served.run("a", ["ls", "/root/.ssh"]).stdout == "authorized_keys\n"


def test_a_user_with_a_key_of_its_own_and_one_sudo_rule(served: Lab) -> None:
    script = """
        useradd --create-home --shell /bin/sh helper
        install -d -m 700 -o helper /home/helper/.ssh
        install -m 600 -o helper /root/.ssh/authorized_keys /home/helper/.ssh/authorized_keys
        echo 'helper ALL=(root) NOPASSWD: /usr/bin/id' > /etc/sudoers.d/helper
    """
    served.run("a", ["sh", "-ec", script])
    ssh = ["ssh", "-o", "BatchMode=yes", "helper@192.0.2.1"]
    assert served.run("b", [*ssh, "sudo -n /usr/bin/id -un"]).stdout == "root\n"
    refused = served.run("b", [*ssh, "sudo -n /bin/true"], check=False)
    assert refused.returncode == 1
    assert "password is required" in refused.stderr


def test_run_tells_what_happened(served: Lab) -> None:
    assert served.run("a", ["cat"], input="said").stdout == "said"
    assert (
        served.run("a", ["sh", "-c", "echo $WORD; pwd"], env={"WORD": "heard"}, cwd="/etc").stdout
        == "heard\n/etc\n"
    )
    with pytest.raises(subprocess.CalledProcessError) as fault:
        served.run("a", ["sh", "-c", "echo no >&2; exit 3"])
    assert (fault.value.returncode, fault.value.stderr) == (3, "no\n")
    with pytest.raises(subprocess.TimeoutExpired):
        served.run("a", ["sleep", "61"], timeout=0.2)
    assert "sleep" not in served.run("a", ["ps", "-e", "-o", "comm="]).stdout
    with pytest.raises(
        LabError, match=r"^there is no host 'z' in this lab: it has a, b, gw, client, watcher$"
    ):
        served.run("z", ["true"])
    with pytest.raises(LabError, match=r"^a has no user nobodyatall$"):
        served.run("a", ["true"], user="nobodyatall")


def test_signals_reach_the_program_itself(served: Lab) -> None:
    script = "trap 'echo asked; exit 7' TERM; echo ready; while :; do sleep 0.01; done"
    waits = served.popen("a", ["sh", "-c", script], stdout=subprocess.PIPE, text=True)
    assert waits.stdout is not None
    assert waits.stdout.readline() == "ready\n"
    waits.terminate()
    assert waits.communicate(timeout=5)[0] == "asked\n"
    assert waits.returncode == 7


@pytest.mark.timed
def test_a_crash_ends_everything_but_the_disk(served: Lab) -> None:
    served.run("a", ["sh", "-c", "echo kept > /var/lib/kept; echo lost > /run/lost; echo lost > /tmp/lost"])
    daemon = served.popen("a", ["sleep", "60"])
    since = served.crash("a")
    assert daemon.wait(timeout=1) == -signal.SIGKILL
    assert not served.hosts["a"].up
    assert time.time() - since < 2
    for action in (lambda: served.run("a", ["true"]), lambda: served.crash("a")):
        with pytest.raises(LabError, match=r"^a is down: reboot it first$"):
            action()
    assert served.run("b", ["ping", "-c1", "-W1", "192.0.2.1"], check=False).returncode == 1

    served.reboot("a")
    assert served.run("a", ["cat", "/var/lib/kept"]).stdout == "kept\n"
    assert served.run("a", ["ls", "/run/lost", "/tmp/lost"], check=False).stdout == ""
    assert served.run("a", ["cat", "/sys/class/net/eth0/address"]).stdout.strip() == served.hosts["a"].mac
    assert served.holders() == []
    assert served.run("b", ["ping", "-c1", "-W1", "192.0.2.1"]).returncode == 0
    assert (
        served.run("b", ["ssh", "-o", "BatchMode=yes", "a", "hostname"]).stdout == "a\n"
    )  # the same host key


def test_nobody_leaves_the_lab(served: Lab) -> None:
    routes = served.run("a", ["ip", "route"]).stdout.splitlines()
    assert routes[0].startswith("default via 192.0.2.254 dev eth0")
    assert served.run("a", ["ping", "-c1", "-W1", "192.0.2.254"]).returncode == 0
    assert served.run("gw", ["cat", "/proc/sys/net/ipv4/ip_forward"]).stdout == "0\n"
    assert len(served.run("gw", ["ip", "-br", "link"]).stdout.splitlines()) == 2  # lo and eth0


def test_a_boot_that_fails_says_why() -> None:
    with pytest.raises(LabError, match=r"^a: fault: sh -c echo no disk; exit 4 ended with 4: no disk$"):
        Lab(("a",), boot_services={"a": (("sh", "-c", "echo no disk; exit 4"),)}).__enter__()
