"""What the documents and messages name is there: links, files, commands and their options, make's targets."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from locum_actuator.cli import main as locum
from locum_actuator.server import main as locum_actuator
from locum_exporter.server import main as locum_exporter

ROOT = Path(__file__).parents[1]
PROGRAMS = {"locum": locum, "locum-actuator": locum_actuator, "locum-exporter": locum_exporter}
WRITTEN_BY_RUNNING = {"bench/results/outage.json"}  # make bench-outage

DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("[!.]*/**/*.md")])
# Messages and comments send people to commands too, always in backticks.
SPEAKING = sorted(
    path
    for folder in ("inventory", "exporter", "actuator", "alert_rules", "lab")
    for path in (ROOT / folder).rglob("*")
    if path.suffix in {".py", ".sh", ".yml", ".html"}
)
_PROMPT = re.compile(r"^(?:\$|[ab]#) ")
_SPAN = re.compile(r"`([^`\n]+)`")
_FENCE = re.compile(r"^```\w*\n(.*?)^```", re.MULTILINE | re.DOTALL)

every_document = pytest.mark.parametrize("name", [str(path.relative_to(ROOT)) for path in DOCUMENTS])


def _anchors(document: Path) -> set[str]:
    """Return the anchors of a document's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _leads_somewhere(document: Path, link: str) -> bool:
    file, _, anchor = link.partition("#")
    target = document.parent / file if file else document
    return file in WRITTEN_BY_RUNNING or (target.exists() and (not anchor or anchor in _anchors(target)))


@every_document
def test_links_lead_somewhere(name: str) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", (ROOT / name).read_text())
    inner = [link for link in links if "://" not in link]
    assert [link for link in inner if not _leads_somewhere(ROOT / name, link)] == []


def _rows_of_the_house() -> list[tuple[str, str]]:
    text = (ROOT / "docs/architecture.md").read_text().split("## The house\n")[1].split("\n## ")[0]
    return re.findall(r"^\| `([\w/]+)/`.* \| (.+) \|$", text, re.MULTILINE)


@pytest.mark.parametrize(("folder", "what"), _rows_of_the_house(), ids=lambda text: text.split()[0])
def test_the_house_is_as_drawn(folder: str, what: str) -> None:
    files = [name for name in _SPAN.findall(what) if re.fullmatch(r"[\w*/]+(\.py|\.sh|/)", name)]
    assert [name for name in files if not any(ROOT.glob(name)) and not any((ROOT / folder).glob(name))] == []


def _shown(path: Path) -> Iterator[str]:
    """Yield what a text shows as code: spans in backticks, and the lines of a document's fenced blocks."""
    text = path.read_text()
    if path.suffix == ".md":
        for block in _FENCE.findall(text):
            yield from block.splitlines()
        text = _FENCE.sub("", text)
    yield from _SPAN.findall(text)


def _commands(path: Path) -> Iterator[list[str]]:
    """Yield the command lines of locum's programs that a text shows, as words."""
    for shown in _shown(path):
        words = _PROMPT.sub("", shown).split("  #")[0].split()
        if len(words) > 1 and words[0] in PROGRAMS:
            yield words


def _unknown(command: click.Command, words: list[str]) -> str | None:
    """Return the first option or verb among the words of a command line that the command does not know."""
    options = {name: param for param in command.params for name in (*param.opts, *param.secondary_opts)}
    words = list(words)
    while words:
        word = words.pop(0)
        if word.startswith("-"):
            name, equals, _ = word.partition("=")
            if name not in options and name not in {"--help", "-h", "--version"}:
                return name
            if name in options and not getattr(options[name], "is_flag", False) and not equals and words:
                words.pop(0)
        elif isinstance(command, click.Group):
            context = click.Context(command)
            found = [command.get_command(context, verb) for verb in word.split("|")]
            if None in found:
                return word
            return next((bad for verb in found if verb and (bad := _unknown(verb, words))), None)
    return None


def _impossible(path: Path) -> list[str]:
    """Return the commands a text names that cannot be called so."""
    return [
        f"{path.relative_to(ROOT)}: {' '.join(words)}: no {bad}"
        for words in _commands(path)
        if (bad := _unknown(PROGRAMS[words[0]], words[1:])) is not None
    ]


@every_document
def test_commands_of_a_document_can_be_called(name: str) -> None:
    assert _impossible(ROOT / name) == []


def test_commands_of_messages_and_comments_can_be_called() -> None:
    assert [line for path in SPEAKING for line in _impossible(path)] == []


def test_every_verb_is_in_the_documents() -> None:
    named = {words[1] for path in DOCUMENTS for words in _commands(path) if words[0] == "locum"}
    assert sorted(set(locum.list_commands(click.Context(locum))) - named) == []


UNKNOWN = {
    "a verb": ("mount www", "mount"),
    "an option": ("check --lively", "--lively"),
    "an option of another verb": ("status --live", "--live"),
    "one of several": ("generate rules|grub", "rules|grub"),
    "behind an option's value": ("--site check status --live", "--live"),
    "nothing": ("--site FILE incidents www --json --limit 3", None),
}


@pytest.mark.parametrize(("line", "word"), UNKNOWN.values(), ids=UNKNOWN)
def test_what_is_not_there_is_found(line: str, word: str | None) -> None:
    assert _unknown(locum, line.split()) == word


@every_document
def test_make_knows_its_targets(name: str) -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    named = [match[1] for shown in _shown(ROOT / name) if (match := re.match(r"make ([a-z-]+)", shown))]
    assert [target for target in named if target not in targets] == []
