"""`locum up`: run the whole monitoring chain on this machine with one command."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from locum_actuator.cli.common.exits import did_not_work
from locum_actuator.cli.common.listen_options import chain_options, stack_of
from locum_actuator.cli.common.right_machine import on_actuator_host_or_exit
from locum_actuator.cli.common.site_option import load_or_exit
from locum_actuator.listeners import tcp_socket
from locum_actuator.stack.layout import StackLayout
from locum_actuator.stack.ports import port_faults
from locum_actuator.stack.programs import NotInstalledError, find_programs, programs
from locum_actuator.stack.progress_output import ProgressOutput
from locum_actuator.stack.prometheus import write_configuration
from locum_actuator.stack.startup import Readiness, StartupError
from locum_actuator.stack.supervisor import Program, Supervisor
from locum_actuator.system.printing import say
from locum_actuator.system.state_ownership import ownership_fault
from locum_exporter.this_host import WrongMachineError, require_actuator_host
from locum_inventory.logs.format import LOG_FORMATS
from locum_inventory.site.load import SiteError, load_site


@click.command()
@chain_options
@click.option(
    "--log-format",
    type=click.Choice(LOG_FORMATS),
    help="format of its own output and its children's logs [default: plain text, and logfmt]",
)
@click.pass_obj
def up(site_option: str | None, /, log_format: str | None, **listens: Any) -> None:
    """Run the whole monitoring chain on this machine: exporter, actuator, Alertmanager and Prometheus.

    It runs until it is stopped (Ctrl-C, SIGTERM), and then stops its children. SIGHUP makes it read the site file
    again. Logs are in the state directory under log/.
    """
    site_file, site = load_or_exit(site_option)
    on_actuator_host_or_exit(site)
    stack = stack_of(site, **listens)
    if "chain" in site.model_fields_set:
        own = "its own Prometheus and Alertmanager"
        say(f"the site file's `chain` is not used: locum up runs {own}", err=True)
    if unwritable := ownership_fault(site.actuator.state_directory):
        did_not_work(unwritable)
    if faults := list(port_faults(stack)):
        did_not_work(*faults)
    try:
        found = find_programs()
        write_configuration(stack)
        # The sockets stay open here, so that no other user can listen on these ports while the actuator restarts.
        with ExitStack() as sockets:
            ports = (stack.actuator, stack.webhook)
            held = tuple(sockets.enter_context(tcp_socket(where.host, where.port)) for where in ports)
            running = programs(stack, site_file, found, log_format or "logfmt", held)
            asyncio.run(
                _run(stack, running, lambda: _reloaded(site_file, listens), ProgressOutput.of(log_format))
            )
    except (NotInstalledError, StartupError) as failed:
        did_not_work(str(failed))
    except OSError as fault:
        did_not_work(f"{fault.filename or stack.actuator}: {fault.strerror}")


async def _run(
    stack: StackLayout,
    running: Sequence[Program],
    reloaded: Callable[[], Sequence[str]],
    voice: ProgressOutput,
) -> None:
    stop_requested = asyncio.Event()
    loop = asyncio.get_running_loop()
    supervisor = Supervisor(stack.site.actuator.state_directory / "log", voice.warn)
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop_requested.set)
    loop.add_signal_handler(signal.SIGHUP, _reload, reloaded, supervisor, voice)
    readiness = Readiness(stack, supervisor, voice.say)
    starting = asyncio.create_task(readiness.start(running))
    ending = asyncio.create_task(stop_requested.wait())
    try:
        await asyncio.wait({starting, ending}, return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            starting.result()  # raises Failed if it did
            await ending
    finally:
        for task in (starting, ending):
            task.cancel()
        await asyncio.gather(starting, ending, return_exceptions=True)
        voice.say("stopping")
        await supervisor.stop()
        voice.say("stopped; addresses stay where they are")


def _reload(reloaded: Callable[[], Sequence[str]], supervisor: Supervisor, voice: ProgressOutput) -> None:
    # In its own thread: the check of this machine runs an event loop, and one runs here already.
    with ThreadPoolExecutor(1) as own_thread:
        faults = own_thread.submit(reloaded).result()
    if faults:
        for line in ("not reloaded; the previous site stays in force:", *faults):
            voice.warn(line)
        return
    supervisor.hang_up()
    voice.say("reloaded; log/actuator.log shows whether the actuator accepted the new site, and if not, why")


def _reloaded(site_file: Path, listens: Mapping[str, Any]) -> Sequence[str]:
    """Write the configuration again from the current site file; return lines with the reasons if that fails."""
    try:
        site = load_site(site_file)
        require_actuator_host(site)
        write_configuration(stack_of(site, **listens))
    except WrongMachineError as fault:
        return (str(fault),)
    except SiteError as fault:
        return fault.lines
    except OSError as fault:
        return (f"{fault.filename}: {fault.strerror}",)
    return ()
