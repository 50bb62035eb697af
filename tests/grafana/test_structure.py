"""The dashboards' JSON: made by the program, sound, and known to Grafana's own model of it."""

from __future__ import annotations

import json
import re
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.cog.runtime import Runtime
from grafana_foundation_sdk.models import units
from grafana_foundation_sdk.models.dashboard import Dashboard

from grafana import build
from grafana.frame import GRID_COLUMNS
from grafana.links import UID_TO_TITLE, chapter_id
from grafana.shipped import DASHBOARDS, FILES, panels
from locum_inventory.shared_files import shared

ROOT = Path(__file__).parents[2]
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
# Keys that Grafana's Prometheus data source adds to annotations, and the SDK's model does not know.
BEYOND_THE_MODEL = {"step", "tagKeys", "titleFormat", "textFormat"}

register_default_plugins()
every_dashboard = pytest.mark.parametrize("name", DASHBOARDS)


def test_there_is_a_file_for_each_dashboard_and_no_other() -> None:
    assert set(FILES) == set(build.BUILDERS)


@every_dashboard
def test_what_is_committed_is_what_the_program_makes(name: str) -> None:
    assert FILES[name].read_text() == build.rendered(name), "run: python -m grafana.build"


@every_dashboard
def test_grafanas_model_knows_every_key(name: str) -> None:
    """What the model does not know it drops when it reads: so what is written again must be what was read."""
    read = json.loads(FILES[name].read_text())
    for annotation in read["annotations"].get("list", []):
        for key in BEYOND_THE_MODEL:
            del annotation[key]
    assert json.loads(json.dumps(Dashboard.from_json(read), cls=JSONEncoder)) == read


def test_an_unknown_key_would_be_seen() -> None:
    read = json.loads(FILES["site"].read_text())
    read["panels"][1]["options"]["colour"] = "blue"
    written = json.loads(json.dumps(Dashboard.from_json(read), cls=JSONEncoder))
    assert "colour" not in written["panels"][1]["options"]


@every_dashboard
def test_every_kind_of_panel_is_known(name: str) -> None:
    assert {panel["type"] for panel in panels(DASHBOARDS[name])} <= set(Runtime().panelcfg_variants)


@every_dashboard
def test_nothing_overlaps_and_nothing_leaves_the_grid(name: str) -> None:
    places = {panel["id"]: panel["gridPos"] for panel in DASHBOARDS[name]["panels"]}
    for place in places.values():
        assert place["x"] >= 0
        assert place["y"] >= 0
        assert place["w"] > 0
        assert place["h"] > 0
        assert place["x"] + place["w"] <= GRID_COLUMNS
    for (one, a), (other, b) in combinations(places.items(), 2):
        beside = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"]
        below = a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"]
        assert beside or below, f"panels {one} and {other} overlap"


@every_dashboard
def test_ids_and_titles_are_unique(name: str) -> None:
    ids = [panel["id"] for panel in DASHBOARDS[name]["panels"]]
    assert len(ids) == len(set(ids))
    titles = [panel["title"] for panel in panels(DASHBOARDS[name])]
    assert len(titles) == len(set(titles))


def test_uids_are_unique_and_those_that_links_name() -> None:
    assert {dashboard["uid"] for dashboard in DASHBOARDS.values()} == set(UID_TO_TITLE)


@every_dashboard
def test_the_data_source_is_the_viewers_choice(name: str) -> None:
    dashboard = DASHBOARDS[name]
    asked = [panel["datasource"] for panel in panels(dashboard) if panel["type"] != "text"]
    asked += [target["datasource"] for panel in panels(dashboard) for target in panel.get("targets", [])]
    asked += [annotation["datasource"] for annotation in dashboard["annotations"].get("list", [])]
    variables = dashboard["templating"].get("list", [])
    asked += [variable["datasource"] for variable in variables if variable["type"] == "query"]
    assert all(source == SOURCE for source in asked)
    if asked:
        assert ("datasource", "prometheus") in [(one["name"], one["query"]) for one in variables]


@every_dashboard
def test_every_panel_says_what_it_shows(name: str) -> None:
    for panel in panels(DASHBOARDS[name]):
        assert panel["title"]
        if panel["type"] != "text":
            assert panel["description"]
            assert panel["targets"]


@every_dashboard
def test_a_dashboard_links_to_all_others(name: str) -> None:
    links = {link["url"].partition("?")[0].removeprefix("/d/") for link in DASHBOARDS[name]["links"]}
    assert links == set(UID_TO_TITLE) - {DASHBOARDS[name]["uid"]}


def _links(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["url"]] if isinstance(value.get("url"), str) else []
        return own + [url for part in value.values() for url in _links(part)]
    return [url for part in value for url in _links(part)] if isinstance(value, list) else []


@every_dashboard
def test_every_link_leads_somewhere(name: str) -> None:
    chapters = {str(chapter_id(panel["title"])) for panel in panels(DASHBOARDS["runbook"])}
    for url in _links(DASHBOARDS[name]):
        path, _, query = url.partition("?")
        assert path.removeprefix("/d/") in UID_TO_TITLE
        if query.startswith("viewPanel="):
            assert query.removeprefix("viewPanel=") in chapters, url


@every_dashboard
def test_no_state_is_told_by_its_colour_alone(name: str) -> None:
    """Each value that has a colour has a word, and no two words of a panel are the same."""
    for panel in panels(DASHBOARDS[name]):
        mappings = panel.get("fieldConfig", {}).get("defaults", {}).get("mappings", [])
        results = [
            result
            for mapping in mappings
            for result in (
                mapping["options"].values() if mapping["type"] == "value" else [mapping["options"]["result"]]
            )
        ]
        words = [result["text"] for result in results]
        assert all(words)
        assert len(words) == len(set(words))
        assert not {"red", "green"} & {result["color"] for result in results}


@pytest.mark.parametrize("name", ["datasources", "dashboards"])
def test_provisioning_is_yaml_that_grafana_reads(name: str) -> None:
    loaded = yaml.safe_load((ROOT / "grafana" / "provisioning" / name / "locum.yml").read_text())
    assert loaded["apiVersion"] == 1
    if name == "datasources":
        (source,) = loaded["datasources"]
        assert (source["type"], source["url"]) == ("prometheus", "http://127.0.0.1:9090")
    else:
        (provider,) = loaded["providers"]
        assert (provider["type"], provider["options"]) == (
            "file",
            {"path": "/var/lib/grafana/dashboards/locum"},
        )


def test_they_travel_with_the_package() -> None:
    assert (shared("grafana/dashboards") / "site.json").is_file()
    assert (shared("grafana/provisioning") / "dashboards" / "locum.yml").is_file()


# Queries of a table that are there for a label of theirs, and whose value is not shown.
HELPERS = {"Copies of the data": {"Value #C"}}
# What Grafana fills in automatically.
OF_GRAFANA = {"__interval", "__rate_interval", "__range", "__url_time_range", "__field", "__data"}
UNITS = {value for name, value in vars(units).items() if isinstance(value, str) and not name.startswith("_")}


def _values_of(key: str, value: Any) -> list[Any]:
    """Return what stands under a key, anywhere below."""
    if isinstance(value, dict):
        own = [value[key]] if key in value else []
        return own + [found for part in value.values() for found in _values_of(key, part)]
    return [found for part in value for found in _values_of(key, part)] if isinstance(value, list) else []


@every_dashboard
def test_every_unit_is_one_of_grafanas(name: str) -> None:
    units_used = [*_values_of("unit", DASHBOARDS[name]["panels"])]
    for panel in panels(DASHBOARDS[name]):
        for override in panel.get("fieldConfig", {}).get("overrides", []):
            units_used += [one["value"] for one in override["properties"] if one["id"] == "unit"]
    assert set(units_used) <= UNITS
    assert "seconds" not in UNITS


@every_dashboard
def test_every_variable_is_used_and_every_one_used_is_there(name: str) -> None:
    dashboard = DASHBOARDS[name]
    there = {one["name"] for one in dashboard["templating"].get("list", [])}
    asked = [
        *_values_of("expr", dashboard),
        *_values_of("url", dashboard),
        *_values_of("uid", dashboard["panels"]),
    ]
    used = {found for text in asked for found in re.findall(r"\$\{?([A-Za-z_]\w*)", text)}
    assert used - OF_GRAFANA <= there
    assert there <= used


@every_dashboard
def test_every_column_of_a_table_is_a_field_of_its_queries(name: str) -> None:
    known = {"merge", "filterFieldsByName", "organize"}
    for panel in panels(DASHBOARDS[name]):
        steps = panel.get("transformations", [])
        assert {step["id"] for step in steps} <= known
        if panel["type"] != "table":
            assert not steps
            continue
        refs = [target["refId"] for target in panel["targets"]]
        values = {"Value"} if len(refs) == 1 else {f"Value #{ref}" for ref in refs}
        options = {step["id"]: step["options"] for step in steps}
        named = options["filterFieldsByName"]["include"]["names"]
        assert ("merge" in options) == (len(refs) > 1)
        assert named == sorted(options["organize"]["indexByName"], key=options["organize"]["indexByName"].get)
        assert set(named) == set(options["organize"]["renameByName"])
        assert {field for field in named if field.startswith("Value")} <= values
        # Of several queries each is shown: one that is not was asked for nothing.
        assert len(refs) == 1 or values - set(named) <= HELPERS.get(panel["title"], set())


@every_dashboard
def test_a_section_has_a_heading_above_all_of_its_panels(name: str) -> None:
    rows = [panel for panel in DASHBOARDS[name]["panels"] if panel["type"] == "row"]
    assert DASHBOARDS[name]["panels"][0]["type"] == "row"
    for row in rows:
        assert row["title"]
        assert row["gridPos"]["w"] == GRID_COLUMNS
