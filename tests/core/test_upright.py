from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retail_ray.core.body import body_evidence
from retail_ray.core.homography import FloorCalibration, from_camera, from_matrix, from_points
from retail_ray.core.upright import upright_view
from tests.support.bodies import FRAME_HW, LENS, K, boxes_of, camera, project

PLACES_M = np.array([[0.0, 4.0], [1.2, 5.0], [-1.5, 6.0], [2.0, 8.0]])
BOTTOM_CENTRE = np.array([640.0, 720.0])


def from_homography(view: FloorCalibration, floor: np.ndarray | None = None) -> FloorCalibration:  # type: ignore[type-arg]
    """The same camera, known only by its homography; `floor` (3, 3) changes the floor's coordinates."""
    return from_matrix((np.eye(3) if floor is None else floor) @ view.pixel_to_floor, BOTTOM_CENTRE)


@given(st.floats(2.2, 5), st.floats(0.25, 0.9), st.floats(-3, 3), st.floats(4, 9), st.floats(1.0, 2.0), st.booleans())
def test_a_body_is_recovered_from_its_ends(
    camera_m: float, pitch: float, x: float, y: float, height_m: float, lens: bool
) -> None:
    calibration = camera(camera_m, pitch, LENS if lens else None)
    view = upright_view(calibration, FRAME_HW)
    assert view is not None
    place = np.array([[x, y]])
    low, high = (project(calibration, np.column_stack([place, [[z]]])) for z in (0.0, height_m))
    ideal = [points if calibration.lens is None else calibration.lens.undistort(points) for points in (low, high)]
    feet, heads = view.on_plane(ideal[0], np.zeros(1)), view.on_plane(ideal[1], np.array([height_m]))
    assert np.allclose(feet.xy_m, place, atol=1e-4)
    assert np.allclose(view.height_m(place, ideal[1]), height_m, atol=1e-4)
    # A head as high as the camera is on its horizon: from there on nothing is said.
    if abs(camera_m - height_m) > 0.3:
        assert np.allclose(heads.xy_m, place, atol=1e-3)


@pytest.mark.parametrize("lens", [None, LENS], ids=["pinhole", "lens"])
@pytest.mark.parametrize("hidden_below_m", [0.0, 0.7, 1.2])
def test_boxes_give_the_place_by_head_whatever_hides_the_legs(
    lens: np.ndarray | None,
    hidden_below_m: float,  # type: ignore[type-arg]
) -> None:
    calibration = camera(lens=lens)
    view = upright_view(calibration, FRAME_HW)
    assert view is not None
    evidence = body_evidence(view, boxes_of(calibration, PLACES_M, 1.6, hidden_below_m), FRAME_HW)
    by_head, _ = evidence.by_head(np.full(4, 1.6), np.zeros(4))
    assert np.abs(by_head - PLACES_M).max() < 0.05
    if hidden_below_m == 0:
        assert np.abs(evidence.foot_xy_m - PLACES_M).max() < 0.05
        assert np.abs(evidence.height_m - 1.6).max() < 0.02
    else:
        assert (np.linalg.norm(evidence.foot_xy_m - PLACES_M, axis=1) > 0.5).all()
        assert (evidence.height_m < 1.6 - 0.4 * hidden_below_m).all()


@pytest.mark.parametrize("lens", [None, LENS], ids=["pinhole", "lens"])
def test_covariances_are_what_noise_really_does(lens: np.ndarray | None) -> None:  # type: ignore[type-arg]
    calibration, rng = camera(lens=lens), np.random.default_rng(3)
    view = upright_view(calibration, FRAME_HW)
    assert view is not None
    noisy = project(calibration, np.array([[1.2, 5.0, 1.7]])) + rng.normal(0, 1.0, (20_000, 2))
    heights = 1.7 + rng.normal(0, 0.05, 20_000)
    ideal = noisy if calibration.lens is None else calibration.lens.undistort(noisy)
    cloud = view.on_plane(ideal, heights).xy_m
    said = view.on_plane(ideal[:1], np.array([1.7])).covariance(np.ones((1, 2)), np.full(1, 0.05))[0]
    assert np.allclose(np.cov(cloud.T), said, rtol=0.06, atol=2e-4)


@given(st.floats(2.2, 6), st.floats(0.2, 1.2), st.floats(-3.1, 3.1), st.booleans(), st.floats(-20, 20))
def test_a_homography_gives_focal_length_and_pose(
    camera_m: float, pitch: float, turn: float, mirrored: bool, shift_m: float
) -> None:
    calibration = camera(camera_m, pitch)
    c, s = np.cos(turn), np.sin(turn)
    floor = np.array([[c, -s, shift_m], [s, c, -shift_m], [0, 0, 1.0]])
    floor = np.diag([1.0, -1.0 if mirrored else 1.0, 1.0]) @ floor
    view = upright_view(from_homography(calibration, floor), FRAME_HW)
    assert view is not None
    assert view.centre_m[2] == pytest.approx(camera_m, rel=1e-3)
    heads = project(calibration, np.column_stack([PLACES_M, np.full(4, 1.1)]))
    moved = PLACES_M @ floor[:2, :2].T + floor[:2, 2]
    assert np.allclose(view.height_m(moved, heads), 1.1, atol=1e-3)


def test_point_pairs_with_clicking_errors_give_about_the_height() -> None:
    rng, calibration = np.random.default_rng(5), camera()
    floor_m = np.array([[x, y] for x in (-2.0, 0.0, 2.0) for y in (3.0, 5.0, 8.0)])
    clicked = calibration.to_pixels(floor_m) + rng.normal(0, 0.7, (9, 2))
    view = upright_view(from_points(clicked, floor_m), FRAME_HW)
    assert view is not None
    heads = project(calibration, np.column_stack([PLACES_M, np.full(4, 1.7)]))
    assert np.allclose(view.height_m(PLACES_M, heads), 1.7, atol=0.15)


@pytest.mark.parametrize(
    "calibration",
    [
        # Straight down: any focal length fits.
        from_matrix(np.array([[0.01, 0, -6.4], [0, 0.01, -3.6], [0, 0, 1.0]]), BOTTOM_CENTRE),
        # A picture stretched to thrice its width.
        from_matrix(camera().pixel_to_floor @ np.diag([1 / 3, 1, 1]), BOTTOM_CENTRE),
        # Centimetres instead of metres.
        from_matrix(np.diag([100.0, 100, 1]) @ camera().pixel_to_floor, BOTTOM_CENTRE),
    ],
    ids=["straight down", "stretched", "centimetres"],
)
def test_homographies_that_do_not_fix_the_vertical_are_declined(calibration: FloorCalibration) -> None:
    assert upright_view(calibration, FRAME_HW) is None


def test_a_camera_right_above_says_nothing_by_heads() -> None:
    rotation = np.array([[1.0, 0, 0], [0, -1, 0], [0, 0, -1]])
    view = upright_view(from_camera(K, rotation, -rotation @ np.array([0, 0, 4.0]), np.zeros(5)), FRAME_HW)
    assert view is not None
    evidence = body_evidence(view, np.array([[900, 330, 1100, 390]], np.float32), FRAME_HW)
    assert np.isnan(evidence.head_xy_m).all()
    assert np.isnan(evidence.height_m).all()
    assert np.isfinite(evidence.foot_xy_m).all()


def test_no_people_no_evidence() -> None:
    view = upright_view(camera(), FRAME_HW)
    assert view is not None
    assert len(body_evidence(view, np.zeros((0, 4), np.float32), FRAME_HW).foot_xy_m) == 0
