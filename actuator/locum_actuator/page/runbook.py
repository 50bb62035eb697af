"""Serve the runbook as a page, so that an alert's link leads to its chapter: /runbook#locumservicedown."""

from __future__ import annotations

from functools import cache
from itertools import pairwise

from markdown_it import MarkdownIt
from markupsafe import Markup

from locum_inventory.shared_files import shared


@cache
def runbook_html() -> Markup:
    """Return the shipped RUNBOOK.md as HTML in which each heading has an anchor: its text in lower case.

    Raw HTML is shown as text.
    """
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = markdown.parse(shared("alert_rules/RUNBOOK.md").read_text(encoding="utf-8"))
    for heading, words in pairwise(tokens):
        if heading.type == "heading_open":
            heading.attrSet("id", words.content.lower().replace(" ", "-"))
    return Markup(markdown.renderer.render(tokens, markdown.options, {}))  # noqa: S704 - our own file, no raw HTML
