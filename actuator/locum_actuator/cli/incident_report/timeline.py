"""Draw an incident as a timeline: for a terminal of any width, and as plain text for a file.

Each moment has a time, a mark and a text; nothing is shown by colour alone.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from locum_actuator.journal.incident_summary import Incident, Moment, moments, sentence, title
from locum_actuator.system.printable import printable
from locum_actuator.system.printing import Terminal, styled

WIDEST_BAR, NARROWEST_BAR = 40, 8
_PLAIN = {"●": "*", "✗": "x", "━": "=", "─": "-"}  # for a terminal that cannot show these characters


def bar(moment: Moment, begin: float, end: float, width: int) -> str:
    """Return a line from `begin` to a moment, heavy for as long as the moment lasted, with a mark at its end."""
    whole = max(end - begin, 1e-9)
    at = round(min(max(moment.at - begin, 0.0), whole) / whole * width)
    since = round(min(max(moment.at - moment.seconds - begin, 0.0), whole) / whole * width)
    return "─" * min(since, at) + "━" * (at - min(since, at)) + ("✗" if moment.bad else "●")


def ends(happened: Sequence[Moment]) -> tuple[float, float]:
    """Return the times of the first and of the last moment."""
    return min((one.at for one in happened), default=0.0), max((one.at for one in happened), default=0.0)


def since(seconds: float) -> str:
    """Return a duration since the beginning, as text for people."""
    if seconds < 10:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 600:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 36000 else f"{seconds / 3600:.1f} h"


def draw(console: Terminal, incident: Incident) -> None:
    """Draw an incident across the width of a console."""
    happened = moments(incident)
    begin, end = ends(happened)
    table = Table(box=None, padding=(0, 1), expand=True, show_header=False)
    what_width = min(max((len(one.what) for one in happened), default=0), max(12, console.width // 4))
    bar_width = min(WIDEST_BAR, max(NARROWEST_BAR, console.width // 4))
    table.add_column(justify="right", no_wrap=True)
    table.add_column(width=bar_width + 1, no_wrap=True)
    table.add_column(width=what_width, overflow="fold")
    table.add_column(ratio=1, style="dim", overflow="fold")
    for one in happened:
        drawn = styled((bar(one, begin, end, bar_width), "bold red" if one.bad else "cyan"))
        table.add_row(since(one.at - begin), drawn, printable(one.what), printable(one.words))
    console.print(styled((f"incident {incident['id']}: {title(incident)}", "bold")))
    console.print(printable(sentence(incident)))
    with console.capture() as captured:
        console.print(table)
    console.write_captured(_fitting(captured.get(), console.encoding))


def picture(incident: Incident, width: int = 50) -> str:
    """Return the timeline as plain text, one line per moment: time, bar and text."""
    happened = moments(incident)
    begin, end = ends(happened)
    rows = [(since(one.at - begin), bar(one, begin, end, width), printable(one.what)) for one in happened]
    left = max((len(at) for at, *_ in rows), default=0)
    return "\n".join(f"{at:>{left}}  {drawn:<{width + 1}}  {what}" for at, drawn, what in rows)


def _fitting(text: str, encoding: str) -> str:
    try:
        text.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return "".join(_PLAIN.get(c, c) for c in text).encode("ascii", "replace").decode()
    return text
