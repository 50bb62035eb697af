"""What the client takes for a good answer."""

from __future__ import annotations

import pytest

from lab.inside.asks import judge

OK = b"HTTP/1.1 200 OK\r\nServer: x\r\nX-Served-By: a\r\n\r\n"


@pytest.mark.parametrize(
    ("answer", "host", "fault"),
    [
        pytest.param(OK + b"<html>", "a", None, id="good"),
        pytest.param(OK.replace(b"X-Served-By", b"x-served-by") + b"<HTML>", "a", None, id="in any case"),
        pytest.param(b"HTTP/1.0 200 OK\r\n\r\n<html>", None, None, id="the name of no host"),
        pytest.param(b"", None, "empty", id="closed without a word"),
        pytest.param(OK.replace(b"200 OK", b"503 Busy") + b"<html>", "a", "status", id="another status"),
        pytest.param(OK + b"It works", "a", "body", id="another page"),
        pytest.param(OK, "a", "body", id="broken off before the page"),
        pytest.param(b"\xff\xfe 200", None, "body", id="no HTTP at all"),
    ],
)
def test_judge(answer: bytes, host: str | None, fault: str | None) -> None:
    assert judge(answer, "X-Served-By") == (host, fault)
