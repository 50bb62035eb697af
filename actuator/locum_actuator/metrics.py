"""The actuator's Prometheus metrics. Counters start at 0, so that the first event is an increase."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

from locum_exporter.result import Outcome

_SECONDS = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 30)
_STEPS = ("respawn", "release", "fence", "mirror", "confirm", "start", "claim", "prove")


def worker_thread(service: str) -> str:
    """Return the name of the thread that handles a service."""
    return f"worker-{service}"


def _drop(metric: Counter | Gauge, *labels: str) -> None:
    """Remove a series if it exists: older versions of prometheus_client raise if it does not."""
    with contextlib.suppress(KeyError):
        metric.remove(*labels)


class Metrics:
    """The actuator's metrics, in their own registry."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        r = self.registry
        ProcessCollector(registry=r)  # the actuator's own CPU time, memory and open files
        self.holder = Gauge(
            "locum_actuator_holder",
            "1 for the host that holds the service according to the journal",
            ["service", "host"],
            registry=r,
        )
        self.epoch = Gauge(
            "locum_actuator_epoch", "Number of the last change of holder", ["service"], registry=r
        )
        self.incident_open = Gauge(
            "locum_actuator_incident_open", "1 while an incident is open", ["service"], registry=r
        )
        self.standby_available = Gauge(
            "locum_actuator_standby_available",
            "1 while another host could take over from the holder",
            ["service"],
            registry=r,
        )
        self.unfit = Gauge(
            "locum_actuator_host_unfit",
            "1 while a host cannot hold a service, because of the addresses or the interface that its gate reports",
            ["service", "host"],
            registry=r,
        )
        self.starting = Gauge(
            "locum_actuator_starting",
            "1 while a service is starting on a host and has not answered yet",
            ["service", "host"],
            registry=r,
        )
        self.reached = Gauge(
            "locum_actuator_reached",
            "1 if a vantage point other than the holder got an answer through the service address, else 0",
            ["service"],
            registry=r,
        )
        self.takeovers = Counter(
            "locum_actuator_takeovers", "Takeovers that made a standby the holder", ["service"], registry=r
        )
        self.respawns = Counter(
            "locum_actuator_respawns", "Respawns that brought the service back", ["service"], registry=r
        )
        self.claims = Counter(
            "locum_actuator_claims",
            "Addresses without a holder that were claimed again",
            ["service"],
            registry=r,
        )
        self.moves = Counter(
            "locum_actuator_planned_moves",
            "Switchovers and failbacks that made their target the holder",
            ["service", "verb"],
            registry=r,
        )
        self.refusals = Counter(
            "locum_actuator_refusals",
            "Faults on which locum refused to act",
            ["service", "reason"],
            registry=r,
        )
        self.step_failures = Counter(
            "locum_actuator_step_failures", "Steps that failed", ["service", "step"], registry=r
        )
        self.hook_failures = Counter(
            "locum_actuator_hook_failures", "Hooks that failed", ["service", "hook"], registry=r
        )
        self.step_seconds = Histogram(
            "locum_actuator_step_duration_seconds",
            "Duration of a step",
            ["step"],
            buckets=_SECONDS,
            registry=r,
        )
        self.look_seconds = Histogram(
            "locum_actuator_look_duration_seconds",
            "Duration of an evaluation",
            ["service"],
            buckets=_SECONDS,
            registry=r,
        )
        self.webhooks = Counter(
            "locum_actuator_webhooks", "Webhook requests by verdict", ["verdict"], registry=r
        )
        self.heartbeat = Gauge(
            "locum_actuator_heartbeat_timestamp_seconds",
            "Time of the last heartbeat that arrived through the monitoring chain",
            registry=r,
        )
        # In addition to the time, which is by this host's clock: Prometheus's host may have another.
        self.heartbeat_age = Gauge(
            "locum_actuator_heartbeat_age_seconds",
            "Seconds since the last heartbeat arrived through the monitoring chain; +Inf before the first",
            registry=r,
        )
        self.heartbeat_age.set(math.inf)
        self.chain_up = Gauge(
            "locum_actuator_chain_up",
            "1 while a part of the monitoring chain is ok, 0 while it is missing, NaN while it cannot be checked",
            ["part"],
            registry=r,
        )
        self.thread_failures = Counter(
            "locum_actuator_thread_failures",
            "Failed attempts of a background thread, each logged with its reason",
            ["thread"],
            registry=r,
        )
        self.thread_failing = Gauge(
            "locum_actuator_thread_failing",
            "1 while a background thread has failed several times in a row",
            ["thread"],
            registry=r,
        )

    def thread_failed(self, thread: str, *, failing: bool) -> None:
        """Count a failed attempt of a background thread, and record whether it keeps failing."""
        self.thread_failures.labels(thread).inc()
        self.thread_failing.labels(thread).set(failing)

    def thread_succeeded(self, thread: str) -> None:
        """Create the series of a background thread, or record that it no longer fails."""
        self.thread_failures.labels(thread)
        self.thread_failing.labels(thread).set(0)

    def set_part(self, part: str, up: bool | None) -> None:
        """Set the state of a part of the chain."""
        self.chain_up.labels(part).set(math.nan if up is None else up)

    def forget_part(self, part: str) -> None:
        """Remove a part that the chain no longer has."""
        _drop(self.chain_up, part)

    def init_service(self, service: str, hosts: Iterable[str]) -> None:
        """Create every series of a service with the value 0."""
        for host in hosts:
            self.holder.labels(service, host).set(0)
            self.unfit.labels(service, host).set(0)
            self.starting.labels(service, host).set(0)
        for gauge in (self.incident_open, self.epoch):
            gauge.labels(service).set(0)
        self.standby_available.labels(service).set(1)  # until the first patrol has checked
        for counter in (self.takeovers, self.respawns, self.claims):
            counter.labels(service)
        for verb in ("switchover", "failback"):
            self.moves.labels(service, verb)
        for step in _STEPS:
            self.step_failures.labels(service, step)

    def remove_service(self, service: str, hosts: Iterable[str], *, gone: bool) -> None:
        """Remove the gauges of hosts that a service no longer has, and of the service if it no longer exists.

        Series that are already removed are ignored: two reloads in a row may both remove them.
        """
        for host in hosts:
            for gauge in (self.holder, self.unfit, self.starting):
                _drop(gauge, service, host)
        if gone:
            for gauge in (self.incident_open, self.standby_available, self.epoch):
                _drop(gauge, service)
            self.set_reached(service, Outcome.NOT_LOOKED)
            for series in (self.thread_failures, self.thread_failing):
                _drop(series, worker_thread(service))

    def set_reached(self, service: str, outcome: Outcome) -> None:
        """Set whether a service is reached through its address; there is no series if that could not be checked."""
        if outcome is Outcome.NOT_LOOKED:
            with contextlib.suppress(KeyError):
                self.reached.remove(service)
        else:
            self.reached.labels(service).set(1 if outcome is Outcome.WELL else 0)

    def set_holder(self, service: str, hosts: Iterable[str], holder: str | None, epoch: int) -> None:
        """Set the holder of a service."""
        for host in hosts:
            self.holder.labels(service, host).set(1 if host == holder else 0)
        self.epoch.labels(service).set(epoch)

    def set_heartbeat_age_function(self, seconds: Callable[[], float | None]) -> None:
        """Set the function that returns the age of the last heartbeat at each scrape; None before the first."""

        def age() -> float:
            return math.inf if (known := seconds()) is None else known

        self.heartbeat_age.set_function(age)

    def record_heartbeat(self) -> None:
        """Record the arrival of a heartbeat."""
        self.heartbeat.set(time.time())

    def render(self) -> bytes:
        """Return the metrics in Prometheus's text format."""
        return generate_latest(self.registry)
