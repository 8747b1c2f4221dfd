from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retail_ray.core.errors import GeometryError
from retail_ray.core.homography import (
    FloorCalibration,
    Lens,
    from_camera,
    from_matrix,
    from_points,
    rotation_from_quaternion,
)

K = np.array([[900.0, 0, 640], [0, 900.0, 360], [0, 0, 1]])
LENS = np.array([-0.25, 0.08, 0.001, -0.002, 0.01])


def camera(height_m: float = 3.0, pitch: float = 0.6, lens: np.ndarray | None = None) -> FloorCalibration:
    """A camera above the origin that looks along +y and down by `pitch` radians."""
    c, s = np.cos(pitch), np.sin(pitch)
    rotation = np.array([[1.0, 0, 0], [0, -s, -c], [0, c, -s]])
    return from_camera(K, rotation, -rotation @ np.array([0, 0, height_m]), np.zeros(5) if lens is None else lens)


@given(st.floats(2, 8), st.floats(0.3, 1.3), st.booleans(), st.integers(0, 10**6))
def test_floor_to_pixels_and_back(height: float, pitch: float, lens: bool, seed: int) -> None:
    view = camera(height, pitch, LENS if lens else None)
    pixels = np.random.default_rng(seed).uniform((100, 380), (1180, 700), (30, 2))
    floor = view.to_floor(pixels)
    assert np.isfinite(floor).all()
    assert (floor[:, 1] > -0.5 * height).all()
    assert np.allclose(view.to_pixels(floor), pixels, atol=1e-3)


def test_a_pose_gives_true_metres() -> None:
    view = camera(height_m=3.0, pitch=np.pi / 4)
    # The middle of the picture looks down at 45 degrees: it meets the floor as far away as the camera is high.
    assert np.allclose(view.to_floor(np.array([[640.0, 360.0]])), [[0, 3.0]], atol=1e-9)
    assert view.to_floor(np.array([[740.0, 360.0]]))[0, 0] > 0


def test_above_the_horizon_is_no_floor() -> None:
    view = camera(pitch=0.3)
    floor = view.to_floor(np.array([[640.0, 10.0], [640.0, 700.0]]))
    assert np.isnan(floor[0]).all()
    assert np.isfinite(floor[1]).all()
    assert view.to_floor(np.zeros((0, 2))).shape == (0, 2)


@given(st.integers(4, 12), st.integers(0, 10**6), st.floats(0.1, 50))
def test_point_pairs_recover_the_homography(n: int, seed: int, unit: float) -> None:
    rng = np.random.default_rng(seed)
    view = camera()
    corners = np.array([[100, 400], [1180, 420], [1100, 700], [150, 690]], float)
    pixels = np.concatenate([corners, rng.uniform((100, 400), (1180, 700), (n - 4, 2))])
    found = from_points(pixels, view.to_floor(pixels) * unit)
    inside = rng.uniform((200, 450), (1000, 680), (20, 2))
    assert np.allclose(found.to_floor(inside), view.to_floor(inside) * unit, rtol=1e-6, atol=1e-6 * unit)


def test_the_least_squares_average_out_clicking_errors() -> None:
    rng, view = np.random.default_rng(3), camera()
    pixels = rng.uniform((100, 400), (1180, 700), (200, 2))
    clicked = pixels + rng.normal(0, 1.0, pixels.shape)
    found = from_points(clicked, view.to_floor(pixels))
    inside = rng.uniform((300, 500), (900, 680), (50, 2))
    assert np.abs(found.to_floor(inside) - view.to_floor(inside)).max() < 0.03


@pytest.mark.parametrize("lens", [None, LENS], ids=["pinhole", "lens"])
def test_covariance_is_what_noise_really_does(lens: np.ndarray | None) -> None:
    rng, view = np.random.default_rng(0), camera(lens=lens)
    pixel = np.array([[500.0, 600.0]])
    cloud = view.to_floor(pixel + rng.normal(0, 2.0, (40_000, 2)))
    predicted = view.covariance(pixel, np.array([2.0]))[0]
    # The Jacobian is the homography's: the lens's own local scale is not in it.
    assert np.allclose(np.cov(cloud.T), predicted, rtol=0.05 if lens is None else 0.4, atol=2e-6)
    far = view.covariance(np.array([[500.0, 300.0]]), np.array([2.0]))[0]
    assert np.trace(far) > 4 * np.trace(predicted)


def test_lens_agrees_with_opencv() -> None:
    points = np.random.default_rng(1).uniform((50, 50), (1230, 670), (60, 2))
    lens = Lens(K, LENS)
    theirs = cv2.undistortPointsIter(
        points[:, None], K, LENS, None, K, (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 100, 1e-12)
    )[:, 0]
    assert np.allclose(lens.undistort(points), theirs, atol=1e-2)
    assert np.allclose(lens.distort(theirs), points, atol=1e-2)


@pytest.mark.parametrize(
    ("matrix", "fault"),
    [
        (np.zeros((3, 3)), "degenerate"),
        (np.outer([1, 2, 3], [4, 5, 6]), "degenerate"),
        (np.array([[1, 0, 0], [0, 1, 0], [0, np.nan, 1]]), "3 x 3 finite numbers"),
        (np.eye(2), "3 x 3 finite numbers"),
        (np.array([[1.0, 0, 0], [0, 1, 0], [0, 1, -700]]), "on the horizon"),
    ],
)
def test_useless_matrices_are_refused(matrix: np.ndarray, fault: str) -> None:
    with pytest.raises(GeometryError, match=fault):
        from_matrix(matrix, np.array([640.0, 700.0]))


def test_useless_point_pairs_are_refused() -> None:
    square = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], float)
    with pytest.raises(GeometryError, match="at least 4 pairs of points are needed, found 3 and 3"):
        from_points(square[:3], square[:3])
    three_in_line = np.array([[0, 0], [1, 0], [2, 0], [0, 1]], float)
    with pytest.raises(GeometryError, match="maps the floor to a line"):
        from_points(three_in_line, square)
    with pytest.raises(GeometryError, match="lie on one line"):
        from_points(three_in_line, three_in_line)
    with pytest.raises(GeometryError, match="all pixel points are the same"):
        from_points(np.ones((4, 2)), square)
    with pytest.raises(GeometryError, match="looks along the floor"):
        from_camera(K, np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]]), np.array([0.0, 0, 0]), np.zeros(5))
    with pytest.raises(GeometryError, match="quaternion of zeros"):
        rotation_from_quaternion(np.zeros(4))


def test_people_on_the_real_street_walk_at_human_speeds(shared_data: Path) -> None:
    """The calibration of TownCentre puts the feet of its people on a floor in true metres."""
    folder = shared_data / "clips/towncentre"
    lines = (folder / "calibration.ci").read_text().splitlines()
    text = dict(line.replace(" ", "").rstrip(";").split("=") for line in lines if "=" in line)
    v = {name: float(value) for name, value in text.items()}
    matrix = np.array(
        [[v["FocalLengthX"], 0, v["PrincipalPointX"]], [0, v["FocalLengthY"], v["PrincipalPointY"]], [0, 0, 1]]
    )
    rotation = rotation_from_quaternion(np.array([v["RotationW"], v["RotationX"], v["RotationY"], v["RotationZ"]]))
    shift = np.array([v["TranslationX"], v["TranslationY"], v["TranslationZ"]])
    lens = np.array([v["DistortionK1"], v["DistortionK2"], v["DistortionP1"], v["DistortionP2"], 0.0])
    view = from_camera(matrix, rotation, shift, lens)
    truth = np.loadtxt(folder / "gt.txt", delimiter=",")
    speeds = []
    for person in np.unique(truth[:, 1]):
        rows = truth[truth[:, 1] == person]
        floor = view.to_floor(np.stack([rows[:, 2] + rows[:, 4] / 2, rows[:, 3] + rows[:, 5]], axis=1))
        assert np.isfinite(floor).all()
        seconds = (rows[-1, 0] - rows[0, 0]) / 30
        if seconds > 2:
            speeds.append(float(np.hypot(*(floor[-1] - floor[0])) / seconds))
    assert 0.8 < float(np.median(speeds)) < 2.0
    assert max(speeds) < 3.0
