"""What a mirror takes over from the other end: content, owners, modes, and nothing that gives rights (row E1)."""

from __future__ import annotations

import os
import stat
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.mirror_hosts import MirrorHosts, in_memory, make_hosts
from tests.support.marks import needs_root

pytestmark = [needs_root, pytest.mark.integration]

# linux/capability.h, vfs_cap_data of revision 2: cap_setuid, permitted and effective.
SETUID_CAPABILITY = struct.pack("<IIIII", 0x02000001, 1 << 7, 0, 0, 0)


@pytest.fixture
def base() -> Iterator[Path]:
    """A directory in memory."""
    with in_memory() as directory:
        yield directory


def give_rights(tree: Path) -> None:
    """Put one of everything into a tree that gives rights to every user who can reach it."""
    for name, mode in (("setuid", 0o4755), ("setgid", 0o2755), ("both", 0o6711), ("sub/setuid", 0o4755)):
        (tree / name).parent.mkdir(exist_ok=True)
        (tree / name).write_text("#!/bin/sh\n")
        (tree / name).chmod(mode)
    (tree / "shared").mkdir()
    (tree / "shared").chmod(0o2775)
    os.mknod(tree / "disk", 0o666 | stat.S_IFBLK, os.makedev(8, 0))
    os.mknod(tree / "mem", 0o666 | stat.S_IFCHR, os.makedev(1, 1))
    os.mkfifo(tree / "fifo")
    (tree / "capable").write_text("program\n")
    (tree / "capable").chmod(0o755)
    os.setxattr(tree / "capable", "security.capability", SETUID_CAPABILITY)
    os.setxattr(tree / "capable", "trusted.overlay.opaque", b"y")
    os.setxattr(tree / "capable", "user.note", b"kept")


def rights(tree: Path) -> set[str]:
    """Return what in a tree gives rights, in words."""
    found = set()
    for directory, names, files in os.walk(tree):
        for name in (*names, *files):
            path = Path(directory) / name
            status, at = path.lstat(), str(path.relative_to(tree))
            if stat.S_ISLNK(status.st_mode):
                continue
            if not stat.S_ISDIR(status.st_mode) and status.st_mode & (stat.S_ISUID | stat.S_ISGID):
                found.add(f"{at}: setuid or setgid")
            if stat.S_ISBLK(status.st_mode) or stat.S_ISCHR(status.st_mode):
                found.add(f"{at}: a device")
            found |= {
                f"{at}: {attribute}"
                for attribute in os.listxattr(path, follow_symlinks=False)
                if not attribute.startswith(("user.", "system.posix_acl"))
            }
    return found


ALL_RIGHTS = {
    "setuid: setuid or setgid", "setgid: setuid or setgid", "both: setuid or setgid",
    "sub/setuid: setuid or setgid", "disk: a device", "mem: a device", "capable: security.capability",
    "capable: trusted.overlay.opaque",
}  # fmt: skip


@pytest.mark.parametrize("mode", ["in_place", "staged"])
def test_e1_a_run_gives_no_rights(base: Path, mode: str) -> None:
    hosts = make_hosts(base, {"mode": mode})
    give_rights(hosts.tree("a"))
    assert rights(hosts.tree("a")) == ALL_RIGHTS
    for _ in range(2):
        result = hosts.run()
        assert result.done, result.text
        assert rights(hosts.tree("b")) == set()
    copy = hosts.tree("b")
    assert stat.S_IMODE((copy / "both").stat().st_mode) == 0o711
    assert os.getxattr(copy / "capable", "user.note") == b"kept"
    assert (copy / "fifo").is_fifo()
    # A directory's setgid bit gives new files its group and no rights; shared directories need it.
    assert stat.S_IMODE((copy / "shared").stat().st_mode) == 0o2775
    assert result.count.copied == 0
    hosts.close()


def test_e1_the_site_file_may_ask_for_it_in_so_many_words(base: Path) -> None:
    hosts = make_hosts(base, {"privileges": "copy"})
    give_rights(hosts.tree("a"))
    result = hosts.run()
    assert result.done, result.text
    assert rights(hosts.tree("b")) == ALL_RIGHTS
    hosts.close()


def speak(hosts: MirrorHosts, evil: Path, *, names: str = "x\0", discard: int = 1) -> str:
    """Speak to mirror-receive of b as any program with the actuator's key can: with its own rsync daemon."""
    configuration = hosts.base / "evil.conf"
    configuration.write_text(
        f"use chroot = no\nuid = 0\ngid = 0\nlog file = /dev/null\n[tree]\npath = {evil}\nread only = yes\n"
        "munge symlinks = no\nnumeric ids = yes\n"
    )
    script = f"printf 'names {len(names)}\\n'; printf '{names.replace(chr(0), chr(92) + '0')}'; " + (
        f"exec rsync --server --daemon --config={configuration} ."
    )
    to_sender, from_sender = os.pipe(), os.pipe()
    words = ("mirror-receive", "www", "3", "1", "20300101000000", "0", "1000000000000", str(discard), "0")
    with subprocess.Popen(
        ["sh", "-c", script], stdin=to_sender[0], stdout=from_sender[1], stderr=subprocess.DEVNULL
    ) as sender, subprocess.Popen(
        hosts.gates["b"].command("actuator", *words), stdin=from_sender[0], stdout=to_sender[1],
        stderr=subprocess.PIPE, text=True,
    ) as receiver:  # fmt: skip
        for end in (*to_sender, *from_sender):
            os.close(end)
        said = receiver.communicate(timeout=60)[1]
        sender.wait(20)
    return said


def test_e1_the_actuators_key_with_another_rsync_makes_no_setuid_file(base: Path) -> None:
    hosts, evil = make_hosts(base), base / "evil"
    evil.mkdir()
    give_rights(evil)
    said = speak(hosts, evil)
    assert said.endswith("end ok\n"), said
    assert (hosts.tree("b") / "setuid").exists()
    assert rights(hosts.tree("b")) == set()
    hosts.close()


def test_e1_a_link_that_the_sender_made_leads_the_next_run_nowhere(base: Path) -> None:
    """First the sender makes `out` a link to a directory outside, then a directory with a file in it."""
    hosts, evil, outside = make_hosts(base), base / "evil", base / "outside"
    outside.mkdir()
    for name, target in (("out", str(outside)), ("up", ".."), (".locum-kept.x", str(outside))):
        (evil).mkdir(exist_ok=True)
        (evil / name).symlink_to(target)
    assert speak(hosts, evil).endswith("end ok\n")
    for name in ("out", "up", ".locum-kept.x"):
        (evil / name).unlink()
        (evil / name).mkdir()
        (evil / name / "planted").write_text("planted\n")
    said = speak(hosts, evil)
    assert said.endswith("end ok\n"), said
    assert not list(base.rglob("outside/*"))
    assert not (hosts.tree("b").parent / "planted").exists()
    assert (hosts.tree("b") / "out" / "planted").read_text() == "planted\n"
    hosts.close()


def test_e1_the_receiver_has_no_capability_beyond_those_of_copying(base: Path) -> None:
    hosts = make_hosts(base)
    gate = hosts.gates["b"].gate
    report = base / "b" / "srv1" / "capabilities"
    # A stand-in for rsync that tries what a receiver could be made to try.
    fake = (
        "sh -c 'mknod /tree/device c 1 3; mount -t tmpfs x /tree; chroot /tree true; "
        "echo tried >/tree/capabilities; touch /usr/planted /planted; "
        "ls /proc /root /home >/tree/seen 2>&1; exit 0' "
    )
    text = gate.read_text()
    assert "with_copy_options exec_in_tree rsync" in text
    gate.write_text(text.replace("with_copy_options exec_in_tree rsync", f"exec_in_tree {fake}"))
    assert "rsync" not in hosts.run().outcome
    assert report.read_text() == "tried\n"
    assert not (report.parent / "device").exists()
    assert not Path("/usr/planted").exists()
    assert (report.parent / "seen").read_text().count("cannot access") == 3
    hosts.close()


@pytest.mark.parametrize("mode", ["in_place", "staged"])
def test_e1_what_an_earlier_version_copied_loses_its_rights_with_the_next_run(base: Path, mode: str) -> None:
    hosts = make_hosts(base, {"mode": mode})
    assert hosts.run().done
    (hosts.tree("a") / "index.html").chmod(0o4755)
    (hosts.tree("b") / "index.html").chmod(0o4755)
    assert hosts.run(discard_changes=True).done, hosts.results[-1].text
    assert rights(hosts.tree("b")) == set()
    hosts.close()


def test_e1_what_is_put_back_has_no_rights_either(base: Path) -> None:
    hosts = make_hosts(base)
    assert hosts.run().done
    (hosts.tree("a") / "index.html").write_text("changed\n")
    second = hosts.run()
    kept = hosts.tree("b") / ".locum-kept" / str(second.run) / "index.html"
    kept.chmod(0o6755)
    hosts.mirrors.restore("www", "b", second.run)
    assert (hosts.tree("b") / "index.html").read_text() == "tree 1\n"
    assert stat.S_IMODE((hosts.tree("b") / "index.html").stat().st_mode) == 0o755
    hosts.close()
