"""Lines of the log: what they look like in each format, and that nothing in them is more than a word."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from locum_inventory.logs.fields import about, add_fields
from locum_inventory.logs.format import LineFormatter
from tests.support.log_reading import read_logfmt

AT = 1767323096.75  # 2026-01-02 03:04:56.75 UTC


def record(
    message: str, *args: object, level: int = logging.INFO, name: str = "locum_actuator.it", **extra: object
) -> logging.LogRecord:
    made = logging.getLogger(name).makeRecord(name, level, "it.py", 1, message, args, None, extra=extra)
    made.created = AT
    return made


LINES: dict[str, tuple[str, bool, logging.LogRecord, str]] = {
    "logfmt": (
        "logfmt", False, record("opened: %s", "a b", event="incident_opened", incident=5, service="www"),
        'ts=2026-01-02T03:04:56.750Z level=info event=incident_opened service=www incident=5 msg="opened: a b"',
    ),
    "json": (
        "json", False, record("opened", event="incident_opened", incident=5, service="www", seconds=0.25),
        '{"ts": "2026-01-02T03:04:56.750Z", "level": "info", "event": "incident_opened", "service": "www",'
        ' "incident": 5, "seconds": 0.25, "msg": "opened"}',
    ),
    "text": (
        "text", False, record("opened", event="incident_opened", incident=5, service="www"),
        "2026-01-02 03:04:56+0000 INFO www, incident 5: opened",
    ),
    "text about nothing": ("text", False, record("ended", event="ended"), "2026-01-02 03:04:56+0000 INFO ended"),
    "the journal, logfmt": (
        "logfmt", True, record("no", level=logging.ERROR, event="not_reloaded"),
        "<3>level=error event=not_reloaded msg=no",
    ),
    "the journal, json": (
        "json", True, record("no", level=logging.WARNING, event="unwatched"),
        '<4>{"level": "warning", "event": "unwatched", "msg": "no"}',
    ),
    "the journal, text": (
        "text", True, record("no", level=logging.CRITICAL, event="not_alive"), "<2>CRITICAL no",
    ),
    "the journal, debug": ("text", True, record("no", level=logging.DEBUG, event="it"), "<7>DEBUG no"),
    "a library's words": (
        "logfmt", True, record("late", name="waitress.queue", level=logging.WARNING),
        "<4>level=warning logger=waitress.queue msg=late",
    ),
    "nothing known of a field": ("logfmt", True, record("x", event="it", run=None), "<6>level=info event=it msg=x"),
    "no words": ("logfmt", True, record("", event="it"), '<6>level=info event=it msg=""'),
    "a new line and a forged one": (
        "logfmt", True, record("%s", "no\nlevel=info msg=\"all's well\"", event="it"),
        '<6>level=info event=it msg="no\\nlevel=info msg=\\"all\'s well\\""',
    ),
    "a new line, text": ("text", True, record("no\nINFO well", event="it"), "<6>INFO no\\u000aINFO well"),
    "a terminal's words": (
        "logfmt", True, record("\x1b[2J\x9b2J\u2028", event="it"),
        '<6>level=info event=it msg="\\u001b[2J\\u009b2J\\u2028"',
    ),
    "a terminal's words, text": (
        "text", True, record("\x1b[2J\x9b\u2028", event="it"), "<6>INFO \\u001b[2J\\u009b\\u2028",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("style", "for_journal", "made", "line"), LINES.values(), ids=LINES)
def test_a_line(
    style: str, for_journal: bool, made: logging.LogRecord, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    assert LineFormatter(style, for_journal=for_journal).format(made) == line


def broken() -> logging.LogRecord:
    made = record("broke", level=logging.ERROR, event="unexpected_error")
    try:
        int("one\ntwo")
    except ValueError:
        made.exc_info = sys.exc_info()
    return made


def test_a_traceback_is_a_field_of_its_line() -> None:
    line = LineFormatter("logfmt", for_journal=True).format(broken())
    assert "\n" not in line
    assert read_logfmt(line[3:])["exc"].endswith("literal for int() with base 10: 'one\\ntwo'")
    lines = LineFormatter("text", for_journal=True).format(broken()).splitlines()
    assert lines[0] == "<3>ERROR broke"
    assert len(lines) > 3
    assert all(part.startswith("<3>") for part in lines), "each is a line of the journal of its own"


def test_what_a_line_is_about() -> None:
    made = {}
    with about(service="www"):
        with about(incident=5):
            made["inner"] = record("x")
            add_fields(made["inner"])
            made["its own word stands"] = record("x", incident=4)
            add_fields(made["its own word stands"])
        made["outer"] = record("x")
        add_fields(made["outer"])
    made["after"] = record("x")
    add_fields(made["after"])
    seen = {name: (vars(one).get("service"), vars(one).get("incident")) for name, one in made.items()}
    assert seen == {
        "inner": ("www", 5),
        "its own word stands": ("www", 4),
        "outer": ("www", None),
        "after": (None, None),
    }


PROGRAM = """
import logging, os, sys, threading
from locum_inventory.logs.format import begin_log
if sys.argv[1:] == ["journal"]:
    it = os.fstat(2)
    os.environ["JOURNAL_STREAM"] = f"{it.st_dev}:{it.st_ino}"
begin_log("json")
logging.getLogger("locum_it").info("begun", extra={"event": "it"})
thread = threading.Thread(target=lambda: 1 / 0)
thread.start()
thread.join()
raise RuntimeError("the end")
"""


def said_by_a_program(*arguments: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments], capture_output=True, text=True, check=False,
        env={**os.environ, "JOURNAL_STREAM": "1:1"},
    )  # fmt: skip
    assert done.returncode == 1
    return done.stderr.splitlines()


def test_what_nobody_caught_is_a_line_too() -> None:
    lines: list[dict[str, Any]] = [json.loads(line) for line in said_by_a_program()]
    assert [(line["level"], line["event"], line["msg"]) for line in lines] == [
        ("info", "it", "begun"),
        ("critical", "broke", "uncaught ZeroDivisionError: division by zero"),
        ("critical", "broke", "uncaught RuntimeError: the end"),
    ]
    assert all("ts" in line for line in lines), "standard error is no journal, whatever the environment says"


def test_the_journal_is_known_by_its_stream() -> None:
    lines = said_by_a_program("journal")
    assert [line[:3] for line in lines] == ["<6>", "<2>", "<2>"]
    assert all("ts" not in json.loads(line[3:]) for line in lines)


def test_a_file_is_no_journal(tmp_path: Path) -> None:
    from locum_inventory.logs.format import is_journal

    with (tmp_path / "log").open("w") as file:
        status = os.fstat(file.fileno())
        assert not is_journal(file, {})
        assert not is_journal(file, {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino + 1}"})
        assert is_journal(file, {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"})
