"""Pause and resume, over HTTP and from the command line, and what they do to an incident."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest
from click.testing import CliRunner
from flask.testing import FlaskClient

from locum_actuator.cli import main
from locum_actuator.engine import incident as incident_module
from locum_actuator.engine.engine import Engine
from tests.actuator.fakes import FakeWorld
from tests.support.http_server import AUTH
from tests.support.polling import wait_for

PAUSE = "/api/v1/services/www/pause"
OBJECT = 'give a JSON object such as {"seconds": 3600, "reason": "new kernel"}'


def test_a_pause_is_durable_and_shown(client: FlaskClient, engine: Engine) -> None:
    answer = client.post(PAUSE, json={"seconds": 600, "reason": "new\nkernel"}, headers=AUTH)
    assert answer.status_code == 200
    pause = engine.journal.pauses.current("www")
    assert pause is not None
    assert pause.reason == "new kernel"
    assert pause.until == pytest.approx(time.time() + 600, abs=5)
    shown = client.get("/api/v1/services/www").json
    assert shown is not None
    assert shown["pause"] == {"since": pause.begun_at, "until": pause.until, "reason": "new kernel"}
    assert b"<strong>Paused</strong> until" in client.get("/").data
    sample = engine.metrics.registry.get_sample_value
    assert sample("locum_actuator_paused", {"service": "www"}) == 1
    assert sample("locum_actuator_paused_until_timestamp_seconds", {"service": "www"}) == pause.until
    assert sample("locum_actuator_flapping", {"service": "www"}) == 0
    assert client.post("/api/v1/services/www/resume", headers=AUTH).json == {
        "service": "www",
        "was_paused": True,
    }
    assert sample("locum_actuator_paused", {"service": "www"}) == 0


REFUSED: dict[str, tuple[str, bytes, dict[str, str], int, str]] = {
    "no token": (
        PAUSE, b"{}", {}, 401, "the bearer token is missing or wrong, or the site names no api_token_file",
    ),
    "the webhook's token": (
        PAUSE, b"{}", {"Authorization": "Bearer a-webhook-token"}, 401,
        "the bearer token is missing or wrong, or the site names no api_token_file",
    ),
    "no such service": ("/api/v1/services/mail/pause", b"{}", AUTH, 404, "no service 'mail'; there is www"),
    "not JSON": (PAUSE, b"for ever", AUTH, 400, "the body is not JSON"),
    "nested without end": (PAUSE, b"[" * 100_000, AUTH, 400, "the body is not JSON"),
    "a list": (PAUSE, b"[]", AUTH, 400, OBJECT),
    "an unknown key": (PAUSE, b'{"until": 1}', AUTH, 400, f"'until' is not known: {OBJECT}"),
    "no end": (PAUSE, b'{"seconds": null}', AUTH, 400, "seconds: give a number; a pause must have an end"),
    "infinity": (PAUSE, b'{"seconds": Infinity}', AUTH, 400, "seconds: give a number; a pause must have an end"),
    "a year": (
        PAUSE, b'{"seconds": 31536000}', AUTH, 400,
        "seconds: give 1 to 2678400 (31 days); a pause must have an end",
    ),
    "no time": (
        PAUSE, b'{"seconds": 0}', AUTH, 400, "seconds: give 1 to 2678400 (31 days); a pause must have an end"
    ),
    "a reason that is none": (PAUSE, b'{"reason": 7}', AUTH, 400, "reason: give a text"),
}  # fmt: skip


@pytest.mark.parametrize(("path", "data", "headers", "status", "words"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_pause_is_refused_in_words(
    client: FlaskClient,
    engine: Engine,
    path: str,
    data: bytes,
    headers: dict[str, str],
    status: int,
    words: str,
) -> None:
    answer = client.post(path, data=data, headers=headers, content_type="application/json")
    assert (answer.status_code, answer.json) == (status, {"error": words})
    assert engine.journal.pauses.current("www") is None


def test_while_paused_nothing_is_touched_and_a_resume_acts_at_once(
    client: FlaskClient, engine: Engine, world: FakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(incident_module, "WAITING_SECONDS", 0.01)
    engine.journal.pauses.begin("www", 600, "new kernel")
    world.gates["a"].processes = 0
    engine.start()
    wait_for(
        lambda: engine.journal.incidents() and engine.journal.incidents()[0]["events"],
        "an incident has an event",
    )
    time.sleep(0.1)
    (event,) = engine.journal.incidents()[0]["events"]
    assert event["text"].startswith("record: paused until ")
    assert event["text"].endswith(
        "(new kernel); would have: respawn on a, because apache2 is not running on a"
    )
    explained = client.get("/api/v1/services/www/explain").json
    assert explained is not None
    assert (explained["plan"]["code"], explained["plan"]["steps"]) == ("paused", [])
    assert explained["plan"]["would"] == [{"name": "respawn", "host": "a"}]
    assert [shell.calls for shell in world.gates.values()] == [[], []]
    assert client.post("/api/v1/services/www/resume", headers=AUTH).status_code == 200
    wait_for(
        lambda: engine.journal.incidents()[-1]["outcome"] == "respawn", "an incident ends with a respawn"
    )


def locum(site_file: Path, *words: str) -> tuple[int, str]:
    done = CliRunner().invoke(main, ["--site", str(site_file), *words])
    return done.exit_code, done.output


def test_from_the_command_line(url: str, site_file: Path, engine: Engine) -> None:
    code, said = locum(site_file, "pause", "www", "--for", "2h", "--reason", "new kernel", "--actuator", url)
    assert code == 0
    pause = engine.journal.pauses.current("www")
    assert pause is not None
    assert pause.until - pause.begun_at == 7200
    until = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(pause.until))
    assert said == f"www is paused until {until}: new kernel\n"
    assert locum(site_file, "resume", "www", "--actuator", url) == (0, "www is resumed\n")
    assert locum(site_file, "resume", "www", "--actuator", url) == (0, "www was not paused\n")


def test_all_services_at_once(url: str, site_file: Path, engine: Engine) -> None:
    """After a journal that was corrupt, say: every service waits to be resumed."""
    code, said = locum(site_file, "pause", "--all", "--reason", "new switch", "--actuator", url)
    assert (code, said.endswith(": new switch\n")) == (0, True)
    assert engine.journal.pauses.current("www") is not None
    assert locum(site_file, "resume", "--all", "--actuator", url) == (0, "www is resumed\n")
    assert engine.journal.pauses.current("www") is None


WRONG: dict[str, tuple[tuple[str, ...], int, str]] = {
    "no unit": (("www", "--for", "5"), 2, "'5': give a number and s, m, h or d, such as 30m or 2h"),
    "no end": (("www", "--for", "0m"), 2, "'0m': give a number and s, m, h or d, such as 30m or 2h"),
    "too long": (
        ("www", "--for", "99d"),
        1,
        "seconds: give 1 to 2678400 (31 days); a pause must have an end",
    ),
    "no such service": (("mail",), 2, "no service 'mail'; there is www"),
    "nothing named": ((), 2, "locum: give a SERVICE, or --all"),
    "a service and all": (("www", "--all"), 2, "locum: give a SERVICE, or --all"),
}


@pytest.mark.parametrize(("words", "code", "says"), WRONG.values(), ids=WRONG)
def test_wrong_use_is_said(
    url: str, site_file: Path, engine: Engine, words: tuple[str, ...], code: int, says: str
) -> None:
    exit_code, said = locum(site_file, "pause", *words, "--actuator", url)
    assert exit_code == code
    assert says in said
    assert engine.journal.pauses.current("www") is None


def test_a_token_that_cannot_be_read_is_named(site_file: Path) -> None:
    (site_file.parent / "api.token").unlink()
    code, said = locum(site_file, "pause", "www")
    assert code == 1
    token = site_file.parent / "api.token"
    how = f"(umask 077; head -c 32 /dev/urandom | base64 > {token})"
    assert said == f"locum: {token} (actuator.api_token_file) is missing; make it: {how}\n"
    subprocess.run(["sh", "-c", how], check=True)
    assert token.stat().st_mode & 0o777 == 0o600
    assert len(token.read_text().strip()) == 44
