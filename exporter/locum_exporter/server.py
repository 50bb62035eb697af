"""The program locum-exporter."""

from __future__ import annotations

import asyncio
import logging
import signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import click
from aiohttp import web

from locum_exporter.accepting import Accepting
from locum_exporter.app import Exporter
from locum_exporter.event_loop_lag import LoopLag
from locum_exporter.log_options import log_options
from locum_exporter.net.icmp import Pinger
from locum_exporter.net.listening import listening_sockets
from locum_exporter.net.neighbours import Neighbours
from locum_exporter.net.os_errors import text_of_os_error
from locum_exporter.reload import Runners
from locum_exporter.this_host import WrongMachineError, require_no_other_host
from locum_inventory.file_descriptors import raise_limit
from locum_inventory.listen import Listen
from locum_inventory.logs.format import begin_log
from locum_inventory.sd_notify import ALIVE, READY, STOPPING, tell, tell_alive_every_seconds
from locum_inventory.site.load import SiteError, find_site, load_site
from locum_inventory.site.model import Site

log = logging.getLogger("locum.exporter")

_DEFAULT_LISTEN = "127.0.0.1:10751"
_LOOKING_THREADS = 64  # each waits for one gate; a dead host must not delay others
_SHUTDOWN_SECONDS = 1.0
_EXIT_FAILED, _EXIT_USAGE = 1, 2


@dataclass(frozen=True, slots=True)
class Options:
    """The options of the command line."""

    site_file: Path
    listen: Listen
    host: str | None


async def serve(options: Options, site: Site) -> None:
    """Serve until SIGTERM or SIGINT; reload the site file on SIGHUP. Raises `OSError` and `SystemExit`."""
    raise_limit()
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    async with AsyncExitStack() as stack:
        executor = ThreadPoolExecutor(_LOOKING_THREADS, thread_name_prefix="look")
        stack.callback(partial(executor.shutdown, wait=False, cancel_futures=True))
        pinger = await stack.enter_async_context(Pinger())
        neighbours = await stack.enter_async_context(Neighbours())
        lag = await stack.enter_async_context(LoopLag())
        runners = Runners(options.host, pinger=pinger, neighbours=neighbours, executor=executor, lag=lag)
        stack.callback(runners.close)
        exporter = Exporter(await runners.runner_for(site))
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, ended.set)
        loop.add_signal_handler(signal.SIGHUP, runners.start_reload, exporter, options.site_file)
        app = exporter.app()
        web_runner = web.AppRunner(app, access_log=None, shutdown_timeout=_SHUTDOWN_SECONDS)
        accepting = Accepting(partial(_handler, web_runner))
        app.on_response_prepare.append(partial(_note_answer, accepting))
        await web_runner.setup()
        stack.push_async_callback(web_runner.cleanup)
        tasks: list[asyncio.Task[None]] = []
        for listening in listening_sockets(options.listen):
            stack.enter_context(listening)
            task = asyncio.create_task(accepting.run(listening), name="accept")
            task.add_done_callback(partial(_end_deaf, ended))
            stack.push_async_callback(_cancelled, task)
            tasks.append(task)
        log.info("listening on %s", options.listen, extra={"event": "listening"})
        alive = asyncio.create_task(_tell_alive(), name="watchdog")
        stack.callback(alive.cancel)
        tell(READY)
        await ended.wait()
        is_deaf = any(task.done() for task in tasks)
        tell(STOPPING)
    if is_deaf:
        raise SystemExit(_EXIT_FAILED)
    log.info("ended", extra={"event": "ended"})


def _handler(web_runner: web.AppRunner) -> asyncio.Protocol:
    """Return the handler for a new connection."""
    if web_runner.server is None:
        raise RuntimeError("a connection before the server was set up")
    return web_runner.server()


async def _note_answer(accepting: Accepting, request: web.Request, _response: web.StreamResponse) -> None:
    accepting.answered(request.transport)


def _end_deaf(ended: asyncio.Event, task: asyncio.Task[None]) -> None:
    """Exit if accepting connections has failed; the service manager restarts the program."""
    if not task.cancelled():
        log.error("connections are no longer accepted", exc_info=task.exception(), extra={"event": "deaf"})
        ended.set()


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])


async def _tell_alive() -> None:
    """Send the watchdog message of the service manager from the event loop, if it expects one."""
    every_seconds = tell_alive_every_seconds()
    while every_seconds is not None:
        tell(ALIVE)
        await asyncio.sleep(every_seconds)


@click.command()
@click.version_option(package_name="locum")
@click.option(
    "--site", "site_option", metavar="FILE", help="The site file [/etc/locum/locum.yml, ./locum.yml]."
)
@click.option(
    "--listen",
    metavar="HOST:PORT",
    default=_DEFAULT_LISTEN,
    show_default=True,
    help="The address to listen on.",
)
@click.option(
    "--host", metavar="NAME", help="This host's name in the site file, if its address does not show it."
)
@log_options
def main(site_option: str | None, listen: str, host: str | None, log_format: str, log_level: str) -> None:
    """Check hosts and services on request over HTTP."""
    try:
        site_file = find_site(site_option)
        site = load_site(site_file)
    except SiteError as fault:
        click.echo(fault, err=True)
        raise SystemExit(_EXIT_USAGE) from None
    if host is not None and host not in site.hosts:
        raise click.UsageError(f"the site file has no host '{host}': use one of {', '.join(site.hosts)}")
    try:
        if host is not None:
            require_no_other_host(site, host)
    except WrongMachineError as fault:
        raise click.UsageError(str(fault)) from None
    where = _listen(listen)
    begin_log(log_format, log_level)
    if not where.is_loopback:
        log.warning(
            "%s is not a loopback address, and there is no TLS: anyone on that network can read the results",
            where,
            extra={"event": "beyond_loopback"},
        )
    try:
        asyncio.run(serve(Options(site_file, where, host), site))
    except OSError as error:
        click.echo(f"cannot listen on {where}: {text_of_os_error(error)}", err=True)
        raise SystemExit(_EXIT_FAILED) from None


def _listen(text: str) -> Listen:
    try:
        return Listen.parse(text)
    except ValueError as fault:
        raise click.BadParameter(str(fault), param_hint="--listen") from None


if __name__ == "__main__":
    main()
