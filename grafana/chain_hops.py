"""The hops of the dashboard *chain*: from the checks to Prometheus, and from there to the actuator."""

from __future__ import annotations

from grafana_foundation_sdk.models import dashboard

from grafana import queries as q
from grafana.panels import SLOW, About, Column, Query, lines_panel, stat_panel, table_panel

PARTS = ("exporter", "prometheus", "alertmanager", "actuator")
QUANTILES = ("median", "90th percentile")
RULES = 'rule_group=~".*;locum-.*"'


def scrapes() -> list[dashboard.Panel]:
    """Return the panels of the hop from the checks to Prometheus."""
    seconds = "scrape_duration_seconds{%s}"
    probes, parts = seconds % 'job="locum-probe"', seconds % 'job=~"locum-.+", job!="locum-probe"'
    return [
        lines_panel(
            About(
                "Scrapes of checks",
                "The longest in each step, by check and interval. A scrape that takes longer than"
                " its interval is lost.",
                12,
                8,
                ("LocumProbeGone",),
            ),
            [
                Query(
                    f"max by (check, tier) ({q.highest(probes)})",
                    "{{check}} every {{tier}}",
                )
            ],
            unit="s",
        ),
        lines_panel(
            About("Scrapes of the parts", "The longest in each step.", 12),
            [Query(f"max by (job) ({q.highest(parts)})", "{{job}}")],
            unit="s",
            known=PARTS,
            interval=SLOW,
        ),
        lines_panel(
            About("What checks cost the exporter", "90th percentile of the probe duration.", 12),
            [
                Query(
                    "histogram_quantile(0.9, sum by (le, check)"
                    " (rate(locum_exporter_probe_duration_seconds_bucket[$__rate_interval])))",
                    "{{check}}",
                )
            ],
            unit="s",
            known=("http", "tcp", "process", "address", "ping"),
        ),
        lines_panel(
            About(
                "Checks that failed",
                "Per second, by reason. A standby that should be stopped is included.",
                12,
            ),
            [
                Query(
                    "sum by (check, reason) (rate(locum_exporter_check_failures_total[$__rate_interval]))",
                    "{{check}}: {{reason}}",
                )
            ],
            unit="cps",
        ),
        stat_panel(
            About(
                "Site file",
                "Whether the exporters could read it at the last reload. If not, they use the previous one.",
                6,
                4,
            ),
            Query("min(locum_exporter_site_reload_success)"),
            states=q.FILE_READ,
        ),
        stat_panel(
            About("Targets", "Checks that Prometheus has discovered.", 6, 4, ("LocumDiscoveryFails",)),
            Query('count(up{job="locum-probe"})'),
            empty="NONE",
        ),
        stat_panel(
            About(
                "Discovery failed",
                "How often Prometheus could not fetch its targets, in the time shown.",
                6,
                4,
                ("LocumDiscoveryFails",),
            ),
            Query("round(sum(increase(prometheus_sd_http_failures_total[$__range])))"),
            wrong_from=1,
        ),
        table_panel(
            About("Versions", "Versions of the exporters.", 6, 4),
            [Query("max by (vantage_point, version) (locum_exporter_info)")],
            [Column("vantage_point", "Vantage point"), Column("version", "Version")],
        ),
    ]


def alerts() -> list[dashboard.Panel]:
    """Return the panels of the hops from Prometheus by Alertmanager to the actuator."""
    delivery, webhook = "alertmanager_notification_latency_seconds", 'integration="webhook"'
    return [
        lines_panel(
            About(
                "Evaluation of rules",
                "Duration of the last evaluation of each group.",
                12,
                8,
                ("LocumRulesFail",),
            ),
            [
                Query(
                    f"label_replace(max by (rule_group) (prometheus_rule_group_last_duration_seconds{{{RULES}}}),"
                    ' "group", "$1", "rule_group", ".*;(.*)")',
                    "{{group}}",
                )
            ],
            unit="s",
            interval=SLOW,
        ),
        lines_panel(
            About(
                "Rules that were late or failed",
                "Evaluations per second that were skipped, because the previous one had not"
                " finished, or that failed.",
                12,
                8,
                ("LocumRulesFail",),
            ),
            [
                Query(
                    f"sum(rate(prometheus_rule_group_iterations_missed_total{{{RULES}}}[$__rate_interval]))",
                    "skipped",
                ),
                Query(
                    f"sum(rate(prometheus_rule_evaluation_failures_total{{{RULES}}}[$__rate_interval]))",
                    "failed",
                ),
            ],
            unit="cps",
            known=("skipped", "failed"),
            interval=SLOW,
        ),
        lines_panel(
            About(
                "From Prometheus to Alertmanager",
                "How long delivery took.",
                8,
                8,
                ("LocumAlertsDropped", "LocumAlertmanagerGone"),
            ),
            [
                Query('max(prometheus_notifications_latency_seconds{quantile="0.9"})', QUANTILES[1]),
                Query('max(prometheus_notifications_latency_seconds{quantile="0.5"})', QUANTILES[0]),
            ],
            unit="s",
            known=QUANTILES,
            interval=SLOW,
        ),
        lines_panel(
            About(
                "From Alertmanager to the actuator",
                "How long the actuator took to write alerts to its journal and answer. Only the mean, because"
                " Alertmanager's histogram has no buckets below a second.",
                8,
                8,
                ("LocumNotificationsFail",),
            ),
            [
                Query(
                    f"sum(rate({delivery}_sum{{{webhook}}}[$__rate_interval]))"
                    f" / sum(rate({delivery}_count{{{webhook}}}[$__rate_interval]))",
                    "mean",
                )
            ],
            unit="s",
            known=("mean",),
            interval=SLOW,
        ),
        lines_panel(
            About(
                "Lost on the way",
                "Per second: alerts that Prometheus dropped, and notifications Alertmanager could not deliver.",
                8,
                8,
                ("LocumAlertsDropped", "LocumNotificationsFail"),
            ),
            [
                Query("sum(rate(prometheus_notifications_dropped_total[$__rate_interval]))", "dropped"),
                Query(
                    "sum by (integration) (rate(alertmanager_notifications_failed_total"
                    '{integration=~"webhook|email"}[$__rate_interval]))',
                    "not delivered by {{integration}}",
                ),
            ],
            unit="cps",
            known=("dropped", "webhook", "email"),
            interval=SLOW,
        ),
    ]
