"""The dashboard *site*: who holds what, the health of every check on every host, what is open."""

from __future__ import annotations

from grafana_foundation_sdk.models import dashboard

from grafana import queries as q
from grafana import site_events
from grafana.frame import Frame, Section, events, query_variable
from grafana.links import SITE, TO_SERVICE, TO_SERVICE_FROM_ROW
from grafana.panels import About, Column, Query, stat_panel, table_panel, timeline_panel
from grafana.site_events import CHOSEN

CHECKS = f'{CHOSEN}, check!~"ping|address"'


def build() -> dashboard.Dashboard:
    """Return the dashboard."""
    return Frame(
        SITE,
        "Which host holds each service, the state of every check on every host, and open incidents.",
        variables=[
            query_variable("service", "Service", "label_values(locum_actuator_holder, service)", many=True)
        ],
        annotations=events(CHOSEN),
        sections=[
            Section("Now", _now()),
            Section("Holders", _holders()),
            Section("Health", _health()),
            Section("Problems and actions", site_events.events_and_alerts()),
            Section("Availability and data", site_events.over_time()),
        ],
    ).build()


def _now() -> list[dashboard.Panel]:
    def count(title: str, description: str, expr: str, *alerts: str) -> dashboard.Panel:
        about = About(title, description, 3, 4, alerts)
        return stat_panel(about, Query(expr), wrong_from=1 if title != "Services" else None)

    return [
        count(
            "Services",
            "Services that the actuator manages.",
            f"count(max by (service) (locum_actuator_epoch{{{CHOSEN}}}))",
        ),
        count(
            "Without a holder",
            "Services whose holder the actuator does not know.",
            f"count(max by (service) (locum_actuator_holder{{{CHOSEN}}}) == 0) or vector(0)",
            "LocumAddressUnheld",
        ),
        count(
            "Incidents open",
            "Services with an open incident.",
            f"sum(max by (service) (locum_actuator_incident_open{{{CHOSEN}}}))",
            "LocumIncidentOpen",
        ),
        count(
            "No standby",
            "Services for which no other host could take over now: the next fault is an outage.",
            f"sum(1 - min by (service) (locum_actuator_standby_available{{{CHOSEN}}}))",
            "LocumAlone",
        ),
        count(
            "Held twice",
            "Services with an address that two hosts answer for. This must never happen.",
            f"count(max by (service) (locum_address_owners{{{CHOSEN}}}) >= 2) or vector(0)",
            "LocumAddressHeldTwice",
        ),
        count(
            "Alerts firing",
            "Alerts of locum that are firing now, including those that are for information only.",
            'count(ALERTS{alertname=~"Locum.+", alertname!="LocumHeartbeat", alertstate="firing"}) or vector(0)',
        ),
        count(
            "Paused",
            "Services that have been paused.",
            f"sum(max by (service) (locum_actuator_paused{{{CHOSEN}}}))",
            "LocumPausedTooLong",
        ),
        count(
            "Stale copies",
            "Copies that are older than allowed, incomplete, or were never made.",
            f"count(max by (service, host) (locum_mirror_stale{{{CHOSEN}}}) == 1) or vector(0)",
            "LocumMirrorStale",
            "LocumMirrorFailing",
        ),
    ]


def _holders() -> list[dashboard.Panel]:
    return [
        timeline_panel(
            About(
                "Holder of each service",
                "The holder of each service according to the actuator's journal. Click a row to open the service.",
                14,
                9,
                ("LocumTakeover",),
            ),
            [Query(q.holders(CHOSEN), "{{service}} on {{host}}")],
            q.HOLDS,
            url=TO_SERVICE,
        ),
        table_panel(
            About("Holders now", "The epoch increases by one with every change of holder.", 10, 9),
            [
                Query(
                    f"max by (service) (locum_actuator_epoch{{{CHOSEN}}})"
                    f" * on (service) group_right () ({q.holders(CHOSEN)} == 1)"
                )
            ],
            [
                Column("service", "Service", url=TO_SERVICE_FROM_ROW),
                Column("host", "Holder"),
                Column("Value", "Epoch"),
            ],
            empty="no holder is known",
        ),
        timeline_panel(
            About(
                "Hosts that answer for the address",
                "How many different hosts hold each service's addresses, as detected by a vantage point.",
                24,
                7,
                ("LocumAddressUnheld", "LocumAddressHeldTwice"),
            ),
            [
                Query(
                    f"max by (service, vantage_point) (locum_address_owners{{{CHOSEN}}})",
                    "{{service}} from {{vantage_point}}",
                )
            ],
            q.OWNERS,
            many=q.OWNERS_MANY,
            url=TO_SERVICE,
        ),
    ]


def _health() -> list[dashboard.Panel]:
    return [
        timeline_panel(
            About(
                "Every check on every host",
                "The worst result of each step, so that a short failure is visible at any zoom. A standby that"
                " should be stopped does not answer and is ok.",
                24,
                12,
                ("LocumServiceDown", "LocumStandbyNotReady", "LocumProcessAbsent"),
            ),
            [Query(q.checks(CHECKS), q.CHECK_NAME)],
            q.CHECK,
            url=TO_SERVICE,
        ),
        timeline_panel(
            About("Ping", "Whether each host answered echo requests.", 24, 6, ("LocumHostUnreachable",)),
            [Query(q.pings(), "{{host}} from {{vantage_point}}")],
            q.CHECK,
        ),
    ]
