"""The HTTP check against real servers: what is success, and which reason each failure has."""

import asyncio
import gzip
import shutil
import subprocess
import time
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from random import Random
from typing import Any

import pytest

from locum_exporter.checks.http import http, url_for
from locum_exporter.metrics import ResultCollector
from locum_exporter.result import CheckResult, Outcome
from locum_inventory.site.model import HttpCheck
from tests.exporter.certificates import GOOD_UNTIL, Authority, expired
from tests.exporter.servers import Talk, closing, dripping, http_answer, resetting, says, server, silent
from tests.support.polling import wait_for
from tests.support.ports import unused_port

pytestmark = pytest.mark.timed  # its deadlines are some tenths of a second

DEADLINE_SECONDS = 0.4
GENEROUS_SECONDS = 5.0


@dataclass(frozen=True)
class Row:
    talk: Talk
    reason: str | None
    text: str
    check: dict[str, Any] = field(default_factory=dict)


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
HUGE = b"x" * 20_000_000
TWO_MEMBERS = gzip.compress(Random(1).randbytes(5000)) + gzip.compress(b"and the second")

ROWS: dict[str, Row] = {
    "status and body as expected": Row(
        http_answer(), None, "answered 200, 21 bytes", {"expect_body": "<html>"}
    ),
    "no body is expected": Row(http_answer(b""), None, "answered 200, 0 bytes"),
    "another status is expected": Row(
        http_answer(status="204 No Content", length=0, body=b""),
        None,
        "answered 204, 0 bytes",
        {"expect_status": 204},
    ),
    "a body cut into packets": Row(
        says(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<ht", b"ml", b">"),
        None,
        "answered 200, 6 bytes",
        {"expect_body": "<html>"},
    ),
    "a chunked body": Row(
        says(CHUNKED + b"3\r\n<ht\r\n", b"3\r\nml>\r\n0\r\n\r\n"),
        None,
        "answered 200, 6 bytes",
        {"expect_body": "<html>"},
    ),
    "a body of exactly the size allowed": Row(
        http_answer(b"x" * 1000), None, "answered 200, 1000 bytes", {"max_body_bytes": 1000}
    ),
    "a body one byte too large, and nothing is expected in it": Row(
        http_answer(b"x" * 1001), None, "answered 200, more than 1000 bytes", {"max_body_bytes": 1000}
    ),
    "a body of 20 MB": Row(http_answer(HUGE), None, "answered 200, more than 1048576 bytes"),
    "what is expected is within the bound": Row(
        http_answer(b"<html>" + HUGE),
        None,
        "answered 200, more than 1048576 bytes",
        {"expect_body": "<html>"},
    ),
    "what is expected is beyond the bound": Row(
        http_answer(HUGE + b"<html>"),
        "limit",
        "could not evaluate: the first 1048576 bytes of the body, which is larger, do not contain '<html>'",
        {"expect_body": "<html>"},
    ),
    "a body that is no gzip, and nothing is expected in it": Row(
        http_answer(b"\x1f\x8b" + bytes(100), headers="Content-Encoding: gzip\r\n"),
        None,
        "answered 200, 102 bytes",
    ),
    "an empty body that is called gzip": Row(
        http_answer(b"", headers="Content-Encoding: gzip\r\n"),
        "body",
        "the body of 0 bytes does not contain '<html>'",
        {"expect_body": "<html>"},
    ),
    "ten thousands of gzip members": Row(
        http_answer(gzip.compress(b"", mtime=0) * 52_000, headers="Content-Encoding: gzip\r\n"),
        "limit",
        "could not evaluate: its body has more than 10000 gzip members",
        {"expect_body": "<html>"},
    ),
    "two gzip members, cut anywhere": Row(
        http_answer(TWO_MEMBERS, headers="Content-Encoding: gzip\r\n"),
        None,
        f"answered 200, {len(TWO_MEMBERS)} bytes",
        {"expect_body": "and the second"},
    ),
    "more encodings over each other than curl reads": Row(
        http_answer(b"x", headers=f"Content-Encoding: {', '.join(['gzip'] * 6)}\r\n"),
        "limit",
        "could not evaluate: its body has 6 nested encodings",
        {"expect_body": "<html>"},
    ),
    "a gzip bomb is unfolded no further than allowed": Row(
        http_answer(gzip.compress(HUGE + b"<html>"), headers="Content-Encoding: gzip\r\n"),
        "limit",
        "could not evaluate: the first 100000 bytes of the body, which is larger, do not contain '<html>'",
        {"expect_body": "<html>", "max_body_bytes": 100_000},
    ),
    "a body in an encoding that cannot be read": Row(
        http_answer(b"\x1b\x03\x00", headers="Content-Encoding: br\r\n"),
        "limit",
        "could not evaluate: locum cannot decode a body with encoding br",
        {"expect_body": "<html>"},
    ),
    "another body": Row(
        http_answer(b"hello"),
        "body",
        "the body of 5 bytes does not contain '<html>'",
        {"expect_body": "<html>"},
    ),
    "capitals count": Row(
        http_answer(b"<HTML>"),
        "body",
        "the body of 6 bytes does not contain '<html>'",
        {"expect_body": "<html>"},
    ),
    "an error status": Row(http_answer(status="503 Busy"), "status", "answered 503, expected 200"),
    "none of several statuses": Row(
        http_answer(status="404 Nowhere"),
        "status",
        "answered 404, expected 200 or 204",
        {"expect_status": (200, 204)},
    ),
    "a redirect is not followed": Row(
        http_answer(status="302 Found", headers="Location: http://192.0.2.1/\r\n"),
        "status",
        "answered 302, expected 200",
    ),
    "a byte at a time": Row(dripping, "timeout", "the body was not complete within 400 ms"),
    "accepts and says nothing": Row(silent, "timeout", "no answer within 400 ms"),
    "breaks off with a reset": Row(resetting, "reset", "connection reset by peer"),
    "closes without an answer": Row(closing, "reset", "the connection was closed before an answer arrived"),
    "closes half-way through the body": Row(
        http_answer(b"half", length=100), "reset", "the connection was closed before the body was complete"
    ),
    "closes half-way through a chunk": Row(
        says(CHUNKED + b"ff\r\nhalf"), "reset", "the connection was closed before the body was complete"
    ),
    "speaks something else": Row(says(b"220 mail.example ESMTP\r\n"), "protocol", "does not speak HTTP: "),
    "closes in the middle of the status": Row(
        says(b"HTTP/1.1 200 O"), "reset", "the connection was closed before the headers were complete"
    ),
    "closes without an empty line after the headers": Row(
        says(b"HTTP/1.1 200 OK\r\n"), None, "answered 200, 0 bytes"
    ),
    "closes without an empty line, and the length says more": Row(
        says(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n"),
        "reset",
        "the connection was closed before the body was complete",
    ),
    "headers without an end": Row(
        says(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 100_000), "limit", "could not evaluate: "
    ),
    "blank space without an end": Row(says(b"\r\n" * 1_000_000), "limit", "could not evaluate: "),
    "a header without an end": Row(
        says(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 1_000_000), "limit", "could not evaluate: "
    ),
    "a header that is none": Row(
        says(b"HTTP/1.1 200 OK\r\n\x00\x00\r\n\r\n"), "protocol", "does not speak HTTP: "
    ),
}


def seconds_for(text: str) -> float:
    """Return the deadline for a row: a short one only where the row is about the deadline."""
    return DEADLINE_SECONDS if "within 400 ms" in text else GENEROUS_SECONDS


async def look(
    talk: Talk, host: str = "127.0.0.1", seconds: float = DEADLINE_SECONDS, **check: Any
) -> CheckResult:
    async with server(talk, host=host) as port:
        url = check.pop("url", f"http://{{host}}:{port}/")
        return await http(HttpCheck(url=url.replace("PORT", str(port)), **check), ip_address(host), seconds)


@pytest.mark.parametrize("row", ROWS)
async def test_http(row: str) -> None:
    wanted = ROWS[row]
    started_at = time.perf_counter()
    seconds = seconds_for(wanted.text)
    result = await look(wanted.talk, seconds=seconds, **wanted.check)
    said = result.text.partition("/: ")[2]
    assert (result.reason, said[: len(wanted.text)] if wanted.text.endswith(" ") else said) == (
        wanted.reason,
        wanted.text,
    )
    assert time.perf_counter() - started_at < seconds + 0.3


async def test_ipv6() -> None:
    result = await look(http_answer(), host="::1")
    assert result.outcome is Outcome.WELL
    assert result.text.startswith("http http://[::1]:")


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_refused(host: str) -> None:
    check = HttpCheck(url=f"http://{{host}}:{unused_port(host)}/")
    result = await http(check, ip_address(host), DEADLINE_SECONDS)
    assert (result.reason, result.text.partition("/: ")[2]) == ("refused", "connection refused")


async def test_c6_a_name_that_does_not_resolve() -> None:
    result = await http(HttpCheck(url="http://{host}.invalid/"), ip_address("127.0.0.1"), 5.0)
    assert (result.reason, result.outcome) == ("dns", Outcome.NOT_LOOKED)


async def test_the_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{unused_port()}")
    assert (await look(http_answer())).outcome is Outcome.WELL


async def test_a_netrc_of_the_environment_is_not_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login anna password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    assert b"Authorization" not in await request_of()


async def request_of(**check: Any) -> bytes:
    heard = b""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal heard
        heard = await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()

    assert (await look(talk, **check)).outcome is Outcome.WELL
    return heard


async def test_the_request() -> None:
    heard = (
        await request_of(host_header="www.example.org:8080", url="http://{host}:PORT/health?full=1")
    ).decode()
    lines = heard.split("\r\n")
    assert lines[0] == "GET /health?full=1 HTTP/1.1"
    assert "Host: www.example.org:8080" in lines
    assert "Connection: close" in lines
    assert "Accept-Encoding: identity" in lines
    assert any(line.startswith("User-Agent: locum/") for line in lines)


async def test_the_phases_add_up() -> None:
    result = await look(http_answer())
    phases = result.details["phases"]
    assert isinstance(phases, dict)
    assert list(phases) == ["connect", "first_byte", "transfer"]
    assert 0 < sum(phases.values()) <= result.seconds


URLS = {
    "IPv4": ("http://{host}/", "192.0.2.1", "http://192.0.2.1/"),
    "IPv6 gets brackets": ("http://{host}:8080/", "2001:db8::1", "http://[2001:db8::1]:8080/"),
    "in the path too": ("http://{host}/of/{host}", "192.0.2.1", "http://192.0.2.1/of/192.0.2.1"),
}


@pytest.mark.parametrize("row", URLS)
def test_url(row: str) -> None:
    url, address, expected = URLS[row]
    assert url_for(HttpCheck(url=url), ip_address(address)) == expected


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


HELLO = http_answer()


@dataclass(frozen=True)
class TlsRow:
    names: tuple[str, ...]
    reason: str | None
    text: str
    host_header: str | None = None
    is_expired: bool = False
    trusts: bool = True
    talk: Talk = HELLO


TLS_ROWS: dict[str, TlsRow] = {
    "a certificate for the address": TlsRow(("127.0.0.1",), None, "answered 200, 21 bytes"),
    "a certificate for the name in host_header": TlsRow(
        ("www.example.org",), None, "answered 200, 21 bytes", "www.example.org"
    ),
    "a certificate for the name in host_header, which has a port": TlsRow(
        ("www.example.org",), None, "answered 200, 21 bytes", "www.example.org:443"
    ),
    "for another name": TlsRow(
        ("www.example.net",),
        "tls",
        "the certificate is not accepted: Hostname mismatch, certificate is not valid for 'www.example.org'.",
        "www.example.org",
    ),
    "for no address": TlsRow(
        ("www.example.net",),
        "tls",
        "the certificate is not accepted: IP address mismatch, certificate is not valid for '127.0.0.1'.",
    ),
    "expired": TlsRow(
        ("127.0.0.1",), "tls", "the certificate is not accepted: certificate has expired", is_expired=True
    ),
    "from an authority that is not trusted": TlsRow(
        ("127.0.0.1",),
        "tls",
        "the certificate is not accepted: unable to get local issuer certificate"
        "; ca_file names the issuer to trust",
        trusts=False,
    ),
    "silent after the handshake": TlsRow(("127.0.0.1",), "timeout", "no answer within 400 ms", talk=silent),
}


@pytest.mark.parametrize("row", TLS_ROWS)
async def test_https(row: str, authority: Authority, tmp_path: Path) -> None:
    wanted = TLS_ROWS[row]
    until = expired() if wanted.is_expired else GOOD_UNTIL
    ca_file = authority.ca_file if wanted.trusts else Authority(tmp_path, "another one").ca_file
    async with server(wanted.talk, tls=authority.server_context(*wanted.names, until=until)) as port:
        check = HttpCheck(url=f"https://{{host}}:{port}/", host_header=wanted.host_header, ca_file=ca_file)
        result = await http(check, ip_address("127.0.0.1"), seconds_for(wanted.text))
    assert (result.reason, result.text.partition("/: ")[2]) == (wanted.reason, wanted.text)
    expiry = result.details.get("certificate_expiry_timestamp_seconds")
    assert expiry == until.timestamp()


async def test_c3_the_expiry_of_an_expired_certificate_stays_a_metric(authority: Authority) -> None:
    async with server(HELLO, tls=authority.server_context("127.0.0.1", until=expired())) as port:
        check = HttpCheck(url=f"https://{{host}}:{port}/", ca_file=authority.ca_file)
        result = await http(check, ip_address("127.0.0.1"), DEADLINE_SECONDS)
    families = {family.name: family for family in ResultCollector(result).collect()}
    (sample,) = families["locum_http_certificate_expiry_timestamp_seconds"].samples
    assert (result.reason, sample.value) == ("tls", expired().timestamp())


async def test_c3_a_server_that_shows_its_certificate_once_costs_no_more_than_the_deadline(
    authority: Authority,
) -> None:
    """The second connection, which reads the certificate, meets a server that accepts and says nothing."""
    context = authority.server_context("127.0.0.1", until=expired())
    connections = 0

    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        if connections == 1:
            await writer.start_tls(context)
        else:
            await silent(reader, writer)

    started_at = time.perf_counter()
    result = await look(once, url="https://{host}:PORT/", ca_file=authority.ca_file)
    assert (result.reason, connections) == ("tls", 2)
    assert "certificate_expiry_timestamp_seconds" not in result.details
    assert time.perf_counter() - started_at < DEADLINE_SECONDS + 0.3


async def test_https_phases(authority: Authority) -> None:
    async with server(http_answer(), tls=authority.server_context("127.0.0.1")) as port:
        check = HttpCheck(url=f"https://{{host}}:{port}/", ca_file=authority.ca_file)
        result = await http(check, ip_address("127.0.0.1"), DEADLINE_SECONDS)
    phases = result.details["phases"]
    assert isinstance(phases, dict)
    assert list(phases) == ["connect", "tls", "first_byte", "transfer"]
    assert all(seconds > 0 for seconds in phases.values())


NO_TLS: dict[str, tuple[Talk, str, str]] = {
    "plain HTTP": (
        says(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
        "tls",
        "the handshake failed: the server does not speak TLS on this port",
    ),
    "no answer to the handshake": (silent, "timeout", "no connection within 400 ms"),
    "a reset in the handshake": (resetting, "reset", "connection reset by peer"),
}


@pytest.mark.parametrize("row", NO_TLS)
async def test_https_without_tls(row: str, authority: Authority) -> None:
    talk, reason, text = NO_TLS[row]
    seconds = seconds_for(text)
    result = await look(talk, seconds=seconds, url="https://{host}:PORT/", ca_file=authority.ca_file)
    assert (result.reason, result.text.partition("/: ")[2][: len(text)]) == (reason, text)


CA_FILES = {
    "missing": (None, "the CA file cannot be used: no such file or directory"),
    "not a certificate": ("hello", "the CA file cannot be used: it contains no certificate"),
    "empty": ("", "the CA file cannot be used: it contains no certificate"),
}


@pytest.mark.parametrize("row", CA_FILES)
async def test_a_ca_file_that_cannot_be_used(row: str, tmp_path: Path) -> None:
    content, text = CA_FILES[row]
    ca_file = tmp_path / "ca.pem"
    if content is not None:
        ca_file.write_text(content)
    result = await look(silent, url="https://{host}:PORT/", ca_file=ca_file)
    assert (result.reason, result.text.partition("/: ")[2]) == ("permission", text)


async def test_a_ca_file_that_was_renewed_is_read_again(authority: Authority, tmp_path: Path) -> None:
    ca_file = tmp_path / "ca.pem"
    ca_file.write_bytes(Authority(tmp_path, "old").ca_file.read_bytes())
    async with server(http_answer(), tls=authority.server_context("127.0.0.1")) as port:
        check = HttpCheck(url=f"https://{{host}}:{port}/", ca_file=ca_file)
        before = await http(check, ip_address("127.0.0.1"), DEADLINE_SECONDS)
        ca_file.write_bytes(authority.ca_file.read_bytes())
        after = await http(check, ip_address("127.0.0.1"), DEADLINE_SECONDS)
    assert (before.reason, after.reason) == ("tls", None)


APACHE = """
ServerName localhost
ServerRoot {root}
PidFile {root}/pid
ErrorLog {root}/error.log
Listen 127.0.0.1:{port}
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
DocumentRoot {root}/www
"""


@pytest.mark.skipif(shutil.which("apache2") is None, reason="needs Debian's apache2")
def test_apache(tmp_path: Path) -> None:
    tmp_path.parent.parent.chmod(0o755)  # Apache's workers are not root
    tmp_path.parent.chmod(0o755)
    tmp_path.chmod(0o755)
    (tmp_path / "www").mkdir(mode=0o755)
    (tmp_path / "www" / "index.html").write_text("<html>apache</html>")
    port = unused_port()
    config = tmp_path / "apache2.conf"
    config.write_text(APACHE.format(root=tmp_path, port=port))
    apache = subprocess.Popen(["apache2", "-f", str(config), "-DFOREGROUND"])
    try:
        check = HttpCheck(url=f"http://{{host}}:{port}/index.html", expect_body="apache")

        def result() -> CheckResult:
            return asyncio.run(http(check, ip_address("127.0.0.1"), 1.0))

        wait_for(lambda: result().outcome is Outcome.WELL, "the check is well", 5, state=result)
    finally:
        apache.terminate()
        apache.wait(10)
