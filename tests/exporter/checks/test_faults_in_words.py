"""What broke a conversation has a reason out of the list, and words that are true; the numbers do not matter."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import ssl
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from locum_exporter.checks.http import http
from locum_exporter.net.os_errors import reason_of_os_error, text_of_os_error
from locum_exporter.result import NOT_LOOKED_REASONS, CheckResult, Outcome
from locum_inventory.site.model import HttpCheck
from tests.exporter.certificates import Authority
from tests.exporter.servers import Talk, closing, http_answer, resetting, server

HERE = ip_address("127.0.0.1")
SECONDS = 5.0


async def look(port: int, ca_file: Path, url: str = "https://{host}:PORT/") -> CheckResult:
    return await http(HttpCheck(url=url.replace("PORT", str(port)), ca_file=ca_file), HERE, SECONDS)


def words(result: CheckResult) -> str:
    return result.text.partition("/: ")[2]


def after_the_hello(answer: bytes) -> Talk:
    """Take the client's first words, answer with these bytes, and close."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(4096)
        writer.write(answer)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    return talk


def alert(description: int) -> bytes:
    """A fatal alert of TLS (RFC 8446, 6)."""
    return b"\x15\x03\x03\x00\x02\x02" + bytes([description])


HANDSHAKES: dict[str, tuple[Talk, str, str]] = {
    "closed without a word": (after_the_hello(b""), "reset", "the connection was closed during the handshake"),
    "closed in the middle of a record": (
        after_the_hello(b"\x16\x03\x03\x00\x50\x02\x00"), "reset", "the connection was closed during the handshake",
    ),
    "reset": (resetting, "reset", "connection reset by peer"),
    "no TLS at all": (
        after_the_hello(b"220 mail.example.org ESMTP\r\n"),
        "tls",
        "the handshake failed: the server does not speak TLS on this port",
    ),
    "no version in common": (
        after_the_hello(alert(70)), "tls", "the handshake failed: the server does not support TLS 1.2 or later",
    ),
    "handshake failure": (
        after_the_hello(alert(40)),
        "tls",
        "the handshake failed: the server closed it: no common cipher, or it requires a client certificate",
    ),
    "no such name": (
        after_the_hello(alert(112)), "tls", "the handshake failed: the server has no certificate for this name",
    ),
    "its own error": (
        after_the_hello(alert(80)), "tls", "the handshake failed: the server reports an internal error",
    ),
    "any other alert": (after_the_hello(alert(49)), "tls", "the handshake failed: tlsv1 alert access denied"),
}  # fmt: skip


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("faults"))


@pytest.mark.parametrize("row", HANDSHAKES)
async def test_c6_a_handshake_that_fails(row: str, authority: Authority) -> None:
    talk, reason, text = HANDSHAKES[row]
    async with server(talk) as port:
        result = await look(port, authority.ca_file)
    assert (result.reason, words(result)) == (reason, text)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_c6_a_server_that_demands_a_certificate(version: ssl.TLSVersion, authority: Authority) -> None:
    context = authority.server_context("127.0.0.1")
    context.verify_mode = ssl.CERT_REQUIRED
    context.minimum_version = context.maximum_version = version
    context.load_verify_locations(authority.ca_file)
    async with server(http_answer(), tls=context) as port:
        result = await look(port, authority.ca_file)
    assert result.reason in {"tls", "reset"}  # TLS 1.3 may close before the alert is read
    assert "certificate" in words(result) or "closed" in words(result)


CHAINS: dict[str, tuple[bool, str]] = {
    "of a private authority": (False, "unable to get local issuer certificate"),
    "self-signed": (True, "self-signed certificate"),
}


@pytest.mark.parametrize("row", CHAINS)
async def test_c6_a_chain_that_is_not_trusted(row: str, authority: Authority, tmp_path: Path) -> None:
    by_itself, text = CHAINS[row]
    context = _self_signed(tmp_path) if by_itself else authority.server_context("127.0.0.1")
    other = Authority(tmp_path, "another one")
    async with server(http_answer(), tls=context) as port:
        result = await look(port, other.ca_file)
    assert result.reason == "tls"
    assert words(result) == f"the certificate is not accepted: {text}; ca_file names the issuer to trust"


def _self_signed(directory: Path) -> ssl.SSLContext:
    """A server whose certificate is an authority's own."""
    own = Authority(directory, "itself")
    pem = directory / "itself with key.pem"
    pem.write_bytes(own.ca_file.read_bytes() + own.private_pem())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context


@pytest.mark.parametrize("talk", [closing, resetting], ids=["closed", "reset"])
async def test_c6_what_ends_after_the_handshake_did_not_end_in_it(talk: Talk, authority: Authority) -> None:
    async with server(talk, tls=authority.server_context("127.0.0.1")) as port:
        result = await look(port, authority.ca_file)
    assert result.reason == "reset"
    assert "handshake" not in words(result)


RESOLVERS: dict[str, tuple[Exception | None, str, str]] = {
    "no such name": (
        socket.gaierror(socket.EAI_NONAME, "Name or service not known"),
        "dns",
        "the name does not resolve: name or service not known",
    ),
    "no address of that family": (
        socket.gaierror(socket.EAI_NODATA, "No address associated with hostname"),
        "dns",
        "the name does not resolve: no address associated with hostname",
    ),
    "the resolver is not there": (
        socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"),
        "dns",
        "the name does not resolve: temporary failure in name resolution",
    ),
    "the resolver does not answer": (None, "dns", "the name was not resolved within 200 ms"),
    "no descriptors": (OSError(errno.EMFILE, "Too many open files"), "permission", "too many open files"),
}


@pytest.mark.parametrize("row", RESOLVERS)
async def test_c6_a_name_that_does_not_resolve_says_nothing_of_the_service(
    row: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fault, reason, text = RESOLVERS[row]

    async def resolve(*_: Any, **__: Any) -> Any:
        if fault is not None:
            raise fault
        await asyncio.sleep(60)

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolve)
    result = await http(HttpCheck(url="http://{host}.example.org/"), HERE, 0.2 if fault is None else SECONDS)
    assert (result.reason, words(result)) == (reason, text)
    assert result.outcome is Outcome.NOT_LOOKED


async def test_c6_an_address_waits_for_no_resolver(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names are resolved in a few threads, which a resolver that hangs may hold all."""

    async def resolve(*_: Any, **__: Any) -> Any:
        raise AssertionError("an address was resolved")

    async with server(http_answer()) as port:
        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolve)
        result = await http(HttpCheck(url=f"http://{{host}}:{port}/"), HERE, SECONDS)
    assert result.reason is None


def _of_openssl(kind: type[ssl.SSLError], number: int, reason: str | None = None) -> ssl.SSLError:
    error = kind(number, reason or "whatever")
    if reason is not None:
        error.reason = reason
    return error


ERRORS: dict[str, tuple[Callable[[], OSError], str, str]] = {
    "the kernel's": (lambda: OSError(errno.ECONNREFUSED, "x"), "refused", "connection refused"),
    "OpenSSL's 1, which is EPERM of the kernel": (
        lambda: _of_openssl(ssl.SSLError, 1, "NO_CIPHERS_AVAILABLE"), "tls",
        "the handshake failed: no ciphers available",
    ),
    "OpenSSL's end": (
        lambda: _of_openssl(ssl.SSLEOFError, 8, "UNEXPECTED_EOF_WHILE_READING"), "reset",
        "the connection was closed during the handshake",
    ),
    "OpenSSL's, with no number and no reason": (ssl.SSLError, "tls", "the handshake failed: no reason is given"),
    "the resolver's -2": (
        lambda: socket.gaierror(-2, "Name or service not known"), "dns",
        "the name does not resolve: name or service not known",
    ),
    "asyncio's, with no number": (ConnectionResetError, "reset", "the connection was closed"),
    "asyncio's, in words": (lambda: ConnectionAbortedError("SSL shutdown"), "reset", "the connection was closed"),
    "a refusal with no number": (ConnectionRefusedError, "refused", "connection refused"),
    "a timeout with no number": (TimeoutError, "timeout", "no answer in time"),
    "nothing known": (lambda: OSError("several things"), "unreachable", "several things"),
}  # fmt: skip


@pytest.mark.parametrize("row", ERRORS)
def test_c6_a_number_is_read_as_whose_it_is(row: str) -> None:
    make, reason, text = ERRORS[row]
    assert (reason_of_os_error(make()), text_of_os_error(make())) == (reason, text)


OWN = {
    errno.ENETUNREACH, errno.ENETDOWN, errno.ENODEV, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.EPERM,
    errno.EACCES, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS,
}  # fmt: skip


@pytest.mark.parametrize("number", sorted(errno.errorcode), ids=errno.errorcode.get)
def test_a1_what_this_host_lacks_says_nothing_of_the_target(number: int) -> None:
    reason, text = reason_of_os_error(OSError(number, "x")), text_of_os_error(OSError(number, "x"))
    assert text == os.strerror(number).lower()
    if number in OWN:
        assert reason in NOT_LOOKED_REASONS
    if number in {errno.ECONNREFUSED, errno.ECONNRESET, errno.ETIMEDOUT, errno.EHOSTUNREACH, errno.EHOSTDOWN}:
        assert reason not in NOT_LOOKED_REASONS
