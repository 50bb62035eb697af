"""Insert a lab's own lines into the site file that `locum init` wrote."""

from __future__ import annotations

from lab.needs import LabError

TAKEOVER = "    takeover:\n"  # an anchor line in the section of the lab's service


def before(text: str, head: str, lines: str) -> str:
    """Insert lines before the first `head`; raise `LabError` if there is none."""
    at = _find(text, head)
    return f"{text[:at]}{lines}{text[at:]}"


def after(text: str, head: str, lines: str) -> str:
    """Insert lines after the first `head`; raise `LabError` if there is none."""
    at = _find(text, head) + len(head)
    return f"{text[:at]}{lines}{text[at:]}"


def _find(text: str, head: str) -> int:
    at = text.find(head)
    if at < 0:
        raise LabError(f"the site file has no {head.strip()!r}:\n{text}")
    return at
