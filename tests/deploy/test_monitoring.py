"""alerts.yaml and grafana.json: what they ask for is what /metrics has."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from support.requirements import need
from support.servers import Clipbell

DEPLOY = Path(__file__).parents[2] / "deploy"
ALERTS = DEPLOY / "alerts.yaml"
DASHBOARD: dict[str, Any] = json.loads((DEPLOY / "grafana.json").read_text())


def expressions() -> dict[str, str]:
    """Each expression by the alert or the panel that has it."""
    [group] = yaml.safe_load(ALERTS.read_text())["groups"]
    found: dict[str, str] = {rule["alert"]: rule["expr"] for rule in group["rules"]}
    for panel in DASHBOARD["panels"]:
        for target in panel["targets"]:
            found[f"{panel['title']} {target['refId']}"] = target["expr"]
    return found


@pytest.fixture(scope="module")
def scraped(running: Clipbell) -> dict[str, set[str]]:
    """The labels of each metric, by its name, after a job and a refused callback."""
    job_id = running.submit("A fox")["id"]
    running.await_state(job_id, "succeeded")
    running.call("POST", "/callbacks/forged", b"{}")
    text = running.call("GET", "/metrics").body.decode()
    labels: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(text):
        name = family.name + ("_total" if family.type == "counter" else "")
        labels[name] = {label for sample in family.samples for label in sample.labels}
    return labels


def test_every_metric_is_exported(scraped: dict[str, set[str]]) -> None:
    """No rule and no panel names a metric that a running service does not have."""
    used = {name: set(re.findall(r"clipbell_\w+", text)) for name, text in expressions().items()}

    assert {} == {
        name: found - set(scraped) for name, found in used.items() if found - set(scraped)
    }
    assert set(scraped) - {"clipbell_callback_url_checks_total"} <= set().union(*used.values())


def test_every_label_is_exported(scraped: dict[str, set[str]]) -> None:
    """No rule and no panel goes by a label that a metric with samples does not have."""
    asked = [
        (name, set(re.findall(r"(\w+)=", selector)) | set(re.findall(r"\w+", by)))
        for text in expressions().values()
        for by, name, selector in re.findall(
            r"by \(([^)]*)\) \((?:\w+\()?(clipbell_\w+)(\{[^}]*\})?", text
        )
    ]

    assert asked
    assert [] == [
        (name, labels) for name, labels in asked if scraped[name] and labels - scraped[name]
    ]


def test_rules_are_valid() -> None:
    """`promtool` takes the rules."""
    promtool = shutil.which("promtool")
    need("" if promtool else "no promtool (apt-get install prometheus)")
    done = subprocess.run(
        [str(promtool), "check", "rules", str(ALERTS)], capture_output=True, text=True, check=False
    )

    assert 0 == done.returncode, done.stdout + done.stderr
    assert (
        f"{len(yaml.safe_load(ALERTS.read_text())['groups'][0]['rules'])} rules found"
        in done.stdout
    )


def test_dashboard_can_be_imported() -> None:
    """Every panel has a place of its own and asks the data source that is chosen at the top."""
    places = [tuple(panel["gridPos"][key] for key in "xy") for panel in DASHBOARD["panels"]]
    sources = {panel["datasource"]["uid"] for panel in DASHBOARD["panels"]}

    assert len(places) == len(set(places))
    assert {"${datasource}"} == sources
    assert ["datasource"] == [one["name"] for one in DASHBOARD["templating"]["list"]]
