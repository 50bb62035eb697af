"""Each verb does what it says, as the client, the watcher and a ping see it."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from lab import Lab, LabFault

pytestmark = pytest.mark.e2e


def pings(lab: Lab, one: str, other: str) -> bool:
    done = lab.run(one, ["ping", "-n", "-c1", "-W0.3", str(lab.everybody[other].address)], check=False)
    return done.returncode == 0


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
    with pytest.raises(LabFault, match=r"^b: no apache2 runs there$"):
        served.hang_service("b")


def test_a_zombie_stays_until_it_is_healed(served: Lab) -> None:
    served.zombie("b")
    assert [state for _, name, state in served.hosts["b"].processes() if name == "apache2"] == ["Z"]
    assert "Z" in served.run("b", ["ps", "-C", "apache2", "-o", "stat="]).stdout
    served.heal("b")
    deadline = time.monotonic() + 2
    while any(name == "apache2" for _, name, _ in served.hosts["b"].processes()):
        assert time.monotonic() < deadline, "the zombie is still there"
        time.sleep(0.01)


@pytest.mark.parametrize("arp", [True, False], ids=["with ARP", "ARP passes"])
def test_a_partition_parts_two_hosts_only(served: Lab, arp: bool) -> None:
    served.partition("b", "a", arp=arp)
    assert not pings(served, "b", "a")
    assert not pings(served, "a", "b")
    assert pings(served, "a", "gw")
    assert pings(served, "b", "gw")
    asked = served.run("b", ["arping", "-q", "-D", "-c1", "-w1", "-I", "eth0", "192.0.2.1"], check=False)
    assert asked.returncode == (0 if arp else 1)  # 1: somebody answered, the address is taken
    served.heal("a")
    assert pings(served, "b", "a")


@pytest.mark.parametrize("direction", ["in", "out"])
def test_loss_is_about_the_share_that_was_asked_for(served: Lab, direction: str) -> None:
    served.loss("a", 0.3, direction)  # type: ignore[arg-type]
    # 400 pings: three in ten lost, give or take four standard deviations (0.09)
    done = served.run("gw", ["ping", "-q", "-n", "-c400", "-i0.001", "-W1", "192.0.2.1"], check=False)
    share = float(done.stdout.split("% packet loss")[0].split()[-1]) / 100
    assert 0.21 < share < 0.39
    assert pings(served, "b", "gw")


def test_loss_of_more_than_all_is_refused(served: Lab) -> None:
    with pytest.raises(LabFault, match=r"^a share of 30 cannot be lost: give 0 to 1$"):
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
    told = served.add_address("b", announce=True)
    assert served.client.wait_good(timeout=5) - told < 1
    assert served.client.answered_by(told) == "b"


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
