"""Writes the dashboards: `python -m grafana.build` puts them into grafana/dashboards/ as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard

from grafana import chain, runbook, service, site

DIRECTORY = Path(__file__).parent / "dashboards"
BUILDERS: Mapping[str, Callable[[], dashboard.Dashboard]] = {
    "site": site.build,
    "service": service.build,
    "chain": chain.build,
    "runbook": runbook.build,
}


def rendered(name: str) -> str:
    """Return a dashboard as the text of its file."""
    return json.dumps(BUILDERS[name](), cls=JSONEncoder, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def main() -> None:
    """Write every dashboard."""
    for name in BUILDERS:
        (DIRECTORY / f"{name}.json").write_text(rendered(name), encoding="utf-8")


if __name__ == "__main__":
    main()
