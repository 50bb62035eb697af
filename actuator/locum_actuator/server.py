"""`locum-actuator`: run the actuator as a process."""

from __future__ import annotations

import faulthandler
import gc
import logging
import signal
import stat
import sys
import threading
from pathlib import Path
from types import FrameType

import click
from pydantic import ValidationError

from locum_actuator.api.bearer_auth import has_token, token_command
from locum_actuator.app import create_app, create_webhook_app
from locum_actuator.chain.health import LOOK_SECONDS, ChainEndpoints
from locum_actuator.chain.silenced import SILENCES, judge_silences
from locum_actuator.chain.silences import ask_alertmanagers
from locum_actuator.chain.watch import (
    HEARTBEAT,
    ROUNDS,
    ChainWatch,
    judge_heartbeat,
    judge_rounds,
    look_at_journal,
)
from locum_actuator.engine.engine import Engine
from locum_actuator.engine.site_reload import AddressLookup, ReloadResult, check_reload
from locum_actuator.journal.database import JournalError
from locum_actuator.journal.recovery import open_journal
from locum_actuator.journal.retention import Pruning
from locum_actuator.listeners import Front, NotBoundError
from locum_actuator.metrics import Metrics
from locum_actuator.observation.observer import HostObserver
from locum_actuator.stack.layout import ACTUATOR_PORT, WEBHOOK_PORT
from locum_actuator.system.background import Health, count_uncaught
from locum_actuator.system.instance_lock import AlreadyRunningError, acquire_instance_lock
from locum_actuator.system.state_ownership import ownership_fault
from locum_actuator.system.watchdog import ANSWER_SECONDS, Watchdog
from locum_actuator.web.certificate import Certificate
from locum_actuator.web.listener import Listener
from locum_actuator.web.own_socket import OwnSocket
from locum_exporter.log_options import log_options
from locum_exporter.this_host import WrongMachineError, require_actuator_host
from locum_inventory.errors import LocumError
from locum_inventory.gate.gates import GateClients
from locum_inventory.inherited_sockets import inherited_sockets
from locum_inventory.listen import Listen
from locum_inventory.logs.format import begin_log
from locum_inventory.sd_notify import READY, STOPPING, tell
from locum_inventory.site.load import SiteError, find_site, load_site
from locum_inventory.site.model import ChainParts, Site

log = logging.getLogger("locum_actuator")

DEFAULT_LISTEN, DEFAULT_WEBHOOK_LISTEN = f"127.0.0.1:{ACTUATOR_PORT}", f"127.0.0.1:{WEBHOOK_PORT}"
HEAR_SECONDS = 0.5  # the longest delay until a signal is handled


class StartError(LocumError):
    """The actuator cannot start; the text is one line with the reason and what to do."""


def read_token(path: Path) -> str:
    """Return the secret in a file; raise `StartError` if other users may read it or if it is too short."""
    try:
        mode = path.stat().st_mode
        token = path.read_text().strip()
    except OSError as fault:
        how = f"; create one: {token_command(path)}" if isinstance(fault, FileNotFoundError) else ""
        raise StartError(f"{path}: {fault.strerror}{how}") from fault
    except UnicodeDecodeError as fault:
        raise StartError(f"{path}: is not text; create another one: {token_command(path)}") from fault
    if mode & (stat.S_IRWXO | stat.S_IWGRP):
        raise StartError(f"{path}: other users may read or change it; chmod 600 {path}")
    if len(token) < 16:
        raise StartError(f"{path}: contains {len(token)} characters; a token has at least 16")
    return token


def parse_listen(text: str, option: str = "--listen") -> Listen:
    """Return the address to listen on, which must be loopback."""
    try:
        listen = Listen.parse(text)
    except ValueError as fault:
        raise StartError(f"{option}: {fault}") from fault
    if not listen.is_loopback:
        raise StartError(f"{option} {text}: the actuator listens on loopback only")
    return listen


class Actuator:
    """One running actuator: engine, HTTP server, signals."""

    def __init__(
        self, site_path: Path, listen: str, webhook_listen: str, parts: ChainParts | None = None
    ) -> None:
        """`parts` has the URLs of Prometheus and Alertmanager if they replace those of the site file."""
        self._deaf = False  # the HTTP server failed
        self._site_path = site_path
        self._listen = parse_listen(listen)
        self._webhook_listen = parse_listen(webhook_listen, "--webhook-listen")
        site = load_site(site_path)
        require_actuator_host(site)
        directory = site.actuator.state_directory
        if unwritable := ownership_fault(directory):
            raise StartError(unwritable)
        token = read_token(site.actuator.webhook_token_file)
        api_token = read_token(site.actuator.api_token_file) if site.actuator.api_token_file else None
        self._alone = acquire_instance_lock(directory)
        self._journal = open_journal(directory / "journal.sqlite", site.services)
        metrics = Metrics()
        health = Health(metrics)
        self._engine = Engine(
            site,
            self._journal,
            metrics,
            _gates,
            lambda values, gates: HostObserver(values, gates, health),
            health=health,
        )
        count_uncaught(metrics)
        self._watch = ChainWatch(
            lambda: ChainEndpoints.of(self._engine.site, parts),
            {
                HEARTBEAT: lambda: judge_heartbeat(self._engine.heartbeat_age_seconds),
                ROUNDS: lambda: judge_rounds(
                    {
                        name: worker.patrol.checks.why_unchecked
                        for name, worker in self._engine.workers.items()
                    }
                ),
                "journal": lambda: look_at_journal(self._journal, self._engine.site.services),
                SILENCES: lambda: judge_silences(
                    ask_alertmanagers(parts or self._engine.site.chain, self._engine.site)
                ),
            },
            self._engine.metrics,
            self._engine.health,
        )
        self._pruning = Pruning(self._journal, lambda: self._engine.site.actuator, self._engine.health)
        app = create_app(
            self._engine, token, api_token, self.reload, self._watch.parts,
            where=lambda: parts or self._engine.site.chain,
        )  # fmt: skip
        tokens = [one for one in (token, api_token) if one is not None]
        self._state_directory = directory
        try:
            certificate = Certificate.in_state(directory)
            certificate.make()
            self._front = Front(
                app, create_webhook_app(self._engine, token),
                lambda header: any(has_token(one, header) for one in tokens),
                api_at=(self._listen.host, self._listen.port),
                webhook_at=(self._webhook_listen.host, self._webhook_listen.port),
                state_directory=directory, tls=certificate.server_context(), inherited=inherited_sockets(),
            )  # fmt: skip
        except NotBoundError as fault:
            raise StartError(str(fault)) from fault
        except OSError as fault:
            raise StartError(
                f"{directory}: the certificate of the chain: {fault.strerror or fault}"
            ) from fault

    def reload(self) -> ReloadResult:
        """Reload the site file; keep the old site if the file is faulty or would leave an address behind."""
        reading = self._read_anew()
        for line in reading.faults:
            log.error("not reloaded: %s", line, extra={"event": "not_reloaded"})
        for line in reading.notes:
            log.warning("%s", line, extra={"event": "reload_note"})
        return reading

    def _read_anew(self) -> ReloadResult:
        try:
            site, holders = load_site(self._site_path), self._journal.holders()
            require_actuator_host(site)
        except SiteError as fault:
            return ReloadResult(faults=fault.lines)
        except (JournalError, WrongMachineError) as fault:
            return ReloadResult(faults=(str(fault),))
        old = self._engine.site
        reading = check_reload(old, site, holders, AddressLookup(old, self._engine.gates, holders).who_has)
        if reading.faults:
            return ReloadResult(faults=reading.faults)
        self._engine.reload(site)
        return reading

    def _serve(self, listener: Listener, done: threading.Event) -> None:
        """Serve until closed; if the HTTP server fails, end the process, so that it is restarted."""
        try:
            listener.run()
        except Exception:
            log.critical(
                "the HTTP server failed: stopping, so that systemd restarts the actuator",
                exc_info=True,
                extra={"event": "http_broke"},
            )
            self._deaf = True
            done.set()

    def run(self) -> bool:
        """Serve until SIGTERM or SIGINT; a held address stays where it is, so that an upgrade is not an outage.

        Returns whether it ended because of a signal.
        """
        done = threading.Event()

        def end(_signal: int, _frame: FrameType | None) -> None:
            done.set()

        def hup(_signal: int, _frame: FrameType | None) -> None:
            threading.Thread(target=self.reload, name="reload").start()

        signal.signal(signal.SIGTERM, end)
        signal.signal(signal.SIGINT, end)
        signal.signal(signal.SIGHUP, hup)
        # Exclude existing objects from garbage collection: a full collection must not delay a takeover.
        gc.collect()
        gc.freeze()
        self._engine.start()
        self._watch.start()
        self._pruning.start()
        for listener in self._front.listeners:
            threading.Thread(
                target=self._serve, args=(listener, done), name=f"http-{listener.name}", daemon=True
            ).start()
        log.info(
            "listening on %s; for webhooks on %s",
            self._listen,
            self._webhook_listen,
            extra={"event": "listening"},
        )
        watchdog = Watchdog(
            self._engine.hung_workers,
            lambda: OwnSocket(self._state_directory, ANSWER_SECONDS),
            self._engine.health,
        )
        watchdog.start()
        tell(READY)
        # Not without end: the kernel may give a signal to another thread, and Python runs its handler only once
        # this one has woken up (docs.python.org/3/library/signal.html).
        while not done.wait(HEAR_SECONDS):
            pass
        watchdog.ending()
        tell(STOPPING)
        log.info("stopping; addresses stay where they are", extra={"event": "ending"})
        self._front.close()
        self._watch.end()
        self._pruning.end()
        self._engine.stop()
        self._watch.join(2 * LOOK_SECONDS)  # it reads the journal, which is closed next
        self._pruning.join(2 * LOOK_SECONDS)
        self._journal.close()
        watchdog.end()
        self._alone.close()
        return not self._deaf


def _parts(**given: str | tuple[str, ...] | None) -> ChainParts | None:
    try:
        return (
            ChainParts.model_validate({k: v for k, v in given.items() if v}) if any(given.values()) else None
        )
    except ValidationError as fault:
        (first, *_) = fault.errors()
        raise StartError(f"--prometheus, --alertmanager, --chain-…: {first['msg']}") from fault


def _gates(site: Site) -> GateClients:
    return GateClients(site, site.actuator.host, "actuator")


@click.command()
@click.option("--site", "site_file", metavar="FILE", default=None, help="the site file")
@click.option("--listen", default=DEFAULT_LISTEN, show_default=True, metavar="HOST:PORT")
@click.option(
    "--webhook-listen",
    default=DEFAULT_WEBHOOK_LISTEN,
    show_default=True,
    metavar="HOST:PORT",
    help="where the actuator receives Alertmanager's alerts, over TLS",
)
@click.option("--prometheus", metavar="URL", help="URL of Prometheus [default: from the site file]")
@click.option(
    "--alertmanager",
    "alertmanagers",
    multiple=True,
    metavar="URL",
    help="URL of an Alertmanager; may be given several times [default: from the site file]",
)
@click.option("--chain-password-file", metavar="FILE", help="password for both, sent over https:// only")
@click.option("--chain-ca-file", metavar="FILE", help="CA certificates with which both are verified")
@click.option(
    "--chain-cert-file", metavar="FILE", help="client certificate for both, used over https:// only"
)
@click.option("--chain-key-file", metavar="FILE", help="the key of that certificate")
@log_options
@click.version_option(package_name="locum", prog_name="locum-actuator")
def main(
    *,
    site_file: str | None,
    listen: str,
    webhook_listen: str,
    prometheus: str | None,
    alertmanagers: tuple[str, ...],
    chain_password_file: str | None,
    chain_ca_file: str | None,
    chain_cert_file: str | None,
    chain_key_file: str | None,
    log_format: str,
    log_level: str,
) -> None:
    """Act on Alertmanager's alerts: check the service, decide, respawn it or take it over."""
    begin_log(log_format, log_level)
    faulthandler.enable()  # systemd's watchdog ends us with SIGABRT: the log then has the stack of every thread
    logging.getLogger("paramiko").setLevel(logging.CRITICAL)
    try:
        actuator = Actuator(
            find_site(site_file),
            listen,
            webhook_listen,
            _parts(
                prometheus=prometheus,
                alertmanagers=alertmanagers,
                password_file=chain_password_file,
                ca_file=chain_ca_file,
                cert_file=chain_cert_file,
                key_file=chain_key_file,
            ),
        )
    except SiteError as fault:
        click.echo("\n".join(fault.lines), err=True)
        sys.exit(2)
    except (StartError, WrongMachineError) as fault:
        click.echo(f"locum-actuator: {fault}", err=True)
        sys.exit(2)
    except (JournalError, AlreadyRunningError) as fault:
        click.echo(f"locum-actuator: {fault}", err=True)
        sys.exit(1)
    if not actuator.run():
        sys.exit(1)


if __name__ == "__main__":
    main()
