"""The tutorial as a script: its commands host by host, what they print, and what a person does with their hands."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

NOT_HERE = "not in the lab: it has the packages, and no systemd"

_BLOCK = re.compile(
    r"(?:^<!-- (?P<said>[^\n]*) -->\n)?^```console\n(?P<text>.*?)^```", re.MULTILINE | re.DOTALL
)
_PROMPT = re.compile(r"([ab])# (.*)")


@dataclass(frozen=True, slots=True)
class Typed:
    """A command typed on a host, and the lines that the page shows of its output (… stands for anything)."""

    host: str
    command: str
    shown: tuple[str, ...] = ()

    def missing(self, output: str) -> list[str]:
        """Return the lines that the page shows and the output does not have; blanks count as one."""
        lines = [" ".join(line.split()) for line in output.splitlines()]
        return [shown for shown in self.shown if not any(_pattern(shown).fullmatch(line) for line in lines)]


@dataclass(frozen=True, slots=True)
class Block:
    """Commands that stand together, and what the comment above them says of the lab."""

    said: str
    typed: tuple[Typed, ...]


def blocks(text: str) -> Iterator[Block]:
    """Yield the blocks of a page in their order."""
    for found in _BLOCK.finditer(text):
        typed: list[Typed] = []
        for line in found["text"].splitlines():
            if prompt := _PROMPT.fullmatch(line):
                typed.append(Typed(prompt[1], prompt[2]))
            else:
                last = typed[-1]
                typed[-1] = Typed(last.host, last.command, (*last.shown, line))
        yield Block(found["said"] or "", tuple(typed))


def _pattern(shown: str) -> re.Pattern[str]:
    parts = (re.escape(" ".join(part.split())) for part in shown.split("…"))
    return re.compile(r"\s*.*?\s*".join(parts))
