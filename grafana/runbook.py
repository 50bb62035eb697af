"""The dashboard *runbook*: the chapters of alert_rules/RUNBOOK.md, a panel each, so that others can link to one."""

from __future__ import annotations

import re
from pathlib import Path

from grafana_foundation_sdk.builders import text
from grafana_foundation_sdk.models import dashboard
from grafana_foundation_sdk.models.text import TextMode

from grafana.frame import Frame, Section
from grafana.links import RUNBOOK, chapter_id

SOURCE_FILE = Path(__file__).parents[1] / "alert_rules" / "RUNBOOK.md"
_LETTERS_A_LINE = 80  # of half a screen


def build() -> dashboard.Dashboard:
    """Return the dashboard."""
    frame = Frame(
        RUNBOOK,
        "What each alert means, what locum does about it automatically, and what you have to do.",
        refresh=None,
    )
    _, *parts = re.split(r"^## ", SOURCE_FILE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    for part in parts:
        heading, _, rest = part.partition("\n")
        chapters = re.split(r"^### ", rest, flags=re.MULTILINE)[1:]
        frame.sections.append(Section(heading, [_chapter(chapter) for chapter in chapters]))
    return frame.build()


def _chapter(chapter: str) -> dashboard.Panel:
    alert, _, body = chapter.partition("\n")
    body = body.strip()
    panel = text.Panel().mode(TextMode.MARKDOWN).content(body).title(alert).id(chapter_id(alert)).build()
    lines = sum(1 + len(line) // _LETTERS_A_LINE for line in _paragraphs(body))
    panel.grid_pos = dashboard.GridPos(w=12, h=3 + lines)
    return panel


def _paragraphs(body: str) -> list[str]:
    """Return the lines as they are shown: those of a paragraph joined, each item of a list on its own."""
    joined = re.sub(r"\n(?!\n|[-*] |```|    )", " ", body)
    return joined.splitlines()
