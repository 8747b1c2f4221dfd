"""Point pairs that are right, wrong by one, too few, or on a line."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retail_ray.core.floor_scale import metres_per_pixel, near_and_far
from retail_ray.core.homography import from_camera, from_points
from retail_ray.core.point_pairs import leave_one_out, on_a_line, outlier, pair_errors
from retail_ray.core.pose import look_at

ROTATION, TRANSLATION = look_at(np.array([2.0, -1.0, 3.0]), np.array([2.5, 3.0, 0.0]))
CAMERA = from_camera(np.array([[900, 0, 640], [0, 900, 360], [0, 0, 1.0]]), ROTATION, TRANSLATION, np.zeros(5))
FLOOR_M = np.array([[1.0, 1], [4, 1], [1, 5], [4, 5], [2.5, 3], [3.2, 2.1], [1.5, 3.6], [3.7, 3.9]])
PIXELS = CAMERA.to_pixels(FLOOR_M)


def test_exact_pairs_have_no_error_and_no_outlier() -> None:
    errors = pair_errors(from_points(PIXELS, FLOOR_M), PIXELS, FLOOR_M)
    assert errors.px.max() < 1e-6
    assert errors.m.max() < 1e-8
    left_out = leave_one_out(PIXELS, FLOOR_M)
    assert left_out is not None
    assert left_out.px.max() < 1e-4
    assert outlier(PIXELS, FLOOR_M) is None


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 7), st.floats(0, 6.28), st.floats(1.0, 3))
def test_the_wrong_pair_is_named(wrong: int, direction: float, off_m: float) -> None:
    measured = FLOOR_M.copy()
    measured[wrong] += off_m * np.array([np.cos(direction), np.sin(direction)])
    noise = np.random.default_rng(1).normal(0, 0.3, PIXELS.shape)
    assert outlier(PIXELS + noise, measured) == wrong


def test_noise_alone_names_nobody() -> None:
    rng = np.random.default_rng(2)
    for _ in range(50):
        assert outlier(PIXELS + rng.normal(0, 1.5, PIXELS.shape), FLOOR_M) is None


def test_too_few_pairs_cannot_tell() -> None:
    assert leave_one_out(PIXELS[:4], FLOOR_M[:4]) is None
    measured = FLOOR_M[:5] + np.array([[2.0, 0]] + [[0.0, 0]] * 4)
    assert outlier(PIXELS[:5], measured) is None


@pytest.mark.parametrize(
    ("beside", "expected"),
    [(0, True), (1, True), (2, False)],  # a plane needs two points beside the line
)
def test_points_on_a_line(beside: int, expected: bool) -> None:
    line = np.stack([np.arange(6.0), 2 * np.arange(6.0)], axis=1)
    line[:beside] += np.array([[3.0, -3.0], [0.0, 4.0]])[:beside]
    assert on_a_line(line) is expected


def test_metres_per_pixel_against_finite_differences() -> None:
    at = np.array([[640.0, 600.0], [300.0, 420.0]])
    turns = np.linspace(0, 2 * np.pi, 721)
    steps = 0.01 * np.stack([np.cos(turns), np.sin(turns)], axis=1)
    for point, scale in zip(at, metres_per_pixel(CAMERA, at), strict=True):
        moved = CAMERA.to_floor(point + steps) - CAMERA.to_floor(point[None])
        assert scale == pytest.approx(np.hypot(*moved.T).max() / 0.01, rel=1e-3)
    near, far = near_and_far(CAMERA, (720, 1280))
    assert near < far
