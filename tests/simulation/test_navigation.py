from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from retail_ray.simulation.layout_parts import box
from retail_ray.simulation.layouts import convenience, supermarket
from retail_ray.simulation.navigation import CELL_M, Ground, Ways, flow_field, ground_of
from retail_ray.simulation.places import places_of, slots_of
from retail_ray.simulation.store import Point, Wall


@pytest.fixture(scope="module")
def ground() -> Ground:
    return ground_of(convenience())


def way_from(ground: Ground, start_m: Point, next_cell: np.ndarray) -> list[int]:
    columns = ground.cost.shape[1]
    row, column = ground.cell(start_m)
    cells = [row * columns + column]
    while next_cell[cells[-1]] not in (-1, cells[-1]):
        cells.append(int(next_cell[cells[-1]]))
        assert len(cells) < ground.cost.size
    return cells


def test_the_way_to_a_goal_leads_there_over_walkable_cells(ground: Ground) -> None:
    goal = (7.5, 6.8)
    next_cell, cost = flow_field(ground, goal)
    cells = way_from(ground, (-2.0, -1.5), next_cell)
    columns = ground.cost.shape[1]
    assert cells[-1] == ground.cell(goal)[0] * columns + ground.cell(goal)[1]
    assert np.isfinite(ground.cost.ravel()[cells]).all()
    assert (np.diff(cost[cells]) < 0.0).all()


def test_no_way_is_shorter_than_the_straight_line_and_none_on_open_floor_much_longer(ground: Ground) -> None:
    goal, start = (9.0, -2.0), (-1.5, -3.1)
    _, cost = flow_field(ground, goal)
    row, column = ground.cell(start)
    straight = float(np.hypot(goal[0] - start[0], goal[1] - start[1]))
    assert straight - CELL_M < cost[row * ground.cost.shape[1] + column] < 1.1 * straight


def test_who_stands_close_to_a_shelf_is_led_away_from_it(ground: Ground) -> None:
    next_cell, _ = flow_field(ground, (2.0, 1.0))
    beside_shelf = (4.0, 3.93)
    assert np.isinf(ground.cost[ground.cell(beside_shelf)])
    assert len(way_from(ground, beside_shelf, next_cell)) > 5


def test_behind_closed_walls_there_is_no_way() -> None:
    plan = convenience()
    shut = replace(plan, walls=(*plan.walls, Wall((0.9, 0.0), (3.1, 0.0))))
    ground = ground_of(shut)
    next_cell, cost = flow_field(ground, (2.0, 1.2))
    row, column = ground.cell((2.0, -1.2))
    assert np.isinf(cost[row * ground.cost.shape[1] + column])
    assert next_cell[row * ground.cost.shape[1] + column] == -1


def test_a_slanted_wall_blocks_along_all_of_it_and_nothing_beside_it() -> None:
    wall = Wall((3.0, 2.0), (4.2, 2.9))
    ground = ground_of(replace(convenience(), walls=(wall,), fixtures=(), decoys=()))
    for share in np.linspace(0.0, 1.0, 50):
        x, y = 3.0 + 1.2 * share, 2.0 + 0.9 * share
        assert ground.clearance_at((x, y)) < 0.0
        assert ground.clearance_at((x - 0.36, y + 0.48)) == pytest.approx(0.53, abs=0.1)


def test_clearance_is_the_distance_to_the_nearest_thing() -> None:
    plan = replace(convenience(), walls=(), decoys=(), fixtures=(box("shelf", 1.5, 2.0, 3.0, 6.0, 4.0),))
    ground = ground_of(plan)
    cases = {(4.0, 2.0): 1.0, (7.0, 5.0): np.sqrt(2.0), (1.5, 3.5): 0.5, (4.0, 3.25): -0.25}
    for place, expected in cases.items():
        assert ground.clearance_at(place) == pytest.approx(expected)


def test_a_way_is_made_once_and_more_ways_than_foreseen_are_kept(ground: Ground) -> None:
    ways = Ways(ground)
    goals = [(float(x), -2.0) for x in np.linspace(-2.0, 10.0, 40)]
    numbers = [ways.to(goal) for goal in goals]
    assert numbers == [ways.to(goal) for goal in goals] == list(range(40))
    for number, goal in zip(numbers, goals, strict=True):
        np.testing.assert_array_equal(ways.next_cell[number], flow_field(ground, goal)[0])


def test_every_spot_can_be_walked_to_and_keeps_off_lanes_and_doors() -> None:
    plan = supermarket()
    places = places_of(plan, ground_of(plan))
    assert len(places.spots) > 60
    assert places.popularity.sum() == pytest.approx(1.0)
    assert len(places.staff_spots) > 5
    for spot in places.spots:
        assert places.can_reach(spot.at_m)
        assert places.ground.clearance_at(spot.at_m) >= 0.3
        assert spot.at_m[1] > 1.3
        assert not any(abs(spot.at_m[0] - c.lane_m[0][0]) < 0.7 and 3.5 < spot.at_m[1] < 7.7 for c in plan.checkouts)


def test_a_spot_that_is_taken_gives_way_to_one_close_by() -> None:
    plan = supermarket()
    places = places_of(plan, ground_of(plan))
    first = places.take(10)
    second = places.take(10)
    assert first == 10 != second
    assert second is not None
    away = np.hypot(*np.subtract(places.spots[first].at_m, places.spots[second].at_m))
    assert 0.6 < away < 2.5
    places.release(first)
    assert places.take(10) == 10


def test_slots_run_from_the_head_along_the_lane_to_its_tail() -> None:
    checkout = convenience().checkouts[0]
    slots = np.array(slots_of(checkout))
    np.testing.assert_allclose(slots[0], checkout.lane_m[-1])
    steps = np.hypot(*np.diff(slots, axis=0).T)
    assert ((steps > 0.5) & (steps < 0.81)).all()
    assert np.hypot(*(slots[-1] - checkout.lane_m[0])) < 0.8
