from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from retail_ray.core.errors import GeometryError
from retail_ray.core.polygons import along, check_polygon, contains, signed_area, signed_distance

SQUARE = np.array([[0, 0], [4, 0], [4, 4], [0, 4]], float)
L_SHAPE = np.array([[0, 0], [6, 0], [6, 2], [2, 2], [2, 6], [0, 6]], float)


def star(seed: int, corners: int) -> np.ndarray:
    """A random simple polygon around the origin."""
    rng = np.random.default_rng(seed)
    angles = np.sort(rng.uniform(0, 2 * np.pi, corners))
    assume(np.diff(angles, append=angles[0] + 2 * np.pi).max() < 3)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1) * rng.uniform(1, 10, (corners, 1))


@given(st.integers(0, 10**6), st.integers(4, 12))
def test_contains_agrees_with_opencv(seed: int, corners: int) -> None:
    polygon = star(seed, corners).astype(np.float32)
    points = np.random.default_rng(seed + 1).uniform(-10, 10, (50, 2)).astype(np.float32)
    distance = np.array([cv2.pointPolygonTest(polygon, point.tolist(), True) for point in points])
    clear = np.abs(distance) > 1e-3
    found = contains(polygon.astype(float), points.astype(float))
    assert (found == (distance > 0))[clear].all()
    assert (contains(polygon[::-1].astype(float), points.astype(float)) == found)[clear].all()


def test_notches_empty_inputs_and_unknown_points() -> None:
    assert contains(L_SHAPE, np.array([[1.0, 5.0], [5.0, 1.0], [4.0, 4.0]])).tolist() == [True, True, False]
    assert contains(SQUARE, np.array([[np.nan, 1.0], [1.0, np.nan]])).tolist() == [False, False]
    assert contains(SQUARE, np.zeros((0, 2))).shape == (0,)


def test_zones_that_share_a_border_share_no_point() -> None:
    right = np.add(SQUARE, (4, 0))
    points = np.stack([np.full(9, 4.0), np.linspace(0, 4, 9)], axis=1)[:-1]
    assert (contains(SQUARE, points) ^ contains(right, points)).all()


@given(st.integers(0, 10**6), st.integers(3, 10))
def test_simple_polygons_pass_in_both_directions_and_closed(seed: int, corners: int) -> None:
    polygon = star(seed, corners)
    assert np.array_equal(check_polygon(polygon, "z"), polygon)
    assert signed_area(polygon) > 0 > signed_area(polygon[::-1])
    check_polygon(polygon[::-1], "z")
    assert len(check_polygon(np.concatenate([polygon, polygon[:1]]), "z")) == corners


@pytest.mark.parametrize(
    ("points", "fault"),
    [
        ([[0, 0], [1, 1]], "at least 3 corners"),
        ([[0, 0], [4, 4], [4, 0], [0, 4]], "edge 1 meets edge 3"),
        ([[0, 0], [4, 0], [4, 4], [2, 0], [0, 4]], "crosses itself"),  # a corner touches another edge
        ([[0, 0], [1, 1], [2, 2]], "no area"),
        ([[0, 0], [1, np.nan], [2, 2]], "must be finite"),
        ([0, 1, 2], "found shape"),
    ],
)
def test_polygons_that_enclose_nothing_clear_are_refused(points: list[object], fault: str) -> None:
    with pytest.raises(GeometryError, match=f"zone 'till': .*{fault}"):
        check_polygon(np.array(points, float), "zone 'till'")


@given(st.integers(0, 10**6))
def test_distance_and_position_rebuild_the_point(seed: int) -> None:
    rng = np.random.default_rng(seed)
    start, end, points = rng.uniform(-9, 9, 2), rng.uniform(-9, 9, 2), rng.uniform(-9, 9, (20, 2))
    direction = end - start
    assume(np.hypot(*direction) > 0.1)
    left = np.array([-direction[1], direction[0]]) / np.hypot(*direction)
    rebuilt = (
        start + along(start, end, points)[:, None] * direction + signed_distance(start, end, points)[:, None] * left
    )
    assert np.allclose(rebuilt, points)


def test_a_line_of_one_point_is_refused() -> None:
    with pytest.raises(GeometryError, match="two different points"):
        signed_distance(np.zeros(2), np.zeros(2), SQUARE)
