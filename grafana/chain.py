"""The dashboard *chain*: exporter, Prometheus, Alertmanager, actuator, and how long each hop takes."""

from __future__ import annotations

from grafana_foundation_sdk.models import dashboard

from grafana import chain_hops
from grafana import queries as q
from grafana.chain_hops import PARTS
from grafana.frame import Frame, Section, events
from grafana.links import CHAIN
from grafana.panels import SLOW, About, Column, Query, lines_panel, stat_panel, table_panel, timeline_panel

VERDICTS = ("heartbeat", "accepted", "resolved", "not_holder", "unauthorised", "journal")
# As measured by the actuator: its clock and that of Prometheus may differ. +Inf means that none ever arrived.
HEARTBEAT_AGE = "max(locum_actuator_heartbeat_age_seconds < Inf)"


def build() -> dashboard.Dashboard:
    """Return the dashboard."""
    return Frame(
        CHAIN,
        "Whether the monitoring chain from the checks to the actuator works, and how long each hop takes.",
        annotations=events(""),
        sections=[
            Section("State of the chain", _alive()),
            Section("Exporter and scrapes", chain_hops.scrapes()),
            Section("Rules and alerts", chain_hops.alerts()),
            Section("Actuator", _actuator()),
            Section("What it costs", _costs()),
        ],
    ).build()


def _alive() -> list[dashboard.Panel]:
    gone = {
        "exporter": "LocumExporterGone",
        "prometheus": None,
        "alertmanager": "LocumAlertmanagerGone",
        "actuator": "LocumActuatorGone",
    }
    parts = [
        stat_panel(
            About(
                job.capitalize(),
                "The worst, if there are several.",
                4,
                4,
                (alert,) if alert else (),
            ),
            Query(f'min(up{{job="locum-{job}"}})'),
            states=q.UP,
            empty="NOT SCRAPED",
        )
        for job, alert in gone.items()
    ]
    return [
        *parts,
        stat_panel(
            About(
                "Heartbeat",
                "Time since the actuator last received the alert that always fires. It arrives every two or three"
                " seconds.",
                4,
                4,
                ("LocumNoHeartbeat",),
            ),
            Query(HEARTBEAT_AGE),
            unit="s",
            wrong_from=8,
            empty="NEVER RECEIVED",
        ),
        stat_panel(
            About(
                "Checks without an answer",
                "Targets that Prometheus could not scrape.",
                4,
                4,
                ("LocumProbeGone",),
            ),
            Query('count(up{job="locum-probe"} == 0) or vector(0)'),
            wrong_from=1,
        ),
        timeline_panel(
            About(
                "Parts",
                "Whether Prometheus could scrape them.",
                12,
                8,
                ("LocumExporterGone", "LocumActuatorGone", "LocumAlertmanagerGone"),
            ),
            [
                Query(
                    f'min by (job, instance) (up{{job=~"locum-({"|".join(PARTS)})"}})', "{{job}} {{instance}}"
                )
            ],
            q.UP,
        ),
        timeline_panel(
            About(
                "Parts, according to the actuator",
                "Including whether Prometheus has all of locum's rules, and whether the journal can be written.",
                12,
                8,
                ("LocumChainPartMissing", "LocumJournalFault"),
            ),
            [Query("min by (part) (locum_actuator_chain_up)", "{{part}}")],
            q.THERE,
        ),
        timeline_panel(
            About(
                "Threads of the actuator",
                "FAILING once a thread has failed several times in a row: its work is not being done.",
                12,
                8,
                ("LocumThreadFailing",),
            ),
            [Query("1 - max by (thread) (locum_actuator_thread_failing)", "{{thread}}")],
            q.THREADS,
        ),
        lines_panel(
            About(
                "Failures of the actuator's threads",
                "Each is logged with its reason. A single failure was retried successfully.",
                12,
                8,
                ("LocumThreadFailing",),
            ),
            [Query("sum by (thread) (increase(locum_actuator_thread_failures_total[5m]))", "{{thread}}")],
            unit="short",
            whole=True,
        ),
        lines_panel(
            About("Age of the heartbeat", "LocumNoHeartbeat fires above 8 s.", 24, 6, ("LocumNoHeartbeat",)),
            [Query(HEARTBEAT_AGE, "age")],
            unit="s",
            known=("age",),
            wrong_from=8,
        ),
    ]


def _actuator() -> list[dashboard.Panel]:
    looks = "locum_actuator_look_duration_seconds"
    return [
        lines_panel(
            About("Webhooks", "In the last minute, by result. Heartbeats are included.", 12),
            [
                Query(
                    q.since_first("locum_actuator_webhooks_total", "", by="verdict", window="1m"),
                    "{{verdict}}",
                )
            ],
            unit="short",
            known=VERDICTS,
            whole=True,
        ),
        table_panel(
            About("Checks before acting", "How long they took, since the actuator was started.", 12),
            [
                Query(f"max by (service) ({looks}_count)"),
                Query(f"sum by (service) ({looks}_sum) / sum by (service) ({looks}_count)"),
                Query(f"histogram_quantile(0.5, sum by (le, service) ({looks}_bucket))"),
                Query(f"histogram_quantile(0.9, sum by (le, service) ({looks}_bucket))"),
            ],
            [
                Column("service", "Service"),
                Column("Value #A", "Times"),
                Column("Value #B", "Mean", "s"),
                Column("Value #C", "Median", "s"),
                Column("Value #D", "90th percentile", "s"),
            ],
        ),
    ]


def _costs() -> list[dashboard.Panel]:
    return [
        lines_panel(
            About("CPU", "Share of one core.", 12),
            [
                Query(
                    'sum by (job) (rate(process_cpu_seconds_total{job=~"locum-.+"}[$__rate_interval]))',
                    "{{job}}",
                )
            ],
            unit="percentunit",
            known=PARTS,
            interval=SLOW,
        ),
        lines_panel(
            About("Memory", "Resident.", 12),
            [Query('sum by (job) (process_resident_memory_bytes{job=~"locum-.+"})', "{{job}}")],
            unit="bytes",
            known=PARTS,
            interval=SLOW,
        ),
    ]
