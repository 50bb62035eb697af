"""The mirror over HTTP and from the command line, with real gates behind it."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result
from flask.testing import FlaskClient

from bench.mirror_hosts import MirrorHosts, in_memory, make_hosts
from locum_actuator.cli import main
from locum_actuator.engine.engine import Engine
from locum_actuator.metrics import Metrics
from locum_actuator.mirror.requested_runs import AskedRuns
from tests.actuator.fakes import FakeGate, FakeWorld, KeptFakes
from tests.support.http_server import API_TOKEN, AUTH, served_api

pytestmark = pytest.mark.integration

MIRROR = "/api/v1/services/www/mirror"
OBJECT = 'give a JSON object such as {"to": "b", "allow_deletions": 0, "discard_changes": false}'


@pytest.fixture
def hosts() -> Iterator[MirrorHosts]:
    with in_memory() as base:
        hosts = make_hosts(base)
        yield hosts
        hosts.close()


@pytest.fixture
def engine(hosts: MirrorHosts) -> Iterator[Engine]:
    world = FakeWorld({"a": FakeGate(held=True, epoch=3), "b": FakeGate()})
    engine = Engine(
        hosts.site, hosts.journal, Metrics(), lambda _: KeptFakes(world), lambda _site, _gates: world
    )
    engine.mirrors = hosts.mirrors
    engine.asked_mirrors = AskedRuns(hosts.mirrors)
    yield engine
    engine.stop()


REFUSED: dict[str, tuple[str, bytes, dict[str, str], int, str]] = {
    "no token": (
        MIRROR, b"{}", {}, 401, "the bearer token is missing or wrong, or the site names no api_token_file",
    ),
    "no such service": ("/api/v1/services/mail/mirror", b"{}", AUTH, 404, "no service 'mail'; there is www"),
    "not JSON": (MIRROR, b"now", AUTH, 400, "the body is not JSON"),
    "a list": (MIRROR, b"[]", AUTH, 400, OBJECT),
    "an unknown key": (MIRROR, b'{"from": "a"}', AUTH, 400, f"'from' is not known: {OBJECT}"),
    "no host": (MIRROR, b'{"to": "c"}', AUTH, 400, "'c' is not a host of the service: its hosts are a, b"),
    "deletions in words": (MIRROR, b'{"allow_deletions": "all"}', AUTH, 400, "allow_deletions: give a number"),
    "a yes": (MIRROR, b'{"discard_changes": "yes"}', AUTH, 400, "discard_changes: give true or false"),
    "to restore nothing": (
        f"{MIRROR}/restore", b'{"host": "b"}', AUTH, 400,
        'give a JSON object such as {"host": "b", "run": 20260101040000}',
    ),
    "to restore a run of which nothing is kept": (
        f"{MIRROR}/restore", b'{"host": "b", "run": 7}', AUTH, 409, "b: no files are kept from run 7",
    ),
    "to restore on the holder": (
        f"{MIRROR}/restore", b'{"host": "a", "run": 7}', AUTH, 409,
        "a holds www; data is never mirrored onto the holder",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("path", "data", "headers", "status", "words"), REFUSED.values(), ids=REFUSED)
def test_is_refused_in_words(
    client: FlaskClient,
    hosts: MirrorHosts,
    path: str,
    data: bytes,
    headers: dict[str, str],
    status: int,
    words: str,
) -> None:
    answer = client.post(path, data=data, headers=headers, content_type="application/json")
    assert (answer.status_code, answer.json) == (status, {"error": words})
    assert hosts.results == []


def test_what_both_sides_changed_can_be_asked(client: FlaskClient, hosts: MirrorHosts) -> None:
    # Both hosts search their trees for the answer.
    assert client.get(f"{MIRROR}/divergence?one=a&other=b").status_code == 401
    assert client.get(f"{MIRROR}/divergence?one=a&other=b", headers=AUTH).json == {
        "error": "the journal does not show when a and b last had the same data of www"
    }
    result = hosts.run()
    (hosts.tree("a") / "new").write_text("new\n")
    found = client.get(f"{MIRROR}/divergence?one=a&other=b", headers=AUTH).json
    assert found is not None
    assert (found["since"], found["both"], [side["changed"] for side in found["sides"]]) == (
        result.run,
        False,
        [2, 0],
    )


@pytest.fixture
def locum(engine: Engine, hosts: MirrorHosts) -> Iterator[Locum]:
    with served_api(engine) as url:
        yield Locum(hosts, url)


class Locum:
    """The command, as an administrator runs it."""

    def __init__(self, hosts: MirrorHosts, url: str) -> None:
        self._url = url
        (hosts.base / "api.token").write_text(f"{API_TOKEN}\n")
        self._site: Path = hosts.base / "locum.yml"
        values = hosts.site.model_dump(mode="json", exclude_defaults=True)
        values["actuator"]["api_token_file"] = str(hosts.base / "api.token")
        self._site.write_text(yaml.safe_dump(values))

    def words(self, *words: str) -> list[str]:
        return ["--site", str(self._site), *words, "--actuator", self._url]

    def __call__(self, *words: str) -> Result:
        return CliRunner().invoke(main, self.words(*words))


def test_mirror_now_and_see_it(locum: Locum, hosts: MirrorHosts) -> None:
    hosts.mark_file("a").unlink()
    marked = locum("mirror", "www", "--mark")
    assert (marked.exit_code, marked.output) == (
        0,
        "a: directory 1 is marked\nb: directory 1 does not exist yet: the first run creates it\n",
    )
    done = locum("mirror", "www")
    assert (done.exit_code, done.output.startswith("a to b: done: 2 files, 1 copied, 0 deleted, ")) == (
        0,
        True,
    )
    assert (hosts.tree("b") / "index.html").read_text() == "tree 1\n"
    shown = locum("mirror", "www", "--runs")
    assert shown.output.startswith("b: a copy of ")
    (row,) = json.loads(locum("status", "--json").output)
    assert row["copies"]["b"]["stale"] is False


def test_a_person_at_a_terminal_sees_how_far_it_is_and_for_how_long(locum: Locum, hosts: MirrorHosts) -> None:
    text = hosts.gates["b"].host_file.read_text().removeprefix("locum-gate 1\n")
    hosts.gates["b"].write_host_file(text.replace("mirror_bandwidth_kib 0", "mirror_bandwidth_kib 1024"))
    (hosts.tree("a") / "large").write_bytes(os.urandom(3_000_000))
    ours, theirs = pty.openpty()
    command = [str(Path(sys.executable).with_name("locum")), *locum.words("mirror", "www")]
    plain = {**os.environ, "TERM": "xterm", "NO_COLOR": "1", "COLUMNS": "100"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=theirs, text=True, env=plain) as process:
        os.close(theirs)
        shown = "".join(iter(lambda: _read(ours), ""))
        assert process.stdout is not None
        said = process.stdout.read()
    os.close(ours)
    assert said.startswith("a to b: done: "), (said, shown)
    # The bar (what is to come is blank, without colours), how much of how much, and the seconds that are left.
    assert re.search(
        r"a to b [━╸╺]+ *[0-9.]+/[0-9.]+ MB 0:00:0\d", re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown)
    ), shown


def _read(terminal: int) -> str:
    """Return what was written to a terminal; "" once no program has it open."""
    try:
        return os.read(terminal, 65536).decode()
    except OSError:  # EIO, pty(7)
        return ""


def test_the_trap_of_2001_ends_with_1_and_one_line(locum: Locum, hosts: MirrorHosts) -> None:
    assert locum("mirror", "www").exit_code == 0
    hosts.tree("a").rename(hosts.base / "a disk")
    hosts.tree("a").mkdir()
    refused = locum("mirror", "www", "--to", "b")
    assert (refused.exit_code, refused.stderr) == (
        1,
        f"locum: a to b: refused: www tree 1 ({hosts.tree('a')}): the source is another directory than "
        "the one that was marked: is it mounted? If it is the right one: locum mirror www --mark\n",
    )
    assert (hosts.tree("b") / "index.html").exists()


def test_restore_from_the_command(locum: Locum, hosts: MirrorHosts) -> None:
    assert locum("mirror", "www").exit_code == 0
    (hosts.tree("a") / "index.html").write_text("a mistake\n")
    (result,) = json.loads(locum("mirror", "www", "--json").output)
    restored = locum("mirror", "www", "--restore", str(result["run"]), "--on", "b")
    assert (restored.exit_code, restored.output) == (
        0,
        f"b: directory 1: restored what run {result['run']} deleted or overwrote\n",
    )
    assert (hosts.tree("b") / "index.html").read_text() == "tree 1\n"
    assert locum("mirror", "www", "--restore", "7").exit_code == 2
    for words, line in {
        ("--runs", "--mark"): "locum: give only one of --runs and --mark",
        ("--on", "b"): "locum: --on belongs to --restore; a run copies to one host with --to HOST",
        ("--mark", "--to", "b"): (
            "locum: --to, --allow-deletions and --discard-changes are for a run, not for --mark"
        ),
    }.items():
        refused = locum("mirror", "www", *words)
        assert (refused.exit_code, refused.output) == (2, f"{line}\n")
