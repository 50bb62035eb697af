"""What a tcp check sends and expects: bytes, as a site file writes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from locum_inventory.site.model import TcpCheck
from locum_inventory.site.payload import shown_bytes
from tests.inventory.site.test_load import SOUND, faults, read

WRITTEN: dict[str, tuple[str, bytes]] = {
    "bytes in double quotes": (
        r'"\x00\x00\x00\x08\x04\xd2\x16\x2f"',
        b"\x00\x00\x00\x08\x04\xd2\x16\x2f",  # PostgreSQL's SSLRequest
    ),
    "bytes in single quotes": (r"'\x00\x00\x00\x08\x04\xd2\x16\x2f'", b"\x00\x00\x00\x08\x04\xd2\x16\x2f"),
    "bytes without quotes": (r"\x00\xFF", b"\x00\xff"),
    "every byte in double quotes": (
        '"' + "".join(f"\\x{code:02x}" for code in range(256)) + '"',
        bytes(range(256)),
    ),
    "every byte in single quotes": (
        "'" + "".join(f"\\x{code:02X}" for code in range(256)) + "'",
        bytes(range(256)),
    ),
    "ends of lines in single quotes": (r"'PING\r\n'", b"PING\r\n"),
    "ends of lines in double quotes": (r'"PING\r\n"', b"PING\r\n"),
    "ends of lines without quotes": (r"PING\r\n", b"PING\r\n"),
    "a block": ("|\n          EHLO here\\r\n", b"EHLO here\r\n"),
    "a backslash": (r"'C:\\temp'", rb"C:\temp"),
    "a backslash in double quotes": (r'"C:\\\\temp"', rb"C:\temp"),
    "an escaped backslash before an x": (r"'\\xd2'", rb"\xd2"),
    "an escaped backslash before an x, in double quotes": (r'"\\\\xd2"', rb"\xd2"),
    "a byte after a backslash, in double quotes": (r'"\\\\\xd2"', b"\\\xd2"),
    "text beyond ASCII": ("'Grüße'", "Grüße".encode()),
    "text beyond ASCII and a byte": (r'"Grüße \xfc"', "Grüße ".encode() + b"\xfc"),
    "a character by its number": (r'"\u00fc"', "ü".encode()),
    "a NUL": (r"'\0'", b"\0"),
    "a text that looks like a number": ("220", b"220"),
    "a text over two lines in double quotes": ('"\\x01\\\n          \\xff"', b"\x01\xff"),
}


@pytest.mark.parametrize("row", WRITTEN)
def test_c4_what_is_written_is_what_is_sent(row: str, tmp_path: Path) -> None:
    written, wanted = WRITTEN[row]
    text = SOUND.replace(
        '    checks: {http: {url: "http://{host}/"}, process: {name: apache2}}\n',
        f"    checks:\n      tcp:\n        port: 1\n        send: {written}\n        expect: {written}\n",
    )
    check = read(tmp_path, text).services["www"].checks.tcp
    assert check is not None
    assert (check.send, check.expect) == (wanted, wanted)


def test_c4_an_alias_of_bytes_is_those_bytes(tmp_path: Path) -> None:
    text = SOUND.replace(
        '{http: {url: "http://{host}/"}, process: {name: apache2}}',
        r'{tcp: {port: 1, send: &hello "\xd2", expect: *hello}}',
    )
    check = read(tmp_path, text).services["www"].checks.tcp
    assert check is not None
    assert (check.send, check.expect) == (b"\xd2", b"\xd2")


def test_bytes_of_other_keys_are_characters_as_yaml_has_it(tmp_path: Path) -> None:
    text = SOUND.replace('url: "http://{host}/"', r'url: "http://{host}/", expect_body: "\xfc"')
    http = read(tmp_path, text).services["www"].checks.http
    assert http is not None
    assert http.expect_body == "ü"


UNKNOWN = {
    r"DOMAIN\user": r"has '\u', which is not an escape: use \r, \n, \t, \0 or \xNN, and \\ for a backslash",
    r"\xg1": r"has '\x', which is not an escape: use \r, \n, \t, \0 or \xNN, and \\ for a backslash",
    "end\\": r"has '\', which is not an escape: use \r, \n, \t, \0 or \xNN, and \\ for a backslash",
}


@pytest.mark.parametrize("written", UNKNOWN)
def test_c4_an_unknown_escape_is_a_fault(written: str, tmp_path: Path) -> None:
    text = SOUND.replace(
        '{http: {url: "http://{host}/"}, process: {name: apache2}}',
        f"{{tcp: {{port: 1, send: '{written}'}}}}",
    )
    assert faults(tmp_path, text) == [f"locum.yml:9: services.www.checks.tcp.send: {UNKNOWN[written]}"]


def test_what_is_no_text_is_a_fault(tmp_path: Path) -> None:
    text = SOUND.replace(
        '{http: {url: "http://{host}/"}, process: {name: apache2}}', "{tcp: {port: 1, send: [1, 2]}}"
    )
    (line,) = faults(tmp_path, text)
    assert line == (
        r"locum.yml:9: services.www.checks.tcp.send: is a list: give what to send after connecting, such as"
        r" 'PING\r\n'"
    )


def test_a_value_of_python_is_bytes_or_text() -> None:
    assert TcpCheck(port=1, send=b"\xd2").send == b"\xd2"


def test_long_payloads_are_cut_when_shown() -> None:
    assert shown_bytes(b"x" * 100) == f"'{'x' * 60}' and 40 more"
