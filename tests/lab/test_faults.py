"""Each verb does what it says, as the client, the watcher and a ping see it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import pytest

from lab import Lab, LabError
from lab.namespaces import command
from tests.support.polling import wait_for

pytestmark = pytest.mark.e2e


def pings(lab: Lab, one: str, other: str) -> bool:
    done = lab.run(one, ["ping", "-n", "-c1", "-W0.3", str(lab.everybody[other].address)], check=False)
    return done.returncode == 0


def pings_again(lab: Lab, one: str, other: str) -> bool:
    """A host that was asking in vain who has an address asks again a second later."""
    return any(pings(lab, one, other) for _ in range(8))


FAULTS = [
    pytest.param(lambda lab: lab.crash("a"), "timeout", id="crash"),
    pytest.param(lambda lab: lab.blackhole("a"), "timeout", id="blackhole"),
    pytest.param(lambda lab: lab.cut_off("a", carrier=False), "timeout", id="cable pulled"),
    pytest.param(lambda lab: lab.kill_service("a"), "refused", id="kill"),
    pytest.param(lambda lab: lab.stop_service("a"), "refused", id="stop"),
    pytest.param(lambda lab: lab.hang_service("a"), "timeout", id="hang"),
    pytest.param(lambda lab: lab.drop_address("a"), "timeout", id="drop address"),
    pytest.param(lambda lab: lab.loss("a", 1.0, "in"), "timeout", id="lose all that comes in"),
    pytest.param(lambda lab: lab.loss("a", 1.0), "timeout", id="lose all"),
    pytest.param(lambda lab: lab.partition("a", "client"), "timeout", id="partition"),
]


@pytest.mark.parametrize(("fault", "seen"), FAULTS)
def test_the_client_sees_it(served: Lab, fault: Callable[[Lab], float], seen: str) -> None:
    since = fault(served)
    served.client.wait_failed(timeout=2, since=since)
    time.sleep(0.25)
    failed = [sample for sample in served.client.samples(since) if not sample.ok]
    assert failed[-1].fault == seen
    assert failed[0].started - since < 0.5
    assert served.client.seconds_without_service(since) is None


def test_a_blackholed_host_lives_on_and_notices_nothing(served: Lab) -> None:
    since = served.blackhole("a")
    served.watcher.wait_holders([])
    assert not pings(served, "b", "a")
    assert served.holders() == ["a"]
    assert "LOWER_UP" in served.run("a", ["ip", "link", "show", "eth0"]).stdout
    served.heal("a")
    back = served.client.wait_good()
    assert served.client.seconds_without_service(since) == pytest.approx(back - since, abs=0.5)
    assert served.client.answered_by(since) == "a"


def test_a_pulled_cable_is_noticed(served: Lab) -> None:
    served.cut_off("b", carrier=False)
    assert "NO-CARRIER" in served.run("b", ["ip", "link", "show", "eth0"]).stdout
    served.heal("b")
    assert "LOWER_UP" in served.run("b", ["ip", "link", "show", "eth0"]).stdout


def test_a_hung_service_is_there_and_wakes_up(served: Lab) -> None:
    served.hang_service("a")
    assert pings(served, "b", "a")
    states = {state for _, name, state in served.hosts["a"].processes() if name == "apache2"}
    assert states == {"T"}
    served.heal("a")
    served.client.wait_good()
    with pytest.raises(LabError, match=r"^b: no apache2 runs there$"):
        served.hang_service("b")


def test_a_zombie_stays_until_it_is_healed(served: Lab) -> None:
    served.zombie("b")
    assert [state for _, name, state in served.hosts["b"].processes() if name == "apache2"] == ["Z"]
    assert "Z" in served.run("b", ["ps", "-C", "apache2", "-o", "stat="]).stdout
    served.heal("b")
    wait_for(
        lambda: all(name != "apache2" for _, name, _ in served.hosts["b"].processes()),
        "the zombie is gone",
        2,
    )


@pytest.mark.parametrize("arp", [True, False], ids=["with ARP", "ARP passes"])
def test_a_partition_parts_two_hosts_only(served: Lab, arp: bool) -> None:
    served.partition("b", "a", arp=arp)
    assert not pings(served, "b", "a")
    assert not pings(served, "a", "b")
    assert pings(served, "a", "gw")
    assert pings(served, "b", "gw")
    asked = served.run("b", ["arping", "-q", "-D", "-c1", "-w1", "-I", "eth0", "192.0.2.1"], check=False)
    assert asked.returncode == (0 if arp else 1)  # 1: a host answered, the address is taken
    served.heal("a")
    assert pings_again(served, "b", "a")


@pytest.mark.parametrize("arp", [True, False], ids=["with ARP", "ARP passes"])
def test_a_partition_one_way_lets_the_other_way_pass(served: Lab, arp: bool) -> None:
    heard = heard_by(served, "b")
    served.partition("a", "b", arp=arp, one_way=True)
    assert not pings(served, "b", "a")
    assert pings(served, "b", "gw")
    assert heard_by(served, "b") == heard, "the answer of a does not reach b"
    assert not pings(served, "a", "b")
    assert heard_by(served, "b") == heard
    served.heal("b")
    served.partition("b", "a", arp=arp, one_way=True)
    assert not pings(served, "a", "b"), "a is heard by b, whose answer is not"
    assert heard_by(served, "b") == heard + 1


def heard_by(lab: Lab, name: str) -> int:
    """Return how many echo requests a host's kernel has counted (/proc/net/snmp)."""
    head, values = (
        line.split()
        for line in lab.run(name, ["cat", "/proc/net/snmp"]).stdout.splitlines()
        if line.startswith("Icmp:")
    )
    return int(values[head.index("InEchos")])


def test_a_delay_is_as_long_as_was_asked_for(served: Lab) -> None:
    since = served.delay("a", 30)
    served.client.wait_good(since=since + 0.2)
    done = served.run("gw", ["ping", "-q", "-n", "-c20", "-i0.02", "-W1", "192.0.2.1"], check=False)
    least, mean = map(float, done.stdout.split(" = ")[1].split("/")[:2])
    assert least >= 60
    assert mean < 75
    assert pings(served, "b", "gw")
    assert served.watcher.wait_holders(["a"]), "ARP passes as well"
    served.loss("a", 1.0, "in")
    assert not pings(served, "gw", "a"), "other faults hold behind a relay too"
    served.heal("a")
    assert pings_again(served, "gw", "a")
    assert "slow-a" not in command(served.anchor.pid, "n", ["ip", "link"])


def test_much_passes_a_relay_unharmed(served: Lab) -> None:
    """Cards leave checksums and segments to each other: a relay that knew nothing of that would break them."""
    (served.hosts["a"].root / "var/www/html/much").write_bytes(os.urandom(3_000_000))
    served.delay("a", 5)
    asked = ["curl", "-sS", "--max-time", "20", "http://192.0.2.1/much"]
    there, fetched = (
        served.run(host, ["sh", "-c", f"{source} | sha256sum"]).stdout
        for host, source in (("a", "cat /var/www/html/much"), ("client", " ".join(asked)))
    )
    assert fetched == there


def test_a_delayed_host_that_reboots_is_delayed_still(served: Lab) -> None:
    served.delay("a", 100)
    served.reboot("a")
    assert not pings(served, "gw", "a"), (
        "0.2 s there and back, and no check waits longer than 0.3 s for the ARP too"
    )
    served.heal("a")
    assert pings_again(served, "gw", "a")


@pytest.mark.parametrize("milliseconds", [0, -1, 1e9])
def test_no_delay_is_refused(served: Lab, milliseconds: float) -> None:
    with pytest.raises(LabError, match=r" ms is not a delay: give more than 0, at most 60000$"):
        served.delay("a", milliseconds)


def test_a_frozen_host_answers_by_its_kernel_alone(served: Lab) -> None:
    since = served.freeze("a")
    assert pings(served, "b", "a")
    served.client.wait_failed(since=since)
    assert {state for _, _, state in served.hosts["a"].processes()} <= {"T", "Z"}
    served.watcher.wait_holders(["a"])
    served.thaw("a")
    served.client.wait_good(timeout=5)
    assert served.run("a", ["true"]).returncode == 0


@pytest.mark.parametrize("direction", ["in", "out"])
def test_loss_is_about_the_share_that_was_asked_for(served: Lab, direction: str) -> None:
    served.loss("a", 0.3, direction)  # type: ignore[arg-type]
    # 400 pings: three in ten lost, give or take four standard deviations (0.09)
    done = served.run("gw", ["ping", "-q", "-n", "-c400", "-i0.001", "-W1", "192.0.2.1"], check=False)
    share = float(done.stdout.split("% packet loss")[0].split()[-1]) / 100
    assert 0.21 < share < 0.39
    assert pings(served, "b", "gw")


def test_loss_of_more_than_all_is_refused(served: Lab) -> None:
    with pytest.raises(LabError, match=r"^a share of 30 cannot be dropped: give 0 to 1$"):
        served.loss("a", 30)


def test_the_watcher_sees_two_holders(served: Lab) -> None:
    since = time.time()
    served.watcher.wait_holders(["a"])
    served.add_address("b")
    begin = served.watcher.wait_holders(["a", "b"])
    time.sleep(0.3)
    served.drop_address("b")
    end = served.watcher.wait_holders(["a"])
    assert served.watcher.held_by_two_seconds(since) == pytest.approx(end - begin, abs=0.06)
    assert served.watcher.held_by_two_seconds(since) > 0.3
    assert [sorted(one.holders) for one in served.watcher.holders(since)] == [["a"], ["a", "b"], ["a"]]


def test_the_watcher_changes_no_cache(served: Lab) -> None:
    served.watcher.wait_holders(["a"])
    for name in ("a", "client"):
        assert "02:00:5e:10:01" not in served.run(name, ["ip", "neigh"]).stdout


def test_a_client_has_a_stale_cache_until_somebody_tells_it(served: Lab) -> None:
    served.start_service("b")
    served.drop_address("a")
    since = served.add_address("b")
    time.sleep(1)
    neighbour = served.run("client", ["ip", "neigh", "show", "192.0.2.100"]).stdout
    assert served.hosts["a"].mac in neighbour
    assert served.client.seconds_without_service(since) is None
    assert served.holders() == ["b"]
    announced_at = served.add_address("b", announce=True)
    assert served.client.wait_good(timeout=5) - announced_at < 1
    assert served.client.answered_by(announced_at) == "b"


@pytest.mark.timed
def test_a_takeover_by_hand_takes_no_time(served: Lab) -> None:
    served.start_service("b")
    since = served.crash("a")
    served.add_address("b", announce=True)
    served.client.wait_good(since=since)
    seconds = served.client.seconds_without_service(since)
    assert seconds is not None
    assert 0 < seconds < 0.5  # the instrument's own share of every measurement made with it
    assert served.client.answered_by(since) == "b"
    assert served.client.failed_requests(since) > 0
    assert served.watcher.held_by_two_seconds(since) == 0
