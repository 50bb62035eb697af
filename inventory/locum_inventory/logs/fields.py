"""What a line of the log is about: fields that each line of a stretch of work bears, such as its service."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType

_about: ContextVar[Mapping[str, object]] = ContextVar("about", default=MappingProxyType({}))

# What a record has of its own; whatever else it has came with `extra`.
_OWN = frozenset({*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"})


@contextmanager
def about(**fields: object) -> Iterator[None]:
    """Let every line that is logged within, by this thread or task, bear these fields."""
    token = _about.set({**_about.get(), **fields})
    try:
        yield
    finally:
        _about.reset(token)


def add_fields(record: logging.LogRecord) -> bool:
    """Add what the work at hand is about to a record; what the line says itself stands. A filter of handlers."""
    for name, value in _about.get().items():
        if name not in vars(record):
            setattr(record, name, value)
    return True


def fields_of(record: logging.LogRecord) -> dict[str, object]:
    """Return the fields of a record: event, service and incident first, then the others as they were given."""
    given = {name: value for name, value in vars(record).items() if name not in _OWN and value is not None}
    first = [name for name in ("event", "service", "incident") if name in given]
    return {name: given[name] for name in (*first, *(name for name in given if name not in first))}
