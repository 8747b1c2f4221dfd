"""The registry and its metrics over HTTP, on the command line and in the documents."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jsonschema
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from retail_ray.api.app import create_app
from retail_ray.api.site import Named, SiteInfo
from retail_ray.cli import main
from retail_ray.lake.metric_answers import ask
from retail_ray.lake.metrics import METRICS
from retail_ray.metrics_page import metrics_page
from tests.metrics.conftest import Store

DAY = "from=2026-03-02&to=2026-03-02"
SITE = SiteInfo("shop", "Shop", "Europe/Rome", time(4), (Named("door", "door"),), (), ())


@pytest.fixture(scope="module")
def client(simulated: Path) -> Iterator[TestClient]:
    with TestClient(create_app(simulated / "lake", SITE)) as client:
        yield client


def get(client: TestClient, path: str, status: int = 200) -> Any:
    response = client.get(path)
    assert response.status_code == status, response.text
    return response.json()


def test_the_registry_tells_everything_about_every_metric(client: TestClient) -> None:
    found = get(client, "/v1/metrics")["metrics"]
    assert [metric["id"] for metric in found] == [metric.id for metric in METRICS]
    for told, metric in zip(found, METRICS, strict=True):
        assert told["values"]
        assert told["formula"]
        assert told["version"] >= 1
        assert bool(told["sql"]) == (metric.source is not None)
    result = CliRunner().invoke(main, ["metrics", "list", "--json"])
    assert json.loads(result.stdout) == found


def test_an_answer_has_rows_and_coverage(client: TestClient, store: Store) -> None:
    found = get(client, f"/v1/metrics/zone_visits?{DAY}&by=zone,hour&staff=exclude")
    assert (found["metric"], found["by"], found["staff"], found["grain"]) == (
        "zone_visits", ["zone", "hour"], "exclude", None,
    )  # fmt: skip
    assert found["coverage"]["interval_share"] == pytest.approx(1.6 / 24, abs=0.001)
    rows = {(row["group"]["zone_id"], row["group"]["hour"]): row["values"] for row in found["rows"]}
    assert len(rows) == 5 * 24
    wanted = ask(store.lake, store.question, "zone_visits", by=["zone", "hour"], staff="exclude")
    for row in wanted:
        assert rows[row.group["zone_id"], row.group["hour"]] == row.values
    hours = get(client, f"/v1/metrics/footfall?{DAY}&grain=hour")["rows"]
    busy = [row["from"] for row in hours if row["values"]["entries"]]
    assert busy == ["2026-03-02T12:00:00+01:00", "2026-03-02T13:00:00+01:00"]


@pytest.mark.parametrize(
    ("path", "status", "message"),
    [
        ("/v1/metrics/sales", 404, "There is no metric 'sales'"),
        ("/v1/metrics/heat?by=line", 422, "but by cell, hour"),
        ("/v1/metrics/heat?grain=minute", 422, "but hour, day"),
        ("/v1/metrics/footfall?by=hour&grain=hour", 422, "give either a grain or one of"),
        ("/v1/metrics/footfall?by=", 200, ""),
        ("/v1/metrics/footfall?by=,,", 422, "by"),
        ("/v1/metrics/footfall?from=noon", 422, "is no time"),
        ("/v1/metrics/footfall?per=hour", 422, "per"),
        ("/v1/metrics/occupancy?staff=exclude", 422, "staff cannot be left out"),
        ("/v1/metrics/footfall?from=1980-01-01&to=2020-01-01&grain=minute", 422, "more than 1500 minutes"),
        ("/v1/metrics/footfall?from=1980-01-01&to=2020-01-01&by=hour", 422, "more than 1500 days"),
    ],
)
def test_other_questions_are_refused_with_what_would_be_right(
    client: TestClient, path: str, status: int, message: str
) -> None:
    answer = get(client, path, status)
    assert message in answer.get("detail", "")


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from([*(metric.id for metric in METRICS), "x"]) | st.text(max_size=8),
    st.dictionaries(
        st.sampled_from(["by", "grain", "staff", "from", "to", "z"]),
        st.sampled_from(["hour", "day", "zone", "zone,hour", "exclude", "2026-03-02", "2026-03-02T12:30"])
        | st.text(max_size=8),
        max_size=4,
    ),
)
def test_no_question_breaks_it(client: TestClient, metric_id: str, query: dict[str, str]) -> None:
    response = client.get(f"/v1/metrics/{quote(metric_id, safe='')}", params=query)
    assert response.status_code in (200, 307, 404, 422), response.text


def test_answers_are_as_the_openapi_document_says(client: TestClient) -> None:
    document = get(client, "/openapi.json")
    schema = {"$ref": "#/components/schemas/MetricAnswer", "components": document["components"]}
    for metric in METRICS:
        if metric.id != "capture_rate":
            jsonschema.validate(get(client, f"/v1/metrics/{metric.id}?{DAY}&by={metric.groups[0]}"), schema)
    jsonschema.validate(get(client, "/v1/metrics"), schema | {"$ref": "#/components/schemas/RegistryAnswer"})


@pytest.mark.parametrize("form", ["table", "csv", "json"])
def test_asked_on_the_command_line(simulated: Path, store: Store, form: str) -> None:
    words = ["metrics", "ask", "footfall", "--site", str(simulated / "site.yaml"), "--by", "line", "--format", form]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 0, result.output
    (wanted,) = ask(store.lake, store.question, "footfall", by=["line"])
    for number in wanted.values.values():
        assert str(number) in result.stdout
    result = CliRunner().invoke(main, [*words, "--grain", "hour", "--by", "hour"])
    assert result.exit_code == 2
    assert "give either a grain or one of" in result.stderr


def test_shown_on_the_command_line_and_on_the_page() -> None:
    page = metrics_page()
    for metric in METRICS:
        result = CliRunner().invoke(main, ["metrics", "show", metric.id])
        assert metric.formula in result.stdout
        assert metric.formula in page
        for value in metric.values:
            assert value.name in result.stdout
            assert f"`{value.name}`" in page
