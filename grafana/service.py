"""The dashboard *service*: one service from every vantage point, and what was done for it."""

from __future__ import annotations

from grafana_foundation_sdk.models import dashboard

from grafana import queries as q
from grafana import service_mirror, service_now, service_numbers
from grafana.frame import Frame, Section, events, query_variable
from grafana.links import SERVICE
from grafana.panels import About, Query, lines_panel, timeline_panel
from grafana.service_numbers import ONE, PLACE


def build() -> dashboard.Dashboard:
    """Return the dashboard."""
    return Frame(
        SERVICE,
        "One service: its checks from every vantage point, its incidents, what was done about them, and its data.",
        variables=[
            query_variable("service", "Service", "label_values(locum_actuator_holder, service)", many=False)
        ],
        annotations=events(ONE),
        sections=[
            Section("Now", service_now.now()),
            Section("Its checks", _checks()),
            Section("Its address and its hosts", _hosts()),
            Section("In numbers", service_numbers.numbers()),
            Section("Its data", service_mirror.copies()),
            Section("What the actuator did", service_numbers.actions()),
        ],
    ).build()


def _checks() -> list[dashboard.Panel]:
    return [
        timeline_panel(
            About(
                "The service",
                "The worst result of each step, so that a short outage is visible at any zoom. Without service: its"
                " deciding checks fail from every vantage point, or no host holds its address.",
                24,
                4,
                ("LocumServiceDown", "LocumAddressUnheld", "LocumNotReached"),
            ),
            [Query(f"max_over_time(({q.without_service(ONE)})[$__interval:250ms])", "{{service}}")],
            q.SERVED,
        ),
        timeline_panel(
            About(
                "Checks",
                "The worst result of each step. A standby that should be stopped does not answer and is ok."
                " The marks are incidents and what was done about them.",
                24,
                9,
                ("LocumServiceDown", "LocumStandbyNotReady", "LocumProcessAbsent"),
            ),
            [
                Query(q.checks(f'{ONE}, check!~"ping|address"'), "{{check}} {{host}} from {{vantage_point}}"),
                Query(q.through_address(ONE), "{{check}} through its address from {{vantage_point}}"),
                Query(f"min(locum_actuator_reached{{{ONE}}})", "reached, according to the actuator"),
            ],
            q.CHECK,
        ),
        timeline_panel(
            About(
                "Why checks failed",
                "Every failure with its reason, including those of a standby that should be stopped.",
                16,
                8,
                ("LocumCannotLook",),
            ),
            [
                Query(
                    q.failures(ONE),
                    "{{check}} {{host}} from {{vantage_point}}: {{reason}}",
                )
            ],
            q.FAILS,
        ),
        lines_panel(
            About(
                "Votes against a host",
                "Vantage points for which a deciding check failed twice in a row. If more than half of those that"
                " could check vote against the holder, the actuator is triggered.",
                8,
                8,
                ("LocumServiceDown",),
            ),
            [
                Query(f"max by (host) (locum:votes_down{{{ONE}}})", "against {{host}}"),
                Query(f"max by (host) (locum:votes_cast{{{ONE}}})", "could check {{host}}"),
                Query(f"max by (host) (locum_site_voters{{{ONE}}})", "configured for {{host}}"),
            ],
            unit="short",
            whole=True,
        ),
    ]


def _hosts() -> list[dashboard.Panel]:
    return [
        timeline_panel(
            About("Holder over time", "According to the actuator's journal.", 12, 6, ("LocumTakeover",)),
            [Query(q.holders(ONE), "{{host}}")],
            q.HOLDS,
        ),
        timeline_panel(
            About(
                "Hosts that answer for the address",
                "As detected on the network from each vantage point.",
                12,
                6,
                ("LocumAddressUnheld", "LocumAddressHeldTwice"),
            ),
            [
                Query(
                    f"max by (owner, vantage_point) (locum_address_owner{{{ONE}}})",
                    "{{owner}} from {{vantage_point}}",
                )
            ],
            q.ANSWERS,
        ),
        lines_panel(
            About("Ping", "Round-trip time of an echo request.", 12, 8, ("LocumHostUnreachable",)),
            [
                Query(
                    f"max by (host, vantage_point) (locum_ping_rtt_seconds and on (host) {q.holders(ONE)})",
                    PLACE,
                )
            ],
            unit="s",
        ),
        lines_panel(
            About(
                "Processes",
                "Running processes with the configured name. A gap means that no check could be made.",
                12,
                8,
                ("LocumProcessAbsent",),
            ),
            [Query(f"max by (host, vantage_point) (locum_process_count{{{ONE}}})", PLACE)],
            unit="short",
            whole=True,
        ),
    ]
