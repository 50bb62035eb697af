"""Reads what passes over TLS 1.3 on this host, with the secrets that a program wrote down (SSLKEYLOGFILE).

RFC 8446, chapters 5 and 7.3. Records of the handshake are under other secrets: those before the first one that can
be opened are passed over.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

HANDSHAKE, DATA = 22, 23
LABELS = {"to": "CLIENT_TRAFFIC_SECRET_0", "from": "SERVER_TRAFFIC_SECRET_0"}
SECRET_SECONDS = 2.0  # until a secret is written down, at most: the handshake was seen before its end


def expand(secret: bytes, label: bytes, length: int) -> bytes:
    """HKDF-Expand-Label of RFC 8446, 7.1, with an empty context."""
    info = length.to_bytes(2, "big") + bytes([6 + len(label)]) + b"tls13 " + label + b"\0"
    algorithm = hashes.SHA384() if len(secret) == 48 else hashes.SHA256()
    return HKDFExpand(algorithm, length, info).derive(secret)


class UnreadableError(Exception):
    """A record could not be opened although those before it could."""


@dataclass(slots=True)
class Way:
    """One direction of a connection. `number` counts the records that were opened."""

    buffer: bytes = b""
    number: int = 0
    opener: AESGCM | ChaCha20Poly1305 | None = None
    iv: bytes = b""


@dataclass(slots=True)
class Conversation:
    """One connection."""

    random: bytes = b""  # of the client, by which the file names it
    suite: int = 0
    ways: dict[str, Way] = field(default_factory=lambda: {"to": Way(), "from": Way()})


class Opened:
    """The connections to a port, read with the secrets in a file."""

    def __init__(self, secrets: Path) -> None:
        self._secrets = secrets
        self._open: dict[int, Conversation] = {}

    def begin(self, client: int) -> None:
        """Take note of a new connection of a client's port."""
        self._open[client] = Conversation()

    def read(self, client: int, way: str, data: bytes) -> bytes:
        """Return what the application data says that this piece completes; raises `UnreadableError`."""
        talk = self._open.setdefault(client, Conversation())
        one = talk.ways[way]
        one.buffer += data
        said = b""
        while len(one.buffer) >= 5 and len(one.buffer) >= 5 + int.from_bytes(one.buffer[3:5], "big"):
            length = 5 + int.from_bytes(one.buffer[3:5], "big")
            record, one.buffer = one.buffer[:length], one.buffer[length:]
            if record[0] == HANDSHAKE:
                self._note(talk, way, record)
            elif record[0] == DATA:
                said += self._open_record(talk, way, record)
        return said

    @staticmethod
    def _note(talk: Conversation, way: str, record: bytes) -> None:
        if way == "to" and record[5] == 1:
            talk.random = record[11:43]
        elif way == "from" and record[5] == 2:
            after = 44 + record[43]
            talk.suite = int.from_bytes(record[after : after + 2], "big")

    def _open_record(self, talk: Conversation, way: str, record: bytes) -> bytes:
        one = talk.ways[way]
        if one.opener is None:
            secret = self._secret(LABELS[way], talk.random)
            if secret is None:
                return b""
            key = expand(secret, b"key", 16 if talk.suite == 0x1301 else 32)
            one.iv = expand(secret, b"iv", 12)
            one.opener = ChaCha20Poly1305(key) if talk.suite == 0x1303 else AESGCM(key)
        nonce = (int.from_bytes(one.iv, "big") ^ one.number).to_bytes(12, "big")
        try:
            plain = one.opener.decrypt(nonce, record[5:], record[:5]).rstrip(b"\0")
        except InvalidTag as fault:
            if one.number:
                raise UnreadableError(f"record {one.number}") from fault
            return b""  # of the handshake
        one.number += 1
        return plain[:-1] if plain[-1] == DATA else b""

    def _secret(self, label: str, random: bytes) -> bytes | None:
        end = time.monotonic() + SECRET_SECONDS
        start = f"{label} {random.hex()} "
        while True:
            lines = self._secrets.read_text(encoding="ascii").splitlines() if self._secrets.exists() else []
            for line in reversed(lines):
                if line.startswith(start) and len(line) - len(start) in {64, 96}:
                    return bytes.fromhex(line[len(start) :])
            if time.monotonic() > end:
                return None
            time.sleep(0.01)
