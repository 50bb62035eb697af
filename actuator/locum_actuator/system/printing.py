"""All output of the `locum` command: no text from outside is used as markup, and none controls the terminal.

Names, reasons, answers of gates and commands, and alerts come from outside. A text such as `[/dev/sdb1]` would be
markup to rich, and an escape sequence would be an instruction to the terminal. A test (system/test_printing.py)
checks that no other file of the command prints in another way.
"""

from __future__ import annotations

import json
from typing import IO, Any

import click
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn
from rich.text import Text

__all__ = [
    "Terminal",
    "Text",
    "confirm",
    "progress_of_bytes",
    "prompt",
    "prompt_password",
    "say",
    "say_json",
    "styled",
]

from locum_actuator.system.printable import printable, printable_lines


def say(words: object = "", *, err: bool = False, end: str = "\n") -> None:
    """Print lines to standard output, or to standard error."""
    click.echo(f"{printable_lines(words)}{end}", err=err, nl=False)


def say_json(value: object) -> None:
    """Print a value as JSON, for programs."""
    say(json.dumps(value, indent=2))  # ASCII alone: every other character is escaped


def confirm(question: str) -> bool:
    """Ask a person yes or no; no answer is no."""
    return click.confirm(printable(question), default=False)


def prompt(question: str, default: str | None = None) -> str:
    """Ask a person for a line, on standard error; raises `click.Abort` at the end of input."""
    return str(click.prompt(printable(question), default=default, type=str, err=True)).strip()


def prompt_password(question: str) -> str:
    """Ask a person for a password, on standard error, without echo; raises `click.Abort`."""
    return str(click.prompt(printable(question), hide_input=True, err=True))


def styled(*parts: str | tuple[str, str]) -> Text:
    """Return a text for a terminal, made of strings and of pairs (string, style)."""
    made = Text()
    for part in parts:
        words, style = (part, "") if isinstance(part, str) else part
        made.append(printable_lines(words), style or None)
    return made


class Terminal(Console):
    """A console to which no string is markup, an emoji code or a control sequence."""

    def __init__(
        self,
        *,
        stderr: bool = False,
        quiet: bool = False,
        soft_wrap: bool = False,
        width: int | None = None,
        file: IO[str] | None = None,
    ) -> None:
        super().__init__(
            markup=False, emoji=False, highlight=False,
            stderr=stderr, quiet=quiet, soft_wrap=soft_wrap, width=width, file=file,
        )  # fmt: skip

    def render_str(self, text: str, **options: Any) -> Text:
        """Return a plain string as Text; rich calls this for each string."""
        options |= {"markup": False, "emoji": False, "highlight": False}
        return super().render_str(printable_lines(text), **options)

    def write_captured(self, rendered: str) -> None:
        """Write what this console rendered into a `capture()`, including its own control sequences."""
        self.file.write(rendered)


def progress_of_bytes(*, silent: bool) -> Progress:
    """Return a display for a task with a field `left`, which shows nothing without a terminal."""
    console = Terminal(stderr=True)
    return Progress(
        TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(),
        TextColumn("{task.fields[left]}", markup=False),
        console=console, disable=silent or not console.is_terminal, transient=True,
    )  # fmt: skip
