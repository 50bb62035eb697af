"""What the documents and messages name is there: links, files, commands and their options, make's targets."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from statistics import median

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
    """Return the anchors of a document's headings, as GitHub makes them: a second one of a name ends in -1."""
    headings = re.findall(r"^#+ (.+)$", _FENCE.sub("", document.read_text()), re.MULTILINE)
    plain = [re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading) for heading in headings]
    names = [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in plain]
    return {
        name if (before := names[:at].count(name)) == 0 else f"{name}-{before}"
        for at, name in enumerate(names)
    }


def _links(document: Path) -> list[str]:
    """Return the links of a document that lead to files or anchors here: in brackets, below the text, in HTML."""
    text = _FENCE.sub("", document.read_text())
    found = re.findall(r"\]\(\s*([^)\s]+)(?:\s+\"[^\"]*\")?\s*\)", text)
    found += re.findall(r"^\[[^]]+\]:\s*(\S+)", text, re.MULTILINE)
    found += re.findall(r"<(?:a|img|source)\b[^>]*\b(?:href|src|srcset)=\"([^\"]+)\"", text)
    return [link for link in found if not re.match(r"[a-z]+:", link)]


def _leads_somewhere(document: Path, link: str) -> bool:
    file, _, anchor = link.partition("#")
    target = document.parent / file if file else document
    return file in WRITTEN_BY_RUNNING or (target.exists() and (not anchor or anchor in _anchors(target)))


@every_document
def test_links_lead_somewhere(name: str) -> None:
    assert [link for link in _links(ROOT / name) if not _leads_somewhere(ROOT / name, link)] == []


LINKS = {
    "a file": ("[x](docs/logs.md)", True),
    "no file": ("[x](docs/log.md)", False),
    "an anchor": ("[x](docs/logs.md#levels)", True),
    "no anchor": ("[x](docs/logs.md#level)", False),
    "a heading here": ("## Two words\n[x](#two-words)", True),
    "no heading, because it is code": ("```\n# Two words\n```\n[x](#two-words)", False),
    "the second heading of a name": ("# A\n# A\n[x](#a-1)", True),
    "no third one": ("# A\n# A\n[x](#a-2)", False),
    "a heading with code and a link": ("# `up` and [y](README.md)\n[x](#up-and-y)", True),
    "with a title": ('[x](docs/log.md "a title")', False),
    "below the text": ("[x]\n\n[x]: docs/log.md", False),
    "a picture in HTML": ('<img alt="x" src="docs/no-such-page.png">', False),
    "elsewhere": ("[x](https://example.org/nothing) [y](mailto:x@example.org)", True),
}


@pytest.mark.parametrize(("text", "sound"), LINKS.values(), ids=LINKS)
def test_a_link_that_leads_nowhere_is_found(text: str, sound: bool, tmp_path: Path) -> None:
    document = tmp_path / "README.md"
    document.write_text(text)
    (tmp_path / "docs").symlink_to(ROOT / "docs")
    assert all(_leads_somewhere(document, link) for link in _links(document)) == sound


def test_a_reader_of_the_readme_finds_every_page() -> None:
    seen, waiting = set[Path](), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop().resolve()
        if page not in seen and page.suffix == ".md" and page.exists():
            seen.add(page)
            waiting += [page.parent / link.partition("#")[0] for link in _links(page)]
    assert [str(page.relative_to(ROOT)) for page in DOCUMENTS if page.resolve() not in seen] == []


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
    """Return the first option, choice or verb among the words of a command line that the command does not know."""
    options = {name: param for param in command.params for name in (*param.opts, *param.secondary_opts)}
    words = list(words)
    while words:
        word = words.pop(0)
        if word.startswith("-"):
            name, equals, value = word.partition("=")
            if name not in options and name not in {"--help", "-h", "--version"}:
                return name
            if name in options and not getattr(options[name], "is_flag", False):
                value = value if equals else words.pop(0) if words else ""
                choices = getattr(options[name].type, "choices", None)
                if choices and value.islower() and not set(value.split("|")) <= {*choices}:
                    return f"{name} {value}"
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
    "a choice": ("init --when-unreachable probe", "--when-unreachable probe"),
    "a choice, joined on": ("init --when-unreachable=probe", "--when-unreachable probe"),
    "choices that there are": ("init --when-unreachable takeover|refuse --service www", None),
    "nothing": ("--site FILE incidents www --json --limit 3", None),
}


@pytest.mark.parametrize(("line", "word"), UNKNOWN.values(), ids=UNKNOWN)
def test_what_is_not_there_is_found(line: str, word: str | None) -> None:
    assert _unknown(locum, line.split()) == word


@every_document
def test_make_knows_its_targets(name: str) -> None:
    targets = re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    named = [match[1] for shown in _shown(ROOT / name) if (match := re.match(r"make ([a-z0-9-]+)", shown))]
    assert [target for target in named if target not in targets] == []


def _table(name: str, head: str) -> list[list[str]]:
    """Return the cells of the table below a row of headings, a list a row."""
    rows = (ROOT / name).read_text().split(f"\n| {head} |\n", 1)[1].split("\n\n", 1)[0].splitlines()[1:]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def test_the_figures_of_the_comparison_are_those_that_were_measured() -> None:
    outage = json.loads((ROOT / "bench/results/outage.json").read_text())["median"]["locum"]["250ms"]
    shown = _table("docs/compared.md", "fault | seconds")
    assert shown == [[fault, f"{seconds:.2f}"] for fault, seconds in outage.items()]
    demo = re.findall(r"^│ +([a-z]+) │ +7 │ +([0-9.]+) │", (ROOT / "docs/demo.md").read_text(), re.MULTILINE)
    assert [[*row] for row in demo] == shown
    courses = json.loads((ROOT / "bench/results/loss.json").read_text())["courses"]
    measured = {
        (one["system"], f"{one['percent']} %"): [str(one["takeovers"]), f"{one['held_by_two_seconds']:.1f}"]
        for one in courses
    }
    rows = _table("docs/compared.md", "system | lost each way | takeovers | address on two hosts, s")
    assert [measured[system, percent] for system, percent, *_ in rows] == [row[2:] for row in rows]
    assert len(rows) == 6


def test_the_figures_next_to_an_older_revision_are_those_that_were_measured() -> None:
    runs = json.loads((ROOT / "bench/results/outage_beside.json").read_text())["runs"]

    def cell(system: str, fault: str) -> str:
        seconds = [
            run["seconds_without_service"] for run in runs if (run["system"], run["fault"]) == (system, fault)
        ]
        return f"{median(seconds):.2f} ({min(seconds):.2f} to {max(seconds):.2f})"

    systems, faults = (list(dict.fromkeys(run[key] for run in runs)) for key in ("system", "fault"))
    rows = _table("docs/compared.md", "fault | present revision | before the corrections (1f68317)")
    assert rows == [[fault, *(cell(system, fault) for system in systems)] for fault in faults]


def test_the_figures_of_slow_connections_are_those_that_were_measured() -> None:
    seconds = json.loads((ROOT / "bench/results/dripped.json").read_text())["seconds_without_service"]
    alone, dripped = (f"{median(seconds[what]):.2f} s" for what in ("alone", "dripped"))
    said = f"a median of {alone} without and of {dripped} with him, {len(seconds['alone'])} each"
    assert said in " ".join((ROOT / "docs/security.md").read_text().split())


def test_the_figures_of_the_page_are_those_that_were_measured() -> None:
    measured = json.loads((ROOT / "bench/results/page.json").read_text())
    seconds, share = measured["seconds_without_service"], measured["actuator_cpu_share"]
    rows = _table(
        "docs/page.md", " | runs | median, s without service | range, s | the actuator's share of a core"
    )
    assert [row[1:] for row in rows] == [
        [
            str(len(seconds[what])), f"{median(seconds[what]):.2f}",
            f"{min(seconds[what]):.2f} to {max(seconds[what]):.2f}", f"{share[what] * 100:.1f} %",
        ]
        for what in ("alone", "watched")
    ]  # fmt: skip
    assert f"The ratio of the medians is {measured['ratio']:.2f}." in (ROOT / "docs/page.md").read_text()
    assert _table("docs/page.md", "asked for | answers | median, ms | p99, ms | longest, ms") == [
        [
            f"`{name}`",
            str(one["asked"]),
            *(f"{one[key] * 1000:.1f}" for key in ("p50_seconds", "p99_seconds", "max_seconds")),
        ]
        for name, one in measured["latencies"].items()
        if "static" not in name
    ]
