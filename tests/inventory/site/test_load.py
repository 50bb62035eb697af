"""Reading the site file: where it is looked for, what it says, and all faults at once."""

from __future__ import annotations

from ipaddress import ip_address, ip_interface
from pathlib import Path

import pytest

from locum_inventory.site import load, yaml_positions
from locum_inventory.site.load import SiteError, find_site, load_site
from locum_inventory.site.model import Site, VantagePoint

SOUND = """\
hosts:
  a: {address: 192.0.2.1, ssh: {user: locum}}
  b: {address: 192.0.2.2}
services:
  www:
    hosts: [a, b]
    addresses: [192.0.2.100/24]
    interface: eth0
    checks: {http: {url: "http://{host}/"}, process: {name: apache2}}
    commands: {start: apachectl start, stop: apachectl stop, respawn: apachectl restart}
    takeover: {when_unreachable: takeover}
witnesses: [192.0.2.254]
actuator: {host: b}
"""


def read(tmp_path: Path, text: str | bytes) -> Site:
    file = tmp_path / "locum.yml"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return load_site(file)


def faults(tmp_path: Path, text: str | bytes) -> list[str]:
    with pytest.raises(SiteError) as caught:
        read(tmp_path, text)
    return [line.removeprefix(f"{tmp_path}/") for line in caught.value.lines]


def test_what_is_left_out_has_its_default(tmp_path: Path) -> None:
    site = read(tmp_path, SOUND)
    service = site.services["www"]

    assert service.hosts == ("a", "b")
    assert service.addresses == (ip_interface("192.0.2.100/24"),)
    assert service.interface == {"a": "eth0", "b": "eth0"}
    assert service.interval == "250ms"
    assert service.standby == "stopped"
    assert service.checks.http is not None
    assert service.checks.http.expect_status == (200,)
    assert site.vantage_points == {"b": VantagePoint(url="http://127.0.0.1:10751")}
    assert site.witnesses == (ip_address("192.0.2.254"),)
    assert site.actuator.webhook_token_file == Path("/etc/locum/webhook.token")
    assert site.actuator.api_token_file == Path("/etc/locum/api.token")
    ssh = site.hosts["a"].ssh
    assert ssh is not None
    assert (ssh.port, ssh.key_file) == (22, Path("/etc/locum/id_ed25519"))


TEXTS_THAT_MEAN_WHAT_THEY_SAY = {
    "a number where text belongs": ("interface: eth0", "interface: 007", "007"),
    "a boolean where a name belongs": ("interface: eth0", "interface: on", "on"),
    "a float where a name belongs": ("interface: eth0", "interface: 1e3", "1e3"),
    "a sexagesimal where a name belongs": ("interface: eth0", "interface: 12.30", "12.30"),
    "a date where a name belongs": ("interface: eth0", "interface: 2001-01-01", "2001-01-01"),
    "quoted text": ("interface: eth0", "interface: 'eth0.100'", "eth0.100"),
}


@pytest.mark.parametrize(
    ("old", "new", "interface"), TEXTS_THAT_MEAN_WHAT_THEY_SAY.values(), ids=TEXTS_THAT_MEAN_WHAT_THEY_SAY
)
def test_a_scalar_is_the_text_that_was_written(tmp_path: Path, old: str, new: str, interface: str) -> None:
    site = read(tmp_path, SOUND.replace(old, new))
    assert site.services["www"].interface["a"] == interface


def test_hosts_may_be_called_like_yamls_booleans_and_numbers(tmp_path: Path) -> None:
    text = SOUND.replace("  a: {", "  no: {").replace("[a, b]", "[no, 8]")
    site = read(tmp_path, text.replace("  b: {", "  8: {").replace("host: b", "host: 8"))
    assert site.services["www"].hosts == ("no", "8")


def test_aliases_and_merges_share_what_is_alike(tmp_path: Path) -> None:
    mail = "  mail:\n    addresses: [192.0.2.101/24]\n    checks: {tcp: {port: 25}}\n    <<: *www\n"
    text = SOUND.replace("  www:\n", "  www: &www\n").replace("witnesses:", f"{mail}witnesses:")
    site = read(tmp_path, text)
    assert site.services["mail"].addresses == (ip_interface("192.0.2.101/24"),)
    assert site.services["mail"].commands == site.services["www"].commands


def test_addresses_of_both_families(tmp_path: Path) -> None:
    text = SOUND.replace("192.0.2.100/24", "192.0.2.100/24, 2001:DB8::100/64, 192.0.2.101, 2001:db8::101/128")
    assert read(tmp_path, text).services["www"].addresses == tuple(
        ip_interface(one)
        for one in ("192.0.2.100/24", "2001:db8::100/64", "192.0.2.101/32", "2001:db8::101/128")
    )


def test_a_byte_order_mark_and_dos_line_ends_do_no_harm(tmp_path: Path) -> None:
    assert read(tmp_path, b"\xef\xbb\xbf" + SOUND.replace("\n", "\r\n").encode()) == read(tmp_path, SOUND)


def test_all_faults_come_at_once_in_the_order_of_the_lines(tmp_path: Path) -> None:
    text = """\
hosts:
  a: {adress: 192.0.2.1}
  b: {address: 192.0.2.2}
services:
  www:
    hosts: [a, b, c]
    addresses: [192.0.2.2/24]
    interface: {a: eth0}
    interval: fast
    interval: 1s
    checks:
    takeover: {mode: act}
actuator: {host: b, webhook_token: hunter2}
"""
    assert faults(tmp_path, text) == [
        "locum.yml:1: witnesses: is missing: give addresses that answer a ping while the network works, such as"
        " the gateway's",
        "locum.yml:2: hosts.a.address: is missing: give the host's own address, IPv4 or IPv6",
        "locum.yml:2: hosts.a.adress: is not a known key: did you mean 'address'? the keys here are address, ssh,"
        " fence",
        "locum.yml:2: hosts.a.ssh: is missing: the actuator on 'b' connects to 'a' over SSH to release it: give"
        " how to log in there, such as {user: locum}",
        "locum.yml:5: services.www.commands: is missing: locum must start the service on a standby where it is"
        " stopped: give {start: ..., stop: ..., respawn: ...}, or set standby: running",
        "locum.yml:6: services.www.hosts: names 'c', which is not a host: the hosts are a, b",
        "locum.yml:7: services.www.addresses: is 192.0.2.2, the host address of 'b', through which locum asks"
        " 'b' to release it: give 'b' another address (hosts.b.address), and keep 192.0.2.2 as the service address",
        "locum.yml:8: services.www.interface: has no interface for host 'b': give one for each host of the service",
        "locum.yml:8: services.www.interface: has no interface for host 'c': give one for each host of the service",
        "locum.yml:10: services.www.interval: is given twice, first on line 9: keep one of them",
        "locum.yml:11: services.www.checks: has no value: give the checks that decide whether it is healthy, or"
        " {} to rely on a ping, or leave it out",
        "locum.yml:12: services.www.takeover.when_unreachable: is missing, and has no default: 'takeover' takes"
        " over when the host and its service address do not answer and a witness does (if only the network"
        " between the hosts failed, both may then hold the address); 'refuse' alerts people (if the host is"
        " really dead, the service is down until they act)",
        "locum.yml:13: actuator.webhook_token: is not allowed in a site file: put the secret in a separate file"
        " and name it with webhook_token_file",
    ]


def test_no_secret_is_repeated(tmp_path: Path) -> None:
    text = SOUND.replace("{host: b}", "{host: b, api_token: hunter2}")
    text = text.replace("http://{host}/", "http://root:hunter2@{host}/")
    assert "hunter2" not in "\n".join(faults(tmp_path, text))


NOT_EVEN_TEXT: dict[str, tuple[bytes, str]] = {
    "not UTF-8": (SOUND.encode() + b"# caf\xe9\n", "locum.yml:14: is not UTF-8 text"),
    "a control character": (
        b"hosts:\n  a: \x07\n",
        "locum.yml:2: contains a character that YAML does not allow (#x07)",
    ),
    "too large": (
        b"#" * (load.SIZE_LIMIT_BYTES + 1),
        "locum.yml: is larger than 1048576 bytes: this is not a site file",
    ),
    "nested without end": (b"[" * 100_000, "locum.yml:1: nests deeper than 16 levels"),
    "laughing": (
        b"a: &a [x,x,x,x,x,x,x,x,x]\n"
        + b"".join(
            b"%c: &%c [%s]\n" % (k, k, b",".join([b"*%c" % (k - 1)] * 9)) for k in range(ord("b"), ord("j"))
        ),
        "locum.yml:1: expands without limit through its aliases (*name)",
    ),
    "an alias of itself": (
        b"hosts: &h [*h]\n",
        "locum.yml:1: expands without limit through its aliases (*name)",
    ),
    "a merge with itself": (
        b"a: &a {<<: *a}\n",
        "locum.yml:1: expands without limit through its aliases (*name)",
    ),
    "a merge with itself in a list": (
        b"a: &a {<<: [*a, {b: c}]}\n",
        "locum.yml:1: expands without limit through its aliases (*name)",
    ),
    "merges that multiply": (
        b"a0: &a0 {x: y}\n"
        + b"".join(
            b"a%d: &a%d {<<: [%s]}\n" % (n, n, b",".join([b"*a%d" % (n - 1)] * 9)) for n in range(1, 12)
        ),
        "locum.yml:1: expands without limit through its aliases (*name)",
    ),
    "more values than any site has": (
        b"[" + b"a," * 200_000 + b"]",
        "locum.yml:1: contains more than 50000 values: this is not a site file",
    ),
    "a character that there is not": (
        b'a: "\\UFFFFFFFF"\n',
        "locum.yml:1: cannot be read as YAML: a number is too large",
    ),
    "a version without end": (
        b"%YAML 1." + b"9" * 100_000 + b"\n---\na: b\n",
        "locum.yml:1: cannot be read as YAML: a number is too large",
    ),
    "an escape sequence as a value": (
        SOUND.replace("interface: eth0", 'interface: "\\e[31m/"').encode(),
        "locum.yml:8: services.www.interface: is '\\x1b[31m/', which cannot be an interface: use 1 to 15"
        " characters, none of them a space, '/' or ':'",
    ),
}


@pytest.mark.parametrize(("content", "line"), NOT_EVEN_TEXT.values(), ids=NOT_EVEN_TEXT)
def test_e7_what_is_no_site_file_at_all_is_one_line(
    tmp_path: Path, content: bytes, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "50000 values" in line:
        # To read the first 100,000 nodes takes four seconds of processor time: they count as read.
        assert (yaml_positions.VALUES_LIMIT, yaml_positions._BoundedLoader.nodes) == (50_000, 0)
        monkeypatch.setattr(yaml_positions._BoundedLoader, "nodes", 2 * 50_000 - 1000)
        (is_a_list,) = faults(tmp_path, b"[" + b"a," * 999 + b"]")
        assert is_a_list.startswith("locum.yml:1: is a list: "), "as many as a site may have"
        assert faults(tmp_path, b"[" + b"a," * 1000 + b"]") == [line]
    assert faults(tmp_path, content) == [line]


def test_e7_a_file_with_faults_without_end_is_refused_in_a_page(tmp_path: Path) -> None:
    lines = faults(
        tmp_path, "".join(f"k{number}: 1\n" for number in range(2000)) + f"a: !<{'x' * 10_000}> b\n"
    )
    assert len(lines) == load.FAULTS_SHOWN + 1
    assert lines[-1].startswith("locum.yml: and 19")
    assert max(map(len, lines)) <= load.LINE_LENGTH


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    def says(path: Path) -> tuple[str, ...]:
        with pytest.raises(SiteError) as caught:
            load_site(path)
        return caught.value.lines

    assert says(tmp_path) == (f"{tmp_path}: cannot be read: Is a directory",)
    assert says(tmp_path / "none") == (f"{tmp_path}/none: cannot be read: No such file or directory",)
    assert says(Path("/proc/self/mem")) == ("/proc/self/mem: cannot be read: Input/output error",)
    assert says(Path("a\0b")) == ("a\\x00b: cannot be read: embedded null byte",)


def test_the_site_file_asked_for_counts_before_the_places_it_is_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    etc, here = tmp_path / "etc.yml", tmp_path / "locum.yml"
    monkeypatch.setattr(load, "SITE_FILES", (etc, here))

    with pytest.raises(SiteError) as caught:
        find_site(None)
    assert caught.value.lines == (
        f"no site file: neither {etc} nor {here} exists; name one with --site, or create one with locum init",
    )
    here.touch()
    assert find_site(None) == here
    etc.touch()
    assert find_site(None) == etc
    assert find_site("other.yml") == Path("other.yml")
