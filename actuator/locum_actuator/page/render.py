"""Render the page's parts as HTML. The templates escape everything that comes from outside."""

from __future__ import annotations

import re
from datetime import datetime

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from locum_actuator.system.local_time import local_time

PARTS = ("summary", "services", "shown", "incidents", "chain")  # the live parts of the first page


_IN_TICKS = re.compile(r"`([^`<>]+)`")


def _when(at: float) -> Markup:
    """Return a time for people and for programs, in this host's time zone."""
    local = datetime.fromtimestamp(at).astimezone()
    return Markup('<time datetime="{}">{}</time>').format(local.isoformat(timespec="seconds"), local_time(at))


def seconds_in_words(seconds: float) -> str:
    """Return a duration in a suitable unit."""
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 100:
        return f"{seconds:.2f}".rstrip("0").rstrip(".") + " s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h" if seconds < 172800 else f"{seconds / 86400:.0f} days"


def _ticks(text: str) -> Markup:
    """Return a sentence with the text in backticks as code."""
    return Markup(_IN_TICKS.sub(r"<code>\1</code>", str(escape(text))))  # noqa: S704 - escaped right here


def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("locum_actuator.page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters.update(when=_when, long=seconds_in_words, ticks=_ticks)
    return made


_TEMPLATES = _environment()


def compile_all() -> None:
    """Compile every template, so that the first visitor does not wait for that."""
    for name in _TEMPLATES.list_templates():
        _TEMPLATES.get_template(name)


def render(template: str, **values: object) -> str:
    """Render a template of this package."""
    return _TEMPLATES.get_template(template).render(**values)
