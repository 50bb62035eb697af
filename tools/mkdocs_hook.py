"""MkDocs hook: makes one site of documents that are written for GitHub, links to other files included.

MkDocs reads one directory, docs/, but the documents also link to files elsewhere in the repository, such as
`../alert_rules/RUNBOOK.md`. Those links have to work on GitHub as they are. So this hook adds each file that is
linked to, below `repository/` with the path that it has in the repository, and rewrites the links in each page.
Markdown files become pages, other files are copied, and a directory becomes a list of its files. README.md is the
first page.

Python-Markdown, which MkDocs uses, needs an empty line before a list and keeps the backslash of `\\|` in the code
of a table. GitHub does neither, so the hook adds the line and removes the backslash.

It also warns of a page that would make a browser load something from another server.
"""

from __future__ import annotations

import logging
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
FOLDER = "repository"
HOME = {"README.md": "index.md"}

# Code is left as it is: blocks, then spans, then what is looked for.
_LINK = re.compile(r"^```.*?^```|`[^`\n]+`|(?<=\]\()(?P<target>[^)\s]+)(?=\))", re.MULTILINE | re.DOTALL)
_FENCE = re.compile(r"^```.*?^```[^\n]*$", re.MULTILINE | re.DOTALL)
_LIST_AFTER_TEXT = re.compile(r"^(?![-*] |[#|>\s]|\d+\. )([^\n]+\n)(?=(?:[-*]|1\.) )", re.MULTILINE)
_CELL = re.compile(r"<td.*?</td>", re.DOTALL)
_LOADED = re.compile(
    r"""<(?:script|img|iframe|source)\b[^>]*\bsrc=["']?(?:https?:)?//[^>]*>"""
    r"""|<link\b(?=[^>]*\brel=["']?(?:stylesheet|preload|preconnect|icon))[^>]*\bhref=["']?(?:https?:)?//[^>]*>"""
)
_log = logging.getLogger(f"mkdocs.hooks.{__name__}")


def in_site(path: str) -> str:
    """Return where a file of the repository is in the site's sources; a directory is its list of files."""
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    if path in HOME:
        return HOME[path]
    return f"{FOLDER}/{path}/index.md" if (ROOT / path).is_dir() else f"{FOLDER}/{path}"


def linked_files(path: str, text: str) -> Iterator[tuple[str, str]]:
    """Yield each link of a document to a file of the repository, as written, and the path of that file."""
    for match in _LINK.finditer(text):
        target = match["target"]
        if target is None or target.startswith("#") or re.match(r"[a-z]+:", target):
            continue
        file = posixpath.normpath(posixpath.join(posixpath.dirname(path), target.partition("#")[0]))
        if (ROOT / file).exists() and not file.startswith(".."):
            yield target, file


def rewritten(path: str, text: str) -> str:
    """Return a document with its links as the site needs them: relative to where the document is there."""
    found = dict(linked_files(path, text))

    def link(match: re.Match[str]) -> str:
        target = match["target"]
        if target not in found:
            return match[0]
        _, mark, anchor = target.partition("#")
        return (
            posixpath.relpath(in_site(found[target]), posixpath.dirname(in_site(path)) or ".") + mark + anchor
        )

    return _LINK.sub(link, text)


def with_lists_apart(text: str) -> str:
    """Return a document with an empty line between a paragraph and a list that follows it."""
    parts = _FENCE.split(text)
    blocks = [*_FENCE.findall(text), ""]
    return "".join(
        _LIST_AFTER_TEXT.sub(r"\1\n", part) + block for part, block in zip(parts, blocks, strict=True)
    )


def loaded_from_elsewhere(html: str) -> list[str]:
    """Return the elements of a page with which a browser would load something from another server."""
    return _LOADED.findall(html)


def _source(path: str) -> str:
    file = ROOT / path
    if file.is_dir():
        names = sorted(one.name for one in file.iterdir() if one.is_file())
        return f"# {path}\n\n" + "".join(f"- [{name}]({posixpath.basename(path)}/{name})\n" for name in names)
    return file.read_text(encoding="utf-8")


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add README.md and every file outside of docs/ that a document links to, directly or through others."""
    waiting = [f"docs/{file.src_uri}" for file in files.documentation_pages()] + list(HOME)
    known = {f"docs/{file.src_uri}" for file in files}
    while waiting:
        path = waiting.pop()
        text = _source(path)
        if path not in known:
            known.add(path)
            files.append(_added(path, text, config))
        for _, file in linked_files(path, text):
            if file in known:
                continue
            if file.endswith(".md") or (ROOT / file).is_dir():
                waiting.append(file)
            else:
                known.add(file)
                files.append(_copied(file, config))
    return files


def _added(path: str, text: str, config: MkDocsConfig) -> File:
    return File.generated(config, in_site(path), content=rewritten(path, text))


def _copied(path: str, config: MkDocsConfig) -> File:
    return File.generated(config, in_site(path), abs_src_path=str(ROOT / path))


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Rewrite the links of a page of docs/; those of the pages that were added are rewritten already."""
    del config, files
    added = page.file.generated_by is not None
    return with_lists_apart(markdown if added else rewritten(f"docs/{page.file.src_uri}", markdown))


def on_page_content(html: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Remove the backslash before each bar in a cell of a table."""
    del page, config, files
    return _CELL.sub(lambda cell: cell[0].replace("\\|", "|"), html)


def on_post_page(output: str, *, page: Page, config: MkDocsConfig) -> str:
    """Warn, which ends a strict build, where a page would load something from another server."""
    del config
    for found in loaded_from_elsewhere(output):
        _log.warning("%s loads from another server: %s", page.file.src_uri, found)
    return output
