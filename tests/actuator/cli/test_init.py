"""`locum init`: what it writes passes `locum check`, and what is there already stays."""

from __future__ import annotations

import re
import shlex
import stat
from ipaddress import ip_address, ip_interface
from pathlib import Path
from typing import get_args

import pytest
from click.testing import CliRunner, Result

from locum_actuator.cli import main
from locum_inventory.shared_files import EXAMPLE, shared
from locum_inventory.site.load import advice, load_site
from locum_inventory.site.model import Takeover

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
        f"{etc}/webhook.token: created",
        f"{etc}/api.token: created",
        f"{file}: written",
        "next:",
        f"  locum --site {file} enrol b",
        f"  locum --site {file} enrol a",
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


@pytest.mark.parametrize("text", ["as written", "the example"])
def test_the_comments_explain_the_answers_that_there_are(text: str, tmp_path: Path) -> None:
    init(tmp_path, *ALL_OPTIONS)
    file = tmp_path / "locum.yml" if text == "as written" else shared(EXAMPLE)
    explained = re.findall(r"^      #   (\w+)  +\w", file.read_text(), re.MULTILINE)
    assert explained == [*get_args(Takeover.model_fields["when_unreachable"].annotation)]


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
    assert "'refuse' alerts people (if the host is really dead" in result.stderr
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
    assert f"{kept}: exists already, kept" in result.stdout
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
        result.stderr
        == f"{file} exists already: choose another file with --output, or replace it with --force\n"
    )
    assert file.read_text() == "mine\n"

    assert init(tmp_path, *ALL_OPTIONS, "--force").exit_code == 0
    assert load_site(file).actuator.host == "b"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["etc", "locum.yml"]


WRONG_USE = {
    "no answer": (
        without("when-unreachable"),
        "Error: standard input has ended: give --when-unreachable",
    ),
    "a host without address": (
        [*without("host"), "--host=a"],
        "Error: 'a' is not a host and its address: write NAME=ADDRESS",
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
    assert (
        result.stderr.splitlines()[0] == "nothing was written, because the site file would have these faults:"
    )
    assert "services.www.addresses: is 192.0.2.1, the host address of 'a'" in result.stderr
    assert list(tmp_path.iterdir()) == []


WRONG_THEN_RIGHT = {
    "a host without its address": (
        0,
        "one",
        "'one' is not a host and its address: write NAME=ADDRESS",
    ),
    "a host's name": (0, "One=192.0.2.1", "is 'One', which cannot be a name: use 1 to 63 of a-z"),
    "a host's address": (0, "one=192.0.2", "is '192.0.2': give a numeric IPv4 or IPv6 address"),
    "the same host twice": (1, "one=192.0.2.2", "host 'one' is given twice"),
    "the same address twice": (1, "two=192.0.2.1", "192.0.2.1 is another host's address"),
    "the service's name": (2, "my service", "is 'my service', which cannot be a name"),
    "the service address": (
        3,
        "192.0.2.300/24",
        "is '192.0.2.300/24': give an address with its prefix length",
    ),
    "the interface": (4, "eth 0", "is 'eth 0', which cannot be an interface"),
    "the URL": (5, "http://192.0.2.1/", "which checks the same machine for every host"),
    "the process": (7, "/usr/sbin/apache2", "give the process name as `ps -o comm` shows it"),
    "the witness": (11, "gateway", "is 'gateway': give a numeric IPv4 or IPv6 address"),
    "what to do when a host is silent": (12, "maybe", "answer takeover or refuse"),
}
TWELVE = [
    "one=192.0.2.1", "two=192.0.2.2", "www", "192.0.2.100/24", "eth0", "http://{host}/", "-", "apache2",
    "true", "true", "true", "192.0.2.254", "refuse",
]  # fmt: skip


@pytest.mark.parametrize(("position", "wrong", "fault"), WRONG_THEN_RIGHT.values(), ids=WRONG_THEN_RIGHT)
def test_f_a_wrong_answer_is_asked_for_again_and_no_other(
    tmp_path: Path, position: int, wrong: str, fault: str
) -> None:
    answers = [*TWELVE[:position], wrong, *TWELVE[position:]]
    result = init(tmp_path, answers="\n".join(answers) + "\n")
    assert result.exit_code == 0, result.output
    assert fault in result.stderr
    assert load_site(tmp_path / "locum.yml").services["www"].takeover.when_unreachable == "refuse"


def test_f_answers_that_do_not_fit_together_are_not_lost(tmp_path: Path) -> None:
    answers = [*TWELVE[:3], "192.0.2.1/24", *TWELVE[4:]]
    result = init(tmp_path, answers="\n".join(answers) + "\n")
    assert result.exit_code == 2
    *_, title, command = result.stderr.splitlines()
    assert title == "your answers so far, as a command to correct and run again:"
    corrected = [word.replace("=192.0.2.1/24", "=192.0.2.100/24") for word in shlex.split(command)]
    assert corrected[:2] == ["locum", "init"]
    again = CliRunner().invoke(main, corrected[1:])
    assert again.exit_code == 0, again.output
    assert load_site(tmp_path / "locum.yml").witnesses == (ip_address("192.0.2.254"),)


def test_f_answers_given_before_the_input_ended_are_not_lost(tmp_path: Path) -> None:
    result = init(tmp_path, answers="\n".join(TWELVE[:9]) + "\n")
    assert result.exit_code == 2
    assert "--host=one=192.0.2.1 --host=two=192.0.2.2 --service=www" in result.stderr


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "etc").write_text("a file\n")
    result = init(tmp_path, *ALL_OPTIONS)
    assert result.exit_code == 1
    assert result.stderr == (
        f"{tmp_path}/etc: File exists: nothing more was written; "
        "choose other places with --directory and --output\n"
    )
    assert not (tmp_path / "locum.yml").exists()


def test_the_example_is_at_hand(tmp_path: Path) -> None:
    assert init(tmp_path, "--example").stdout == shared(EXAMPLE).read_text(encoding="utf-8")
