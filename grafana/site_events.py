"""The lower half of the dashboard *site*: problems and actions, availability and data."""

from __future__ import annotations

from grafana_foundation_sdk.models import dashboard

from grafana import queries as q
from grafana.links import TO_RUNBOOK, TO_SERVICE, TO_SERVICE_FROM_ROW
from grafana.panels import About, Column, Query, table_panel, timeline_panel

CHOSEN = 'service=~"$service"'


def events_and_alerts() -> list[dashboard.Panel]:
    """Return the panels about problems, and what was done about them."""
    return [
        table_panel(
            About(
                "Checks that fail now",
                "With the reason. A standby that should be stopped is not shown.",
                12,
                8,
                ("LocumCannotLook",),
            ),
            [Query(q.failing_now(CHOSEN))],
            [
                Column("service", "Service", url=TO_SERVICE_FROM_ROW),
                Column("host", "Host"),
                Column("check", "Check"),
                Column("vantage_point", "From"),
                Column("reason", "Reason"),
            ],
        ),
        table_panel(
            About("Alerts", "Pending and firing. Click an alert to open the runbook.", 12),
            [
                Query(
                    "max by (alertname, alertstate, severity, service, host)"
                    ' (ALERTS{alertname=~"Locum.+", alertname!="LocumHeartbeat"})'
                )
            ],
            [
                Column("alertname", "Alert", url=TO_RUNBOOK),
                Column("alertstate", "State"),
                Column("severity", "Severity"),
                Column("service", "Service"),
                Column("host", "Host"),
            ],
        ),
        timeline_panel(
            About(
                "Incidents",
                "An incident is one fault of one service, from what triggered the actuator to the last step."
                " `locum incidents` lists the steps.",
                12,
                8,
                ("LocumIncidentOpen",),
            ),
            [
                Query(
                    f"max by (service) ({q.highest(f'locum_actuator_incident_open{{{CHOSEN}}}')})",
                    "{{service}}",
                )
            ],
            q.INCIDENT,
            url=TO_SERVICE,
        ),
        table_panel(
            About(
                "What the actuator did",
                "Number of times in the time shown.",
                12,
                8,
                ("LocumTakeover", "LocumRespawned", "LocumTakeoverRefused", "LocumStepFailed"),
            ),
            [
                Query(q.in_range("locum_actuator_respawns_total", CHOSEN)),
                Query(q.in_range("locum_actuator_takeovers_total", CHOSEN)),
                Query(q.in_range("locum_actuator_planned_moves_total", CHOSEN)),
                Query(q.in_range("locum_actuator_claims_total", CHOSEN)),
                Query(q.in_range("locum_actuator_step_failures_total", CHOSEN)),
                Query(q.since_first("locum_actuator_refusals_total", CHOSEN)),
            ],
            [
                Column("service", "Service", url=TO_SERVICE_FROM_ROW),
                Column("Value #A", "Respawns"),
                Column("Value #B", "Takeovers"),
                Column("Value #C", "Planned moves"),
                Column("Value #D", "Addresses restored"),
                Column("Value #E", "Steps failed"),
                Column("Value #F", "Refusals"),
            ],
        ),
    ]


def over_time() -> list[dashboard.Panel]:
    """Return the panels about each service's availability and the age of its copies."""
    return [
        table_panel(
            About(
                "Without service",
                "In the time shown, as the rules recorded it each second: its deciding checks failed on its holder,"
                " or no host held its address.",
                12,
                7,
                ("LocumServiceDown", "LocumAddressUnheld"),
            ),
            [
                Query(q.seconds_without_service(CHOSEN)),
                Query(q.availability(CHOSEN)),
                Query(f"max by (service) (locum_actuator_flapping{{{CHOSEN}}})"),
            ],
            [
                Column("service", "Service", url=TO_SERVICE_FROM_ROW),
                Column("Value #A", "Without service", "s"),
                Column("Value #B", "Available", "percentunit"),
                Column("Value #C", "Budget of this hour", states=q.FLAPPING),
            ],
        ),
        table_panel(
            About(
                "Copies of the data",
                "On every host that does not hold the service, and the result of the last run onto it.",
                12,
                7,
                ("LocumMirrorStale", "LocumMirrorFailing"),
            ),
            [
                Query(q.of_copy("locum_mirror_age_seconds", CHOSEN, by="service, host")),
                Query(q.of_copy("locum_mirror_stale", CHOSEN, by="service, host")),
                Query(f"max by (service, host, outcome) (locum_mirror_last_result{{{CHOSEN}}}) == 1"),
            ],
            [
                Column("service", "Service", url=TO_SERVICE_FROM_ROW),
                Column("host", "Host"),
                Column("Value #A", "Age of the data", "s"),
                Column("Value #B", "State", states=q.COPY),
                Column("outcome", "Last run"),
            ],
            empty="no mirror",
        ),
    ]
