"""An HTTP or HTTPS service: one GET, status, body.

Details, as far as the conversation got: `status_code`, `body_bytes`, `phases` (seconds of resolve, connect,
tls, first_byte, transfer) and `certificate_expiry_timestamp_seconds`.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from importlib.metadata import version
from ipaddress import IPv6Address
from urllib.parse import urlsplit

import aiohttp

from locum_exporter.checks.http_phases import Phases
from locum_exporter.checks.http_tls import CaFileFault, Handshake, client_context, watch_handshake
from locum_exporter.faults import reason_of_os_error, text_of_os_error
from locum_exporter.result import CheckResult, Reason
from locum_inventory.model import Address, HttpCheck

_HEADERS = {
    "User-Agent": f"locum/{version('locum')}",
    "Accept": "*/*",
    # A compressed body could not be searched, and could unfold to any size.
    "Accept-Encoding": "identity",
}
_NO_TIMEOUTS = aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None)
_READ_BYTES = 65_536


class _Failed(Exception):  # noqa: N818 - ends the conversation, becomes a result
    def __init__(self, reason: Reason, text: str) -> None:
        super().__init__(text)
        self.reason: Reason = reason


async def http(check: HttpCheck, address: Address, deadline_seconds: float) -> CheckResult:
    """Ask whether a service answers a GET with the status and the body that are expected.

    One deadline covers all of it: an answer that drips in byte by byte does not stretch it. No proxy of the
    environment is used, no redirect followed, and no more than `max_body_bytes` of the body are kept.
    """
    started_at = time.perf_counter()
    url = url_for(check, address)
    phases, handshake = Phases(started_at), Handshake()
    details: dict[str, object] = {}
    reason: Reason | None = None
    try:
        async with asyncio.timeout(deadline_seconds):
            text = await _converse(check, url, phases, handshake, details)
    except _Failed as failed:
        reason, text = failed.reason, str(failed)
    except CaFileFault as fault:
        reason, text = "permission", str(fault)  # says nothing of the server: nobody was asked
    except TimeoutError:
        reason, text = "timeout", f"{phases.stage} not over within {deadline_seconds * 1000:.0f} ms"
    except (aiohttp.ClientError, OSError, ValueError) as error:
        reason, text = _explain(error)
    seconds = time.perf_counter() - started_at
    details["phases"] = phases.seconds(handshake)
    if (expiry := handshake.expiry_timestamp_seconds()) is not None:
        details["certificate_expiry_timestamp_seconds"] = expiry
    return CheckResult(reason, seconds, f"http {url}: {text}", details)


def url_for(check: HttpCheck, address: Address) -> str:
    """Return the URL with the address of a host in it; RFC 3986 wants IPv6 addresses in brackets."""
    host = f"[{address}]" if isinstance(address, IPv6Address) else str(address)
    return check.url.replace("{host}", host)


async def _converse(
    check: HttpCheck, url: str, phases: Phases, handshake: Handshake, details: dict[str, object]
) -> str:
    secure = url.startswith("https://")
    headers = _HEADERS if check.host_header is None else {**_HEADERS, "Host": check.host_header}
    server_name = _name_of(check.host_header) if secure and check.host_header else None
    connector = aiohttp.TCPConnector(
        force_close=True, use_dns_cache=False, ssl=client_context(check.ca_file) if secure else True
    )
    with watch_handshake(handshake):
        async with (
            aiohttp.ClientSession(
                connector=connector,
                trust_env=False,
                auto_decompress=False,
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=_NO_TIMEOUTS,
                trace_configs=[phases.trace_config()],
            ) as session,
            session.get(url, headers=headers, allow_redirects=False, server_hostname=server_name) as response,
        ):
            phases.mark("first_byte")
            details["status_code"] = response.status
            if response.status not in check.expect_status:
                wanted = " or ".join(str(code) for code in check.expect_status)
                raise _Failed("status", f"answered {response.status}, expected {wanted}")
            size = await _read(check, response)
            phases.mark("transfer")
            details["body_bytes"] = size
            return f"answered {response.status}, {size} bytes"


async def _read(check: HttpCheck, response: aiohttp.ClientResponse) -> int:
    """Read the body to its end, within its bound, and look for what is expected in it."""
    body = bytearray()
    async for part in response.content.iter_chunked(_READ_BYTES):
        body += part
        if len(body) > check.max_body_bytes:
            raise _Failed("body", f"the body is larger than {check.max_body_bytes} bytes")
    if check.expect_body is not None and check.expect_body.encode() not in body:
        raise _Failed("body", f"the body of {len(body)} bytes does not contain {check.expect_body!r}")
    return len(body)


def _explain(error: Exception) -> tuple[Reason, str]:
    """Turn what aiohttp raised into a reason and one line."""
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "dns", f"the name does not resolve: {error.os_error.strerror or error.os_error}".lower()
    tls = _tls_fault(error)
    if tls is not None:
        return "tls", tls
    if isinstance(error, aiohttp.ClientConnectorError):
        return reason_of_os_error(error.os_error), text_of_os_error(error.os_error)
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "reset", "the connection was closed before there was an answer"
    if isinstance(error, aiohttp.ClientPayloadError):
        return "reset", "the connection was closed before the body was complete"
    if isinstance(error, OSError):
        return reason_of_os_error(error), text_of_os_error(error)
    return "protocol", f"does not speak HTTP: {_first_line(error)}"


def _tls_fault(error: BaseException) -> str | None:
    """Find what was wrong with a certificate or a handshake, in the error or what it came from."""
    seen: BaseException | None = error
    while seen is not None:
        inner = getattr(seen, "certificate_error", None) or getattr(seen, "os_error", None) or seen
        if isinstance(inner, ssl.SSLCertVerificationError):
            return f"the certificate is not accepted: {inner.verify_message}"
        if isinstance(inner, ssl.SSLError):
            return f"the handshake failed: {inner.reason or inner}"
        seen = seen.__cause__
    return None


def _first_line(error: Exception) -> str:
    text = error.message if isinstance(error, aiohttp.ClientResponseError) else str(error)
    return (text.strip() or type(error).__name__).splitlines()[0][:200]


def _name_of(host_header: str) -> str:
    """Return the host name of a Host header, which may carry a port and, for IPv6, brackets."""
    return urlsplit(f"//{host_header}").hostname or host_header
