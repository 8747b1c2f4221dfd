"""Presence on the floor: exact seconds, people once, gaps only where they can be bridged, local hours."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from retail_ray.analytics.floor_people import FloorTicks
from retail_ray.analytics.floor_tables import SAMPLE
from retail_ray.analytics.heat import HeatMeter, HeatSettings
from retail_ray.core.errors import ConfigError
from retail_ray.core.hotspots import hotspots
from retail_ray.core.retail_records import HeatCell
from retail_ray.core.time import to_us
from tests.support.queue_scenes import Path, Scene, stands, through, track
from tests.support.scenes import S, Sighting

HOUR_S = 3600


def cells(seen: dict[str, list[Sighting]], end_s: float, cell_m: float = 1.0) -> list[HeatCell]:
    return Scene(seen, end_s).rows(cell_m=cell_m).heat


def test_seconds_where_somebody_stood_and_walked() -> None:
    way: Path = through((0, 0.5, 0.5), (30, 0.5, 0.5), (34, 4.5, 0.5), (60, 4.5, 0.5))
    found = {(row.x0_m, row.y0_m): row for row in cells({"a": track(1, way, 0, 60)}, 61)}
    assert set(found) == {(float(x), 0.0) for x in range(5)}
    assert found[0.0, 0.0].presence_s == pytest.approx(30.5, abs=0.5)
    assert found[2.0, 0.0].presence_s == pytest.approx(1.0, abs=0.3)
    assert found[4.0, 0.0].presence_s == pytest.approx(26.5, abs=0.5)
    assert {row.people for row in found.values()} == {1}
    assert sum(row.presence_s for row in found.values()) == pytest.approx(60, abs=0.5)


def test_a_person_in_three_cameras_counts_once_and_three_people_three_times() -> None:
    one = {name: track(i, stands(0.4 + 0.1 * i, 0.5), 0, 60) for i, name in enumerate("abc")}
    assert sum(row.presence_s for row in cells(one, 61)) == pytest.approx(60, abs=2)
    three = {"a": [s for i in range(3) for s in track(i, stands(0.2 + 0.3 * i, 0.5), 0, 60)]}
    (row,) = cells(three, 61)
    assert row.presence_s == pytest.approx(180, abs=2)
    assert row.people == 3


def test_a_gap_is_bridged_where_somebody_stood_and_not_where_nobody_knows() -> None:
    stood = track(1, stands(0.5, 0.5), 0, 20) + track(2, stands(0.6, 0.5), 28, 40)
    assert sum(row.presence_s for row in cells({"a": stood}, 41)) == pytest.approx(40, abs=1)
    away = track(1, stands(0.5, 0.5), 0, 20) + track(1, stands(5.5, 0.5), 28, 40)
    assert sum(row.presence_s for row in cells({"a": away}, 41)) == pytest.approx(32, abs=1)
    long = track(1, stands(0.5, 0.5), 0, 20) + track(2, stands(0.5, 0.5), 35, 45)
    assert sum(row.presence_s for row in cells({"a": long}, 46)) == pytest.approx(30, abs=1)


def test_hours_are_the_shops_own_and_each_counts_its_part() -> None:
    """In Kolkata an hour begins at half past of UTC."""
    meter = HeatMeter(HeatSettings("Asia/Kolkata"))
    half_past_us = to_us(datetime(2026, 3, 2, 4, 30, tzinfo=UTC))
    times_us = half_past_us + np.arange(-20, 20) * S
    samples = np.array([(1, time_us, 1, 0.2, 0.2, True) for time_us in times_us.tolist()], SAMPLE)
    (before,) = meter.update(FloorTicks(times_us + S, samples, np.arange(41), [[]] * 40, [[]] * 40))
    (after,) = meter.finish()
    assert (before.time_us, after.time_us) == (half_past_us - HOUR_S * S, half_past_us)
    assert (before.presence_s, after.presence_s) == pytest.approx((19.75, 19.25), abs=0.6)
    assert (before.people, after.people) == (1, 1)


def test_an_hour_comes_out_when_it_is_over() -> None:
    scene = {"a": track(1, stands(0.5, 0.5), HOUR_S - 30, HOUR_S + 60)}
    first, second = cells(scene, HOUR_S + 61)
    assert (first.time_us, second.time_us) == (0, HOUR_S * S)
    assert (first.presence_s, second.presence_s) == pytest.approx((30, 60), abs=1)


def test_hotspots_are_local_maxima_and_of_equals_one_counts() -> None:
    heat = {(0.0, 0.0): 5.0, (0.5, 0.0): 9.0, (1.0, 0.0): 4.0, (3.0, 0.0): 7.0, (3.5, 0.0): 7.0, (9.0, 9.0): 0.0}
    found = hotspots(heat, 0.5)
    assert [(spot.x0_m, spot.presence_s) for spot in found] == [(0.5, 9.0), (3.0, 7.0)]
    assert hotspots(heat, 0.5, most=1) == found[:1]
    assert hotspots({}, 0.5) == []


def test_impossible_squares_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"cell_m is 0\.0 and must be positive"):
        HeatSettings("UTC", 0.0)
