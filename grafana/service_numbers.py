"""The numbers of the dashboard *service*: what its checks measured, and what the actuator did."""

from __future__ import annotations

from grafana_foundation_sdk.models import dashboard

from grafana import queries as q
from grafana.panels import About, Column, Query, lines_panel, table_panel, timeline_panel

ONE = 'service="$service"'
OF_A_HOST = f'{ONE}, through=""'  # not of the checks through the service address
PLACE = "{{host}} from {{vantage_point}}"
STEPS = ("respawn", "release", "fence", "mirror", "confirm", "start", "claim", "prove")
PHASES = ("connect", "first_byte", "transfer", "tls", "resolve")


def numbers() -> list[dashboard.Panel]:
    """Return the panels with what the checks measured."""
    return [
        lines_panel(
            About("Duration of checks", "The longest in each step.", 12),
            [
                Query(
                    "max by (host, check, vantage_point)"
                    f" ({q.highest(f'locum_check_duration_seconds{{{ONE}}}')})",
                    "{{check}} {{host}} from {{vantage_point}}",
                )
            ],
            unit="s",
        ),
        lines_panel(
            About("HTTP, phase by phase", "On the holder; mean of all vantage points.", 12),
            [
                Query(
                    f"avg by (phase) (locum_http_phase_seconds{{{OF_A_HOST}}}"
                    f" and on (service, host) ({q.holders(ONE)} == 1))",
                    "{{phase}}",
                )
            ],
            unit="s",
            known=PHASES,
            stacked=True,
        ),
        lines_panel(
            About("HTTP status", "Of the answer, expected or not.", 6),
            [Query(f"max by (host, vantage_point) (locum_http_status_code{{{OF_A_HOST}}})", PLACE)],
            unit="none",
            whole=True,
        ),
        lines_panel(
            About("HTTP body", "Size of the response body.", 6),
            [Query(f"max by (host, vantage_point) (locum_http_body_bytes{{{OF_A_HOST}}})", PLACE)],
            unit="bytes",
        ),
        lines_panel(
            About("TCP connection", "Time until it was established.", 6),
            [Query(f"max by (host, vantage_point) (locum_tcp_connect_seconds{{{OF_A_HOST}}})", PLACE)],
            unit="s",
        ),
        lines_panel(
            About(
                "Certificate",
                "Time until it expires. LocumCertificateExpires fires 14 days before.",
                6,
                8,
                ("LocumCertificateExpires",),
            ),
            [
                Query(
                    f"min by (host) (locum_http_certificate_expiry_timestamp_seconds{{{OF_A_HOST}}}) - time()",
                    "{{host}}",
                )
            ],
            unit="s",
        ),
    ]


def actions() -> list[dashboard.Panel]:
    """Return the panels with what the actuator did."""
    return [
        timeline_panel(
            About("Incidents", "`locum incidents` lists the steps of each.", 12, 5, ("LocumIncidentOpen",)),
            [Query(f"max({q.highest(f'locum_actuator_incident_open{{{ONE}}}')})", "incident")],
            q.INCIDENT,
        ),
        table_panel(
            About(
                "Refusals",
                "How often locum detected a fault but did not act, since the actuator was started.",
                12,
                5,
                ("LocumTakeoverRefused",),
            ),
            [Query(f"max by (reason) (locum_actuator_refusals_total{{{ONE}}})")],
            [Column("reason", "Reason"), Column("Value", "Times")],
        ),
        table_panel(
            About(
                "Hooks that failed",
                "Your commands before or after a step, since the actuator was started.",
                24,
                4,
                ("LocumHookFailed",),
            ),
            [Query(f"max by (hook) (locum_actuator_hook_failures_total{{{ONE}}})")],
            [Column("hook", "Hook"), Column("Value", "Times")],
        ),
        table_panel(
            About(
                "Steps", "How long each step took, for all services, since the actuator was started.", 12, 7
            ),
            [
                Query("max by (step) (locum_actuator_step_duration_seconds_count)"),
                Query(
                    "sum by (step) (locum_actuator_step_duration_seconds_sum)"
                    " / sum by (step) (locum_actuator_step_duration_seconds_count)"
                ),
                Query(
                    "histogram_quantile(0.9, sum by (le, step) (locum_actuator_step_duration_seconds_bucket))"
                ),
            ],
            [
                Column("step", "Step"),
                Column("Value #A", "Times"),
                Column("Value #B", "Mean", "s"),
                Column("Value #C", "90th percentile", "s"),
            ],
        ),
        lines_panel(
            About("Steps that failed", "Since the actuator was started.", 12, 7, ("LocumStepFailed",)),
            [Query(f"max by (step) (locum_actuator_step_failures_total{{{ONE}}})", "{{step}}")],
            unit="short",
            known=STEPS,
            whole=True,
        ),
    ]
