"""Queues on hand-made ways with exact times: who joins, who is served, who gives up, and who does not."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from retail_ray.analytics.queue_lanes import LaneSettings
from retail_ray.analytics.site import SiteOperators
from retail_ray.core.errors import ConfigError, DataError, GeometryError
from retail_ray.core.event_time import FOREVER_US
from retail_ray.core.retail_records import QueueVisit
from tests.support.queue_scenes import Path, Scene, lane, site, stands, through, track
from tests.support.scenes import S, chunks, message

# Walks in, stands at the head from second 10, is served from 30 to 50, and goes.
SERVED: Path = through((4, 0, -5), (10, 0, 3.8), (29, 0, 3.8), (30, 0, 5), (50, 0, 5), (53, 3, 8))
# Stands behind from second 20, and walks off to the side at 60.
GAVE_UP: Path = through((14, 0, -5), (20, 0, 2.8), (60, 0, 2.8), (64, -6, 2.8), (70, -6, -5))
TOLERANCE_S = 1.1


def visits(scene: Scene, *lanes: LaneSettings) -> list[QueueVisit]:
    return scene.rows(lanes or (lane(),)).queue_visits


def outcomes(scene: Scene, *lanes: LaneSettings) -> list[str]:
    return [visit.outcome for visit in visits(scene, *lanes)]


def near(time_us: int | None, second: float) -> bool:
    return time_us is not None and abs(time_us / S - second) <= TOLERANCE_S


def test_wait_and_service_of_who_is_served() -> None:
    (visit,) = visits(Scene({"a": track(1, SERVED, 4, 53)}, 60))
    assert (visit.lane_id, visit.camera_id, visit.local_id, visit.outcome) == ("lane-1", "a", 1, "served")
    assert near(visit.join_us, 10)
    assert near(visit.service_us, 29.5)
    assert near(visit.leave_us, 50.5)


def test_who_walks_off_while_waiting_gave_up() -> None:
    scene = Scene({"a": track(1, SERVED, 4, 53) + track(2, GAVE_UP, 14, 70)}, 120)
    served, gave_up = visits(scene)
    assert (served.outcome, gave_up.outcome, gave_up.service_us) == ("served", "abandoned", None)
    assert near(gave_up.join_us, 20)
    assert near(gave_up.leave_us, 60.5)


def test_who_leaves_after_a_moment_stopped_by_and_a_setting_says_how_long_that_is() -> None:
    """Waits from second 10 to 25."""
    soon = through((4, 0, -5), (10, 0, 3.8), (25, 0, 3.8), (29, -6, 3.8), (40, -6, -5))
    scene = Scene({"a": track(1, soon, 4, 40)}, 60)
    assert outcomes(scene) == ["censored"]
    assert outcomes(scene, replace(lane(), abandoned_after_s=14.0)) == ["abandoned"]
    assert outcomes(scene, replace(lane(), abandoned_after_s=17.0)) == ["censored"]


def test_a_lost_track_gave_nothing_up() -> None:
    (visit,) = visits(Scene({"a": track(1, stands(0, 3.8), 0, 30)}, 120))
    assert (visit.outcome, visit.service_us) == ("censored", None)
    assert near(visit.leave_us, 30)


def test_a_change_of_lanes_is_no_abandonment() -> None:
    changes = through(
        (0, 0, 3.8), (30, 0, 3.8), (33, 3, 3.8), (50, 3, 3.8), (51, 3, 5), (70, 3, 5), (72, 3, 8), (76, 5, 9)
    )
    first, second = visits(Scene({"a": track(1, changes, 0, 76)}, 120), lane(), lane("lane-2", 3.0))
    assert (first.lane_id, first.outcome, second.lane_id, second.outcome) == (
        "lane-1", "censored", "lane-2", "served",
    )  # fmt: skip


def test_who_steps_aside_for_a_moment_has_not_left() -> None:
    aside = through((0, 0, 3.8), (20, 0, 3.8), (22, 1.6, 3.8), (25, 1.6, 3.8), (27, 0, 3.8), (45, 0, 3.8), (46, 0, 5))
    (visit,) = visits(Scene({"a": track(1, aside, 0, 60)}, 61))
    assert near(visit.join_us, 0)
    assert near(visit.service_us, 45.5)


def test_the_cashier_is_in_no_queue_and_who_walks_through_neither() -> None:
    cashier = through((0, 1.6, 5), (20, 1.6, 5), (24, 0, 3.5), (60, 0, 3.5), (63, 1.6, 5), (80, 1.6, 5))
    passer = through((0, 0, -3), (8, 0, 6))
    assert visits(Scene({"a": track(1, cashier, 0, 80) + track(2, passer, 0, 8)}, 90)) == []


def test_who_stands_at_an_empty_lanes_tail_is_in_no_queue_but_behind_somebody_is() -> None:
    at_tail = track(2, stands(0, 1.0), 0, 60)
    assert visits(Scene({"a": at_tail}, 61)) == []
    ahead = track(1, stands(0, 3.6), 0, 60) + track(3, stands(0, 2.3), 0, 60)
    assert len(visits(Scene({"a": at_tail + ahead}, 61))) == 3


def test_between_two_near_lanes_a_person_is_in_one() -> None:
    lanes = lane(), lane("lane-2", 1.0)
    found = visits(Scene({"a": track(1, stands(0.4, 3.8), 0, 40) + track(2, stands(0.6, 3.8), 0, 40)}, 41), *lanes)
    assert sorted((visit.local_id, visit.lane_id) for visit in found) == [(1, "lane-1"), (2, "lane-2")]


def test_two_cameras_see_one_person_and_a_broken_tracklet_goes_on() -> None:
    broken = track(1, SERVED, 4, 18) + track(2, SERVED, 21, 35) + track(3, SERVED, 37, 53)
    other = track(7, lambda t: (SERVED(t)[0] + 0.3, SERVED(t)[1]), 12, 53)
    for seen in ({"a": broken}, {"a": broken, "b": other}):
        (visit,) = visits(Scene(seen, 60))
        assert (visit.camera_id, visit.local_id, visit.outcome) == ("a", 1, "served")
        assert near(visit.join_us, 10)
        assert near(visit.service_us, 29.5)


def test_neighbours_seen_by_two_cameras_stay_two_people() -> None:
    seen = {
        "a": track(1, stands(0, 3.8), 0, 40) + track(2, stands(0, 3.0), 0, 40),
        "b": track(8, stands(0.2, 3.9), 0, 40) + track(9, stands(0.2, 3.1), 0, 40),
    }
    assert outcomes(Scene(seen, 41)) == ["censored", "censored"]


def test_company_that_leaves_the_waiting_to_the_other_gave_nothing_up() -> None:
    beside = through((0, 0.45, 3.8), (20, 0.45, 3.8), (24, 5, 3.8), (40, 5, 3.8))
    scene = Scene({"a": track(1, stands(0, 3.8), 0, 60) + track(2, beside, 0, 40)}, 61)
    assert outcomes(scene) == ["censored", "censored"]


def test_minutes_hold_the_exact_queue() -> None:
    """One waits from 10 to 30, one from 20 to 60: 20 s + 40 s in the first minute."""
    rows = Scene({"a": track(1, SERVED, 4, 53) + track(2, GAVE_UP, 14, 70)}, 120).rows([lane()]).queue_metrics
    first, second = rows
    assert (first.lane_id, first.minute_us, second.minute_us) == ("lane-1", 0, 60 * S)
    assert first.queue_length_mean == pytest.approx((20 + 40) / 60, abs=0.05)
    assert (first.queue_length_max, first.joined, first.served, first.abandoned) == (2, 2, 1, 0)
    assert first.avg_wait_s == pytest.approx(20, abs=TOLERANCE_S)
    assert first.max_wait_s == pytest.approx(40, abs=TOLERANCE_S)
    assert first.service_rate_per_h == 60
    assert (second.queue_length_max, second.joined, second.served, second.abandoned) == (1, 0, 0, 1)
    assert math.isnan(second.avg_wait_s)


def test_minutes_without_anybody_are_rows_too() -> None:
    rows = Scene({"a": track(1, stands(9, 9), 0, 100)}, 130).rows([lane()]).queue_metrics
    assert [(row.minute_us, row.queue_length_mean, row.joined) for row in rows] == [(0, 0, 0), (60 * S, 0, 0)]


def test_live_tells_who_waits_now() -> None:
    operators = site([lane(), lane("lane-2", 3.0)])
    operators.submit(message("a", track(1, stands(0, 3.8), 0, 20) + track(2, stands(0, 2.8), 0, 20), 20 * S))
    operators.advance(FOREVER_US)
    assert operators.live().queues == {"lane-1": 2, "lane-2": 0}


def test_a_visit_comes_out_without_waiting_for_the_end() -> None:
    operators = site([lane()])
    early, late = chunks("a", track(1, SERVED, 4, 53) + track(2, stands(9, 9), 0, 300), 300 * S, [200 * S])
    operators.submit(early)
    rows = operators.advance(FOREVER_US)
    assert [visit.outcome for visit in rows.queue_visits] == ["served"]
    assert len(rows.queue_metrics) == 2
    operators.submit(late)
    assert operators.finish(300 * S).queue_visits == []


def test_impossible_lanes_and_foreign_states_are_refused() -> None:
    with pytest.raises(GeometryError, match="queue 'x': lane_m needs at least two points"):
        LaneSettings("x", ((0.0, 0.0), (0.0, 0.0)), lane().service_m)
    with pytest.raises(GeometryError, match="queue 'x' service area"):
        LaneSettings("x", lane().lane_m, ((0.0, 0.0), (1.0, 1.0), (0.0, 1.0), (1.0, 0.0)))
    with pytest.raises(ConfigError, match="used twice: lane-1"):
        site([lane(), lane()])
    other: SiteOperators = site([lane("lane-9")])
    with pytest.raises(DataError, match=r"has queues and heat \(\['lane-1'\]"):
        other.restore(site([lane()]).state())
