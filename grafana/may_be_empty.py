"""What may be empty on a site without problems, and why. Every other query must return something."""

from __future__ import annotations

from collections.abc import Mapping

_SHORT = "an incident may end between two scrapes; the actions in it are counted and marked"
_MARKS = {
    "incident open": _SHORT,
    "respawn": "nothing was respawned",
    "address claimed": "no address had to be restored",
    "takeover": "nothing was taken over",
    "step failed": "no step failed",
    "refused": "nothing was refused",
}

# By dashboard, panel and the letter of the query: the metric exists, but nothing matches.
PANELS: Mapping[str, str] = {
    "service: Votes against a host: A": "no deciding check failed twice in a row",
    "service: Starting on: A": "nothing was started recently",
    "site: Checks that fail now: A": "no check fails",
    "site: Alerts: A": "no alert is pending or firing",
    **{
        f"{dashboard}: mark '{mark}': A": reason
        for dashboard in ("site", "service", "chain")
        for mark, reason in _MARKS.items()
    },
}

_NO_MIRROR = "no service has a mirror"

# Metrics that need not exist: a query of one may be empty if Prometheus has never stored it.
METRICS: Mapping[str, str] = {
    "locum_actuator_refusals_total": "nothing was refused",
    "locum_actuator_hook_failures_total": "no hook failed",
    "locum_actuator_paused_until_timestamp_seconds": "no service is paused with an end",
    "locum_check_failure": "no check failed",
    "locum_http_status_code": "no service has an http check",
    "locum_http_body_bytes": "no service has an http check",
    "locum_http_phase_seconds": "no service has an http check",
    "locum_http_certificate_expiry_timestamp_seconds": "no service has TLS",
    "locum_tcp_connect_seconds": "no service has a tcp check",
    "locum_process_count": "no service has a process check",
    "locum_address_owners": "no service has an address",
    "locum_address_owner": "no service has an address",
    "locum_mirror_stale": _NO_MIRROR,
    "locum_mirror_age_seconds": _NO_MIRROR,
    "locum_mirror_max_age_seconds": _NO_MIRROR,
    "locum_mirror_running": _NO_MIRROR,
    "locum_mirror_last_success_timestamp_seconds": "no mirror run was done",
    "locum_mirror_last_result": _NO_MIRROR,
    "locum_mirror_last_duration_seconds": "there was no mirror run",
    "locum_mirror_last_files": "there was no mirror run",
    "locum_mirror_last_copied_files": "there was no mirror run",
    "locum_mirror_last_deleted_files": "there was no mirror run",
    "locum_mirror_last_sent_bytes": "there was no mirror run",
}
