"""`locum mirror`: copy a service's data to its standbys now, and manage the copies."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any, NoReturn

import click
from rich.progress import Progress, TaskID

from locum_actuator.cli.common.api_client import actuator_option, api_token, ask, json_option, tell
from locum_actuator.cli.common.exits import did_not_work, wrong_use
from locum_actuator.system.local_time import local_time
from locum_actuator.system.printing import progress_of_bytes, say, say_json

POLL_SECONDS = 0.2


@click.command()
@click.argument("service")
@click.option(
    "--to", metavar="HOST", help="copy to this host only [default: to every host that does not hold SERVICE]"
)
@click.option(
    "--allow-deletions",
    type=click.IntRange(1, 10**17),
    metavar="N",
    help="let this run delete up to N files, instead of the site file's max_delete",
)
@click.option(
    "--discard-changes", is_flag=True, help="overwrite changes made on the standby; copies of them are kept"
)
@click.option(
    "--mark",
    is_flag=True,
    help="confirm that the directories are the right ones: each host records which they are",
)
@click.option(
    "--restore",
    type=click.IntRange(1, 10**17),
    metavar="RUN",
    help="put back what a run deleted or overwrote",
)
@click.option("--on", "host", metavar="HOST", help="the host on which to restore")
@click.option("--runs", is_flag=True, help="show the last runs and how old each copy is, and copy nothing")
@actuator_option
@json_option
@click.pass_obj
def mirror(
    site_file: str | None,
    /,
    service: str,
    to: str | None,
    allow_deletions: int | None,
    *,
    discard_changes: bool,
    mark: bool,
    restore: int | None,
    host: str | None,
    runs: bool,
    url: str,
    as_json: bool,
) -> None:
    """Copy the data of SERVICE from its holder to its standbys, and wait for the end.

    Interrupting this command does not stop the run.
    """
    path = f"/api/v1/services/{service}/mirror"
    chosen = [name for name, given in (("--runs", runs), ("--mark", mark), ("--restore", restore)) if given]
    if len(chosen) > 1:
        wrong_use(f"locum: give only one of {' and '.join(chosen)}")
    if restore is not None and host is None:
        wrong_use("locum: --restore needs --on HOST, the host that gets the files back")
    if restore is None and host is not None:
        wrong_use("locum: --on belongs to --restore; a run copies to one host with --to HOST")
    if chosen and (to is not None or allow_deletions is not None or discard_changes):
        wrong_use(f"locum: --to, --allow-deletions and --discard-changes are for a run, not for {chosen[0]}")
    if runs:
        _show_runs(ask(url, path), as_json=as_json)
        return
    token = api_token(site_file)
    if mark or restore is not None:
        body: dict[str, object] = {"host": host, "run": restore} if restore is not None else {}
        answer = tell(url, f"{path}/{'mark' if mark else 'restore'}", token, body)
        say_json(answer) if as_json else say("\n".join(answer["done"]))
        return
    body = {"allow_deletions": allow_deletions or 0, "discard_changes": discard_changes}
    asked = tell(url, path, token, body | ({"to": to} if to else {}))["asked"]
    asked = _wait(url, path, asked, silent=as_json)
    if as_json:
        say_json(asked["results"])
    _report(asked, silent=as_json)


def _wait(url: str, path: str, asked: dict[str, Any], *, silent: bool) -> dict[str, Any]:
    """Show the progress of the run until it ends; without a terminal nothing is shown."""
    # The time left comes from rsync: rich would restart its estimate whenever the total, computed from a
    # rounded percentage, changes.
    with progress_of_bytes(silent=silent) as shown:
        task: TaskID = shown.add_task(f"from {asked['source']}", total=None, left="")
        while not asked["ended"]:
            time.sleep(POLL_SECONDS)
            known = ask(url, path)
            if known["asked"] is None or known["asked"]["number"] != asked["number"]:
                did_not_work(
                    "locum: another run was requested meanwhile; locum mirror --runs shows the last ones"
                )
            asked = known["asked"]
            _show_progress(shown, task, known["under_way"])
    return asked


def _show_progress(shown: Progress, task: TaskID, run: dict[str, Any] | None) -> None:
    if run is None:
        return
    what = f"{run['source']} to {run['destination']}"
    far = run["progress"]
    if far is None:
        shown.update(task, description=f"{what}: comparing", total=None, left="")
        return
    of = f", directory {far['tree']} of {far['trees']}" if far["trees"] > 1 else ""
    total = far["bytes_done"] * 100 / far["percent"] if far["percent"] else None
    seconds = far["seconds_left"] if total else None
    left = "" if seconds is None else str(timedelta(seconds=round(seconds)))
    shown.update(task, description=f"{what}{of}", completed=far["bytes_done"], total=total, left=left)


def _report(asked: dict[str, Any], *, silent: bool) -> None:
    """Print one line per result (only failures if `silent`); exit 1 if any is not done, or if there is none."""
    faults = []
    for result in asked["results"]:
        line = f"{result['source']} to {result['destination']}: {result['outcome']}: {result['text']}"
        if result["outcome"] != "done":
            faults.append(f"locum: {line}")
        elif not silent:
            say(f"{line} in {result['seconds']:.1f} s (run {result['run']})")
    if faults:
        did_not_work(*faults)
    if not asked["results"]:
        _nothing_to_do(asked)


def _nothing_to_do(asked: dict[str, Any]) -> NoReturn:
    did_not_work(f"locum: nothing was mirrored from {asked['source']}")


def _show_runs(known: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        say_json(known)
        return
    for host, copy in known["copies"].items():
        say(f"{host}: {copy['text']}{' (too old)' if copy['stale'] else ''}")
    for run in known["runs"]:
        at = local_time(run["started_at"])
        outcome = run["outcome"] or "running"
        say(f"{at} {run['run']} {run['source']} to {run['destination']}: {outcome}: {run['text']}")
