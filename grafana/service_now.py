"""The first row of the dashboard *service*: its state now, and in the time shown."""

from __future__ import annotations

from grafana_foundation_sdk.models import dashboard

from grafana import queries as q
from grafana.panels import About, Query, stat_panel
from grafana.service_numbers import ONE


def now() -> list[dashboard.Panel]:
    """Return the big values at the top."""
    return [
        stat_panel(
            About("Holder", "The host that holds the service, according to the actuator's journal.", 5, 4),
            Query(f"{q.holders(ONE)} == 1", "{{host}}"),
            names=True,
            empty="none",
        ),
        stat_panel(
            About(
                "Hosts that hold the address",
                "As detected on the network.",
                5,
                4,
                ("LocumAddressUnheld", "LocumAddressHeldTwice"),
            ),
            Query(f"max(locum_address_owners{{{ONE}}})"),
            states=q.OWNERS,
            many=q.OWNERS_MANY,
        ),
        stat_panel(
            About(
                "Incident",
                "Whether one is open. `locum explain` shows what locum is waiting for.",
                4,
                4,
                ("LocumIncidentOpen",),
            ),
            Query(f"max(locum_actuator_incident_open{{{ONE}}})"),
            states=q.INCIDENT,
        ),
        stat_panel(
            About(
                "Could another host take over?",
                "If not, the next fault is an outage.",
                4,
                4,
                ("LocumAlone",),
            ),
            Query(f"min(locum_actuator_standby_available{{{ONE}}})"),
            states=q.STAND_IN,
        ),
        stat_panel(
            About(
                "Unfit hosts",
                "Hosts whose gate reports addresses that differ from the site file, or no interface that is up for"
                " them.",
                3,
                4,
                ("LocumHostUnfit",),
            ),
            Query(f"sum(max by (host) (locum_actuator_host_unfit{{{ONE}}}))"),
            wrong_from=1,
        ),
        stat_panel(
            About("Takeovers", "In the time shown.", 3, 4, ("LocumTakeover",)),
            Query(q.in_range("locum_actuator_takeovers_total", ONE)),
            wrong_from=1,
        ),
        stat_panel(
            About("Respawns", "In the time shown.", 3, 4, ("LocumRespawned",)),
            Query(q.in_range("locum_actuator_respawns_total", ONE)),
            wrong_from=1,
        ),
        stat_panel(
            About(
                "Without service",
                "In the time shown, as the rules recorded it each second: an outage shorter than that may count as"
                " none or as a second.",
                4,
                4,
                ("LocumServiceDown",),
            ),
            Query(q.seconds_without_service(ONE)),
            unit="s",
            wrong_from=1,
        ),
        stat_panel(
            About(
                "Available",
                "The share of the seconds in the time shown in which the service was served. Only seconds in which"
                " a vantage point could check are counted.",
                4,
                4,
                ("LocumServiceDown",),
            ),
            Query(q.availability(ONE)),
            unit="percentunit",
            decimals=3,
        ),
        stat_panel(
            About(
                "Starting on",
                "Hosts on which it was started but has not answered yet, within `commands.start_timeout`.",
                4,
                4,
            ),
            Query(f"locum_actuator_starting{{{ONE}}} == 1", "{{host}}"),
            names=True,
            empty="none",
        ),
        stat_panel(
            About(
                "Paused",
                "While paused, locum does not act on the service.",
                3,
                4,
                ("LocumPausedTooLong",),
            ),
            Query(f"max(locum_actuator_paused{{{ONE}}})"),
            states=q.PAUSED,
        ),
        stat_panel(
            About(
                "Pause ends in",
                "Automatically; `locum resume` ends it earlier.",
                3,
                4,
                ("LocumPausedTooLong",),
            ),
            Query(f"max(locum_actuator_paused_until_timestamp_seconds{{{ONE}}}) - time()"),
            unit="s",
            empty="none set",
        ),
        stat_panel(
            About(
                "Budget of this hour",
                "Whether the respawns or takeovers that the site file allows in an hour are used up.",
                3,
                4,
                ("LocumFlapping",),
            ),
            Query(f"max(locum_actuator_flapping{{{ONE}}})"),
            states=q.FLAPPING,
        ),
        stat_panel(
            About(
                "Oldest data",
                "On a host that may have to take over: data newer than this would be lost.",
                3,
                4,
                ("LocumMirrorStale",),
            ),
            Query(f"max(locum_mirror_age_seconds{{{ONE}}})"),
            unit="s",
            empty="no mirror",
        ),
    ]
