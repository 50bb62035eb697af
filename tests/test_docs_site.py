"""The hook of the documents' site: links as the site needs them, lists, and nothing from other servers."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("mkdocs", reason="the site is built where the group `docs` is installed")
from tools import mkdocs_hook as hook

ROOT = Path(__file__).parents[1]

LINKS = {
    "within docs/": ("docs/mail.md", "[x](site-file.md#mail)", "[x](site-file.md#mail)"),
    "within the page": ("docs/mail.md", "[x](#mail)", "[x](#mail)"),
    "out of docs/": (
        "docs/mail.md",
        "[x](../alert_rules/RUNBOOK.md#the-data)",
        "[x](repository/alert_rules/RUNBOOK.md#the-data)",
    ),
    "out of a folder of docs/": (
        "docs/how-to/nginx.md",
        "[x](../../grafana/README.md)",
        "[x](../repository/grafana/README.md)",
    ),
    "into docs/": ("grafana/README.md", "[x](../docs/dashboards.png)", "[x](../../dashboards.png)"),
    "to the first page": ("docs/mail.md", "[x](../README.md)", "[x](index.md)"),
    "from the first page": (
        "README.md",
        "[x](docs/page.png) [y](LICENSE)",
        "[x](page.png) [y](repository/LICENSE)",
    ),
    "to a directory": (
        "docs/mail.md",
        "[x](../alert_rules/mails)",
        "[x](repository/alert_rules/mails/index.md)",
    ),
    "to no file, which the build reports": ("docs/mail.md", "[x](../nothing.md)", "[x](../nothing.md)"),
    "to another server": ("docs/mail.md", "[x](https://example.org/a.md)", "[x](https://example.org/a.md)"),
    "in code": ("docs/mail.md", "`[x](../README.md)`", "`[x](../README.md)`"),
    "in a block of code": ("docs/mail.md", "```\n[x](../README.md)\n```\n", "```\n[x](../README.md)\n```\n"),
}


@pytest.mark.parametrize(("path", "text", "expected"), LINKS.values(), ids=LINKS)
def test_a_link_leads_to_the_same_file_in_the_site(path: str, text: str, expected: str) -> None:
    assert hook.rewritten(path, text) == expected


LISTS = {
    "after a paragraph": ("*Words:*\n- one\n- two\n", "*Words:*\n\n- one\n- two\n"),
    "apart already": ("Words:\n\n- one\n- two\n", "Words:\n\n- one\n- two\n"),
    "with an item of two lines": ("- one\n  more\n- two\n", "- one\n  more\n- two\n"),
    "in a block of code": ("```\nwords\n- one\n```\n", "```\nwords\n- one\n```\n"),
}


@pytest.mark.parametrize(("text", "expected"), LISTS.values(), ids=LISTS)
def test_a_list_has_an_empty_line_before_it(text: str, expected: str) -> None:
    assert hook.with_lists_apart(text) == expected


LOADED = {
    "a script": ('<script src="https://cdn.example/x.js"></script>', True),
    "a style sheet": ('<link href="https://cdn.example/x.css" rel="stylesheet">', True),
    "a picture": ("<img alt=x src=//cdn.example/x.png>", True),
    "its own script": ('<script src="assets/x.js"></script>', False),
    "a link for people": ('<a href="https://example.org">x</a>', False),
}


@pytest.mark.parametrize(("html", "found"), LOADED.values(), ids=LOADED)
def test_what_a_page_loads_from_another_server_is_found(html: str, found: bool) -> None:
    assert bool(hook.loaded_from_elsewhere(html)) == found
