"""The alert rules and the dashboard that come with Longarc: they parse, and ask for metrics that exist."""

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
from tests.support.companies import Office
from worker.ops.metrics import build_registry
from worker.store.tables import channel

RULES = ROOT / "config" / "monitoring" / "prometheus-rules.yml"
DASHBOARD = json.loads((ROOT / "config" / "monitoring" / "grafana-dashboard.json").read_text(encoding="utf-8"))
#: Grafana's columns.
WIDTH = 24


def list_rules() -> list[dict[str, Any]]:
    load: Any = yaml.safe_load  # the library has no types
    groups = load(RULES.read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def list_panels() -> list[dict[str, Any]]:
    return [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def list_expressions() -> Iterator[str]:
    yield from (str(rule["expr"]) for rule in list_rules())
    for panel in list_panels():
        yield from (target["expr"] for target in panel["targets"])


def fill_variables(expression: str) -> str:
    return expression.replace("$__rate_interval", "5m").replace("$job", ".*")


def select_series(expression: Any) -> Iterator[Any]:
    """Every selector in an expression."""
    found: list[Any] = []

    def note(node: Any) -> bool:
        found.append(node)
        return True

    promql_parser.walk(expression, note)
    yield from (node for node in found if isinstance(node, promql_parser.VectorSelector))


@pytest.fixture(scope="module")
def known_labels() -> dict[str, set[str]]:
    """The labels of each series that a worker tells, by its name; `instance` and `job` are Prometheus's own."""
    office = Office()
    office.tick()
    now = office.clock()
    told = {"calendar": "dana@corp.example", "service": "google", "due_at": now, "notified_at": now}
    with office.store.database.write() as connection:
        connection.execute(insert(channel), [told])
    text = generate_latest(build_registry(office.worker, lambda: 0)).decode()
    office.close()
    families = list(text_string_to_metric_families(text))
    labels = {sample.name: set(sample.labels) for family in families for sample in family.samples}
    # a counter with labels has no series before its first event
    for family in families:
        if family.type == "counter":
            labels.setdefault(f"{family.name}_total", set())
        elif family.type == "histogram":
            labels.setdefault(f"{family.name}_bucket", set())
    return labels


@pytest.mark.parametrize("expression", list(list_expressions()))
def test_each_query_parses_and_asks_for_metrics_that_exist(expression: str, known_labels: dict[str, set[str]]) -> None:
    selectors = list(select_series(promql_parser.parse(fill_variables(expression))))
    assert selectors
    for selector in selectors:
        assert selector.name in known_labels
        asked = {matcher.name for matcher in selector.matchers.matchers} - {"job"}
        assert asked <= known_labels[selector.name] or not known_labels[selector.name], selector.name


def test_each_alert_says_what_is_wrong_and_what_helps() -> None:
    for rule in list_rules():
        assert re.fullmatch(r"Longarc[A-Z]\w+", rule["alert"])
        assert rule["labels"]["severity"] in {"critical", "warning", "info"}
        assert set(rule["annotations"]) == {"summary", "description"}
        assert rule["annotations"]["description"].strip().endswith("."), rule["alert"]


def test_prometheus_finds_the_rules_well_made_and_fires_each_in_its_time() -> None:
    checker = shutil.which("promtool")
    if checker is None:
        pytest.skip("promtool is not here; the queries were parsed by a parser of the same grammar")
    for words in (("check", "rules", str(RULES)), ("test", "rules", str(Path(__file__).with_name("alert_rules.yml")))):
        done = subprocess.run([checker, *words], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_panels_have_their_own_id_a_meaning_and_room() -> None:
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert [panel["title"] for panel in list_panels() if not panel["description"].endswith(".")] == []
    taken = set[tuple[int, int]]()
    for place in (panel["gridPos"] for panel in panels):
        columns, lines = range(place["x"], place["x"] + place["w"]), range(place["y"], place["y"] + place["h"])
        cells = set(product(columns, lines))
        assert max(x for x, _ in cells) < WIDTH
        assert not cells & taken
        taken |= cells


def test_the_dashboard_works_with_any_data_source() -> None:
    variables = {variable["name"] for variable in DASHBOARD["templating"]["list"]}
    assert variables == {"datasource", "job"}
    sources = [target["datasource"]["uid"] for panel in list_panels() for target in panel["targets"]]
    assert set(sources) == {"${datasource}"}
