"""What comes over the wire is a verb, a service and an epoch, or it is refused; hostile words most of all."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.inventory.gate.gate_host import GateHost, install_gate
from tests.support.marks import needs_root

pytestmark = [needs_root, pytest.mark.integration]

HOST_FILE = """
service www
address 203.0.113.7/24
interface lo
process no-such-process
start touch {canary}
stop touch {canary}
service mail
address 2001:db8::7/64
interface lo
standby running
"""


@pytest.fixture(params=["dash", "busybox sh"])
def host(request: pytest.FixtureRequest, tmp_path: Path) -> GateHost:
    return install_gate(tmp_path, HOST_FILE.format(canary=tmp_path / "canary"), tuple(request.param.split()))


BOOT = "5a3ad4a2-0d3c-4a4e-8d6b-8f0f5f0c1e11"
HOSTILE = {
    "nothing": ("", "no such verb"),
    "only spaces": ("   ", "no such verb"),
    "another program": ("ls", "no such verb"),
    "a verb in capitals": ("STATUS", "no such verb"),
    "semicolon": ("status; touch CANARY", "no such verb"),
    "semicolon without space": ("status;id", "no such verb"),
    "command substitution": ("status $(touch CANARY)", "no such verb"),
    "backticks": ("status `touch CANARY`", "no such verb"),
    "variable": ("status $HOME", "no such verb"),
    "pipe": ("status | sh", "no such verb"),
    "redirection": ("status > CANARY", "no such verb"),
    "and": ("status && touch CANARY", "no such verb"),
    "newline": ("status\ntouch CANARY", "no such verb"),
    "carriage return": ("status\r", "no such verb"),
    "tab": ("status\twww", "no such verb"),
    "glob star": ("status *", "no such verb"),
    "glob question mark": ("status ww?", "no such verb"),
    "glob class": ("status [a-z]ww", "no such verb"),
    "tilde": ("status ~", "no such verb"),
    "quotes": ("status 'www'", "no such verb"),
    "backslash": ("status www\\", "no such verb"),
    "climbing": ("release ../../etc/passwd 1", "no such verb"),
    "an option for ip": ("status -h", "no such service"),
    "two dashes": ("status --", "no such service"),
    "letters beyond ASCII": ("status wẅw", "no such verb"),
    "a verb as service": ("release release 1", "no such service: release"),
    "an unknown service": ("status nowhere", "no such service: nowhere"),
    "part of a name": ("status ww", "no such service: ww"),
    "a name of 64": (f"status {'w' * 64}", "no such service"),
    "very long": ("status " + "w" * 100_000, "too long"),
    "too many words": ("status www mail", "status takes one service at most"),
    "words after watch": ("watch www", "watch takes no further words"),
    "no epoch": ("release www", "release takes a service and an epoch"),
    "a claim in the words of version 1": (
        "claim www 1",
        "claim takes a service, an epoch, a boot id, an uptime and addresses",
    ),
    "a start without an uptime": (
        f"start www 1 {BOOT}",
        "start takes a service, an epoch, a boot id, an uptime and addresses",
    ),
    "a boot id in capitals": (f"claim www 1 {BOOT.upper()} 1", "no such verb"),
    "a boot id that is too short": ("claim www 1 abc 1", "a boot id has 36 characters"),
    "a boot id of other letters": (f"claim www 1 {BOOT[:-1]}g 1", "a boot id has 36 characters"),
    "a boot id that climbs": (f"claim www 1 {'../' * 12} 1", "a boot id has 36 characters"),
    "an uptime of letters": (f"claim www 1 {BOOT} x", "an uptime is a decimal number"),
    "a negative uptime": (f"claim www 1 {BOOT} -1", "an uptime is a decimal number"),
    "an octal uptime": (f"claim www 1 {BOOT} 010", "an uptime is a decimal number"),
    "an uptime of 19 digits": (f"claim www 1 {BOOT} {'9' * 19}", "an uptime is a decimal number"),
    "an address that is a path": (f"claim www 1 {BOOT} 1 /etc/passwd", "no such address"),
    "an address that is an option": (f"claim www 1 {BOOT} 1 -f/24", "no such address"),
    "an address without its prefix": (f"claim www 1 {BOOT} 1 203.0.113.7", "no such address"),
    "an address with a semicolon": (f"claim www 1 {BOOT} 1 203.0.113.7/24;id", "no such verb"),
    "an address of 44 characters": (f"claim www 1 {BOOT} 1 {'1' * 41}/24", "no such address"),
    "an address with a newline": (f"claim www 1 {BOOT} 1 203.0.113.7/24\nid", "no such verb"),
    "65 addresses": (f"claim www 1 {BOOT} 1{' 203.0.113.7/24' * 65}", "claim takes 64 addresses at most"),
    "a service that climbs": (f"claim ../../etc 1 {BOOT} 1", "no such service"),
    "a service with a dot": (f"claim www.x 1 {BOOT} 1", "no such service"),
    "a reset without an epoch": ("reset-epoch www", "reset-epoch takes a service and an epoch"),
    "a stored epoch without its number": ("store-epoch www", "store-epoch takes a service and an epoch"),
    "a word after the epoch": ("release www 1 1", "release takes a service and an epoch"),
    "a mirror verb without its numbers": (
        "mirror-send www 1 1 1",
        "mirror-send takes a service and seven numbers",
    ),
    "a mirror verb with a word more": (
        "mirror-send www 1 1 1 0 0 0 0 x",
        "mirror-send takes a service and seven numbers",
    ),
    "a tree of letters": ("mirror-receive www 1 a 1 0 0 0 0", "a number is decimal"),
    "a run that climbs": ("mirror-restore www 1 1 .. 0 0 0 0", "no such verb"),
    "a run of nineteen digits": (f"mirror-restore www 1 1 {'1' * 19} 0 0 0 0", "a number is decimal"),
    "an octal run": ("mirror-restore www 1 1 07 0 0 0 0", "a number is decimal"),
    "a mirror verb that is none": ("mirror-exec www 1 1 1 0 0 0 0", "no such verb"),
    "a service without a mirror": ("mirror-look www 1 1 0 0 0 0 0", "www has no tree 1 here"),
    "negative epoch": ("release www -1", "an epoch is a decimal number"),
    "epoch of letters": ("release www x", "an epoch is a decimal number"),
    "octal epoch": ("release www 010", "an epoch is a decimal number"),
    "hexadecimal epoch": ("release www 0x10", "an epoch is a decimal number"),
    "epoch of 19 digits": (f"release www {'9' * 19}", "an epoch has 18 digits at most"),
}


@pytest.mark.parametrize(("words", "reason"), HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_words_are_refused_and_run_nothing(host: GateHost, words: str, reason: str) -> None:
    canary = host.prefix / "canary"
    assert host.ask(words.replace("CANARY", str(canary))) == ["locum-gate 2 2", f"end refused {reason}"]
    assert not canary.exists()
    assert not host.state.exists() or not list(host.state.iterdir())


MIRROR_VERBS = ("look", "mark", "changes", "restore", "halt", "send", "send-mounted", "receive")


@pytest.mark.parametrize(
    "words",
    [
        f"{verb} www 1"
        for verb in ("respawn", "start", "stop", "release", "claim", "reset-epoch", "store-epoch")
    ]
    + [f"mirror-{verb} www 1 1 1 0 0 0 0" for verb in MIRROR_VERBS],
)
def test_an_exporter_changes_nothing(host: GateHost, words: str) -> None:
    answer = ["locum-gate 2 2", "end refused this key may only watch and status"]
    assert host.ask(words, role="exporter") == answer
    assert not (host.prefix / "canary").exists()


def test_an_exporter_asks_for_status(host: GateHost) -> None:
    answer = host.ask("status www", role="exporter")
    assert answer[0] == "locum-gate 2 2"
    assert answer[answer.index("service www") :] == [
        "service www", "epoch 0", "address 203.0.113.7 absent", "processes 0",
        "knows 203.0.113.7/24", "interface lo", "end ok",
    ]  # fmt: skip


@pytest.mark.parametrize("role", ["", "root", "actuator;id", "exporter actuator"])
def test_a_role_is_one_of_two(host: GateHost, role: str) -> None:
    assert host.ask("status", role=role) == ["locum-gate 2 2", "end refused the role is actuator or exporter"]


UNTRUSTED = {
    "file others may write": ("file", 0o646, 0, "may be written by others than root"),
    "file a group may write": ("file", 0o664, 0, "may be written by others than root"),
    "directory others may write": ("directory", 0o777, 0, "may be written by others than root"),
    "file of another user": ("file", 0o644, 65534, "is not owned by root"),
    "directory of another user": ("directory", 0o755, 65534, "is not owned by root"),
}


@pytest.mark.parametrize(("what", "mode", "owner", "reason"), UNTRUSTED.values(), ids=UNTRUSTED.keys())
def test_a_host_file_that_is_not_roots_alone_is_refused(
    host: GateHost, what: str, mode: int, owner: int, reason: str
) -> None:
    import os

    path = host.host_file if what == "file" else host.host_file.parent
    os.chown(path, owner, 0)
    path.chmod(mode)
    for words in (("status",), ("watch",), ("start", "www", "1")):
        assert host.run(*words) == [
            "locum-gate 2 2",
            f"end refused {host.host_file} or its directory {reason}",
        ]
    assert not (host.prefix / "canary").exists()


BAD_FILES = {
    "missing": (None, "{file} is missing: run locum enrol"),
    "unknown key": ("service www\ncolour red\n", "{file}, line 3: unknown key"),
    "of a later format": ("locum-gate 2\n", "{file} is of format '2', this gate reads 1"),
}


@pytest.mark.parametrize(("text", "reason"), BAD_FILES.values(), ids=BAD_FILES.keys())
def test_a_bad_host_file_is_named(host: GateHost, text: str | None, reason: str) -> None:
    if text is None:
        host.host_file.unlink()
    else:
        host.write_host_file(text)
    assert host.run("status") == ["locum-gate 2 2", "end refused " + reason.format(file=host.host_file)]
