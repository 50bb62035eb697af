"""`locum init`: what it writes passes `locum check`, and what is there already stays."""

from __future__ import annotations

import stat
from ipaddress import ip_address, ip_interface
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from locum_actuator.cli import main
from locum_inventory.load import advice, load_site
from locum_inventory.share import EXAMPLE, shared

ALL_OPTIONS = [
    "--host=a=192.0.2.1",
    "--host=b=192.0.2.2",
    "--service=www",
    "--address=192.0.2.100/24",
    "--interface=eth0",
    "--url=http://{host}/",
    "--expect=<html>",
    "--process=apache2",
    "--start=apachectl start",
    "--stop=apachectl stop",
    "--respawn=apachectl restart",
    "--witness=192.0.2.254",
    "--when-unreachable=refuse",
]


def init(tmp_path: Path, *options: str, answers: str = "") -> Result:
    places = ["--output", str(tmp_path / "locum.yml"), "--directory", str(tmp_path / "etc")]
    return CliRunner().invoke(main, ["init", *places, *options], input=answers)


def without(*names: str) -> list[str]:
    return [option for option in ALL_OPTIONS if option.partition("=")[0].removeprefix("--") not in names]


def test_with_all_options_nothing_is_asked_and_the_result_is_sound(tmp_path: Path) -> None:
    result = init(tmp_path, *ALL_OPTIONS)

    file, etc = tmp_path / "locum.yml", tmp_path / "etc"
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    assert result.stdout.splitlines() == [
        f"{etc}/webhook.token: made",
        f"{etc}/api.token: made",
        f"{file}: written",
        "next:",
        f"  locum --site {file} enrol a",
        f"  locum --site {file} enrol b",
        f"  locum --site {file} check --live",
        f"  locum --site {file} up",
    ]
    site = load_site(file)
    assert advice(site) == ()
    assert site.services["www"].takeover.when_unreachable == "refuse"
    assert site.services["www"].checks.http is not None
    assert site.services["www"].checks.http.expect_body == "<html>"
    assert site.actuator.host == "b"
    ssh = site.hosts["a"].ssh
    assert ssh is not None
    assert ssh.key_file == etc / "id_ed25519"
    assert site.hosts["b"].ssh is None


def test_asked_for_everything(tmp_path: Path) -> None:
    answers = [
        "one=2001:db8::1", "two=2001:db8::2", "mail", "2001:db8::100/64", "enp3s0", "-", "-", "master",
        "postfix start", "postfix stop", "-", "2001:db8::fe", "maybe", "takeover",
    ]  # fmt: skip
    result = init(tmp_path, answers="\n".join(answers) + "\n")

    assert result.exit_code == 0, result.output
    site = load_site(tmp_path / "locum.yml")
    service = site.services["mail"]
    assert service.addresses == (ip_interface("2001:db8::100/64"),)
    written = (tmp_path / "locum.yml").read_text(encoding="utf-8")
    assert '#vantage_points: {two: {url: "http://[2001:db8::2]:10751"}}' in written
    assert service.interface == {"one": "enp3s0", "two": "enp3s0"}
    assert (service.checks.http, service.checks.tcp) == (None, None)
    assert service.checks.process is not None
    assert service.checks.process.name == "master"
    assert service.commands is not None
    assert (service.commands.start, service.commands.respawn) == ("postfix start", None)
    assert site.witnesses == (ip_address("2001:db8::fe"),)
    assert "'refuse' tells people (if the host was really dead" in result.stderr
    assert "answer takeover or refuse" in result.stderr


VALUES_THAT_YAML_WOULD_MISREAD = {
    "a colon": "sh -c 'echo: x'",
    "a comment": "true # no",
    "quotes and backslashes": 'sh -c "printf \\\\n"',
    "a placeholder": "echo {x}",
    "a star": "* start",
    "an umlaut": "echo \u00fc",
    "null": "null",
}


@pytest.mark.parametrize(
    "command", VALUES_THAT_YAML_WOULD_MISREAD.values(), ids=VALUES_THAT_YAML_WOULD_MISREAD
)
def test_what_is_written_is_what_was_said(tmp_path: Path, command: str) -> None:
    result = init(tmp_path, *without("start"), f"--start={command}")
    assert result.exit_code == 0, result.output
    commands = load_site(tmp_path / "locum.yml").services["www"].commands
    assert commands is not None
    assert commands.start == command


OTHER_SHAPES = {
    "a TCP service": [*without("url"), "--tcp-port=25"],
    "a standby that runs": [*without("start", "stop", "respawn"), "--standby=running"],
    "three hosts, the actuator on the third": [*ALL_OPTIONS, "--host=c=192.0.2.3", "--actuator-host=c"],
    "both families": [*ALL_OPTIONS, "--address=2001:db8::100/64"],
    "no check at all": [*without("url", "process"), "--url=", "--process="],
}


@pytest.mark.parametrize("options", OTHER_SHAPES.values(), ids=OTHER_SHAPES)
def test_other_shapes_are_sound_too(tmp_path: Path, options: list[str]) -> None:
    result = init(tmp_path, *options)
    assert result.exit_code == 0, result.output
    load_site(tmp_path / "locum.yml")


def test_tokens_are_secrets_of_their_owner_alone_and_are_kept(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    kept = tmp_path / "etc" / "webhook.token"
    kept.write_text("kept\n")
    result = init(tmp_path, *ALL_OPTIONS)

    made = tmp_path / "etc" / "api.token"
    assert f"{kept}: is there already, kept" in result.stdout
    assert kept.read_text() == "kept\n"
    assert stat.S_IMODE(made.stat().st_mode) == 0o600
    assert len(made.read_text().strip()) >= 40
    assert made.read_text().strip() not in result.output


def test_a_site_file_is_replaced_only_when_told(tmp_path: Path) -> None:
    file = tmp_path / "locum.yml"
    file.write_text("mine\n")
    result = init(tmp_path, *ALL_OPTIONS)
    assert result.exit_code == 1
    assert (
        result.stderr == f"{file} is there already: name another with --output, or replace it with --force\n"
    )
    assert file.read_text() == "mine\n"

    assert init(tmp_path, *ALL_OPTIONS, "--force").exit_code == 0
    assert load_site(file).actuator.host == "b"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["etc", "locum.yml"]


WRONG_USE = {
    "nobody to answer": (
        without("when-unreachable"),
        "Error: nobody is there to answer: give --when-unreachable",
    ),
    "a host without address": (
        [*without("host"), "--host=a"],
        "Error: 'a' does not say which address a host has: write NAME=ADDRESS",
    ),
    "a host twice": ([*ALL_OPTIONS, "--host=a=192.0.2.9"], "Error: host 'a' is given twice"),
}


@pytest.mark.parametrize(("options", "last_line"), WRONG_USE.values(), ids=WRONG_USE)
def test_wrong_use(tmp_path: Path, options: list[str], last_line: str) -> None:
    result = init(tmp_path, *options)
    assert result.exit_code == 2
    assert result.stderr.splitlines()[-1] == last_line
    assert list(tmp_path.iterdir()) == []


def test_answers_that_make_a_faulty_site_write_nothing(tmp_path: Path) -> None:
    result = init(tmp_path, *without("address"), "--address=192.0.2.1/24")
    assert result.exit_code == 2
    assert result.stderr.splitlines()[0] == "nothing was written, for the site file would have these faults:"
    assert "services.www.addresses: is 192.0.2.1, the own address of host 'a'" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "etc").write_text("a file\n")
    result = init(tmp_path, *ALL_OPTIONS)
    assert result.exit_code == 1
    assert result.stderr == (
        f"{tmp_path}/etc: File exists: nothing more was written; --directory and --output say where\n"
    )
    assert not (tmp_path / "locum.yml").exists()


def test_the_example_is_at_hand(tmp_path: Path) -> None:
    assert init(tmp_path, "--example").stdout == shared(EXAMPLE).read_text(encoding="utf-8")
