from __future__ import annotations

import numpy as np
import pytest

from retail_ray.simulation.crowd import Activity, Crowd
from retail_ray.simulation.render.people import people_at
from tests.simulation.render_scene import people

TICK_S = 0.5


def crowd(rows: list[tuple[int, int, float, float, float, Activity]], ticks: int = 4, number: int = 2) -> Crowd:
    """Rows of tick, person, x, heading, walked and activity; y is 0."""
    table = sorted(rows)
    columns = [np.array([row[k] for row in table]) for k in range(6)]
    return Crowd(
        TICK_S,
        ticks,
        tuple(people(number)),
        columns[0].astype(np.int32),
        columns[1].astype(np.int32),
        np.stack([columns[2], np.zeros(len(table))], axis=1).astype(np.float32),
        columns[3].astype(np.float32),
        np.ones(len(table), np.float32),
        columns[4].astype(np.float32),
        columns[5].astype(np.uint8),
    )


def test_between_two_ticks_positions_go_straight() -> None:
    walk = crowd([(0, 1, 0.0, 0.0, 5.0, Activity.WALK), (1, 1, 2.0, 0.0, 7.0, Activity.WALK)])
    (one,) = people_at(walk, 0.125)
    assert one.xy_m == pytest.approx((0.5, 0.0))
    assert one.way_m == pytest.approx(5.5)
    assert one.person.person_id == 1


def test_a_heading_turns_the_short_way() -> None:
    turn = crowd([(0, 1, 0.0, 3.0, 0.0, Activity.WALK), (1, 1, 0.0, -3.0, 0.0, Activity.WALK)])
    (one,) = people_at(turn, 0.25)
    assert np.cos(one.heading_rad) == pytest.approx(-1.0, abs=1e-6)


def test_who_comes_and_who_goes_meet_half_way() -> None:
    change = crowd([(0, 1, 0.0, 0.0, 0.0, Activity.WALK), (1, 2, 9.0, 0.0, 0.0, Activity.WALK)])
    assert [one.person.person_id for one in people_at(change, 0.2)] == [1]
    assert [one.person.person_id for one in people_at(change, 0.3)] == [2]


def test_activities_fade_into_each_other() -> None:
    rows = [(tick, 1, 0.0, 0.0, 0.0, Activity.STAND if tick < 10 else Activity.REACH) for tick in range(20)]
    busy = np.array([people_at(crowd(rows, 20, 1), at_s)[0].busy for at_s in np.arange(3.0, 7.0, 0.05)])
    assert busy.sum(axis=1) == pytest.approx(1.0)
    reach = busy[:, Activity.REACH]
    assert reach[0] == 0
    assert reach[-1] == 1
    assert np.abs(np.diff(reach)).max() < 0.2


def test_before_the_first_and_after_the_last_tick_nobody_is_made_up() -> None:
    empty = crowd([])
    assert people_at(empty, 0.0) == []
    assert people_at(empty, 1e6) == []
    stay = crowd([(tick, 1, 1.0, 0.0, 0.0, Activity.STAND) for tick in range(4)])
    assert people_at(stay, 1.5)[0].xy_m == (1.0, 0.0)
