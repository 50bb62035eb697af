"""What the campaign's listener makes of packets on a loopback."""

from __future__ import annotations

import json
import struct

from bench.campaign.inside.webhooks import Conversations

PORT, CLIENT = 10752, 40000
BODY = json.dumps(
    {
        "alerts": [
            {
                "status": "firing",
                "startsAt": "t",
                "fingerprint": "f",
                "labels": {"alertname": "X", "host": "a"},
            }
        ]
    }
).encode()
POST = b"POST /webhook HTTP/1.1\r\nHost: b\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY
ACCEPTED = b"HTTP/1.1 202 ACCEPTED\r\nContent-Length: 2\r\n\r\n{}"


def packet(source: int, target: int, payload: bytes, flags: int = 0x18, *, sequence: int) -> bytes:
    tcp = struct.pack("!HHIIBBHHH", source, target, sequence % 2**32, 0, 5 << 4, flags, 0, 0, 0)
    total = 20 + len(tcp) + len(payload)
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, total, 0, 0, 64, 6, 0, b"\x7f\0\0\1", b"\x7f\0\0\1")
    return ip + tcp + payload


def conversation(*said: tuple[str, bytes]) -> list[tuple[int, list[str]]]:
    heard = Conversations(PORT)
    lines = []
    sequences = {"to": 2**32 - 100, "from": 7}  # they begin anywhere, and begin again after the last
    for way, payload in said:
        ports = (CLIENT, PORT) if way == "to" else (PORT, CLIENT)
        lines += heard.hear(packet(*ports, payload, sequence=sequences[way]))
        sequences[way] += len(payload)
    return [(line["status"], [alert["name"] for alert in line["alerts"]]) for line in lines]


def test_a_webhook_and_its_answer() -> None:
    assert conversation(("to", POST), ("from", ACCEPTED)) == [(202, ["X"])]


def test_in_pieces() -> None:
    pieces = [("to", POST[:30]), ("to", POST[30:200]), ("to", POST[200:]), ("from", ACCEPTED[:9])]
    assert conversation(*pieces, ("from", ACCEPTED[9:])) == [(202, ["X"])]


def test_two_on_one_connection() -> None:
    refused = ACCEPTED.replace(b"202 ACCEPTED", b"503 NO")
    assert conversation(("to", POST), ("from", ACCEPTED), ("to", POST), ("from", refused)) == [
        (202, ["X"]),
        (503, ["X"]),
    ]


def test_unanswered_is_not_told() -> None:
    assert conversation(("to", POST)) == []


def test_other_requests_are_not_webhooks() -> None:
    assert conversation(("to", b"GET /-/ready HTTP/1.1\r\n\r\n"), ("from", ACCEPTED)) == []


def test_another_port_is_not_heard() -> None:
    assert Conversations(PORT).hear(packet(CLIENT, 9093, POST, sequence=0)) == []


def test_what_is_sent_once_more_is_read_once() -> None:
    heard = Conversations(PORT)
    for sequence, payload in ((100, POST[:30]), (100, POST[:40]), (110, POST[10:40]), (140, POST[40:])):
        heard.hear(packet(CLIENT, PORT, payload, sequence=sequence))
    assert len(heard.hear(packet(PORT, CLIENT, ACCEPTED, sequence=7))) == 1
    assert heard.missed == 0


def test_a_segment_that_was_missed_is_counted_and_its_connection_read_no_further() -> None:
    heard = Conversations(PORT)
    for sequence, payload in ((100, POST[:30]), (140, POST[40:]), (130, POST[30:40])):
        heard.hear(packet(CLIENT, PORT, payload, sequence=sequence))
    assert heard.hear(packet(PORT, CLIENT, ACCEPTED, sequence=7)) == []
    assert heard.missed == 1
    heard.hear(packet(CLIENT, PORT, b"", 0x02, sequence=499))  # a new one of the same port
    heard.hear(packet(CLIENT, PORT, POST, sequence=500))
    assert len(heard.hear(packet(PORT, CLIENT, ACCEPTED, sequence=7 + len(ACCEPTED)))) == 1
