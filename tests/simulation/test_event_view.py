"""What a camera sees by geometry: against the calibration of core, and with things in the way."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from retail_ray.core.errors import ConfigError
from retail_ray.core.types import UNTRACKED
from retail_ray.simulation.appearance import Appearance
from retail_ray.simulation.crowd import Crowd, Person
from retail_ray.simulation.event_settings import EventSettings, SightSettings
from retail_ray.simulation.event_sightings import analysed_ticks, calibration_of, on_floor, recall, sightings_of, track
from retail_ray.simulation.event_store import event_layouts, plan_with_cameras
from retail_ray.simulation.event_view import COLUMNS, LEVELS, Views, eye_of, look
from retail_ray.simulation.layout_parts import box, camera
from retail_ray.simulation.site_file import door_camera
from retail_ray.simulation.store import StorePlan, Wall

FRAME = (720, 1280)
CAMERA = camera("c", (0.0, 0.0, 3.0), (6.0, 0.0), 80, 25)
HALL = StorePlan("hall", (-10, -10, 20, 10), (-10, -10, 20, 10), (), (), (), (), (), (CAMERA,))
ALL = LEVELS * COLUMNS
BLACK = (0.0, 0.0, 0.0)
LOOKS = Appearance(
    0, 1.75, 1.0, 0.25, 1.0, BLACK, "short", BLACK, BLACK, BLACK, "plain", "long", BLACK, "trousers", BLACK, "none",
    BLACK, 0.0, 1,
)  # fmt: skip


def seen_at(plan: StorePlan, *places: tuple[float, float]) -> Views:
    xy = np.array(places, np.float32).reshape(-1, 2)
    eye = eye_of(plan, plan.cameras[0], FRAME)
    return look(eye, np.zeros(len(xy), np.int32), xy, np.full(len(xy), 1.75, np.float32), 100)


def test_feet_are_where_the_calibration_maps_them() -> None:
    places = [(3.0, 0.0), (6.0, 1.5), (9.0, -4.0), (12.0, 6.0)]
    views = seen_at(HALL, *places)
    assert views.row.tolist() == [100, 101, 102, 103]
    feet = calibration_of(CAMERA, FRAME).to_pixels(np.array(places))
    np.testing.assert_allclose(views.full_xyxy_px[:, 3], feet[:, 1], atol=0.01)
    assert (views.full_xyxy_px[:, 0] < feet[:, 0]).all()
    assert (feet[:, 0] < views.full_xyxy_px[:, 2]).all()
    heights = views.full_xyxy_px[:, 3] - views.full_xyxy_px[:, 1]
    assert heights[1] > heights[2] > heights[3]
    np.testing.assert_allclose(on_floor(feet.astype(np.float32), calibration_of(CAMERA, FRAME)), places, atol=2e-3)


@pytest.mark.parametrize("place", [(-3.0, 0.0), (2.0, 9.0), (25.0, 0.0)], ids=["behind", "beside", "off the floor"])
def test_who_is_out_of_the_picture_is_not_seen(place: tuple[float, float]) -> None:
    assert len(seen_at(HALL, place).row) == 0


def test_nobody_gives_nothing() -> None:
    assert len(seen_at(HALL).row) == 0


def test_a_counter_hides_the_legs_and_a_wall_everything() -> None:
    free = seen_at(HALL, (8.0, 0.0))
    assert (free.seen[0], free.lowest[0], free.highest[0]) == (ALL, 0, LEVELS - 1)
    counter = replace(HALL, fixtures=(box("counter", 1.0, 6.5, -2.0, 7.5, 2.0),))
    behind = seen_at(counter, (8.0, 0.0))
    assert 0 < behind.seen[0] < ALL
    assert behind.lowest[0] > 0
    assert behind.highest[0] == LEVELS - 1
    wall = replace(HALL, walls=(Wall((7.0, -3.0), (7.0, 3.0), 4.0),))
    assert len(seen_at(wall, (8.0, 0.0)).row) == 0
    assert seen_at(wall, (6.0, 0.0)).seen[0] == ALL


def test_the_nearer_one_hides_the_farther_one_and_not_the_other_way_round() -> None:
    near, far = seen_at(HALL, (5.0, 0.0), (5.6, 0.05)).seen
    assert near == ALL
    assert far < ALL / 2
    assert seen_at(HALL, (5.0, 0.0), (5.6, 3.0)).seen.tolist() == [ALL, ALL]


def test_people_of_different_frames_do_not_hide_each_other() -> None:
    xy = np.array([(5.0, 0.0), (5.6, 0.05)], np.float32)
    views = look(eye_of(HALL, CAMERA, FRAME), np.array([0, 1], np.int32), xy, np.full(2, 1.75, np.float32), 0)
    assert views.seen.tolist() == [ALL, ALL]


def walkers(ticks: int, *ways: NDArray[np.float64]) -> Crowd:
    """Each way is (ticks, 2) places; NaN where its person is absent."""
    places = np.stack(ways, axis=1)
    tick, person = np.nonzero(np.isfinite(places[..., 0]))
    n, zeros = len(tick), np.zeros(len(tick), np.float32)
    people = tuple(Person(number + 1, "shopper", LOOKS) for number in range(len(ways)))
    return Crowd(
        0.2, ticks, people, tick.astype(np.int32), (person + 1).astype(np.int32),
        places[tick, person].astype(np.float32), zeros, zeros, zeros, np.zeros(n, np.uint8),
    )  # fmt: skip


PERFECT = SightSettings(
    best_recall=1.0, breaks_per_hour=0.0, clutter_per_hour=0.0, dropped_share=0.0, outages_per_day=0
)
SETTINGS = EventSettings(0, 1.0, sight=PERFECT)


def test_a_gap_of_two_seconds_is_bridged_and_a_longer_one_ends_the_tracklet() -> None:
    way = np.stack([np.linspace(4, 8, 100), np.zeros(100)], axis=1)
    way[20:29] = np.nan  # 10 frames from sight to sight
    way[60:70] = np.nan  # 11
    crowd, rng = walkers(100, way), np.random.default_rng(1)
    seen = sightings_of(HALL, CAMERA, crowd, np.ones(100, np.bool_), settings=SETTINGS, rng=rng)
    local_id, tracklets = track(seen, SETTINGS, rng)
    assert tracklets.first_tick.tolist() == [0, 70]
    assert tracklets.last_tick.tolist() == [59, 99]
    assert tracklets.frames.tolist() == [51, 30]
    assert (np.diff(local_id) >= 0).all()
    assert tracklets.path_m[0] == pytest.approx(4 * 59 / 99, abs=0.6)


def test_a_glimpse_is_no_tracklet() -> None:
    way = np.full((40, 2), np.nan)
    way[[5, 6]] = (5.0, 0.0)
    crowd, rng = walkers(40, way), np.random.default_rng(1)
    seen = sightings_of(HALL, CAMERA, crowd, np.ones(40, np.bool_), settings=SETTINGS, rng=rng)
    local_id, tracklets = track(seen, SETTINGS, rng)
    assert local_id.tolist() == [UNTRACKED, UNTRACKED]
    assert len(tracklets) == 0


def test_nothing_is_seen_in_frames_that_were_not_analysed() -> None:
    way = np.tile([5.0, 0.0], (50, 1))
    analysed = np.arange(50) % 2 == 0
    rng = np.random.default_rng(1)
    seen = sightings_of(HALL, CAMERA, walkers(50, way), analysed, settings=SETTINGS, rng=rng)
    assert seen.tick.tolist() == list(range(0, 50, 2))


def test_boxes_on_things_belong_to_nobody() -> None:
    settings = replace(SETTINGS, sight=replace(PERFECT, clutter_per_hour=3600.0))
    rng = np.random.default_rng(1)
    empty = walkers(500, np.full((500, 2), np.nan))
    seen = sightings_of(HALL, CAMERA, empty, np.ones(500, np.bool_), settings=settings, rng=rng)
    assert 60 < len(seen) < 140
    assert (track(seen, settings, rng)[0] == UNTRACKED).all()
    assert (seen.confidence < 0.5).all()


def test_the_small_and_the_hidden_are_missed_more_often() -> None:
    heights = np.array([0, 20, 40, 80, 200], np.float32)
    by_height = recall(heights, np.ones(5, np.float32), SightSettings())
    by_share = recall(np.full(5, 200, np.float32), np.array([0, 0.1, 0.3, 0.6, 1], np.float32), SightSettings())
    for chances in (by_height, by_share):
        assert (np.diff(chances) >= 0).all()
        assert (chances[0], chances[-1]) == (0, np.float32(0.97))


def test_a_lost_frame_was_dropped_or_never_came() -> None:
    sight = SightSettings(dropped_share=0.05, outages_per_day=200.0)
    analysed, dropped = analysed_ticks(90_000, EventSettings(0, 5.0, sight=sight), np.random.default_rng(3))
    assert not (analysed & dropped).any()
    silent = ~analysed & ~dropped
    assert 0.04 < dropped.sum() / (~silent).sum() < 0.06
    assert silent.sum() > 1000


@pytest.mark.parametrize("layout", sorted(event_layouts()))
@pytest.mark.parametrize("count", [4, 16])
def test_every_layout_has_as_many_cameras_as_wished_and_one_sees_the_door(layout: str, count: int) -> None:
    plan = plan_with_cameras(layout, count)
    assert len(plan.cameras) == len({camera.id for camera in plan.cameras}) == count
    for door in plan.doors:
        assert door_camera(plan, door, FRAME) in {camera.id for camera in plan.cameras}
    x0, y0, x1, y1 = plan.shop_m
    for each in plan.cameras:
        assert x0 <= each.position_m[0] <= x1
        assert y0 <= each.position_m[1] <= y1


def test_a_layout_that_is_not_there_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="layout 'moon': no such layout"):
        plan_with_cameras("moon", 4)
