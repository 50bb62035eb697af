"""`locum check`: check the site file, and with `--live` also the hosts and files that it describes."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click

from locum_actuator.cli.common.exits import DID_NOT_WORK, WRONG_USE
from locum_actuator.cli.live_check.finding import Finding, State
from locum_actuator.system.printing import Terminal, say, say_json, styled
from locum_inventory.site.load import SiteError, advice, conversations, find_site, load_site
from locum_inventory.site.model import Site

_STYLES: dict[State, str] = {"ok": "green", "note": "cyan", "wrong": "bold red", "unknown": "bold yellow"}


@click.command()
@click.option("--live", is_flag=True, help="also check hosts, gates, addresses, witnesses and files")
@click.option("--json", "as_json", is_flag=True, help="print JSON, for programs")
@click.pass_obj
def check(site_file: str | None, live: bool, as_json: bool) -> None:
    """Report errors in the site file, and with --live in what it describes."""
    path: Path | None = None
    try:
        path = find_site(site_file)
        site = load_site(path)
    except SiteError as fault:
        _say_faults(path, fault.lines, as_json=as_json)
        sys.exit(WRONG_USE)
    findings = _check_live(site) if live else None
    if as_json:
        say_json({**_as_json(path, (), advice(site), findings), "conversations": conversations(site)})
    else:
        _say(path, site, findings or [])
    if any(finding.is_trouble for finding in findings or []):
        sys.exit(DID_NOT_WORK)


def _check_live(site: Site) -> list[Finding]:
    from locum_actuator.cli.live_check.run import look  # noqa: PLC0415 - half a second, needed for --live only

    return asyncio.run(look(site))


def _say_faults(path: Path | None, faults: Sequence[str], *, as_json: bool) -> None:
    if as_json:
        say_json(_as_json(path, faults, (), None))
        return
    for line in faults:
        say(line, err=True)


def _say(path: Path, site: Site, findings: Sequence[Finding]) -> None:
    console = Terminal(soft_wrap=True)
    console.print(f"{path}: sound: {_size(site)}")
    for line in conversations(site):
        console.print(f"check    {line}")
    for line in advice(site):
        console.print(styled(("advice", "cyan"), f"   {line}"))
    for finding in findings:
        console.print(styled((f"{finding.state:7}", _STYLES[finding.state]), f"  {finding.line}"))


def _size(site: Site) -> str:
    counts = {
        "host": len(site.hosts),
        "service": len(site.services),
        "vantage point": len(site.vantage_points),
        "witness": len(site.witnesses),
    }
    return ", ".join(f"{count} {_plural(word) if count != 1 else word}" for word, count in counts.items())


def _plural(word: str) -> str:
    return f"{word}es" if word.endswith("s") else f"{word}s"


def _as_json(
    path: Path | None, faults: Sequence[str], advised: Sequence[str], findings: Sequence[Finding] | None
) -> dict[str, object]:
    answer: dict[str, object] = {
        "site": None if path is None else str(path),
        "sound": not faults,
        "faults": list(faults),
        "advice": list(advised),
    }
    if findings is not None:
        answer["live"] = [asdict(finding) for finding in findings]
    return answer
