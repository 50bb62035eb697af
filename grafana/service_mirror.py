"""The mirror on the dashboard *service*: the age of each copy, and the results of mirror runs."""

from __future__ import annotations

from grafana_foundation_sdk.models import dashboard

from grafana import queries as q
from grafana.panels import About, Column, Query, lines_panel, table_panel, timeline_panel
from grafana.service_numbers import ONE

ALERTS = ("LocumMirrorStale", "LocumMirrorFailing")


def copies() -> list[dashboard.Panel]:
    """Return the panels about a service's copies; all of them are empty if it has no mirror."""
    return [
        table_panel(
            About(
                "Copies now",
                "On every host except the holder. The age is that of the data: since the start of the last run that"
                " made the copy complete, or since the host was the holder itself.",
                24,
                5,
                ALERTS,
            ),
            [
                Query(q.of_copy("locum_mirror_age_seconds", ONE)),
                Query(f"time() - {q.of_copy('locum_mirror_last_success_timestamp_seconds', ONE)}"),
                Query(q.of_copy("locum_mirror_stale", ONE)),
                Query(q.of_copy("locum_mirror_last_duration_seconds", ONE)),
                Query(q.of_copy("locum_mirror_last_files", ONE)),
                Query(q.of_copy("locum_mirror_last_copied_files", ONE)),
                Query(q.of_copy("locum_mirror_last_deleted_files", ONE)),
                Query(q.of_copy("locum_mirror_last_sent_bytes", ONE)),
            ],
            [
                Column("host", "Host"),
                Column("Value #A", "Age of the data", "s"),
                Column("Value #B", "Time since the last complete run began", "s"),
                Column("Value #C", "State", states=q.COPY),
                Column("Value #D", "Last run took", "s"),
                Column("Value #E", "Files in it", "short"),
                Column("Value #F", "Copied", "short"),
                Column("Value #G", "Deleted", "short"),
                Column("Value #H", "Sent", "bytes"),
            ],
            empty="no mirror",
        ),
        lines_panel(
            About(
                "Age of the copies",
                "Data newer than this would be lost if the holder failed now. Above the allowed age the copy is"
                " stale, and with `when_stale: refuse` its host does not take over.",
                12,
                8,
                ("LocumMirrorStale",),
            ),
            [
                Query(q.of_copy("locum_mirror_age_seconds", ONE), "on {{host}}"),
                Query(f"max(locum_mirror_max_age_seconds{{{ONE}}})", "allowed"),
            ],
            unit="s",
            known=("allowed",),
        ),
        timeline_panel(
            About(
                "Copies over time",
                "Stale: older than allowed, incomplete, or never made.",
                12,
                8,
                ("LocumMirrorStale",),
            ),
            [Query(q.of_copy("locum_mirror_stale", ONE), "copy on {{host}}")],
            q.COPY,
        ),
        timeline_panel(
            About(
                "Result of the last run",
                "`locum mirror SERVICE --runs` shows why a run was refused or failed.",
                12,
                6,
                ("LocumMirrorFailing",),
            ),
            [
                Query(
                    f"max by (host, outcome) (locum_mirror_last_result{{{ONE}}}) == 1",
                    "onto {{host}}: {{outcome}}",
                )
            ],
            q.IS_SO,
        ),
        timeline_panel(
            About(
                "Runs", "Whether a run is in progress. A run shorter than a second may not be shown.", 12, 6
            ),
            [
                Query(
                    f"max({q.highest(f'locum_mirror_running{{{ONE}}}')})",
                    "mirror",
                )
            ],
            q.RUNNING,
        ),
        lines_panel(
            About("Sent by the last run", "Bytes on the wire.", 8, 7),
            [Query(q.of_copy("locum_mirror_last_sent_bytes", ONE), "to {{host}}")],
            unit="bytes",
        ),
        lines_panel(
            About(
                "Files of the last run",
                "Sent because their content changed, and deleted because the source no longer has them. Many"
                " deletions at once are refused.",
                8,
                7,
                ("LocumMirrorFailing",),
            ),
            [
                Query(q.of_copy("locum_mirror_last_copied_files", ONE), "{{host}}: copied"),
                Query(q.of_copy("locum_mirror_last_deleted_files", ONE), "{{host}}: deleted"),
            ],
            unit="short",
            known=("copied", "deleted"),
            whole=True,
        ),
        lines_panel(
            About("Duration of the last run", "From start to finish.", 8, 7),
            [Query(q.of_copy("locum_mirror_last_duration_seconds", ONE), "to {{host}}")],
            unit="s",
        ),
    ]
