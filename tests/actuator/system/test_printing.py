"""The `locum` command has one way to print, and nothing from outside is markup or controls the terminal."""

from __future__ import annotations

import ast
import io
from pathlib import Path

import pytest
from rich.table import Table

import locum_actuator
from locum_actuator.system.printing import Terminal, say, styled

PACKAGE = Path(locum_actuator.__file__).parent
DOOR = PACKAGE / "system" / "printing.py"
# What starts as a program of its own prints why it does not start, in lines that were made printable before.
PROGRAMS = {PACKAGE / "server.py"}
OF_CLICK = {"echo", "secho", "prompt", "confirm", "style", "echo_via_pager"}
OF_RICH = {"rich.table", "rich.progress"}  # they hold strings, which a Terminal renders

OUTSIDE = {
    "a device in brackets": "new disk [/dev/sdb1]",
    "an IPv6 address": "[fd00::2] is silent",
    "a style": "[bold red]all is well[/]",
    "a link": "[link=http://192.0.2.1]here[/link]",
    "a closing tag of nothing": "[/]",
    "an emoji code": "disk :warning: :smile:",
    "a backslash before a bracket": r"\[a]",
}
CONTROLS = {
    "an escape sequence": "\x1b[2Jgone",
    "an operating system command": "\x1b]0;title\x07",
    "the eight-bit form": "\x9b31mred",
    "back to the beginning of the line": "wrong\rright",
    "text direction": "a\u202eb",
    "NUL": "a\x00b",
    "half a character": "a\ud800b",
}


def ways_of_printing(tree: ast.AST) -> list[str]:
    """Return each way of printing in a file other than the one in printing.py."""
    found = []
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id="print" | "Text" | "Console" | "Markdown" as name)):
                found.append(f"{name}()")
            case ast.Call(func=ast.Attribute(value=ast.Name(id="click"), attr=name)) if name in OF_CLICK:
                found.append(f"click.{name}()")
            case ast.Attribute(value=ast.Name(id="sys"), attr="stdout" | "stderr" as name):
                found.append(f"sys.{name}")
            case ast.ImportFrom(module=str(module)) if (
                module.split(".")[0] == "rich" and module not in OF_RICH
            ):
                found.append(f"from {module}")
            case ast.ImportFrom(module="click", names=names) if OF_CLICK & {one.name for one in names}:
                found.append("from click")
            case ast.Import(names=names) if any(one.name.split(".")[0] == "rich" for one in names):
                found.append("import rich")
            case ast.Attribute(attr="from_markup"):
                found.append("from_markup")
            case ast.keyword(arg="markup", value=ast.Constant(value=True)):
                found.append("markup=True")
    return found


@pytest.mark.parametrize(
    "path", [pytest.param(path, id=str(path.relative_to(PACKAGE))) for path in sorted(PACKAGE.rglob("*.py"))]
)
def test_e6_there_is_one_way_to_print(path: Path) -> None:
    if path in {DOOR, *PROGRAMS}:
        return
    assert ways_of_printing(ast.parse(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    "code",
    [
        "print(1)", "click.echo(x)", "click.confirm(x)", "Console().print(x)", "import rich",
        "from rich.console import Console", "from rich import print", "sys.stdout.write(x)",
        "Text.from_markup(x)", "from click import echo",
    ],
)  # fmt: skip
def test_e6_another_way_to_print_is_found(code: str) -> None:
    assert ways_of_printing(ast.parse(code))


def printed(what: object) -> str:
    file = io.StringIO()
    Terminal(file=file, width=200).print(what)
    return file.getvalue()


@pytest.mark.parametrize("words", [pytest.param(words, id=name) for name, words in OUTSIDE.items()])
def test_e6_what_looks_like_markup_is_printed_as_it_is(
    words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    table = Table(box=None, show_header=False, padding=0)
    table.add_row(words)
    say(words)
    assert capsys.readouterr().out == f"{words}\n"
    assert printed(words) == f"{words}\n"
    assert printed(styled((words, "bold"), " and ", words)) == f"{words} and {words}\n"
    assert printed(table).strip() == words


@pytest.mark.parametrize("words", [pytest.param(words, id=name) for name, words in CONTROLS.items()])
def test_e6_nothing_controls_the_terminal(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    table = Table(box=None, show_header=False, padding=0)
    table.add_row(words)
    say(words)
    for out in (capsys.readouterr().out, printed(words), printed(styled(words)), printed(table)):
        assert all(c.isprintable() or c == "\n" for c in out)
