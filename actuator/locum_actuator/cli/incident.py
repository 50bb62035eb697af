"""`locum incident`: one incident on a line of time, as JSON, or as a Markdown file for a post-mortem."""

from __future__ import annotations

from pathlib import Path

import click

from locum_actuator.cli.common.api_client import actuator_option, ask, json_option
from locum_actuator.cli.common.exits import did_not_work, wrong_use
from locum_actuator.cli.incident_report.post_mortem import post_mortem
from locum_actuator.cli.incident_report.timeline import draw
from locum_actuator.domain.numbers import DIGITS
from locum_actuator.system.printing import Terminal, say, say_json


@click.command()
@click.argument("number", type=click.IntRange(1, 10**DIGITS - 1))
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
    """Show incident NUMBER on a line of time, with all that was seen, decided and done."""
    if as_json and (markdown or output):
        wrong_use("locum incident: --json and --markdown do not go together")
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
    """Write a new file; what people have written into an old one is not lost."""
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        did_not_work(f"locum incident: {path} is there already, and people may have written into it")
    except OSError as fault:
        did_not_work(f"locum incident: {path} cannot be written: {fault.strerror}")
