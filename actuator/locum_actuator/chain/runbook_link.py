"""The URL of an alert's runbook link: the site's own, or else the actuator's page."""

from __future__ import annotations

from locum_inventory.site.model import Site

PAGE = "http://127.0.0.1:10752"  # the actuator's default address
OF_THE_ACTUATOR = f"{PAGE}/runbook"  # as in the shipped rules


def runbook_link(site: Site, page: str = PAGE) -> str:
    """Return the URL of the runbook for a site, without a chapter; `page` is the actuator's URL."""
    links = site.mail.links if site.mail is not None else None
    return str(links.runbook) if links is not None and links.runbook else f"{page}/runbook"


def with_links(rules: str, runbook: str) -> str:
    """Return rules in which each alert links to its chapter of the runbook at that URL."""
    return rules.replace(f"runbook_url: {OF_THE_ACTUATOR}#", f"runbook_url: {runbook}#")
