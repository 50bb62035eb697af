"""What the how-tos show, cut out of the Markdown: their site files and scripts, as a reader copies them."""

from __future__ import annotations

import re
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "docs/how-to"
NAMES = sorted(path.stem for path in FOLDER.glob("*.md"))


def blocks(name: str, language: str) -> list[str]:
    """Return a how-to's blocks of code in a language."""
    text = (FOLDER / f"{name}.md").read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def only_block(name: str, language: str) -> str:
    """Return the one block of code in a language that a how-to has."""
    (block,) = blocks(name, language)
    return block
