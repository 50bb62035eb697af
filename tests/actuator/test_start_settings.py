"""Tokens that are none, and addresses where the actuator does not listen."""

from __future__ import annotations

from pathlib import Path

import pytest

from locum_actuator.start_settings import StartError, parse_listen, read_token


@pytest.mark.parametrize(
    ("content", "mode", "fault"),
    [
        (
            None,
            0o600,
            "No such file or directory; create one: (umask 077; head -c 32 /dev/urandom | base64 > PATH)",
        ),
        (
            b"\xff\xfe" * 20,
            0o600,
            "is not text; create another one: (umask 077; head -c 32 /dev/urandom | base64 > PATH)",
        ),
        (b"short", 0o600, "contains 5 characters; a token has at least 16"),
        (b"a-token-of-some-length", 0o644, "other users may read or change it; chmod 600 PATH"),
        (b"a-token-of-some-length", 0o620, "other users may read or change it; chmod 600 PATH"),
    ],
    ids=["none", "binary", "short", "others may read", "the group may write"],
)
def test_a_token_that_is_none(tmp_path: Path, content: bytes | None, mode: int, fault: str) -> None:
    path = tmp_path / "token"
    if content is not None:
        path.write_bytes(content)
        path.chmod(mode)
    with pytest.raises(StartError) as caught:
        read_token(path)
    assert str(caught.value) == f"{path}: {fault}".replace("PATH", str(path))


@pytest.mark.parametrize("text", ["127.0.0.1:10752", "[::1]:10752", "localhost:1"])
def test_where_it_listens(text: str) -> None:
    assert str(parse_listen(text)) == text


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("10752", "--listen: '10752' is not HOST:PORT, as in 127.0.0.1:9090"),
        ("127.0.0.1:0", "--listen: '127.0.0.1:0' is not HOST:PORT, as in 127.0.0.1:9090"),
        ("::1:10752", "--listen: '::1:10752': write an IPv6 address in brackets, as in [::1]:10752"),
        (":10752", "--listen :10752: the actuator listens on loopback only"),
        (
            "192.0.2.2:10752",
            "--listen 192.0.2.2:10752: the actuator listens on loopback only",
        ),
    ],
)
def test_where_it_does_not_listen(text: str, fault: str) -> None:
    with pytest.raises(StartError) as caught:
        parse_listen(text)
    assert str(caught.value) == fault
