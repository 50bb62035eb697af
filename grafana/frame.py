"""What all dashboards share: variables, links, the grid, and marks for what the actuator did."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from grafana_foundation_sdk.builders import dashboard as board
from grafana_foundation_sdk.models import dashboard

from grafana.links import TAG, UID_TO_TITLE, to_other_dashboards
from grafana.palette import OTHER, WELL, WRONG
from grafana.panels import SOURCE

GRID_COLUMNS = 24


@dataclass(frozen=True, slots=True)
class Section:
    """Panels under one heading, from left to right and then down."""

    title: str
    panels: Sequence[dashboard.Panel]


class PrometheusAnnotation(dashboard.AnnotationQuery):
    """Marks from Prometheus. The SDK lacks the keys that Grafana's Prometheus data source adds.

    Source: public/app/plugins/datasource/prometheus, `annotations.ts` in Grafana's sources.
    """

    def __init__(self, name: str, expr: str, color: str, text: str) -> None:
        super().__init__(name=name, datasource=SOURCE, enable=True, icon_color=color, expr=expr)
        self.text = text

    def to_json(self) -> dict[str, object]:
        """Return the annotation with what the data source adds: title, text, tags and resolution."""
        own = {"step": "5s", "tagKeys": "service", "titleFormat": self.name, "textFormat": self.text}
        return {**super().to_json(), **own}


@dataclass(slots=True)
class Frame:
    """A dashboard without its panels."""

    uid: str
    description: str
    variables: Sequence[board.QueryVariable] = ()
    annotations: Sequence[PrometheusAnnotation] = ()
    since: str = "now-1h"
    refresh: str | None = "10s"
    sections: list[Section] = field(default_factory=list)

    def build(self) -> dashboard.Dashboard:
        """Return the dashboard, every panel in its place on the grid."""
        head = board.Dashboard(f"locum: {UID_TO_TITLE[self.uid].lower()}").uid(self.uid).tags([TAG])
        head = head.description(self.description).time(self.since, "now").timezone("browser").editable()
        head = head.tooltip(dashboard.DashboardCursorSync.CROSSHAIR).links(to_other_dashboards(self.uid))
        if self.refresh is not None:
            head = head.refresh(self.refresh)
        if self.variables or self.annotations:
            head = head.with_variable(_datasource())
        for variable in self.variables:
            head = head.with_variable(variable)
        made = head.build()
        made.annotations = dashboard.AnnotationContainer(list(self.annotations))
        made.panels = _laid_out(self.sections)
        return made


def query_variable(name: str, label: str, query: str, *, many: bool) -> board.QueryVariable:
    """Return a variable whose values come from Prometheus; with `many`, several can be selected at once."""
    made = board.QueryVariable(name).label(label).query({"query": query, "refId": "variable"})
    made = made.datasource(SOURCE).refresh(dashboard.VariableRefresh.ON_TIME_RANGE_CHANGED)
    made = made.sort(dashboard.VariableSort.ALPHABETICAL_ASC).multi(many)
    if many:
        everything = dashboard.VariableOption(selected=True, text=["All"], value=["$__all"])
        made = made.include_all(True).all_value(".*").current(everything)
    return made


def events(matcher: str) -> list[PrometheusAnnotation]:
    """Return the marks for incidents and what was done about them; `matcher` chooses the services."""

    def happened(counter: str) -> str:
        return f"sum by (service) (increase({counter}{{{matcher}}}[$__rate_interval])) > 0"

    opened = (
        f"max by (service) (max_over_time(locum_actuator_incident_open{{{matcher}}}[$__rate_interval])) == 1"
    )
    refusals = f"locum_actuator_refusals_total{{{matcher}}}"
    # A reason's series begins with its first refusal, which increase() does not count.
    refused = f"max by (service, reason) ({refusals} - ({refusals} offset 10s or {refusals} * 0)) > 0"
    return [
        PrometheusAnnotation("incident open", opened, OTHER, "{{service}}"),
        PrometheusAnnotation("respawn", happened("locum_actuator_respawns_total"), WELL, "{{service}}"),
        PrometheusAnnotation("address claimed", happened("locum_actuator_claims_total"), WELL, "{{service}}"),
        PrometheusAnnotation("takeover", happened("locum_actuator_takeovers_total"), WRONG, "{{service}}"),
        PrometheusAnnotation(
            "step failed", happened("locum_actuator_step_failures_total"), WRONG, "{{service}}"
        ),
        PrometheusAnnotation("refused", refused, WRONG, "{{service}}: {{reason}}"),
    ]


def _datasource() -> board.DatasourceVariable:
    return board.DatasourceVariable("datasource").label("Prometheus").type("prometheus")


def _laid_out(sections: Sequence[Section]) -> list[dashboard.Panel | dashboard.RowPanel]:
    """Put panels side by side until a row of the grid is full, then below its highest."""
    placed: list[dashboard.Panel | dashboard.RowPanel] = []
    y = 0
    for section in sections:
        row = board.Row(section.title).id(len(placed) + 1).build()
        row.grid_pos = dashboard.GridPos(x=0, y=y, w=GRID_COLUMNS, h=1)
        placed.append(row)
        x, y, highest = 0, y + 1, 0
        for panel in section.panels:
            size = panel.grid_pos or dashboard.GridPos()
            if x + size.w > GRID_COLUMNS:
                x, y, highest = 0, y + highest, 0
            panel.grid_pos = dashboard.GridPos(x=x, y=y, w=size.w, h=size.h)
            panel.id_val = panel.id_val or len(placed) + 1
            x, highest = x + size.w, max(highest, size.h)
            placed.append(panel)
        y += highest
    return placed
