"""Write the log to standard error: one line per event, as logfmt, JSON or text.

For systemd's journal a line begins with its priority (sd-daemon(3)) and has no timestamp, because the journal adds
one. logfmt: https://brandur.org/logfmt.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
import time
from collections.abc import Mapping
from types import TracebackType
from typing import TextIO

from locum_inventory.logs.fields import add_fields, fields_of

LOG_FORMATS = ("logfmt", "json", "text")
LOG_LEVELS = ("debug", "info", "warning", "error")

log = logging.getLogger(__name__)

_PRIORITIES = {  # syslog(3)
    logging.DEBUG: 7,
    logging.INFO: 6,
    logging.WARNING: 4,
    logging.ERROR: 3,
    logging.CRITICAL: 2,
}
# Characters that json does not escape but terminals and line readers interpret: C1 controls and line separators.
_UNSEEN = {code: f"\\u{code:04x}" for code in (*range(0x7F, 0xA0), 0x2028, 0x2029)}
_BARE = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:/@+,%")


class LineFormatter(logging.Formatter):
    """Writes a record in one of `LOG_FORMATS`."""

    def __init__(self, style: str, *, for_journal: bool) -> None:
        super().__init__()
        self._write = {"logfmt": _logfmt, "json": _json, "text": _text}[style]
        self._for_journal = for_journal

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; only text format has more than one, for a traceback."""
        fields: dict[str, object] = {"level": record.levelname.lower(), **fields_of(record)}
        if not record.name.startswith("locum"):
            fields["logger"] = record.name  # a message of a library, without an event name
        fields["msg"] = record.getMessage()
        if record.exc_info:
            fields["exc"] = self.formatException(record.exc_info)
        line = self._write(fields, None if self._for_journal else record.created)
        if not self._for_journal:
            return line
        priority = _PRIORITIES.get(record.levelno, 6)
        return "\n".join(f"<{priority}>{part}" for part in line.split("\n"))


def _utc(at: float) -> str:
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(at))}.{int(at % 1 * 1000):03d}Z"


def _json(fields: Mapping[str, object], at: float | None) -> str:
    timed = fields if at is None else {"ts": _utc(at), **fields}
    return json.dumps(timed, ensure_ascii=False, default=str).translate(_UNSEEN)


def _logfmt(fields: Mapping[str, object], at: float | None) -> str:
    timed = fields if at is None else {"ts": _utc(at), **fields}
    return " ".join(f"{name}={_value(value)}" for name, value in timed.items())


def _value(value: object) -> str:
    text = json.dumps(value) if isinstance(value, bool | int | float) else str(value)
    return text if text and _BARE.issuperset(text) else _quoted(text)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).translate(_UNSEEN)


def _text(fields: Mapping[str, object], at: float | None) -> str:
    """Format for people: time, level, service, incident and message, with a traceback below."""
    words = [] if at is None else [time.strftime("%Y-%m-%d %H:%M:%S%z", time.localtime(at))]
    words.append(str(fields["level"]).upper())
    about = [str(fields["service"])] if "service" in fields else []
    about += [f"incident {fields['incident']}"] if "incident" in fields else []
    words += [f"{', '.join(about)}:"] if about else []
    words.append(_on_one_line(str(fields["msg"])))
    return "\n".join([" ".join(words), *map(_on_one_line, str(fields.get("exc", "")).splitlines())])


def _on_one_line(text: str) -> str:
    """Escape line breaks and terminal control characters in an untrusted text."""
    return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text)


def is_journal(stream: TextIO, environment: Mapping[str, str]) -> bool:
    """Return whether a stream is the journal's: JOURNAL_STREAM names its device and inode, systemd.exec(5)."""
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return environment.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


def begin_log(style: str, level: str = "info") -> None:
    """Log to standard error from now on, including uncaught exceptions."""
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(add_fields)
    handler.setFormatter(LineFormatter(style, for_journal=is_journal(sys.stderr, os.environ)))
    logging.basicConfig(level=level.upper(), handlers=[handler])
    logging.captureWarnings(True)
    sys.excepthook = _uncaught
    threading.excepthook = lambda args: _uncaught(args.exc_type, args.exc_value, args.exc_traceback)


def _uncaught(kind: type[BaseException], fault: BaseException | None, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt | SystemExit):
        return
    exc_info = (kind, fault or kind(), trace)
    log.critical("uncaught %s: %s", kind.__name__, fault, exc_info=exc_info, extra={"event": "broke"})
