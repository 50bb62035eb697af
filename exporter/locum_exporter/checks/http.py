"""Check an HTTP or HTTPS service: one GET, its status and its body.

Details, as far as the exchange got: `status_code`, `body_bytes`, `phases` (seconds of resolve, connect,
tls, first_byte, transfer) and `certificate_expiry_timestamp_seconds`.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from importlib.metadata import version
from ipaddress import IPv6Address, ip_address
from urllib.parse import SplitResult, quote, urlsplit

from locum_exporter.checks.http_answer import Answer, AnswerError, Body, Head, unfolded
from locum_exporter.checks.http_expiry import expiry_of
from locum_exporter.checks.http_phases import Phases
from locum_exporter.checks.http_tls import CaFileError, Handshake, client_context, watch_handshake
from locum_exporter.net.os_errors import reason_of_os_error, text_of_os_error
from locum_exporter.result import CheckResult, Reason
from locum_inventory.errors import LocumError
from locum_inventory.site.model import Address, HttpCheck

# Characters that stay as they are in a URL: those of RFC 3986, and existing percent-encoding.
_PLAIN = "/?:@!$&'()*+,;=-._~%[]"


class _CheckFailedError(LocumError):
    def __init__(self, reason: Reason, text: str) -> None:
        super().__init__(text)
        self.reason: Reason = reason


async def http(check: HttpCheck, address: Address, deadline_seconds: float) -> CheckResult:
    """Check whether a service answers a GET with the expected status and body.

    One deadline covers everything: an answer that arrives byte by byte does not extend it. No proxy from the
    environment is used, no redirect is followed, and at most `max_body_bytes` of the body are kept.
    """
    started_at = time.perf_counter()
    url = url_for(check, address)
    phases, handshake = Phases(started_at), Handshake()
    details: dict[str, object] = {}
    reason: Reason | None = None
    try:
        async with asyncio.timeout(deadline_seconds):
            text = await _converse(check, urlsplit(url), phases, handshake, details)
    except (_CheckFailedError, AnswerError) as failed:
        reason, text = failed.reason, str(failed)
    except CaFileError as fault:
        reason, text = "permission", str(fault)  # no evidence about the server: no request was sent
    except TimeoutError:
        # A resolver that does not answer is no evidence about the server.
        reason = "dns" if phases.resolving else "timeout"
        text = f"{phases.stage} within {deadline_seconds * 1000:.0f} ms"
    except (OSError, ValueError) as error:
        reason, text = _explain(error, phases)
    seconds = time.perf_counter() - started_at
    details["phases"] = phases.seconds(handshake)
    left_seconds = deadline_seconds - seconds
    if (expiry := await expiry_of(handshake, left_seconds)) is not None:
        details["certificate_expiry_timestamp_seconds"] = expiry
    return CheckResult(reason, seconds, f"http {url}: {text}", details)


def url_for(check: HttpCheck, address: Address) -> str:
    """Return the URL with the address of a host in it, an IPv6 address in brackets (RFC 3986)."""
    host = f"[{address}]" if isinstance(address, IPv6Address) else str(address)
    return check.url.replace("{host}", host)


async def _converse(
    check: HttpCheck, url: SplitResult, phases: Phases, handshake: Handshake, details: dict[str, object]
) -> str:
    reader, writer = await _connected(check, url, phases, handshake)
    try:
        writer.write(_request(check, url))
        await writer.drain()
        answer = Answer(reader)
        head = await answer.head()
        phases.mark("first_byte")
        details["status_code"] = head.status
        if head.status not in check.expect_status:
            wanted = " or ".join(str(code) for code in check.expect_status)
            raise _CheckFailedError("status", f"answered {head.status}, expected {wanted}")
        body = await answer.body(head, check.max_body_bytes)
        phases.mark("transfer")
        details["body_bytes"] = len(body.data)
        _judge(check, head, body)
        size = f"{len(body.data)} bytes" if body.whole else f"more than {len(body.data)} bytes"
        return f"answered {head.status}, {size}"
    finally:
        # Not `wait_closed`: with a peer that does not read, it would wait beyond the deadline.
        writer.transport.abort()


async def _connected(
    check: HttpCheck, url: SplitResult, phases: Phases, handshake: Handshake
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect to the server of the URL, with TLS for https."""
    secure = url.scheme == "https"
    host, port = url.hostname or "", url.port or (443 if secure else 80)
    context = client_context(check.ca_file) if secure else None
    name = (_name_of(check.host_header) if check.host_header else host) if secure else None
    fault: OSError | None = None
    for address in await _addresses_of(host, port, phases):
        handshake.peer = (address, port, name)
        try:
            with watch_handshake(handshake):
                pair = await asyncio.open_connection(address, port, ssl=context, server_hostname=name)
        except ssl.SSLCertVerificationError:
            handshake.was_refused = True
            raise
        except ssl.SSLError:
            raise
        except OSError as error:
            fault = error
        else:
            phases.mark("connected")
            return pair
    raise fault or OSError("the name has no address")


async def _addresses_of(host: str, port: int, phases: Phases) -> list[str]:
    """Return the addresses of a name in the order to try them; an address is returned as it is.

    Names are resolved in threads, and a hanging resolver can occupy all of them: an address must not wait for one.
    """
    try:
        return [str(ip_address(host))]
    except ValueError:
        pass
    phases.resolving = True
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    phases.resolving = False
    phases.mark("resolve")
    return [str(sockaddr[0]) for _family, _type, _protocol, _canonical, sockaddr in found]


def _request(check: HttpCheck, url: SplitResult) -> bytes:
    target = quote(url.path or "/", safe=_PLAIN) + (f"?{quote(url.query, safe=_PLAIN)}" if url.query else "")
    lines = (
        f"GET {target} HTTP/1.1",
        f"Host: {check.host_header or _host_of(url)}",
        f"User-Agent: locum/{version('locum')}",
        "Accept: */*",
        "Accept-Encoding: identity",  # saves the server work; a compressed body is decoded nevertheless
        "Connection: close",
    )
    return "".join(f"{line}\r\n" for line in (*lines, "")).encode("ascii")


def _host_of(url: SplitResult) -> str:
    host = url.netloc.encode("idna").decode() if not url.netloc.isascii() else url.netloc
    return host.removesuffix(":443" if url.scheme == "https" else ":80")


def _judge(check: HttpCheck, head: Head, body: Body) -> None:
    """Raise unless a body, raw or decompressed, contains the expected text."""
    if check.expect_body is None or (wanted := check.expect_body.encode()) in body.data:
        return
    encodings = head.values("content-encoding")
    plain = unfolded(body, encodings, check.max_body_bytes)
    if plain is None:
        raise _CheckFailedError(
            "limit",
            f"could not evaluate: locum cannot decode a body with encoding {', '.join(encodings)[:60]}",
        )
    if wanted in plain.data:
        return
    if not plain.whole:
        text = f"could not evaluate: the first {check.max_body_bytes} bytes of the body, which is larger,"
        raise _CheckFailedError("limit", f"{text} do not contain {check.expect_body!r}")
    raise _CheckFailedError(
        "body", f"the body of {len(plain.data)} bytes does not contain {check.expect_body!r}"
    )


def _explain(error: OSError | ValueError, phases: Phases) -> tuple[Reason, str]:
    """Return the reason and one line of text for an error of a socket or of TLS."""
    if isinstance(error, UnicodeError):
        return "dns", f"the name does not resolve: {error}".lower()
    if not isinstance(error, OSError):
        return "protocol", f"does not speak HTTP: {error}"
    if isinstance(error, ConnectionError) and not error.errno:  # raised by asyncio, without an errno
        when = "before the answer was complete" if phases.connected else "during the handshake"
        return "reset", f"the connection was closed {when}"
    return reason_of_os_error(error), text_of_os_error(error)


def _name_of(host_header: str) -> str:
    """Return the host name of a Host header, which may carry a port and, for IPv6, brackets."""
    return urlsplit(f"//{host_header}").hostname or host_header
