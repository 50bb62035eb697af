"""The kinds of panels the dashboards are made of. Each asks the data source that the viewer chose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from grafana_foundation_sdk.builders import common as make
from grafana_foundation_sdk.builders import dashboard as board
from grafana_foundation_sdk.builders import prometheus, stat, statetimeline, table, timeseries
from grafana_foundation_sdk.models import common, dashboard
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from grafana.links import link, runbook_links
from grafana.palette import WELL, WRONG, pattern, words

SOURCE = dashboard.DataSourceRef(type_val="prometheus", uid="${datasource}")
FAST, SLOW = "1s", "5s"  # how often exporter and actuator are scraped; Prometheus and Alertmanager themselves


@dataclass(frozen=True, slots=True)
class Query:
    """A PromQL expression and the name of its series; labels are written as {{label}}."""

    expr: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class About:
    """A panel's title and description, its size on the grid of 24 columns, and the alerts that belong to it."""

    title: str
    description: str
    width: int
    height: int = 8
    alerts: tuple[str, ...] = ()


def stat_panel(
    about: About,
    query: Query,
    *,
    states: Mapping[str, tuple[str, str]] | None = None,
    many: str | None = None,
    unit: str = "short",
    wrong_from: float | None = None,
    names: bool = False,
    empty: str = "no data",
    decimals: int | None = None,
) -> dashboard.Panel:
    """Return one big value: a word of `states`, or a number that is wrong from `wrong_from` on.

    `names` shows the name of the series in place of its value.
    """
    panel = stat.Panel().unit(unit).graph_mode(common.BigValueGraphMode.NONE).no_value(empty)
    panel = panel.color_mode(common.BigValueColorMode.VALUE).thresholds(_thresholds(wrong_from))
    panel = panel.text_mode(common.BigValueTextMode.NAME if names else common.BigValueTextMode.VALUE)
    panel = panel.reduce_options(make.ReduceDataOptions().calcs(["lastNotNull"]).values(False))
    if states is not None:
        panel = panel.mappings(words(states, many))
    if decimals is not None:
        panel = panel.decimals(decimals)
    return _finish(panel.with_target(_target(query, 0, now=True)).build(), about, FAST)


def timeline_panel(
    about: About,
    queries: Sequence[Query],
    states: Mapping[str, tuple[str, str]],
    *,
    many: str | None = None,
    url: str | None = None,
    interval: str = FAST,
) -> dashboard.Panel:
    """Return states over time, one row a series, each with its word. A click on a row leads to `url`."""
    panel = statetimeline.Panel().mappings(words(states, many)).merge_values(True).row_height(0.8)
    panel = panel.show_value(common.VisibilityMode.AUTO).line_width(0).fill_opacity(80)
    panel = panel.color_scheme(_fixed("text"))
    panel = panel.legend(make.VizLegendOptions().show_legend(False))
    panel = panel.tooltip(make.VizTooltipOptions().mode(common.TooltipDisplayMode.SINGLE))
    if url is not None:
        panel = panel.data_links([link("Open the service", url)])
    for number, query in enumerate(queries):
        panel = panel.with_target(_target(query, number))
    return _finish(panel.build(), about, interval)


def lines_panel(
    about: About,
    queries: Sequence[Query],
    *,
    unit: str,
    known: Sequence[str] = (),
    interval: str = FAST,
    wrong_from: float | None = None,
    stacked: bool = False,
    whole: bool = False,
) -> dashboard.Panel:
    """Return numbers over time. Series whose name ends with one of `known` have a colour and pattern of their own.

    The legend is a table with every series' last and highest value, so that it can be read without colours.
    `wrong_from` draws a line there; `whole` is for numbers that have no fractions.
    """
    panel = timeseries.Panel().unit(unit).min(0).line_width(2).fill_opacity(20 if stacked else 0)
    panel = panel.show_points(common.VisibilityMode.AUTO).thresholds(_thresholds(wrong_from))
    panel = panel.color_scheme(board.FieldColor().mode(dashboard.FieldColorModeId.PALETTE_CLASSIC_BY_NAME))
    legend = make.VizLegendOptions().display_mode(common.LegendDisplayMode.TABLE).show_legend(True)
    panel = panel.legend(legend.placement(common.LegendPlacement.BOTTOM).calcs(["lastNotNull", "max"]))
    tooltip = make.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI)
    panel = panel.tooltip(tooltip.sort(common.SortOrder.DESCENDING))
    if wrong_from is not None:
        style = make.GraphThresholdsStyleConfig().mode(common.GraphThresholdsStyleMode.DASHED)
        panel = panel.thresholds_style(style)
    if stacked:
        panel = panel.stacking(make.StackingConfig().mode(common.StackingMode.NORMAL).group("A"))
    if whole:
        panel = panel.decimals(0).line_interpolation(common.LineInterpolation.STEP_AFTER)
    for number, name in enumerate(known):
        panel = panel.override_by_regexp(f"/{name}$/", pattern(number))
    for number, query in enumerate(queries):
        panel = panel.with_target(_target(query, number))
    return _finish(panel.build(), about, interval)


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table: the field it is made from, its heading, its unit, and where a click on it leads.

    `states` gives its values words and colours.
    """

    field: str
    title: str
    unit: str | None = None
    url: str | None = None
    states: Mapping[str, tuple[str, str]] | None = None


def table_panel(
    about: About, queries: Sequence[Query], columns: Sequence[Column], *, empty: str = "none"
) -> dashboard.Panel:
    """Return a table of the current values, with only these columns.

    The value of the only query is the field `Value`; those of several queries are `Value #A`, `Value #B`, and so
    on, joined where all labels agree.
    """
    panel = table.Panel().no_value(empty).cell_height(common.TableCellHeight.SM)
    panel = panel.align(common.FieldTextAlignment.AUTO).thresholds(_thresholds(None))
    for number, query in enumerate(queries):
        panel = panel.with_target(_target(query, number, now=True, as_table=True))
    if len(queries) > 1:
        panel = panel.with_transformation(dashboard.DataTransformerConfig("merge", options={}))
    fields = [column.field for column in columns]
    panel = panel.with_transformation(
        dashboard.DataTransformerConfig("filterFieldsByName", options={"include": {"names": fields}})
    )
    panel = panel.with_transformation(
        dashboard.DataTransformerConfig(
            "organize",
            options={
                "indexByName": {field: number for number, field in enumerate(fields)},
                "renameByName": {column.field: column.title for column in columns},
            },
        )
    )
    for column in columns:
        properties = []
        if column.unit is not None:
            properties.append(dashboard.DynamicConfigValue("unit", column.unit))
        if column.url is not None:
            links = [{"title": about.title, "url": column.url}]
            properties.append(dashboard.DynamicConfigValue("links", links))
        if column.states is not None:
            properties.append(dashboard.DynamicConfigValue("mappings", words(column.states)))
            properties.append(dashboard.DynamicConfigValue("custom.cellOptions", {"type": "color-text"}))
        if properties:
            panel = panel.override_by_name(column.title, properties)
    return _finish(panel.build(), about, FAST)


def _target(query: Query, number: int, *, now: bool = False, as_table: bool = False) -> prometheus.Dataquery:
    target = prometheus.Dataquery().expr(query.expr).ref_id(chr(ord("A") + number)).datasource(SOURCE)
    target = target.legend_format(query.name or "__auto")
    target = target.instant() if now else target.range()
    return target.format(PromQueryFormat.TABLE if as_table else PromQueryFormat.TIME_SERIES)


def _finish(panel: dashboard.Panel, about: About, interval: str) -> dashboard.Panel:
    panel.title, panel.description = about.title, about.description
    panel.datasource, panel.interval = SOURCE, interval
    panel.grid_pos = dashboard.GridPos(w=about.width, h=about.height)
    if about.alerts:
        panel.links = runbook_links(about.alerts)
    return panel


def _thresholds(wrong_from: float | None) -> board.ThresholdsConfig:
    steps = [dashboard.Threshold(None, WELL)]
    if wrong_from is not None:
        steps.append(dashboard.Threshold(wrong_from, WRONG))
    return board.ThresholdsConfig().mode(dashboard.ThresholdsMode.ABSOLUTE).steps(steps)


def _fixed(color: str) -> board.FieldColor:
    return board.FieldColor().mode(dashboard.FieldColorModeId.FIXED).fixed_color(color)
