"""The alert rules and the dashboard in `config/monitoring`: their queries parse, and use metrics that exist."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import insert

from tests.support import ROOT
from tests.support.companies import DAY, Office
from worker.ops.metrics import build_registry
from worker.process_metrics import count_alert, count_notifications, count_page, observe_request
from worker.store.tables import channel

RULES = ROOT / "config" / "monitoring" / "prometheus-rules.yml"
DASHBOARD = json.loads((ROOT / "config" / "monitoring" / "grafana-dashboard.json").read_text(encoding="utf-8"))
#: The number of columns of Grafana's grid.
WIDTH = 24


def list_rules() -> list[dict[str, Any]]:
    load: Any = yaml.safe_load  # the library has no types
    groups = load(RULES.read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def list_panels() -> list[dict[str, Any]]:
    """Return the panels that show something. Those of the type `row` are headings."""
    return [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def list_expressions() -> Iterator[str]:
    """Yield the queries of all rules and panels."""
    yield from (str(rule["expr"]) for rule in list_rules())
    for panel in list_panels():
        yield from (target["expr"] for target in panel["targets"])


def fill_variables(expression: str) -> str:
    """Put values in the place of Grafana's variables."""
    return expression.replace("$__rate_interval", "5m").replace("$job", ".*")


def list_selectors(expression: Any) -> Iterator[Any]:
    """Yield every selector in a query: the name of a metric, and the labels by which series are chosen."""
    nodes: list[Any] = []

    def add_node(node: Any) -> bool:
        nodes.append(node)
        return True

    promql_parser.walk(expression, add_node)
    yield from (node for node in nodes if isinstance(node, promql_parser.VectorSelector))


@pytest.fixture(scope="module")
def known_labels() -> dict[str, set[str]]:
    """The labels of each series that a worker serves, by name. Prometheus adds `instance` and `job`.

    A counter with labels has no series before its first event, so each one counts an event here.
    """
    count_notifications(accepted=1, refused=1)
    count_alert("test")
    count_page(200)
    with observe_request("test", "test"):
        pass
    office = Office()
    office.run(DAY)
    now = office.clock()
    watched_calendar = {"calendar": "dana@corp.example", "service": "google", "due_at": now, "notified_at": now}
    with office.store.database.write() as connection:
        connection.execute(insert(channel), [watched_calendar])
    text = generate_latest(build_registry(office.worker, count_tasks=lambda: 0)).decode()
    office.close()
    families = list(text_string_to_metric_families(text))
    assert [family.name for family in families if not family.samples] == [], "the labels of these are unknown"
    return {sample.name: set(sample.labels) for family in families for sample in family.samples}


@pytest.mark.parametrize("expression", list(list_expressions()))
def test_each_query_parses_and_uses_metrics_and_labels_that_exist(
    expression: str, known_labels: dict[str, set[str]]
) -> None:
    selectors = list(list_selectors(promql_parser.parse(fill_variables(expression))))
    assert selectors
    for selector in selectors:
        assert selector.name in known_labels
        labels = {matcher.name for matcher in selector.matchers.matchers} - {"job"}
        assert labels <= known_labels[selector.name], selector.name


def test_each_alert_has_a_severity_a_summary_and_a_description() -> None:
    for rule in list_rules():
        assert re.fullmatch(r"Longarc[A-Z]\w+", rule["alert"])
        assert rule["labels"]["severity"] in {"critical", "warning", "info"}
        assert set(rule["annotations"]) == {"summary", "description"}
        assert rule["annotations"]["description"].strip().endswith("."), rule["alert"]


def test_promtool_accepts_the_rules_and_their_tests() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed; another parser checked the queries")
    for arguments in (
        ("check", "rules", str(RULES)),
        ("test", "rules", str(Path(__file__).with_name("alert_rules.yml"))),
    ):
        result = subprocess.run([promtool, *arguments], capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stdout + result.stderr


def test_panels_have_unique_ids_descriptions_and_separate_places() -> None:
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert [panel["title"] for panel in list_panels() if not panel["description"].endswith(".")] == []
    taken_cells = set[tuple[int, int]]()
    for grid_position in (panel["gridPos"] for panel in panels):
        columns, rows = (
            range(grid_position["x"], grid_position["x"] + grid_position["w"]),
            range(grid_position["y"], grid_position["y"] + grid_position["h"]),
        )
        cells = set(product(columns, rows))
        assert max(column for column, _ in cells) < WIDTH
        assert not cells & taken_cells
        taken_cells |= cells


def test_dashboard_uses_the_selected_data_source() -> None:
    variables = {variable["name"] for variable in DASHBOARD["templating"]["list"]}
    assert variables == {"datasource", "job"}
    sources = [target["datasource"]["uid"] for panel in list_panels() for target in panel["targets"]]
    assert set(sources) == {"${datasource}"}
