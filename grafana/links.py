"""Links between the dashboards, and to the runbook, which is a dashboard too, so no external address is needed."""

from __future__ import annotations

import zlib

from grafana_foundation_sdk.builders import dashboard as board
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard

TAG = "locum"
SITE, SERVICE, CHAIN, RUNBOOK = "locum-site", "locum-service", "locum-chain", "locum-runbook"
UID_TO_TITLE = {SITE: "Site", SERVICE: "Service", CHAIN: "Chain", RUNBOOK: "Runbook"}

_KEEP = "var-datasource=${datasource}&${__url_time_range}"
# Where a row that is labelled `service` leads to, from a graph and from a table.
TO_SERVICE = f"/d/{SERVICE}?var-service=${{__field.labels.service}}&{_KEEP}"
TO_SERVICE_FROM_ROW = f"/d/{SERVICE}?var-service=${{__data.fields.service}}&{_KEEP}"
TO_RUNBOOK = f"/d/{RUNBOOK}"


def chapter_id(alert: str) -> int:
    """Return the id of the panel with an alert's chapter: the same for ever, whatever chapters come and go."""
    return zlib.crc32(alert.encode()) % 1_000_000_000 + 1


def link(title: str, url: str) -> board.DashboardLink:
    """Return a link to a page of this Grafana."""
    return board.DashboardLink(title).type(dashboard.DashboardLinkType.LINK).url(url)


def runbook_links(alerts: tuple[str, ...]) -> list[dashboard.DashboardLink]:
    """Return a link to each alert's chapter of the runbook."""
    return [
        link(f"Runbook: {alert}", f"{TO_RUNBOOK}?viewPanel={chapter_id(alert)}").build() for alert in alerts
    ]


def to_other_dashboards(uid: str) -> list[Builder[dashboard.DashboardLink]]:
    """Return the links in a dashboard's head: to all others, with the time shown and the data source.

    Other variables stay behind: "all services" of one dashboard would be a service's name in another.
    """
    chosen = "" if uid == RUNBOOK else "?var-datasource=${datasource}"
    return [
        link(title, f"/d/{other}" + (chosen if other != RUNBOOK else "")).keep_time(True)
        for other, title in UID_TO_TITLE.items()
        if other != uid
    ]
