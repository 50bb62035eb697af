"""What the watcher's rounds say, and that an answer is counted in the round that it answers."""

from __future__ import annotations

import pytest

from lab.inside.watches import ASKERS, EVERYBODY, announcement, answer, asker, checksum, probe
from lab.watcher import Gap, Round, gaps, held_by_two_seconds, timeline

NO_HOST, A, B, BOTH = (frozenset(names) for names in ("", "a", "b", "ab"))
ADDRESS = bytes((192, 0, 2, 100))
ADDRESS6 = bytes.fromhex("20010db8000000000000000000000100")
HOST = b"\x02\0\x5e\x10\0\x01"


@pytest.mark.parametrize(
    ("rounds", "seconds"),
    [
        pytest.param([], 0.0, id="nothing seen"),
        pytest.param([(0.0, A), (0.02, NO_HOST), (0.04, B)], 0.0, id="handed over"),
        pytest.param([(0.0, A), (0.02, BOTH), (0.04, B)], 0.02, id="both in one round"),
        pytest.param([(0.0, BOTH), (0.02, BOTH), (0.04, BOTH)], 0.06, id="both, and it goes on"),
        pytest.param([(0.0, BOTH), (5.0, A)], 0.1, id="a round does not speak for a gap"),
        pytest.param([(-1.0, BOTH), (0.0, A)], 0.0, id="before the fault"),
    ],
)
def test_held_by_two_seconds(rounds: list[tuple[float, frozenset[str]]], seconds: float) -> None:
    assert held_by_two_seconds([Round(*one) for one in rounds], 0.0) == pytest.approx(seconds)


def test_timeline_tells_changes_only() -> None:
    rounds = [Round(0.0, A), Round(0.02, A), Round(0.04, NO_HOST), Round(0.06, B), Round(0.08, B)]
    assert timeline(rounds, 0.0) == [Round(0.0, A), Round(0.04, NO_HOST), Round(0.06, B)]


def test_gaps_are_told() -> None:
    assert gaps([Round(0.0, A), Round(0.25, A), Round(0.27, A), Round(0.77, A)], 0.25) == [Gap(0.27, 0.5)]


def reply(number: int, sender: bytes = ADDRESS, mac: bytes = HOST, to: bytes = b"") -> bytes:
    """What a holder answers to a round's probe (RFC 826)."""
    to = to or asker(number)
    return to + mac + b"\x08\x06" + b"\0\x01\x08\0\x06\x04\0\x02" + mac + sender + to + bytes(4)


def advertisement(number: int, target: bytes = ADDRESS6, to: bytes = b"", option: bytes = HOST) -> bytes:
    """What a holder answers to a round's solicitation (RFC 4861, 4.4)."""
    message = b"\x88\0\0\0" + b"\x60\0\0\0" + target + (b"\x02\x01" + option if option else b"")
    return (to or asker(number)) + HOST + b"\x86\xdd" + b"\x60\0\0\0\0\x20\x3a\xff" + bytes(32) + message


@pytest.mark.parametrize(
    ("frame", "heard"),
    [
        pytest.param(reply(3), (3, "02:00:5e:10:00:01"), id="an answer"),
        pytest.param(reply(3 + ASKERS), (3, "02:00:5e:10:00:01"), id="askers take turns"),
        pytest.param(reply(3, sender=bytes((192, 0, 2, 1))), None, id="another address"),
        pytest.param(probe(3, ADDRESS), None, id="a question"),
        pytest.param(reply(3)[:40], None, id="cut short"),
        pytest.param(b"", None, id="empty"),
    ],
)
def test_answer(frame: bytes, heard: tuple[int, str] | None) -> None:
    assert answer(frame, ADDRESS) == heard


def test_a_probe_names_no_sender() -> None:
    frame = probe(0, ADDRESS)
    assert frame[:6] == b"\xff" * 6
    assert frame[28:32] == bytes(4)  # sender's address 0.0.0.0: RFC 5227, 2.1.1
    assert frame[38:42] == ADDRESS


@pytest.mark.parametrize(
    ("frame", "heard"),
    [
        pytest.param(advertisement(3), (3, "02:00:5e:10:00:01"), id="an answer"),
        pytest.param(advertisement(3, option=b"\2\0\0\0\0\x09"), (3, "02:00:00:00:00:09"), id="of a proxy"),
        pytest.param(
            advertisement(3, option=b""), (3, "02:00:5e:10:00:01"), id="without its MAC as an option"
        ),
        pytest.param(advertisement(3, target=ADDRESS6[:15] + b"\1"), None, id="another address"),
        pytest.param(advertisement(3, to=EVERYBODY[1]), None, id="an announcement"),
        pytest.param(probe(3, ADDRESS6), None, id="a question"),
        pytest.param(advertisement(3)[:60], None, id="cut short"),
    ],
)
def test_answer_of_ipv6(frame: bytes, heard: tuple[int, str] | None) -> None:
    assert answer(frame, ADDRESS6) == heard


@pytest.mark.parametrize(
    ("frame", "address", "heard"),
    [
        pytest.param(reply(0, to=EVERYBODY[0]), ADDRESS, "02:00:5e:10:00:01", id="gratuitous ARP"),
        pytest.param(advertisement(0, to=EVERYBODY[1]), ADDRESS6, "02:00:5e:10:00:01", id="unsolicited NA"),
        pytest.param(probe(0, ADDRESS), ADDRESS, None, id="an ARP probe"),
        pytest.param(probe(0, ADDRESS6), ADDRESS6, None, id="a solicitation"),
        pytest.param(reply(0), ADDRESS, None, id="an answer"),
    ],
)
def test_announcement(frame: bytes, address: bytes, heard: str | None) -> None:
    assert announcement(frame, address) == heard


def test_a_solicitation_breaks_nobodys_duplicate_address_detection() -> None:
    frame = probe(5, ADDRESS6)
    assert frame[:6] == bytes.fromhex("3333ff000100")  # the solicited-node group: RFC 4861, 2.3
    assert frame[22:24] == b"\xfe\x80"  # from :: it would be a probe as in detection: RFC 4862, 5.4.3
    pseudo = frame[22:54] + (len(frame) - 54).to_bytes(4, "big") + bytes((0, 0, 0, 58))
    assert checksum(pseudo + frame[54:]) == 0
