"""One running actuator: engine, listeners, watch of the chain, and signals."""

from __future__ import annotations

import gc
import logging
import signal
import threading
from pathlib import Path
from types import FrameType

from flask import Flask

from locum_actuator.api.bearer_auth import has_token
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
from locum_actuator.start_settings import StartError, parse_listen, read_token
from locum_actuator.system.background import Health, count_uncaught
from locum_actuator.system.instance_lock import acquire_instance_lock
from locum_actuator.system.state_ownership import ownership_fault
from locum_actuator.system.watchdog import ANSWER_SECONDS, Watchdog
from locum_actuator.web.certificate import Certificate
from locum_actuator.web.listener import Listener
from locum_actuator.web.own_socket import OwnSocket
from locum_exporter.this_host import WrongMachineError, require_actuator_host
from locum_inventory.gate.gates import GateClients
from locum_inventory.inherited_sockets import inherited_sockets
from locum_inventory.sd_notify import READY, STOPPING, tell
from locum_inventory.site.load import SiteError, load_site
from locum_inventory.site.model import ChainParts

log = logging.getLogger("locum_actuator")

HEAR_SECONDS = 0.5  # the longest delay until a signal is handled


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
            lambda values: GateClients(values, values.actuator.host, "actuator"),
            lambda values, gates: HostObserver(values, gates, health),
            health=health,
        )
        count_uncaught(metrics)
        self._watch = self._make_watch(parts)
        self._pruning = Pruning(self._journal, lambda: self._engine.site.actuator, self._engine.health)
        app = create_app(
            self._engine, token, api_token, self.reload, self._watch.parts,
            where=lambda: parts or self._engine.site.chain,
        )  # fmt: skip
        self._state_directory = directory
        self._front = self._make_front(app, create_webhook_app(self._engine, token), token, api_token)

    def _make_watch(self, parts: ChainParts | None) -> ChainWatch:
        """Return what watches the chain from the exporters to the webhook, and locum's own parts."""
        engine = self._engine
        return ChainWatch(
            lambda: ChainEndpoints.of(engine.site, parts),
            {
                HEARTBEAT: lambda: judge_heartbeat(engine.heartbeat_age_seconds),
                ROUNDS: lambda: judge_rounds(
                    {name: worker.patrol.checks.why_unchecked for name, worker in engine.workers.items()}
                ),
                "journal": lambda: look_at_journal(self._journal, engine.site.services),
                SILENCES: lambda: judge_silences(ask_alertmanagers(parts or engine.site.chain, engine.site)),
            },
            engine.metrics,
            engine.health,
        )

    def _make_front(self, app: Flask, webhook: Flask, token: str, api_token: str | None) -> Front:
        """Return the listeners, bound. Raises `StartError`."""
        directory = self._state_directory
        tokens = [one for one in (token, api_token) if one is not None]
        try:
            certificate = Certificate.in_state(directory)
            certificate.make()
            return Front(
                app, webhook,
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
        self._handle_signals(done)
        # Exclude existing objects from garbage collection: a full collection must not delay a takeover.
        gc.collect()
        gc.freeze()
        watchdog = self._start(done)
        tell(READY)
        # Not without end: the kernel may give a signal to another thread, and Python runs its handler only once
        # this one has woken up (docs.python.org/3/library/signal.html).
        while not done.wait(HEAR_SECONDS):
            pass
        self._stop(watchdog)
        return not self._deaf

    def _handle_signals(self, done: threading.Event) -> None:
        def end(_signal: int, _frame: FrameType | None) -> None:
            done.set()

        def hup(_signal: int, _frame: FrameType | None) -> None:
            threading.Thread(target=self.reload, name="reload").start()

        signal.signal(signal.SIGTERM, end)
        signal.signal(signal.SIGINT, end)
        signal.signal(signal.SIGHUP, hup)

    def _start(self, done: threading.Event) -> Watchdog:
        """Start all threads; return the watchdog."""
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
        return watchdog

    def _stop(self, watchdog: Watchdog) -> None:
        """Stop all threads in order, and close the journal."""
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
