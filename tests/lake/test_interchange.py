from __future__ import annotations

import json
from datetime import UTC, datetime, time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from retail_ray.cli import main
from retail_ray.core.errors import LakeError, QueryError
from retail_ray.core.records import CoverageRow, DetectionRows
from retail_ray.core.retail_records import Alert, HeatCell, Journey, JourneyStay, QueueMinute
from retail_ray.core.time import US_PER_MINUTE, US_PER_S, BusinessDay, to_us
from retail_ray.lake.codecs import Record, RowContext, SiteRow
from retail_ray.lake.epochs import Stage, publish
from retail_ray.lake.interchange import FILES, Interval, export, hotspots, recorded
from retail_ray.lake.views import open_lake

NOON_US = to_us(datetime(2026, 3, 2, 11, tzinfo=UTC))  # 12:00 in Rome
DAY = BusinessDay("Europe/Rome", time(4))
NAN = float("nan")


def boxes(times_us: list[int], camera: str = 'till "1"') -> DetectionRows:
    n = len(times_us)
    xyxy = np.array([[10.125, 20.5, 50.375, 120.25]] * n, np.float32).reshape(n, 4)
    return DetectionRows(
        camera, np.arange(n, dtype=np.int64) * 5, np.array(times_us, np.int64), xyxy,
        np.full(n, 0.75, np.float32), np.where(np.arange(n) % 2, -1, 7).astype(np.int64),
        np.zeros((n, 2), np.float32), np.zeros(n, np.int8), np.zeros((n, 2)), np.ones(n, np.float32),
        (None,) * n, (720, 1280),
    )  # fmt: skip


def fill(root: Path, tables: dict[str, list[Record]], site: str = "shop-1", run: str = "r1") -> None:
    context = RowContext(site, run, "c1")
    stage = Stage(root, context, "site", DAY)
    publish(
        root, context, 0, [entry for table, rows in tables.items() for entry in stage.write_records(table, rows, 0)]
    )


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    stays = (
        JourneyStay("bread", NOON_US + 5 * US_PER_S, NOON_US + 15 * US_PER_S),
        JourneyStay("milk", NOON_US + 20 * US_PER_S, NOON_US + 30 * US_PER_S),
        JourneyStay("bread", NOON_US + 40 * US_PER_S, NOON_US + 42_500_000),
    )
    journey = ("s1", 9, NOON_US, NOON_US + 60 * US_PER_S, False, stays, 0.9, True, "zone_inferred", None, 0.01)
    hour = NOON_US - NOON_US % (60 * US_PER_MINUTE)
    fill(tmp_path / "lake", {
        "detections": [boxes([NOON_US + i * 299 * US_PER_S for i in range(5)])],
        "journeys": [Journey("s1-9-1", *journey)],
        "queue_metrics": [
            QueueMinute("lane-1", NOON_US, 1.5, 3, 2, 1, 1, 12.5, 40.0, 60.0),
            QueueMinute("lane-1", NOON_US + US_PER_MINUTE, 0.0, 0, 0, 0, 0, NAN, NAN, 0.0),
        ],
        "heat": [HeatCell(hour, -0.5, 1.0, 0.5, 30.0, 2), HeatCell(hour, 0.5, 1.5, 0.5, 10.0, 1)],
        "alerts": [
            Alert(NOON_US, "queue-long", "raised", "warning", "queue-long:lane-1", None, "lane-1", None, 5.0, 4.0, "5"),
            Alert(NOON_US + 1, "camera-silent", "raised", "critical", "camera-silent:door", None, None, "door", 1.0,
                  0.9, "nothing"),
        ],
        "coverage": [CoverageRow("door", NOON_US + i * US_PER_MINUTE, 300, 300, 0, "") for i in range(25)],
        "sites": [SiteRow(NOON_US, "Shop", "Europe/Rome", "04:00:00", "{}")],
    })  # fmt: skip
    return tmp_path / "lake"


def exported(lake: Path, out: Path, *options: str) -> dict[str, Any]:
    result = CliRunner().invoke(main, ["export", "--lake", str(lake), "--out", str(out), *options])
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in out.iterdir()) == sorted(FILES)
    return {name.removesuffix(".json"): json.loads((out / name).read_text()) for name in FILES}


def test_files_hold_the_fields_that_other_tools_read(lake: Path, tmp_path: Path) -> None:
    files = exported(lake, tmp_path / "out")
    assert files["detections"][0] == {
        "stream_id": 'till "1"', "frame_number": 0, "timestamp": "2026-03-02T11:00:00.000Z", "class_name": "person",
        "confidence": 0.75, "bbox": {"x": 10.12, "y": 20.5, "width": 40.25, "height": 99.75}, "track_id": 7,
    }  # fmt: skip
    assert [box["track_id"] for box in files["detections"]] == [7, None, 7, None, 7]
    assert files["journeys"] == [{
        "journey_id": "s1-9-1", "track_id": 9, "stream_id": "shop-1", "start_time": "2026-03-02T11:00:00.000Z",
        "end_time": "2026-03-02T11:01:00.000Z", "duration_seconds": 60.0, "zones_visited": ["bread", "milk", "bread"],
        "zone_dwell_times": {"bread": 12.5, "milk": 10.0}, "converted": True, "cart_detected": None,
    }]  # fmt: skip
    assert files["queue_metrics"] == [
        {
            "lane_id": "lane-1", "stream_id": "shop-1", "timestamp": "2026-03-02T11:00:00.000Z", "queue_length": 1.5,
            "avg_wait_time_seconds": 12.5, "max_wait_time_seconds": 40.0, "service_rate": 60.0, "abandonment_count": 1,
        },
        {
            "lane_id": "lane-1", "stream_id": "shop-1", "timestamp": "2026-03-02T11:01:00.000Z", "queue_length": 0.0,
            "avg_wait_time_seconds": None, "max_wait_time_seconds": None, "service_rate": 0.0, "abandonment_count": 0,
        },
    ]  # fmt: skip
    assert files["heatmap"] == {
        "stream_id": "shop-1", "resolution": {"columns": 3, "rows": 2, "x0_m": -0.5, "y0_m": 1.0}, "cell_size": 0.5,
        "data": [[30.0, 0.0, 0.0], [0.0, 0.0, 10.0]],
        "hotspots": [{"x": -0.25, "y": 1.25, "intensity": 30.0}, {"x": 0.75, "y": 1.75, "intensity": 10.0}],
    }  # fmt: skip
    assert [(alert["stream_id"], alert["rule_id"], alert["lane_id"]) for alert in files["alerts"]] == [
        ("shop-1", "queue-long", "lane-1"),
        ("door", "camera-silent", None),
    ]


def test_an_interval_holds_its_beginning_and_not_its_end(lake: Path, tmp_path: Path) -> None:
    """Local times where no offset is given; the boxes lie 299 s apart, so slices of 300 s must not lose or double."""
    whole = exported(lake, tmp_path / "all")["detections"]
    early = exported(lake, tmp_path / "a", "--to", "2026-03-02T12:09:58")
    late = exported(lake, tmp_path / "b", "--from", "2026-03-02T11:09:58+00:00")
    assert len(whole) == 5
    assert [len(part["detections"]) for part in (early, late)] == [2, 3]
    assert early["detections"] + late["detections"] == whole
    assert (late["journeys"], late["queue_metrics"], late["alerts"]) == ([], [], [])
    assert late["heatmap"]["hotspots"]  # the hour that the interval touches


def test_an_empty_interval_of_a_lake_gives_empty_files(tmp_path: Path) -> None:
    fill(tmp_path / "lake", {"coverage": [CoverageRow("door", NOON_US, 300, 300, 0, "")]})
    files = exported(tmp_path / "lake", tmp_path / "out")
    assert [files[name] for name in ("detections", "journeys", "queue_metrics", "alerts")] == [[], [], [], []]
    assert (files["heatmap"]["data"], files["heatmap"]["hotspots"]) == ([], [])


def test_of_several_sites_one_must_be_named(lake: Path, tmp_path: Path) -> None:
    fill(lake, {"coverage": [CoverageRow("door", 0, 300, 300, 0, "")], "detections": [boxes([0])]}, "shop-2", "r2")
    with open_lake(lake) as opened:
        with pytest.raises(QueryError, match=r"several sites \(shop-1, shop-2\)"):
            recorded(opened)
        with pytest.raises(QueryError, match="nothing of site 'shop-3' is recorded; sites here: shop-1, shop-2"):
            recorded(opened, "shop-3")
        assert recorded(opened, "shop-2") == Interval("shop-2", 0, US_PER_MINUTE)
    assert len(exported(lake, tmp_path / "out", "--site", "shop-2")["detections"]) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--from", "noon"], "'noon' is no ISO date and time"),
        (["--from", "2026-03-03", "--to", "2026-03-02"], "the interval is empty"),
        (["--site", "elsewhere"], "nothing of site 'elsewhere'"),
    ],
)
def test_wrong_questions_are_refused(lake: Path, tmp_path: Path, options: list[str], message: str) -> None:
    result = CliRunner().invoke(main, ["export", "--lake", str(lake), "--out", str(tmp_path / "out"), *options])
    assert result.exit_code == 2
    assert message in result.output
    assert not (tmp_path / "out").exists()


def test_files_that_are_there_stay(lake: Path, tmp_path: Path) -> None:
    (tmp_path / "alerts.json").write_text("mine")
    with open_lake(lake) as opened, pytest.raises(LakeError, match=r"alerts\.json: exists already"):
        export(opened, recorded(opened), tmp_path)
    assert (tmp_path / "alerts.json").read_text() == "mine"
    assert not (tmp_path / "detections.json").exists()


@settings(max_examples=150, deadline=None)
@given(hnp.arrays(np.float64, hnp.array_shapes(min_dims=2, max_dims=2, max_side=6), elements=st.integers(0, 4)))
def test_hotspots_are_local_maxima(grid: np.ndarray[Any, Any]) -> None:
    found = hotspots(grid)
    assert len(found) == len(set(found))
    for row, column in found:
        around = grid[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2]
        assert grid[row, column] == around.max() > 0
    strengths = [grid[top] for top in found]
    assert strengths == sorted(strengths, reverse=True)
    if grid.max() > 0:
        assert strengths[0] == grid.max()
    for row, column in np.argwhere(grid > 0):
        around = grid[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2].copy()
        if (around == grid[row, column]).sum() == 1 and grid[row, column] == around.max():
            assert (row, column) in found
