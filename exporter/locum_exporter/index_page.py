"""The HTML page: a link for each check that this exporter can make."""

from __future__ import annotations

from html import escape
from urllib.parse import urlencode

from locum_exporter.probe_request import ProbeRequest, parse_probe_request, through_checks
from locum_inventory.site.model import Site

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:50em;margin:2em auto;padding:0 1em;color:#222}"
    "table{border-collapse:collapse}td,th{padding:.2em 1em .2em 0;text-align:left}"
)


def looks_of(site: Site) -> list[ProbeRequest]:
    """Return every check that the site file allows, in its order."""
    looks = [ProbeRequest("ping", None, host) for host in site.hosts]
    for name, service in site.services.items():
        looks.append(ProbeRequest("address", name, None))
        looks += [
            parse_probe_request(site, check, name, None, "address") for check in through_checks(service)
        ]
        for host in service.hosts:
            if service.checks.http is not None:
                looks.append(ProbeRequest("http", name, host))
            if service.checks.tcp is not None:
                looks.append(ProbeRequest("tcp", name, host))
            if service.checks.process is not None:
                looks.append(ProbeRequest("process", name, host))
    return looks


def render(site: Site, this_name: str | None) -> str:
    """Return the page as HTML."""
    rows = "".join(_row(look) for look in looks_of(site))
    here = (
        f"on host <b>{escape(this_name)}</b>" if this_name else "on a host that the site file does not name"
    )
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>locum exporter</title><style>{_STYLE}</style>"
        f"<h1>locum exporter</h1><p>This exporter runs {here}. It makes a check when it is requested, and only "
        "checks of the site file.</p>"
        f"<table><tr><th>check<th>service<th>host<th></tr>{rows}</table>"
        "<p><a href=/sd>targets for Prometheus</a> · <a href=/metrics>its own metrics</a> · "
        "<a href=/-/healthy>healthy?</a></p></html>\n"
    )


def _row(look: ProbeRequest) -> str:
    named = {"check": look.check, "service": look.service, "host": look.host, "through": look.through}
    query = escape(urlencode({key: value for key, value in named.items() if value}))
    where = "through its address" if look.through else look.host
    cells = "".join(f"<td>{escape(value or '')}" for value in (look.check, look.service, where))
    return f"<tr>{cells}<td><a href='/probe?{query}'>check now</a></tr>"
