"""`locum incident`: show one incident as a timeline, as JSON, or as a Markdown file for a post-mortem."""

from __future__ import annotations

from pathlib import Path

import click

from locum_actuator.cli.common.api_client import actuator_option, ask, json_option
from locum_actuator.cli.common.exits import did_not_work, wrong_use
from locum_actuator.cli.incident_report.post_mortem import post_mortem
from locum_actuator.cli.incident_report.timeline import draw
from locum_actuator.domain.numbers import MAX_DIGITS
from locum_actuator.system.printing import Terminal, say, say_json


@click.command()
@click.argument("number", type=click.IntRange(1, 10**MAX_DIGITS - 1))
@click.option("--markdown", is_flag=True, help="print one Markdown file for a post-mortem")
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="write the Markdown to a new file instead",
)
@actuator_option
@json_option
def incident(number: int, output: Path | None, url: str, *, markdown: bool, as_json: bool) -> None:
    """Show a timeline of incident NUMBER: what was observed, decided and done."""
    if as_json and (markdown or output):
        wrong_use("locum incident: --json cannot be combined with --markdown or --output")
    row = ask(url, f"/api/v1/incidents/{number}")["incident"]
    if as_json:
        say_json(row)
    elif output is not None:
        _write(output, post_mortem(row))
        say(f"wrote {output}")
    elif markdown:
        say(post_mortem(row), end="")
    else:
        draw(Terminal(), row)


def _write(path: Path, text: str) -> None:
    """Write a new file; never overwrite one, because people may have edited it."""
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        did_not_work(
            f"locum incident: {path} exists already and is not overwritten: people may have edited it"
        )
    except OSError as fault:
        did_not_work(f"locum incident: {path} cannot be written: {fault.strerror}")
