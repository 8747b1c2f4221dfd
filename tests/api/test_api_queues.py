"""Queues and heat over HTTP: what is stored, what is live, and bad input."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from retail_ray.api.app import create_app
from retail_ray.api.site import LiveSnapshot, Named
from retail_ray.core.retail_records import HeatCell, QueueMinute, QueueVisit
from retail_ray.lake.codecs import RowContext
from retail_ray.lake.epochs import Stage, publish
from tests.api.conftest import MINUTE_US, SITE, TEN_US, RunningSite

HOURS = {"from": "2026-03-01T10:00:00", "to": "2026-03-01T12:00:00"}
LANES = (Named("lane-1", "Till one"), Named("lane/2", "Till two"))


class Busy(RunningSite):
    """Two people wait in the first lane."""

    def snapshot(self) -> LiveSnapshot | None:
        found = super().snapshot()
        return None if found is None else replace(found, queues={"lane-1": 2})


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("queues")
    context = RowContext(SITE.id, "r1", "c1")
    stage = Stage(path, context, "site", SITE.day)
    visits = [
        QueueVisit("lane-1", "till", i, None, None, TEN_US, TEN_US + wait * 1_000_000, TEN_US + 60_000_000, "served")
        for i, wait in enumerate((10, 20, 30))
    ]
    minutes = [QueueMinute("lane-1", TEN_US, 1.0, 3, 3, 3, 0, math.nan, 30.0, 180.0)]
    cells = [HeatCell(TEN_US, x / 2, 0.0, 0.5, 10.0 * (x + 1), x + 1) for x in range(3)]
    rows = {"queue_visits": visits, "queue_metrics": minutes, "heat": cells}
    publish(path, context, 0, [entry for name, some in rows.items() for entry in stage.write_records(name, some, 0)])
    return path


@pytest.fixture
def client(root: Path) -> Iterator[TestClient]:
    site = replace(SITE, lanes=LANES)
    with TestClient(create_app(root, site, Busy(), now_us=lambda: TEN_US + 100 * MINUTE_US)) as opened:
        yield opened


def test_every_lane_with_waits_lengths_and_coverage(client: TestClient) -> None:
    answer = client.get("/v1/queues", params=HOURS)
    assert answer.status_code == 200
    body = answer.json()
    assert body["coverage"]["asked_camera_minutes"] == 240
    one, two = body["lanes"]
    assert (one["lane_id"], one["name"], one["waiting_now"], two["waiting_now"]) == ("lane-1", "Till one", 2, 0)
    assert one["waits"]["median_wait_s"] == 20
    assert one["little"] == {
        "mean_length": 1.0, "arrivals_per_s": 0.05, "mean_wait_s": 20.0, "arrivals_times_wait": 1.0,
    }  # fmt: skip
    assert (two["waits"]["visits"], two["length_mean"], two["little"]) == (0, None, None)


def test_one_lane_by_hour(client: TestClient) -> None:
    body = client.get("/v1/queues/lane-1", params=HOURS | {"by": "hour"}).json()
    assert [bucket["joined"] for bucket in body["buckets"]] == [3, 0]
    assert body["lane"]["length_max"] == 3
    assert client.get("/v1/queues/lane/2", params=HOURS).json()["lane"]["name"] == "Till two"


def test_heat_with_hotspots_and_suppression(client: TestClient) -> None:
    (grid,) = client.get("/v1/heat", params=HOURS | {"min_people": 2, "hotspots": 1}).json()["grids"]
    assert [square["x0_m"] for square in grid["squares"]] == [0.5, 1.0]
    assert (grid["suppressed"], [spot["x0_m"] for spot in grid["hotspots"]]) == (1, [1.0])


@pytest.mark.parametrize(
    ("path", "params", "status"),
    [
        ("/v1/queues/nowhere", {}, 404),
        ("/v1/queues/lane-1", {"by": "week"}, 422),
        ("/v1/queues/lane-1", {"by": "minute", "from": "2026-01-01", "to": "2026-03-01"}, 422),
        ("/v1/queues", {"from": "yesterday"}, 422),
        ("/v1/heat", {"min_people": 0}, 422),
        ("/v1/heat", {"nonsense": 1}, 422),
    ],
)
def test_bad_input_is_explained(client: TestClient, path: str, params: dict[str, str | int], status: int) -> None:
    answer = client.get(path, params=params)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


def test_an_empty_lake_and_a_site_without_lanes_answer(empty_client: TestClient) -> None:
    assert empty_client.get("/v1/queues").json()["lanes"] == []
    assert empty_client.get("/v1/heat").json()["grids"] == []
