"""What the actuator tells Prometheus. Counters start at 0 for every service, so that a first event is seen."""

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
    """Drop a series, if it is there: older versions of prometheus_client raise where it is not."""
    with contextlib.suppress(KeyError):
        metric.remove(*labels)


class Metrics:
    """The actuator's metrics, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        r = self.registry
        ProcessCollector(registry=r)  # what the actuator itself costs: CPU, memory, open files
        self.holder = Gauge(
            "locum_actuator_holder",
            "1 for the host that holds the service, as the journal says",
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
            "1 while a host cannot be given a service, by what its gate reports of addresses and interface",
            ["service", "host"],
            registry=r,
        )
        self.starting = Gauge(
            "locum_actuator_starting",
            "1 while the service on a host was started and has not answered yet",
            ["service", "host"],
            registry=r,
        )
        self.reached = Gauge(
            "locum_actuator_reached",
            "1 if a vantage point got an answer through the service address that it does not hold, else 0",
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
            "locum_actuator_claims", "Addresses nobody held that were given back", ["service"], registry=r
        )
        self.moves = Counter(
            "locum_actuator_planned_moves",
            "Switchovers and failbacks that made their target the holder",
            ["service", "verb"],
            registry=r,
        )
        self.refusals = Counter(
            "locum_actuator_refusals",
            "Times locum saw a fault and would not act",
            ["service", "reason"],
            registry=r,
        )
        self.step_failures = Counter(
            "locum_actuator_step_failures", "Steps that did not work", ["service", "step"], registry=r
        )
        self.hook_failures = Counter(
            "locum_actuator_hook_failures", "Hooks that failed", ["service", "hook"], registry=r
        )
        self.step_seconds = Histogram(
            "locum_actuator_step_duration_seconds",
            "How long a step took",
            ["step"],
            buckets=_SECONDS,
            registry=r,
        )
        self.look_seconds = Histogram(
            "locum_actuator_look_duration_seconds",
            "How long looking again took",
            ["service"],
            buckets=_SECONDS,
            registry=r,
        )
        self.webhooks = Counter(
            "locum_actuator_webhooks", "Webhook requests by what became of them", ["verdict"], registry=r
        )
        self.heartbeat = Gauge(
            "locum_actuator_heartbeat_timestamp_seconds",
            "When the last heartbeat came through the chain",
            registry=r,
        )
        # Beside the time, for that is by this host's clock, and Prometheus may be on a host with another.
        self.heartbeat_age = Gauge(
            "locum_actuator_heartbeat_age_seconds",
            "How long ago the last heartbeat came through the chain; +Inf while none has",
            registry=r,
        )
        self.heartbeat_age.set(math.inf)
        self.chain_up = Gauge(
            "locum_actuator_chain_up",
            "1 while a part of the chain is there, 0 while it is missing, NaN while nobody can look",
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
        """Count a failed attempt of a background thread, and say whether it keeps failing."""
        self.thread_failures.labels(thread).inc()
        self.thread_failing.labels(thread).set(failing)

    def thread_succeeded(self, thread: str) -> None:
        """Start the series of a background thread, or say that it no longer fails."""
        self.thread_failures.labels(thread)
        self.thread_failing.labels(thread).set(0)

    def set_part(self, part: str, up: bool | None) -> None:
        """Say whether a part of the chain is there."""
        self.chain_up.labels(part).set(math.nan if up is None else up)

    def forget_part(self, part: str) -> None:
        """Drop a part that the chain no longer has."""
        _drop(self.chain_up, part)

    def init_service(self, service: str, hosts: Iterable[str]) -> None:
        """Start every series of a service at 0."""
        for host in hosts:
            self.holder.labels(service, host).set(0)
            self.unfit.labels(service, host).set(0)
            self.starting.labels(service, host).set(0)
        for gauge in (self.incident_open, self.epoch):
            gauge.labels(service).set(0)
        self.standby_available.labels(service).set(1)  # until the first patrol has asked
        for counter in (self.takeovers, self.respawns, self.claims):
            counter.labels(service)
        for verb in ("switchover", "failback"):
            self.moves.labels(service, verb)
        for step in _STEPS:
            self.step_failures.labels(service, step)

    def remove_service(self, service: str, hosts: Iterable[str], *, gone: bool) -> None:
        """Drop the gauges of hosts that a service no longer has, and, where it is gone, of the service.

        What is gone already is no fault: two reloads in a row may both drop it.
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
        """Say whether a service is reached through its address; there is no series where nobody could look."""
        if outcome is Outcome.NOT_LOOKED:
            with contextlib.suppress(KeyError):
                self.reached.remove(service)
        else:
            self.reached.labels(service).set(1 if outcome is Outcome.WELL else 0)

    def set_holder(self, service: str, hosts: Iterable[str], holder: str | None, epoch: int) -> None:
        """Say who holds a service."""
        for host in hosts:
            self.holder.labels(service, host).set(1 if host == holder else 0)
        self.epoch.labels(service).set(epoch)

    def set_heartbeat_age_function(self, seconds: Callable[[], float | None]) -> None:
        """Say where to ask, at each scrape, how long ago the last heartbeat came; None where none ever did."""

        def age() -> float:
            return math.inf if (known := seconds()) is None else known

        self.heartbeat_age.set_function(age)

    def record_heartbeat(self) -> None:
        """Note that a heartbeat came."""
        self.heartbeat.set(time.time())

    def render(self) -> bytes:
        """Return the metrics in Prometheus's text format."""
        return generate_latest(self.registry)
