"""Comments, docstrings, messages and documents are plain English: words that puzzle a reader stay out."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCUMENTS = ("*.md", "docs/**/*.md", "lab/*.md")
PACKAGES = (
    "inventory",
    "exporter",
    "actuator",
    "alert_rules",
    "grafana",
    "lab",
    "bench",
    "sim",
    "tools",
    "tests",
)
# Regular expression -> why it stays out, and what to write.
WORDS = {
    r"\bnobody\b": "name what is missing: no host, no standby, no vantage point",
    r"\b(any|some)body\b": "name who is meant: a person, a host, a program",
    r"\bwhoever\b": "name who is meant",
    r"\btold\b": "programs report and notify",
    r"\btells? (whether|what|why|of|that)\b": "a docstring says what is returned; a program reports",
    r"\banew\b": "again",
    r"\bmend(s|ed|ing)?\b": "repair",
    r"\bbeside\b": "next to, as well as, besides",
    r"\bby itself\b": "automatically, separately",
    r"\bstand(s|ing)? in for\b": "a standby takes over; a command replaces an address",
    r"\ba look\b|\bthe look\b|\blooks? at\b|\blook(s|ed|ing)? again\b": "check",
    r"\bcould not look\b": "could not check",
    r"\bwhat is so\b|\bas meant\b": "say what is found, or what is expected",
    r"^\s*Say no\b": "a docstring says what is returned",
    r", for (it|its|that|then|there|no|only|nothing|else) (?!\w+ing\b)": "because",
}
# (file, text): what has to keep its words.
ALLOWED = {
    # An old journal has this verdict, and is asked for it.
    ("actuator/locum_actuator/domain/alerts.py", "woke the worker, which looks again"),
    # Scripts that made the tables of existing journals do not change, not even their comments.
    ("actuator/locum_actuator/journal/schema.py", "NULL: nobody, it was a failback by the site file's word"),
    ("actuator/locum_actuator/journal/schema.py", "NULL: nobody knows how it ended"),
    # The name of a user, of an option and of a table.
    ("lab/locum.py", "--reuid=nobody"),
    ("bench/outage.py", "--beside"),
    ("bench/campaign/__main__.py", "beside"),
    ("docs/compared.md", "--beside"),
    ("docs/compared.md", "outage_beside.json"),
    # A line for a program, which puts a table there.
    ("docs/trust.md", "<!-- campaign: beside -->"),
    ("docs/trust.md", "<!-- campaign: end of beside -->"),
    ("tests/bench/test_campaign_report.py", "beside"),
    # The user nobody.
    ("tests/actuator/cli/test_check_fencing.py", "nobody"),
    ("tests/actuator/cli/test_enrol_accounts.py", "nobody"),
    ("tests/actuator/system/test_state_ownership.py", "nobody"),
    ("tests/inventory/gate/test_gate_processes_apart.py", "process_user nobody"),
    # A key of the JSON that `locum check --json` prints.
    ("tests/actuator/cli/test_check.py", "mend"),
    # The verdict of an old journal.
    ("tests/actuator/api/test_webhook.py", "woke the worker, which looks again"),
    ("tests/actuator/journal/test_incident_summary.py", "woke the worker, which looks again"),
}


def _texts(path: Path) -> Iterator[tuple[int, str]]:
    """Yield each comment and each string of a program, or each line of a document, with its number."""
    source = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        yield from enumerate(source.splitlines(), 1)
        return
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


def faults(path: Path) -> list[str]:
    """Return the words of a file that puzzle a reader, each with its line and with what to write."""
    name = str(path.relative_to(ROOT))
    allowed = [text for file, text in ALLOWED if file == name]
    found = []
    for line, text in _texts(path):
        judged = text
        for part in allowed:
            judged = judged.replace(part, "")
        found += [
            f"{name}:{line}: {match.group().strip()!r}: {instead}"
            for word, instead in WORDS.items()
            for match in re.finditer(word, judged, re.IGNORECASE)
        ]
    return found


@pytest.mark.parametrize("package", PACKAGES)
def test_plain_english(package: str) -> None:
    # This file has the words themselves.
    files = [path for path in sorted((ROOT / package).rglob("*.py")) if path != Path(__file__)]
    assert files
    assert not [fault for path in files for fault in faults(path)]


def test_what_is_allowed_is_still_there() -> None:
    for file, text in ALLOWED:
        assert text in (ROOT / file).read_text(encoding="utf-8"), (file, text)


@pytest.mark.parametrize("pattern", DOCUMENTS)
def test_plain_english_in_documents(pattern: str) -> None:
    assert not [fault for path in sorted(ROOT.glob(pattern)) for fault in faults(path)]


def test_the_words_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a comment, in a docstring and in a message; names in the code are left alone."""
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    path = tmp_path / "some.py"
    path.write_text('"""Nothing is mended."""\nbegun_anew = f"nobody {1} holds it"  # for whoever reads\n')
    assert [fault.split(": ")[1] for fault in faults(path)] == ["'whoever'", "'mended'", "'nobody'"]
