"""The gate's verbs against real processes and real addresses."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from locum_inventory.gate.answers import read_answer
from tests.inventory.gate.gate_host import GateHost, copy_of_sleep, install_gate
from tests.support import namespaces
from tests.support.marks import needs_root
from tests.support.polling import wait_for
from tests.support.processes import wait_for_name

pytestmark = [needs_root, pytest.mark.integration]

NAME = f"lg{os.getpid()}"  # of the service's process: no other process has it
SHELLS = ["dash", "busybox sh"]
ADDRESSES = ["address 198.51.100.7 {}", "address 2001:db8::7 {}"]

Spawn = Callable[..., list[subprocess.Popen[bytes]]]
Words = tuple[str, ...]

HOST_FILE = f"""
service www
address 198.51.100.7/24
address 2001:db8::7/64
interface card0
process {NAME}
start {{directory}}/{NAME} 100 &
respawn {{directory}}/{NAME} 100 &
stop {{stop}}
stop_timeout_ms 400
service dns
address 198.51.100.8/24
interface card0
process {NAME}
standby running
"""
STOP_ALL = f"kill $(pidof {NAME})"


@pytest.fixture(scope="module")
def namespace() -> Iterator[str]:
    with namespaces.namespace("gate") as name:
        ip(name, "link add card0 type veth peer name wire0")
        for card in ("card0", "wire0"):
            ip(name, f"link set {card} up")
        yield name


@pytest.fixture
def make_host(namespace: str, tmp_path: Path) -> Iterator[Callable[..., GateHost]]:
    copy_of_sleep(tmp_path, NAME)

    def make(shell: str = "dash", stop: str = STOP_ALL) -> GateHost:
        text = HOST_FILE.format(directory=tmp_path, stop=stop)
        return install_gate(tmp_path, text, (*namespaces.inside(namespace), *shell.split()))

    yield make
    subprocess.run(["ip", "-n", namespace, "addr", "flush", "dev", "card0"], check=True)
    for process in processes():
        os.kill(process, signal.SIGKILL)


def processes(name: str = NAME) -> list[int]:
    """Process ids by name, the dead left out."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            stat = (entry / "stat").read_text() if entry.name.isdigit() else ""
        except OSError:
            continue
        if f"({name})" in stat and stat.rpartition(") ")[2][0] not in "ZX":
            found.append(int(entry.name))
    return found


@pytest.fixture
def spawn() -> Iterator[Spawn]:
    spawned: list[subprocess.Popen[bytes]] = []

    def spawn(host: GateHost, count: int = 1) -> list[subprocess.Popen[bytes]]:
        new = [subprocess.Popen([host.prefix / NAME, "100"]) for _ in range(count)]
        spawned.extend(new)
        for process in new:
            wait_for_name(process.pid, NAME)
        return new

    yield spawn
    for process in spawned:
        process.kill()
        process.wait(timeout=2.0)


def reap(found: list[subprocess.Popen[bytes]]) -> list[int]:
    return [process.wait(timeout=2.0) for process in found]


def ip(namespace: str, words: str) -> str:
    return subprocess.run(
        ["ip", "-n", namespace, *words.split()], check=True, capture_output=True, text=True
    ).stdout


def state(epoch: int, held: str, count: int, verdict: str = "ok") -> list[str]:
    """An answer, whole."""
    lines = ["locum-gate 2 2", "service www", f"epoch {epoch}", *(line.format(held) for line in ADDRESSES)]
    return [*lines, f"processes {count}", f"end {verdict}"]


@pytest.mark.parametrize("shell", SHELLS)
def test_a_life(make_host: Callable[..., GateHost], shell: str) -> None:
    host = make_host(shell)
    steps = [
        (("start", "www", "1"), state(1, "absent", 1)),
        (("start", "www", "1"), state(1, "absent", 1)),  # it runs: nothing to do
        (("claim", "www", "2"), state(2, "held", 1)),
        (("claim", "www", "2"), state(2, "held", 1)),
        (("respawn", "www", "2"), state(2, "held", 2)),
        (("stop", "www", "3"), state(3, "held", 0)),
        (("stop", "www", "3"), state(3, "held", 0)),
        (("start", "www", "3"), state(3, "held", 1)),
        (("release", "www", "4"), state(4, "absent", 0)),
        (("release", "www", "4"), state(4, "absent", 0)),
    ]
    for words, answer in steps:
        assert host.run(*words) == answer, words
    assert processes() == []


@pytest.mark.parametrize("shell", SHELLS)
def test_status_says_what_is(
    make_host: Callable[..., GateHost], spawn: Spawn, namespace: str, shell: str
) -> None:
    host = make_host(shell)
    spawn(host, 2)
    ip(namespace, "addr add 2001:0db8:0::0007/128 dev lo")  # another spelling, another interface
    ip(namespace, "addr add 198.51.100.70/24 dev card0")  # not ours, though it begins like ours
    try:
        answer = host.run("status")
    finally:
        ip(namespace, "addr del 2001:db8::7/128 dev lo")
    hash_line = subprocess.run(["sha256sum", host.host_file], capture_output=True, text=True, check=True)
    uptime = float(Path("/proc/uptime").read_text().split()[0]) * 100
    assert 0 <= uptime - int(answer[3].removeprefix("uptime ")) < 60 * 100
    card = ip(namespace, "-o link show card0").partition("link/ether ")[2].split()[0]
    wire = ip(namespace, "-o link show wire0").partition("link/ether ")[2].split()[0]
    assert answer[:3] == [
        "locum-gate 2 2",
        f"config {hash_line.stdout.split()[0]}",
        f"boot {Path('/proc/sys/kernel/random/boot_id').read_text().strip()}",
    ]
    links = {line for line in answer if line.startswith("link ")}
    assert {f"link card0 up {card}", f"link wire0 up {wire}"} <= links
    assert answer[answer.index("service www") :] == [
        "service www", "epoch 0", "address 198.51.100.7 absent", "address 2001:db8::7 held", "processes 2",
        "knows 198.51.100.7/24 2001:db8::7/64", "interface card0",
        "service dns", "epoch 0", "address 198.51.100.8 absent", "processes 2",
        "knows 198.51.100.8/24", "interface card0",
        "end ok",
    ]  # fmt: skip


@pytest.mark.parametrize("shell", SHELLS)
def test_b9_b10_status_reports_every_interface_with_its_state_and_macs(
    make_host: Callable[..., GateHost], namespace: str, shell: str
) -> None:
    ip(namespace, "link add card1 address 02:00:00:00:00:11 type veth peer name card2")
    ip(namespace, "link add cut0 address 02:00:00:00:00:12 type veth peer name cut1")
    ip(namespace, "link set cut0 up")
    ip(namespace, "link property add dev cut0 altname a-second-name")
    try:
        answer = make_host(shell).run("status")
    finally:
        for name in ("card1", "cut0"):
            ip(namespace, f"link del {name}")
    assert "link card1 down 02:00:00:00:00:11" in answer
    assert "link cut0 no_carrier 02:00:00:00:00:12" in answer
    assert "link a-second-name no_carrier 02:00:00:00:00:12" in answer


@pytest.mark.parametrize("shell", SHELLS)
def test_b10_the_mac_that_a_card_was_made_with_is_reported_too(
    make_host: Callable[..., GateHost], tmp_path: Path, shell: str
) -> None:
    """As iproute2 prints the slave of a bond: no card of a test has a permanent address."""
    host = make_host(shell)
    said = (
        "2: eth0: <BROADCAST,MULTICAST,SLAVE,UP,LOWER_UP> mtu 1500 qdisc mq master bond0 state UP mode DEFAULT"
        r" group default qlen 1000\    link/ether 02:00:00:00:00:01 brd ff:ff:ff:ff:ff:ff"
        r" permaddr 02:00:00:00:00:99\    altname enp1s0"
    )
    fake = tmp_path / "ip"
    fake.write_text(f'#!/bin/sh\ncase "$*" in *link*) echo \'{said}\' ;; *) exec /sbin/ip "$@" ;; esac\n')
    fake.chmod(0o755)
    host.gate.write_text(
        host.gate.read_text().replace("PATH=/usr/local/sbin", f"PATH={tmp_path}:/usr/local/sbin")
    )
    answer = host.run("status")
    assert "link eth0 up 02:00:00:00:00:01 02:00:00:00:00:99" in answer
    assert "link enp1s0 up 02:00:00:00:00:01 02:00:00:00:00:99" in answer


LATE = {
    "in another boot": (lambda words: ("0" * 36, *words[1:]), "end too_late www: this host has booted since"),
    "after its time": (
        lambda words: (words[0], "1", *words[2:]),
        "ms after its evidence had become too old",
    ),
}


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("verb", ["claim", "start", "respawn"])
@pytest.mark.parametrize(("change", "verdict"), LATE.values(), ids=LATE)
def test_a3_what_comes_too_late_changes_nothing(
    make_host: Callable[..., GateHost], shell: str, verb: str, change: Callable[..., Words], verdict: str
) -> None:
    host = make_host(shell)
    answer = host.run(verb, "www", "1", *change(host.permit("www")))
    assert verdict in answer[-1], answer
    status = host.run("status", "www")
    assert "address 198.51.100.7 absent" in status
    assert "processes 0" in status


@pytest.mark.parametrize("what", ["its lock", "its epoch"])
def test_a3_the_age_is_compared_after_what_a_claim_waits_for(
    make_host: Callable[..., GateHost], namespace: str, what: str
) -> None:
    """The verb came in time; another one held the lock, or a slow disk its epoch, until it was too late."""
    host = make_host(stop="sleep 1.2; true")
    release: subprocess.Popen[str] | None = None
    if what == "its lock":
        host.write_host_file(
            host.host_file.read_text()
            .removeprefix("locum-gate 1\n")
            .replace("timeout_ms 400", "timeout_ms 4000")
        )
        release = subprocess.Popen(
            host.command("actuator", "stop", "www", "1"), stdout=subprocess.PIPE, text=True
        )
        wait_for(lambda: any(host.run_directory.glob("*.pipe")), "the stop command runs")
    else:
        host.gate.write_text(host.gate.read_text().replace('sync "$new" &&', 'sync "$new" && sleep 1.2 &&'))
    answer = host.run("claim", "www", "2", *host.permit("www", seconds=0.6))
    if release is not None:
        release.communicate(timeout=15.0)
    assert "too_late" in answer[-1], answer
    assert "198.51.100.7" not in ip(namespace, "addr show dev card0")


@pytest.mark.parametrize("shell", SHELLS)
def test_a3_a_claim_that_gets_too_old_half_way_takes_off_what_it_put_on(
    make_host: Callable[..., GateHost], namespace: str, tmp_path: Path, shell: str
) -> None:
    host = make_host(shell)
    fake = tmp_path / "ip"
    fake.write_text('#!/bin/sh\ncase "$*" in *replace*) sleep 1 ;; esac\nexec /sbin/ip "$@"\n')
    fake.chmod(0o755)
    host.gate.write_text(
        host.gate.read_text().replace("PATH=/usr/local/sbin", f"PATH={tmp_path}:/usr/local/sbin")
    )
    ip(namespace, "addr add 198.51.100.9/24 dev card0")  # the host's own
    answer = host.run("claim", "www", "2", *host.permit("www", seconds=0.6))
    assert "too_late" in answer[-1], answer
    there = ip(namespace, "addr show dev card0")
    assert "198.51.100.7" not in there
    assert "2001:db8::7" not in there
    assert "198.51.100.9" in there


DRIFT = {
    "another address": (("198.51.100.77/24", "2001:db8::7/64"), "not 198.51.100.77/24 2001:db8::7/64"),
    "one address less": (("198.51.100.7/24",), "not 198.51.100.7/24"),
    "one address more": (
        ("198.51.100.7/24", "2001:db8::7/64", "198.51.100.70/24"), "not 198.51.100.7/24 2001:db8::7/64 198.51",
    ),
    "another prefix": (("198.51.100.7/25", "2001:db8::7/64"), "not 198.51.100.7/25"),
    "the same one twice": (("198.51.100.7/24", "198.51.100.7/24"), "not 198.51.100.7/24 198.51.100.7/24"),
    "none": ((), "not none"),
}  # fmt: skip


@pytest.mark.parametrize("verb", ["claim", "start"])
@pytest.mark.parametrize(("addresses", "said"), DRIFT.values(), ids=DRIFT)
def test_a10_a_host_whose_file_has_other_addresses_is_given_nothing(
    make_host: Callable[..., GateHost], verb: str, addresses: tuple[str, ...], said: str
) -> None:
    host = make_host()
    answer = host.run(verb, "www", "1", *host.permit("www")[:2], *addresses)
    assert answer[-1].startswith(
        "end refused www: this host's gate.conf has 198.51.100.7/24 2001:db8::7/64, not"
    )
    assert said in answer[-1]
    assert answer[-1].endswith(": run locum enrol")
    assert not (host.state / "www.epoch").exists()
    assert "address 198.51.100.7 absent" in host.run("status", "www")


def test_a10_the_order_of_the_addresses_says_nothing(make_host: Callable[..., GateHost]) -> None:
    host = make_host()
    boot_id, uptime, *addresses = host.permit("www")
    assert host.run("claim", "www", "1", boot_id, uptime, *reversed(addresses))[-1] == "end ok"


JUMP = "refused www: epoch {} is more than 1000000 above {}: run locum reset-epoch www"
EPOCHS = {
    "the first": (None, "1", "ok"),
    "zero": (None, "0", "ok"),
    "the same": ("7\n", "7", "ok"),
    "a higher one": ("7\n", "8", "ok"),
    "a longer one": ("9\n", "10", "ok"),
    "as far as a jump may go": ("7\n", "1000007", "ok"),
    "further than a jump may go": ("7\n", "1000008", JUMP.format("1000008", 7)),
    "the highest there is": ("7\n", "9" * 18, JUMP.format("9" * 18, 7)),
    "the highest there is, where none was seen": (None, "9" * 18, JUMP.format("9" * 18, 0)),
    "a lower one": ("7\n", "6", "old_epoch www: epoch 6 is older than 7"),
    "a shorter one": ("10\n", "9", "old_epoch www: epoch 9 is older than 10"),
    "after one that cannot be read": ("garbage\n", "9", "failed www: the epoch could not be stored"),
    "after an empty file": ("", "9", "failed www: the epoch could not be stored"),
}


@pytest.mark.parametrize(("stored", "asked", "verdict"), EPOCHS.values(), ids=EPOCHS.keys())
def test_an_older_epoch_is_refused(
    make_host: Callable[..., GateHost], stored: str | None, asked: str, verdict: str
) -> None:
    host = make_host()
    host.state.mkdir()
    if stored is not None:
        (host.state / "www.epoch").write_text(stored)
    answer = host.run("claim", "www", asked)
    assert answer[-1] == f"end {verdict}"
    done = verdict == "ok"
    assert ("address 198.51.100.7 held" in answer) == done
    if done:
        assert (host.state / "www.epoch").read_text() == f"{asked}\n"


@pytest.mark.parametrize("stored", ["5", "9" * 18, "9" * 19, "garbage", "", "08", "0000005"])
@pytest.mark.parametrize("asked", ["4", "0", "9" * 18])
def test_b8_a_release_never_fails_for_its_epoch(
    make_host: Callable[..., GateHost], namespace: str, stored: str, asked: str
) -> None:
    host = make_host()
    host.run("claim", "www", "5")
    (host.state / "www.epoch").write_text(f"{stored}\n")
    assert host.run("release", "www", asked)[-1] == "end ok"
    assert "198.51.100.7/24" not in ip(namespace, "addr show dev card0")
    if (
        stored.isdigit() and len(stored) <= 18 and stored[0] != "0"
    ):  # a release neither lowers an epoch nor lets it jump
        assert (host.state / "www.epoch").read_text() == f"{stored}\n"


@pytest.mark.parametrize("verb", ["claim", "start", "respawn", "stop", "store-epoch"])
def test_b8_no_verb_stores_an_epoch_that_jumps(make_host: Callable[..., GateHost], verb: str) -> None:
    """One respawn with the highest number there is would else have every later verb refused for ever."""
    host = make_host()
    host.run("claim", "www", "5")
    assert host.run(verb, "www", "9" * 18)[-1] == f"end {JUMP.format('9' * 18, 5)}"
    assert host.run("claim", "www", "6")[-1] == "end ok"


RESETS = {
    "far too high": ("9" * 18, "7", "ok"),
    "of 19 digits": ("9" * 19, "7", "ok"),
    "not a number": ("garbage", "7", "ok"),
    "empty": ("", "7", "ok"),
    "with zeros before it, and no octal number": ("08", "7", "ok"),
    "with zeros before it": ("0000009", "7", "ok"),
    "in order": ("8", "7", "refused www: epoch 8 is in order"),
    "somewhat higher": ("1000007", "7", "refused www: epoch 1000007 is in order"),
    "lower": ("3", "7", "refused www: epoch 3 is in order"),
}


@pytest.mark.parametrize(("stored", "asked", "verdict"), RESETS.values(), ids=RESETS)
def test_b8_only_a_damaged_epoch_can_be_reset(
    make_host: Callable[..., GateHost], stored: str, asked: str, verdict: str
) -> None:
    host = make_host()
    host.state.mkdir()
    (host.state / "www.epoch").write_text(f"{stored}\n")
    assert host.run("reset-epoch", "www", asked)[-1] == f"end {verdict}"
    now = asked if verdict == "ok" else stored
    assert (host.state / "www.epoch").read_text() == f"{now}\n"


@pytest.mark.parametrize(
    ("stored", "said"),
    [("garbage", True), ("9" * 19, True), ("", True), ("08", True), ("7", False), ("0", False)],
)
def test_b8_status_says_that_an_epoch_is_damaged(
    make_host: Callable[..., GateHost], stored: str, said: bool
) -> None:
    host = make_host()
    host.state.mkdir()
    (host.state / "www.epoch").write_text(f"{stored}\n")
    answer = host.run("status", "www")
    assert ("damaged epoch" in answer) == said
    assert read_answer("\n".join(answer) + "\n", "", "a").services["www"].epoch_damaged == said


@pytest.mark.parametrize("kind", ["a FIFO", "a directory"])
def test_b8_what_is_no_file_at_the_epochs_name_holds_up_no_release(
    make_host: Callable[..., GateHost], namespace: str, kind: str
) -> None:
    host = make_host()
    host.run("claim", "www", "5")
    epoch = host.state / "www.epoch"
    epoch.unlink()
    os.mkfifo(epoch) if kind == "a FIFO" else epoch.mkdir()
    assert "damaged epoch" in host.run("status", "www")
    assert host.run("stop", "www", "6")[-1] == "end failed www: the epoch could not be stored"
    assert host.run("release", "www", "6")[-1] == "end ok"
    assert "198.51.100.7/24" not in ip(namespace, "addr show dev card0")
    if kind == "a directory":
        assert list(epoch.iterdir()) == []
        assert host.run("reset-epoch", "www", "6")[-1] == "end failed www: the epoch could not be stored"
    else:
        assert host.run("claim", "www", "7")[-1] == "end ok", "the release has put a file in its place"


def test_an_epoch_is_stored_and_nothing_else_is_done(make_host: Callable[..., GateHost]) -> None:
    host = make_host()
    assert host.run("store-epoch", "www", "3") == state(3, "absent", 0)
    assert host.run("store-epoch", "www", "2")[-1] == "end old_epoch www: epoch 2 is older than 3"


@pytest.mark.parametrize("damage", ["a file where the directory should be", "a damaged epoch"])
def test_only_a_release_goes_on_without_its_epoch(
    make_host: Callable[..., GateHost], spawn: Spawn, damage: str
) -> None:
    host = make_host()
    spawned = spawn(host)
    host.run("claim", "www", "5")
    if damage == "a damaged epoch":
        (host.state / "www.epoch").write_text("?")
    else:
        (host.state / "www.epoch").unlink()
        host.state.rmdir()
        host.state.write_text("")
    for verb in ("claim", "start", "respawn", "stop"):
        assert host.run(verb, "www", "6")[-1] == "end failed www: the epoch could not be stored"
    assert host.run("release", "www", "6")[-2:] == ["processes 0", "end ok"]
    reap(spawned)


def test_a_full_disk_does_not_stop_a_release(make_host: Callable[..., GateHost]) -> None:
    host = make_host()
    host.state.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k", "none", host.state], check=True)
    try:
        host.run("claim", "www", "5")
        (host.state / "www.epoch").unlink()
        (host.state / "filler").write_bytes(b"x" * 4096)
        assert host.run("claim", "www", "6")[-1] == "end failed www: the epoch could not be stored"
        assert host.run("release", "www", "6") == state(0, "absent", 0)
    finally:
        subprocess.run(["umount", host.state], check=True)


@pytest.mark.timed
@pytest.mark.parametrize("shell", SHELLS)
def test_a_stopped_process_is_killed_at_once(
    make_host: Callable[..., GateHost], spawn: Spawn, shell: str
) -> None:
    host = make_host(shell, "true")  # as apachectl does: returns 0, nothing happens
    text = host.host_file.read_text().replace("stop_timeout_ms 400", "stop_timeout_ms 10000")
    host.write_host_file(text)
    spawned = spawn(host, 3)
    os.kill(spawned[1].pid, signal.SIGSTOP)
    began = time.monotonic()
    assert host.run("release", "www", "1") == state(1, "absent", 0)
    assert time.monotonic() - began < 10.0  # the daemon would hold it for ever
    assert reap(spawned) == [-signal.SIGKILL] * 3


@pytest.mark.timed
@pytest.mark.parametrize("stop", ["true", "sleep 30", "exit 1", "trap '' TERM; sleep 30"])
def test_what_a_stop_command_leaves_is_killed(
    make_host: Callable[..., GateHost], spawn: Spawn, stop: str
) -> None:
    host = make_host(stop=stop)
    spawned = spawn(host, 2)
    began = time.monotonic()
    assert host.run("release", "www", "1") == state(1, "absent", 0)
    assert 0.4 <= time.monotonic() - began < 2.0
    assert reap(spawned) == [-signal.SIGKILL] * 2


@pytest.mark.parametrize("respawn", ["with a respawn command", "with stop and start only"])
@pytest.mark.parametrize("shell", SHELLS)
def test_a_hung_service_is_respawned(
    make_host: Callable[..., GateHost], spawn: Spawn, shell: str, respawn: str
) -> None:
    host = make_host(shell, "true")
    text = host.host_file.read_text().removeprefix("locum-gate 1\n")
    if respawn == "with stop and start only":
        text = text.replace("respawn ", "# respawn ")
    host.write_host_file(text)
    spawned = spawn(host, 2)
    os.kill(spawned[0].pid, signal.SIGSTOP)
    assert host.run("respawn", "www", "1") == state(1, "absent", 1)
    assert reap(spawned) == [-signal.SIGKILL] * 2


def test_a_respawn_without_a_command_of_its_own_is_stop_and_start(
    make_host: Callable[..., GateHost], spawn: Spawn
) -> None:
    host = make_host()
    text = host.host_file.read_text().removeprefix("locum-gate 1\n")
    host.write_host_file(text.replace("respawn ", "# respawn "))
    spawned = spawn(host, 1)
    assert host.run("respawn", "www", "1") == state(1, "absent", 1)
    assert reap(spawned) == [-signal.SIGTERM]


def test_where_the_service_runs_on_every_host_a_release_takes_the_address_only(
    make_host: Callable[..., GateHost],
    spawn: Spawn,
) -> None:
    host = make_host()
    spawn(host)
    assert host.run("claim", "dns", "1")[3:] == ["address 198.51.100.8 held", "processes 1", "end ok"]
    assert host.run("release", "dns", "2")[3:] == ["address 198.51.100.8 absent", "processes 1", "end ok"]


def test_a_release_takes_addresses_off_wherever_they_are_and_no_others(
    make_host: Callable[..., GateHost], namespace: str
) -> None:
    host = make_host()
    ip(namespace, "addr add 198.51.100.7/24 dev card0")  # the first of its subnet: the others hang on it
    ip(namespace, "addr add 198.51.100.9/24 dev card0")
    ip(namespace, "addr add 198.51.100.7/32 dev lo")
    ip(namespace, "addr add 2001:db8::7/64 dev card0 nodad")
    ip(namespace, "addr add 2001:db8::9/64 dev card0 nodad")
    assert host.run("release", "www", "1") == state(1, "absent", 0)
    left = ip(namespace, "addr show")
    assert "198.51.100.7" not in left
    assert "2001:db8::7" not in left
    assert "198.51.100.9/24" in left
    assert "2001:db8::9/64" in left


def test_a_zombie_is_no_process(make_host: Callable[..., GateHost], spawn: Spawn) -> None:
    host = make_host()
    spawned = spawn(host)
    os.kill(spawned[0].pid, signal.SIGKILL)
    wait_for(lambda: processes() == [], "it is a zombie")
    assert "processes 0" in host.run("status", "www")
    assert host.run("release", "www", "1") == state(1, "absent", 0)
    reap(spawned)


FAILURES = {
    "a start that fails": ("start", "echo no luck >&2; exit 3", "start returned 3 and {}; it said: no luck "),
    "a respawn that fails": ("respawn", "exit 1", "respawn returned 1 and {}; it said: "),
    "a start that says too much": ("start", "yes | head -c 5000; exit 1", None),
    "a start that says what no terminal bears": (
        "start", r"printf '\033[31m\nend ok\n'; exit 1", "start returned 1 and {}; it said:  [31m end ok ",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("verb", "line", "text"), FAILURES.values(), ids=FAILURES.keys())
def test_a_failure_is_told_with_what_the_command_said(
    make_host: Callable[..., GateHost], verb: str, line: str, text: str | None
) -> None:
    host = make_host()
    host.write_host_file(
        f"service www\naddress 198.51.100.7/24\ninterface card0\nprocess {NAME}\n{verb} {line}\n"
    )
    answer = host.run(verb, "www", "1")
    assert answer[:-1] == [
        "locum-gate 2 2",
        "service www",
        "epoch 1",
        "address 198.51.100.7 absent",
        "processes 0",
    ]
    if text is not None:
        assert answer[-1] == "end failed www: " + text.format(f"no process {NAME} is there")
    assert len(answer[-1]) < 1200
    assert list(host.run_directory.glob("*.said")) + list(host.run_directory.glob("*.pipe")) == []


def test_a_claim_on_no_interface_fails(make_host: Callable[..., GateHost]) -> None:
    host = make_host()
    host.write_host_file("service www\naddress 198.51.100.7/24\ninterface card9\n")
    answer = host.run("claim", "www", "1")
    assert answer[-1].startswith("end failed www: ip: ")
    assert "card9" in answer[-1]


@pytest.mark.timed
def test_a_daemon_that_keeps_its_output_open_holds_nobody_up(make_host: Callable[..., GateHost]) -> None:
    host = make_host()
    chatty = f"{host.prefix}/{NAME} 100 & while :; do echo chatter; sleep 0.01; done & sleep 0.1"
    host.write_host_file(
        f"service www\naddress 198.51.100.7/24\ninterface card0\nprocess {NAME}\nstart {chatty}\n"
    )
    began = time.monotonic()
    answer = host.run("start", "www", "1")
    pids = subprocess.run(["pgrep", "-f", "echo chatter"], capture_output=True, text=True, check=False).stdout
    for pid in pids.split():
        os.kill(int(pid), signal.SIGKILL)
    assert answer[-2:] == ["processes 1", "end ok"]
    assert time.monotonic() - began < 10.0  # the daemon would hold it for ever


def test_verbs_of_one_service_take_turns(make_host: Callable[..., GateHost]) -> None:
    host = make_host()
    log = host.prefix / "order"
    line = f"echo begin >>{log}; sleep 0.2; echo end >>{log}"
    host.write_host_file(
        f"service www\naddress 198.51.100.7/24\ninterface card0\nrespawn {line}\nstart true\n"
    )
    runs = [threading.Thread(target=host.run, args=("respawn", "www", "1")) for _ in range(3)]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert log.read_text().split() == ["begin", "end"] * 3


@pytest.mark.timed
def test_a_release_does_not_wait_for_a_respawn_that_hangs(
    make_host: Callable[..., GateHost], namespace: str
) -> None:
    host = make_host()
    host.run("claim", "www", "1")
    text = host.host_file.read_text().removeprefix("locum-gate 1\n")
    host.write_host_file(
        text.replace(f"respawn {host.prefix}/{NAME} 100 &", f"respawn touch {host.prefix}/hangs; sleep 60")
    )
    respawn: list[list[str]] = []
    thread = threading.Thread(target=lambda: respawn.append(host.run("respawn", "www", "1")))
    thread.start()
    wait_for((host.prefix / "hangs").exists, "the respawn hangs")
    began = time.monotonic()
    assert host.run("release", "www", "2") == state(2, "absent", 0)
    assert time.monotonic() - began < 10  # the respawn has half a minute
    thread.join()
    assert respawn[0][-1] == "end failed www: a release ended this respawn"


def test_nothing_is_left_running(make_host: Callable[..., GateHost]) -> None:
    host = make_host()
    host.run("claim", "www", "1")
    host.run("release", "www", "1")
    left = ["pgrep", "-f", str(host.gate)]
    wait_for(
        lambda: subprocess.run(left, capture_output=True, check=False).returncode == 1, "every gate ended"
    )
