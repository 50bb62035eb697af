"""Context fields for log lines, such as the service that a piece of work concerns."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType

_about: ContextVar[Mapping[str, object]] = ContextVar("about", default=MappingProxyType({}))

# The standard attributes of a record; all others were passed with `extra`.
_OWN = frozenset({*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"})


@contextmanager
def about(**fields: object) -> Iterator[None]:
    """Add these fields to every line that this thread or task logs within the context."""
    token = _about.set({**_about.get(), **fields})
    try:
        yield
    finally:
        _about.reset(token)


def add_fields(record: logging.LogRecord) -> bool:
    """Add the context fields to a record, without overwriting its own. A filter for handlers."""
    for name, value in _about.get().items():
        if name not in vars(record):
            setattr(record, name, value)
    return True


def fields_of(record: logging.LogRecord) -> dict[str, object]:
    """Return the fields of a record: event, service and incident first, then the others in the order given."""
    given = {name: value for name, value in vars(record).items() if name not in _OWN and value is not None}
    first = [name for name in ("event", "service", "incident") if name in given]
    return {name: given[name] for name in (*first, *(name for name in given if name not in first))}
