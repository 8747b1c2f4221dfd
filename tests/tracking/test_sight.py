from __future__ import annotations

import numpy as np

from retail_ray.tracking.sight import MAX_ODDS, REMEMBERED_S, SightMap, cells


def test_cells_follow_the_shape_of_the_picture_and_end_at_its_border() -> None:
    points = np.array([[0.0, 0.0], [639.0, 359.0], [320.0, 180.0]])
    small, large = cells(points, (360, 640)), cells(points * 3, (1080, 1920))
    assert small.tolist() == large.tolist()
    assert len(set(small.tolist())) == 3
    assert cells(np.array([[-50.0, -9.0], [900.0, 500.0]]), (360, 640)).tolist() == small[:2].tolist()


def test_odds_follow_what_was_seen() -> None:
    sight, cell = SightMap(), np.array([3, 3, 8])
    assert sight.odds(cell).tolist() == [1, 1, 1]
    sight.learn(cell, np.array([2.0, 1.0, 0.0]), np.array([0.0, 0.0, 9.0]))
    odds = sight.odds(np.array([3, 8, 4]))
    assert 10 < odds[0] <= MAX_ODDS
    assert odds[1] == 1 / MAX_ODDS
    assert odds[2] == 1


def test_a_shelf_that_was_moved_is_noticed() -> None:
    sight, cell = SightMap(), np.array([5])
    for _ in range(1000):
        sight.learn(cell, np.array([0.1]), np.array([0.0]))
    for _ in range(round(10 * 3 * REMEMBERED_S)):
        sight.learn(cell, np.array([0.0]), np.array([0.1]))
    assert sight.odds(cell)[0] < 0.5
