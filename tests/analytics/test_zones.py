"""Zone stays against people whose time in the zone is known exactly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retail_ray.analytics.sights import floor_sights
from retail_ray.analytics.zones import Zones, ZoneSettings
from retail_ray.core.errors import GeometryError
from retail_ray.core.event_time import CameraView, WatermarkBuffer
from retail_ray.core.records import ZoneVisit
from tests.support.scenes import S, Sighting, message, walk

SHELF = ZoneSettings("shelf", ((0.0, 0.0), (4.0, 0.0), (4.0, 3.0), (0.0, 3.0)))


def stays(zone: ZoneSettings, sightings: Sequence[Sighting], data_end_s: float | None = None) -> list[ZoneVisit]:
    """All stays; with `data_end_s` the data stops there, else the track is given up by itself."""
    buffer, zones = WatermarkBuffer([CameraView("cam", True)], S // 2), Zones([zone])
    buffer.submit(message("cam", sightings, 0))
    buffer.end("cam")
    until_us = 10**12 if data_end_s is None else round(data_end_s * S)
    ended = [
        v
        for ticks in buffer.blocks(until_us, 50, zones.wake_us)
        for v in zones.update(ticks, floor_sights(ticks), ["cam"])
    ]
    return ended + (zones.finish(["cam"]) if data_end_s is not None else [])


def through(enter_s: float, exit_s: float, speed: float = 1.0) -> object:
    """Walks in over y = 0 at `enter_s`, stands 1 m deep, walks out the same way at `exit_s`."""
    return lambda t: (2.0, float(min(speed * (t - enter_s), 1.0, speed * (exit_s - t))))


@pytest.mark.parametrize("fps", [2.0, 5.0, 10.0])
@pytest.mark.parametrize("dwell_s", [5.1, 12.34, 60.0])
def test_stamped_at_the_borders_not_at_the_debounce(fps: float, dwell_s: float) -> None:
    (visit,) = stays(SHELF, walk(1, through(4.03, 4.03 + dwell_s), 0, 10 + dwell_s, fps))
    # Exact but for the frame in which the walker stops or starts within the step over the border.
    assert abs(visit.enter_us - 4.03 * S) <= 0.2 * S / fps + 1
    assert abs(visit.dwell_s - dwell_s) <= 0.2 / fps + 1e-5
    assert (visit.censored, visit.bridged_s) == (False, 0.0)
    assert visit.observed_s == pytest.approx(visit.dwell_s, abs=1e-6)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([4.0, 8.0]), st.sampled_from([0.02, 0.08]))
def test_dwell_of_noisy_people_has_no_bias_of_a_frame(seed: int, fps: float, noise: float) -> None:
    rng = np.random.default_rng(seed)
    rows, truth = [], {}
    for local_id in range(20):
        enter, dwell = 4 + 100 * local_id + float(rng.uniform(0, 1)), float(rng.uniform(7, 30))
        rows += walk(local_id, through(enter, enter + dwell), enter - 3, enter + dwell + 3, fps, noise, rng)
        truth[local_id] = dwell
    found = stays(SHELF, rows)
    assert len(found) == 20
    errors = np.array([visit.dwell_s - truth[visit.local_id] for visit in found])
    assert abs(float(errors.mean())) < 1 / fps
    assert float(np.abs(errors).max()) < 2 / fps + 8 * noise


def test_walking_through_is_no_visit_and_a_short_stay_is_left_out() -> None:
    assert stays(SHELF, walk(1, lambda t: (2.0, t - 3), 0, 12)) == []  # 3 s inside
    short = stays(replace(SHELF, min_dwell_s=0.0), walk(1, lambda t: (2.0, t - 3), 0, 12))
    assert [round(v.dwell_s, 3) for v in short] == [3.0]


def test_touching_the_zone_for_less_than_the_debounce_is_no_entry() -> None:
    touch = walk(1, lambda t: (2.0, 0.3 - abs(t - 5)), 0, 20)  # 0.6 s inside with a peak of 0.3 m
    touch = [replace(r, y_m=-0.1) if r.time_us > 5.1 * S and r.time_us < 6 * S else r for r in touch]
    assert stays(replace(SHELF, min_dwell_s=0.0), touch) == []


def test_loitering_on_the_border_is_one_stay() -> None:
    """Steps 0.2 m outside for half a second every two seconds: never long enough to have left."""
    rows = walk(1, lambda t: (2.0, -1.0 if t < 3 or t > 23 else (-0.2 if t % 2 < 0.5 else 0.3)), 0, 30)
    (visit,) = stays(SHELF, rows)
    assert visit.dwell_s == pytest.approx(20, abs=0.7)
    assert visit.observed_s == pytest.approx(visit.dwell_s, abs=1e-6)


def test_leaving_for_longer_than_the_debounce_makes_two_stays() -> None:
    rows = walk(1, lambda t: (2.0, -1.0 if t < 3 or 13 < t < 15 or t > 25 else 1.0), 0, 30)
    assert [round(v.dwell_s, 1) for v in stays(SHELF, rows)] == [
        10.1,
        10.1,
    ]  # from half a frame before to half a frame after


@pytest.mark.parametrize(
    ("begin_s", "end_s", "data_end_s", "borders", "censored"),
    [
        (0, 30, None, (4, 20), False),
        (8, 30, None, (8, 20), True),  # the track starts inside
        (0, 15, None, (4, 15), True),  # the track ends inside
        (0, 15, 15.5, (4, 15), True),  # the data ends while inside
        (0, 21, 21.5, (4, 20), False),  # the data ends before the debounce, but the border was crossed
        (8, 15, None, (8, 15), True),
    ],
)
def test_stays_cut_off_are_censored(
    begin_s: float, end_s: float, data_end_s: float | None, borders: tuple[float, float], censored: bool
) -> None:
    (visit,) = stays(SHELF, walk(1, through(4, 20), begin_s, end_s), data_end_s)
    assert (visit.enter_us, visit.exit_us) == pytest.approx((borders[0] * S, borders[1] * S), abs=2)
    assert visit.censored is censored


def test_gaps_are_bridged_up_to_ten_seconds_and_kept_apart() -> None:
    rows = walk(1, through(4, 40), 0, 45)
    short = [r for r in rows if not 10 * S < r.time_us < 18 * S]
    (visit,) = stays(SHELF, short)
    assert (visit.observed_s, visit.bridged_s) == pytest.approx((28, 8), abs=1e-5)
    assert visit.censored is False
    long = [r for r in rows if not 10 * S < r.time_us < 21 * S]
    first, second = stays(SHELF, long)
    assert (first.exit_us, second.enter_us) == (10 * S, 21 * S)
    assert first.censored
    assert second.censored


def test_leaving_during_a_gap_counts_as_bridged_until_the_border() -> None:
    rows = [
        r for r in walk(1, lambda t: (2.0, 1.0 - 0.25 * max(0.0, t - 10)), 0, 24) if not 10 * S < r.time_us < 18 * S
    ]
    (visit,) = stays(replace(SHELF, polygon=((0.0, 0.0), (4.0, 0.0), (4.0, 3.0), (0.0, 3.0))), rows)
    assert visit.exit_us == pytest.approx(14 * S, abs=2)
    assert (visit.observed_s, visit.bridged_s) == pytest.approx((10, 4), abs=1e-5)


def test_an_impossible_jump_in_a_gap_is_not_bridged() -> None:
    """A track that vanishes at one end and is back 2 s later 20 m away is not one person on a plausible path."""
    wide = replace(SHELF, polygon=((0.0, 0.0), (40.0, 0.0), (40.0, 3.0), (0.0, 3.0)))
    rows = walk(1, lambda t: (2.0, 1.0), 0, 10) + walk(1, lambda t: (30.0, 1.0), 12, 22)
    assert [(v.enter_us // S, v.exit_us // S, v.bridged_s) for v in stays(wide, rows)] == [(0, 10, 0.0), (12, 22, 0.0)]


def test_a_zone_in_pixels_counts_only_its_camera_and_needs_no_calibration() -> None:
    zone = replace(SHELF, polygon=((0.0, 0.0), (400.0, 0.0), (400.0, 300.0), (0.0, 300.0)), camera_id="cam")
    buffer, zones = WatermarkBuffer([CameraView("cam", False), CameraView("other", False)], S), Zones([zone])
    rows = walk(1, through(4, 20), 0, 30)
    for name in ("cam", "other"):
        buffer.submit(message(name, rows, 99 * S, calibrated=False))
    visits = [
        v
        for ticks in buffer.blocks(99 * S, 50, zones.wake_us)
        for v in zones.update(ticks, floor_sights(ticks), ["cam", "other"])
    ]
    assert [(v.camera_id, round(v.dwell_s, 3)) for v in visits] == [("cam", 16.0)]


def test_the_foot_point_counts_not_a_clipped_box() -> None:
    """A box cut by the picture's lower edge has its foot estimated below it; that point decides, outside the frame."""
    zone = replace(SHELF, polygon=((0.0, 600.0), (400.0, 600.0), (400.0, 900.0), (0.0, 900.0)), camera_id="cam")
    rows = walk(1, lambda t: (2.0, 7.5), 0, 10)  # foot at 750 px in a frame of, say, 720
    (visit,) = stays(zone, rows)
    assert visit.dwell_s == pytest.approx(10)


def wanderers(seed: int) -> list[Sighting]:
    """A dozen people who circle around (3.5, 1.5), each lost for a while."""
    rng, rows = np.random.default_rng(seed), list[Sighting]()
    for local_id in range(12):
        begins_s, lost_s, phase = rng.uniform(0, 40), rng.uniform(0.5, 15), rng.uniform(0, 6)

        def way(t: float, phase: float = phase) -> tuple[float, float]:
            return 3.5 + 3.0 * np.sin(t / 3 + phase), 1.5 + 2.0 * np.cos(t / 5 + phase)

        rows += walk(local_id, way, begins_s, begins_s + 15)
        rows += walk(local_id, way, begins_s + 15 + lost_s, begins_s + 35 + lost_s)
    return rows


def stays_of(zones: Sequence[ZoneSettings], told: dict[str, list[Sighting]], at_once_ticks: int) -> list[ZoneVisit]:
    """Stays in several zones at once, so many ticks at a time, each time going on from a saved state."""
    names, at_once, ended = sorted(told), Zones(zones), list[ZoneVisit]()
    buffer = WatermarkBuffer([CameraView(name, True) for name in names], S // 2)
    for name, rows in told.items():
        buffer.submit(message(name, rows, 99 * S))
    for ticks in buffer.blocks(99 * S, at_once_ticks, at_once.wake_us):
        ended += at_once.update(ticks, floor_sights(ticks), names)
        at_once.restore(at_once.state())
    return ended + at_once.finish(names)


def by_zone(visits: Sequence[ZoneVisit]) -> list[ZoneVisit]:
    return sorted(visits, key=lambda v: (v.zone_id, v.exit_us, v.camera_id, v.local_id))


@pytest.mark.parametrize("at_once_ticks", [2, 7, 300])
def test_zones_of_all_kinds_and_gaps_count_together_what_each_counts_alone(at_once_ticks: int) -> None:
    """People come and go over a shared border, and are lost for longer than some zones remember and others do not."""
    near = ((4.0, 0.0), (7.0, 0.0), (7.0, 3.0), (4.0, 3.0))
    zones = [
        replace(SHELF, max_gap_s=2.0, min_dwell_s=0.5),
        replace(SHELF, zone_id="beside", polygon=near, max_gap_s=20.0, min_dwell_s=0.5),
        replace(SHELF, zone_id="cam-px", polygon=((0, 0), (400, 0), (400, 300), (0, 300)), camera_id="cam"),
        replace(SHELF, zone_id="other-px", polygon=((0, 0), (700, 0), (700, 90), (0, 90)), camera_id="other"),
    ]
    told = {name: wanderers(seed) for seed, name in enumerate(("cam", "other"))}
    together = stays_of(zones, told, 1)
    alone = [visit for zone in zones for visit in stays_of([zone], told, 1)]
    assert by_zone(together) == by_zone(alone)
    assert {visit.zone_id for visit in together} == {zone.zone_id for zone in zones}
    assert stays_of(zones, told, at_once_ticks) == together


def test_present_counts_open_stays() -> None:
    buffer, zones = WatermarkBuffer([CameraView("cam", True)], S), Zones([SHELF])
    buffer.submit(message("cam", walk(1, through(2, 20), 0, 30) + walk(2, lambda t: (2.0, -1.0), 0, 30), 99 * S))
    for until_s, expected in ((2, 0), (10, 1), (19, 1), (25, 0)):
        for ticks in buffer.blocks(until_s * S, 50, zones.wake_us):
            zones.update(ticks, floor_sights(ticks), ["cam"])
        assert zones.present() == {"shelf": expected}


def test_impossible_zones_are_refused_by_name() -> None:
    with pytest.raises(GeometryError, match="zone 'shelf': the polygon crosses itself"):
        replace(SHELF, polygon=((0.0, 0.0), (1.0, 1.0), (1.0, 0.0), (0.0, 1.0)))
    with pytest.raises(GeometryError, match="zone 'shelf': its times must not be negative"):
        replace(SHELF, min_dwell_s=-1.0)
