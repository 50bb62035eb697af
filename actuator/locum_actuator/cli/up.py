"""`locum up`: the whole chain on this machine, with one command."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from locum_actuator.chain.configuration import write_configuration
from locum_actuator.chain.layout import Chain
from locum_actuator.chain.ports import port_faults
from locum_actuator.chain.programs import NotInstalled, find_programs, programs
from locum_actuator.chain.readiness import Failed, Readiness
from locum_actuator.chain.supervise import Supervisor
from locum_actuator.cli.chain_options import chain_of, chain_options
from locum_actuator.cli.exits import did_not_work
from locum_actuator.cli.site_option import load_or_exit
from locum_inventory.load import SiteFault, load_site


@click.command()
@chain_options
@click.pass_obj
def up(site_option: str | None, /, **listens: Any) -> None:
    """Run the whole chain on this machine: exporter, actuator, Alertmanager and Prometheus.

    It stays until it is told to end (Ctrl-C, SIGTERM), and takes its children with it. SIGHUP reads the site file
    again. Logs are in the state directory under log/.
    """
    site_file, site = load_or_exit(site_option)
    chain = chain_of(site, **listens)
    if "chain" in site.model_fields_set:
        own = "a Prometheus and an Alertmanager of its own"
        click.echo(f"the site file's `chain` is not used: locum up runs {own}", err=True)
    if faults := list(port_faults(chain)):
        did_not_work(*faults)
    try:
        found = find_programs()
        write_configuration(chain)
        asyncio.run(_run(chain, site_file, found, listens))
    except (NotInstalled, Failed) as failed:
        did_not_work(str(failed))
    except OSError as fault:
        did_not_work(f"{fault.filename}: {fault.strerror}")


async def _run(chain: Chain, site_file: Path, found: Mapping[str, str], listens: Mapping[str, Any]) -> None:
    told_to_end = asyncio.Event()
    loop = asyncio.get_running_loop()
    supervisor = Supervisor(chain.site.actuator.state_directory / "log", click.echo)
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, told_to_end.set)
    loop.add_signal_handler(signal.SIGHUP, _reload, site_file, listens, supervisor)
    readiness = Readiness(chain, supervisor, click.echo)
    starting = asyncio.create_task(readiness.start(programs(chain, site_file, found)))
    ending = asyncio.create_task(told_to_end.wait())
    try:
        await asyncio.wait({starting, ending}, return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            starting.result()  # raises Failed if it did
            await ending
    finally:
        for task in (starting, ending):
            task.cancel()
        await asyncio.gather(starting, ending, return_exceptions=True)
        click.echo("ending")
        await supervisor.stop()
        click.echo("ended; addresses stay where they are")


def _reload(site_file: Path, listens: Mapping[str, Any], supervisor: Supervisor) -> None:
    try:
        chain = chain_of(load_site(site_file), **listens)
        write_configuration(chain)
    except SiteFault as fault:
        click.echo(f"not reloaded, the old site stays:\n{fault}")
    except OSError as fault:
        click.echo(f"not reloaded, the old site stays: {fault.filename}: {fault.strerror}")
    else:
        supervisor.hang_up()
        click.echo("reloaded; log/actuator.log says whether the actuator keeps the old site, and why")
