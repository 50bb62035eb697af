"""The page over HTTP: what it shows, when it is sent again, and that no request waits for what costs time."""

from __future__ import annotations

import re
import sqlite3
import time
from dataclasses import replace
from typing import Any

import pytest
from flask.testing import FlaskClient

from locum_actuator.app import create_app
from locum_actuator.chain.silences import Silence, Silences
from locum_actuator.domain.plan import Move
from locum_actuator.domain.reach import Reach
from locum_actuator.domain.situation import CheckOutcome
from locum_actuator.engine.engine import Engine
from locum_actuator.engine.move_requests import Progress
from locum_actuator.engine.site_reload import ReloadResult
from locum_actuator.journal.database import JournalError
from locum_actuator.journal.incidents import IncidentQueries
from locum_actuator.journal.journal import Journal
from locum_actuator.journal.reader import JournalReader
from locum_actuator.page import polling, routes
from locum_actuator.page.background_cache import BackgroundCache
from locum_actuator.page.check_results import Vote, Votes
from locum_actuator.page.view import LISTED, PageView, last_words
from locum_exporter.result import Outcome
from locum_inventory.shared_files import shared
from locum_inventory.site.model import ChainParts
from tests.actuator.fakes import FakeWorld
from tests.support.polling import wait_for

API = "an-api-token-of-some-length"
VOTES = Votes(
    {
        ("www", "a", "http"): (Vote("b", Outcome.WELL),),
        ("www", "a", "process"): (Vote("b", Outcome.FAILED, "absent"),),
        ("www", "b", "http"): (Vote("b", Outcome.FAILED, "refused"),),
        (None, "a", "ping"): (Vote("b", Outcome.WELL),),
    },
    None,
)
SILENCES = Silences(
    {"www": (Silence("1", ("LocumServiceDown on a",), 1.0, "<anna>", "<i>kernel</i>", True),)}
)


@pytest.fixture
def client(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> FlaskClient:
    """A client of an actuator whose Prometheus and Alertmanager say what the tests above have."""
    monkeypatch.setattr(polling, "ask_prometheus", lambda url: replace(VOTES, at=time.time()))
    monkeypatch.setattr(polling, "ask_alertmanagers", lambda urls, of: SILENCES)
    for pause in ("SCENE_SECONDS", "VOTES_SECONDS", "SILENCES_SECONDS"):
        monkeypatch.setattr(polling, pause, 0.02)
    parts = ChainParts()
    return create_app(engine, "a-webhook-token", API, ReloadResult, where=lambda: parts).test_client()


def shown(client: FlaskClient, part: str, what: str, seconds: float = 5.0) -> str:
    """Wait until a part of the page shows something."""

    def html() -> str:
        answer = client.get("/page/live").json
        assert answer is not None
        return str(answer["parts"][part])

    return wait_for(
        lambda: text if what in (text := html()) else None,
        f"{part} shows '{what}'",
        seconds,
        state=html,
    )


def an_incident(journal: Journal, text: str = "takeover: a is dead", *, close: bool = True) -> int:
    number = journal.open_incident("www", "LocumServiceDown")
    journal.note(number, "decided", text)
    journal.note(number, "started", "epoch 2", step="claim", host="b")
    journal.note(number, "done", "b holds it", step="claim", host="b", seconds=0.1)
    if close:
        journal.close_incident(number, "takeover", f"why {text}")
    return number


def test_what_is_known_is_shown_and_escaped(client: FlaskClient) -> None:
    html = shown(client, "services", "&lt;i&gt;kernel&lt;/i&gt;")
    html = shown(client, "services", "got an answer from a")
    html = shown(client, "services", '<td class="bad">')
    assert "by &lt;anna&gt;" in html
    assert "it does not wake locum for LocumServiceDown on a" in html
    assert re.search(r'<td class="bad">.*?absent</td>', html)
    assert re.search(r'<td class="off">.*?stopped \(standby\)</td>', html)
    assert re.search(r'<td class="ok">.*?ok</td>', html)
    assert "does not answer" in html, "a check of the holder fails: that is reported"


def test_f_the_runbook_is_a_page_and_every_alert_has_its_chapter(client: FlaskClient) -> None:
    answer = client.get("/runbook")
    assert answer.status_code == 200
    anchors = set(re.findall(r'<h3 id="([^"]+)">', answer.text))
    rules = shared("alert_rules/locum.rules.yml").read_text(encoding="utf-8")
    alerts = {name.lower() for name in re.findall(r"- alert: (\w+)", rules)}
    assert alerts
    assert alerts <= anchors
    assert "<em>You.</em>" in answer.text


def test_b5_what_is_not_proven_from_outside_is_said(client: FlaskClient, engine: Engine) -> None:
    checks = engine.workers["www"].patrol.checks
    checks.reach = Reach((CheckOutcome("c", Outcome.WELL, "200"),))
    assert "not proven" not in shown(client, "services", "got an answer from a")
    checks.reach = Reach()
    shown(client, "services", '<p class="notice">not proven from outside: ')
    checks.reach = Reach((CheckOutcome("c", Outcome.FAILED, "refused"),))
    shown(client, "services", '<p class="notice bad">no answer through the service address (c: refused)')


def test_an_incident_is_drawn_and_told_in_words(client: FlaskClient, engine: Engine) -> None:
    client.get("/")
    number = an_incident(engine.journal, "takeover: <script>alert(1)</script>")
    html = shown(client, "shown", f"/incidents/{number}")
    assert ' class="bar done"' in html, "a bar, or a dot where it took no time"
    assert "claim on b" in html
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
    alone = client.get(f"/incidents/{number}")
    assert alone.status_code == 200
    assert ' class="bar done"' in alone.text
    assert client.get("/incidents/999").status_code == 404


def test_an_open_incident_is_what_locum_does_now(client: FlaskClient, engine: Engine) -> None:
    engine.workers["www"].incident = an_incident(engine.journal, close=False)
    html = shown(client, "services", "Handling incident 1")
    assert "claim on b done: b holds it" in html
    assert "incident 1 is open" in shown(client, "summary", "Something is wrong")
    assert "Open incident" in shown(client, "shown", "of www")


def test_an_incident_that_is_open_for_long_is_not_forgotten(client: FlaskClient, engine: Engine) -> None:
    number = engine.journal.open_incident("mail", "LocumServiceDown")
    for _ in range(LISTED + 2):
        an_incident(engine.journal)
    assert f"/incidents/{number}" in shown(client, "shown", "Open incident")


def test_the_last_incident_that_tells_something_is_shown(client: FlaskClient, engine: Engine) -> None:
    number = an_incident(engine.journal)
    engine.journal.close_incident(engine.journal.open_incident("www", "patrol"), "nothing", "b answers")
    assert f"/incidents/{number}" in shown(client, "shown", "Last incident")


def test_what_locum_would_refuse_is_not_called_well(
    client: FlaskClient, world: FakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(polling, "ask_prometheus", lambda url: Votes({}, None, at=time.time()))
    monkeypatch.setattr(polling, "ask_alertmanagers", lambda urls, of: Silences())
    world.gates["a"].fault = "timeout"
    world.hung.add("a")
    shown(client, "services", "Refuse to act")
    html = shown(client, "services", "action needed")
    assert '<p class="state warn">action needed</p>' in html


def test_a_pause_and_a_move_that_was_refused_are_told(client: FlaskClient, engine: Engine) -> None:
    engine.journal.pauses.begin("www", 60, "new disks")
    progress = Progress(1, "www", Move("switchover", "b", "anna"), "refused", "b's gate is silent")
    engine.move_requests._begun["www"] = progress
    html = shown(client, "services", "new disks")
    assert "switchover to b was refused: b&#39;s gate is silent" in html
    assert 'data-act="resume"' in html
    assert 'data-act="pause"' not in html


def test_who_has_it_already_gets_nothing(client: FlaskClient, engine: Engine) -> None:
    shown(client, "services", "kernel")
    shown(client, "services", "got an answer from a")
    first = client.get("/page/live")
    etag = first.headers["ETag"]
    again = client.get("/page/live", headers={"If-None-Match": etag})
    assert (again.status_code, again.data) == (304, b"")
    an_incident(engine.journal)
    wait_for(
        lambda: client.get("/page/live", headers={"If-None-Match": etag}).status_code != 304,
        "the page is sent",
        5,
    )


def test_one_incident_is_sent_only_while_it_changes(client: FlaskClient, engine: Engine) -> None:
    path = f"/page/live/incidents/{an_incident(engine.journal)}"
    etag = client.get(path).headers["ETag"]
    assert client.get(path, headers={"If-None-Match": etag}).status_code == 304


def test_what_is_read_aloud_changes_only_with_what_matters(client: FlaskClient, engine: Engine) -> None:
    def facts() -> dict[str, str]:
        found: dict[str, str] = client.get("/page/live").json["facts"]  # type: ignore[index]
        return found

    shown(client, "services", "kernel")
    shown(client, "services", "does not answer")
    before = facts()
    assert before["service www"] == "www is held by a: does not answer"
    an_incident(engine.journal)
    shown(client, "incidents", "takeover")
    shown(client, "services", "does not answer")
    assert facts() == before, "that an incident is in the list is no news: it was reported while it was open"
    engine.journal.set_holder("www", "b", 2)
    shown(client, "services", "Held by <strong>b</strong>")
    assert facts()["service www"].startswith("www is held by b")


@pytest.mark.parametrize("path", ["/", "/incidents", "/incidents/1"])
def test_nothing_in_a_page_breaks_its_policy(client: FlaskClient, engine: Engine, path: str) -> None:
    an_incident(engine.journal)
    html = client.get(path).text
    assert re.search(r"<script(?![^>]*\bsrc=\"/page/static/)", html) is None
    assert re.search(r"\s(style|on\w+)=", html) is None
    assert re.search(r"(src|href)=\"(https?:)?//", html) is None
    assert html.count("<h1") == 1
    assert re.search(r"<th(?![^>]*scope=)[ >]", html) is None
    assert re.search(r'<main id="main"', html)
    for file in re.findall(r'"(/page/static/[^"]+)"', html):
        with client.get(file) as answer:
            assert answer.status_code == 200, file


def test_the_token_is_judged_and_only_shown_in_the_header(client: FlaskClient) -> None:
    right = {"Authorization": f"Bearer {API}"}
    assert client.post("/page/token", json={}, headers=right).status_code == 200
    wrong = client.post("/page/token", json={}, headers={"Authorization": "Bearer nothing"})
    assert wrong.json == {"error": "this is not the API token, or the site names no api_token_file"}
    assert wrong.status_code == 401
    client.set_cookie("token", API)
    client.set_cookie("Authorization", f"Bearer {API}")
    assert client.post("/page/token", json={}).status_code == 401
    assert client.post(f"/page/token?token={API}", json={}).status_code == 401
    assert client.post("/page/token", data=b"{}", headers=right).status_code == 415


def test_older_incidents_page_by_page(
    client: FlaskClient, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routes, "A_PAGE_OF_INCIDENTS", 3)
    for _ in range(5):
        an_incident(engine.journal)

    def numbers(path: str) -> list[str]:
        return re.findall(r'id="row-(\d+)"', client.get(path).text)

    assert numbers("/incidents") == ["5", "4", "3"]
    assert 'href="/incidents?before=3"' in client.get("/incidents").text
    assert numbers("/incidents?before=3") == ["2", "1"]
    assert numbers("/incidents?service=mail") == []
    assert numbers("/incidents?before=x") == ["5", "4", "3"]


def test_a_list_reads_what_it_shows_and_that_once(engine: Engine) -> None:
    for _ in range(40):
        an_incident(engine.journal)
    asked: list[str] = []
    reader = JournalReader(engine.journal.path)

    def read(sql: str, *values: object) -> list[dict[str, Any]]:
        asked.append(sql)
        return reader.read(sql, *values)

    shelf = IncidentQueries(read)
    assert [row["id"] for row in shelf.rows(limit=3)] == [40, 39, 38]
    assert [row["id"] for row in shelf.rows("www", before=3)] == [2, 1]
    assert not any("events" in sql for sql in asked)
    assert [row["id"] for row in shelf.whole()] == list(range(40, 0, -1))
    for table in ("events", "alerts", "moves"):
        assert sum(f"FROM {table}" in sql for sql in asked) == 1, "one question for all incidents"
    asked.clear()
    scenes = PageView(engine, shelf, tuple)
    for _ in range(3):
        scenes.scene(VOTES, SILENCES, {})
    assert sum("FROM events" in sql for sql in asked) == LISTED + 1
    reader.close()


LAST_WORDS = {
    "none": ([], None),
    "a decision": ([{"step": None, "text": "refuse: no witness"}], "refuse: no witness"),
    "a step under way": (
        [{"step": "start", "host": "b", "kind": "started", "text": "epoch 2"}], "start on b is under way",
    ),
    "a step that failed": (
        [{"step": "start", "host": "b", "kind": "undo_failed", "text": "silent"}], "start on b undo failed: silent",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("events", "words"), LAST_WORDS.values(), ids=LAST_WORDS)
def test_last_words_stand_by_themselves(events: list[dict[str, Any]], words: str | None) -> None:
    assert last_words(events) == words


@pytest.mark.timed
def test_a_reader_waits_for_no_write_and_can_write_nothing(engine: Engine) -> None:
    an_incident(engine.journal)
    reader = JournalReader(engine.journal.path)
    with engine.journal._write() as database:
        database.execute("UPDATE incidents SET reason='half written'")
        begun = time.monotonic()
        (row,) = reader.read("SELECT reason FROM incidents")
        assert time.monotonic() - begun < 1
    assert row["reason"] == "why takeover: a is dead"
    assert reader.read("SELECT reason FROM incidents") == [{"reason": "half written"}]
    with pytest.raises(JournalError, match="readonly"):
        reader.read("DELETE FROM incidents")
    reader.close()


def test_a_journal_that_cannot_be_read_is_told(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> sqlite3.Connection:
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(sqlite3, "connect", broken)
    answer = client.get("/incidents")
    assert answer.status_code == 503
    assert answer.json is not None
    assert answer.json["error"].endswith("the journal cannot be read: disk I/O error")


def test_no_look_is_made_for_each_who_watches_and_none_during_an_incident(
    client: FlaskClient, engine: Engine, world: FakeWorld
) -> None:
    engine.workers["www"].incident = an_incident(engine.journal, close=False)
    shown(client, "services", "kernel")
    assert world.looks == 0
    engine.workers["www"].incident = None


def test_many_who_watch_make_one_look(client: FlaskClient, world: FakeWorld) -> None:
    for _ in range(50):
        client.get("/page/live")
    shown(client, "services", "got an answer from a")
    assert world.looks == 1


def never() -> bool:
    return False


def test_what_is_kept_is_made_once_for_all_and_stops_when_nobody_asks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("locum_actuator.page.background_cache.LINGER_SECONDS", 0.05)
    made: list[float] = []

    def make() -> int:
        made.append(time.monotonic())
        return len(made)

    kept = BackgroundCache("test", 0.02, make, 0, never)
    assert made == [], "no browser has asked"
    for _ in range(50):
        assert kept.fresh(10.0) >= 1
    assert len(made) < 10
    wait_for(lambda: kept.get() and len(made) >= 12, "it is made again while a browser asks", 5)
    wait_for(lambda: not kept._is_running(), "it rests once no browser asks any more", 5)
    rested = len(made)
    time.sleep(0.1)
    assert len(made) == rested, "no browser asks any more"
    kept.get()
    wait_for(lambda: len(made) > rested, "a browser asks again", 5)


def test_what_is_kept_outlives_a_fault_and_ends_with_the_program(caplog: pytest.LogCaptureFixture) -> None:
    over, turns = [False], [0]

    def make() -> int:
        turns[0] += 1
        if turns[0] > 1:
            raise OSError("no disk")
        return 7

    kept = BackgroundCache("test", 0.01, make, 0, lambda: over[0])
    kept.get()
    wait_for(lambda: turns[0] >= 3, "the second attempt has failed", 5)
    assert kept.get() == 7, "what was known before stands"
    assert kept.fresh(60.0) == 7
    time.sleep(0.05)
    with pytest.raises(OSError, match="no disk"):
        kept.fresh(0.01)  # … but not for ever
    assert "the page's test could not be computed: OSError: no disk" in caplog.text
    over[0] = True
    time.sleep(0.1)
    ended = turns[0]
    time.sleep(0.1)
    assert turns[0] == ended
