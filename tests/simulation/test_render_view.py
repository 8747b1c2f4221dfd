from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retail_ray.core.errors import GeometryError
from retail_ray.core.homography import FloorCalibration, from_camera
from retail_ray.simulation.render.placing import project
from retail_ray.simulation.render.view import make_view, pixel_rays
from retail_ray.simulation.store import StoreCamera
from tests.simulation.render_scene import BENT, SIZE, STRAIGHT


def calibration(camera: StoreCamera) -> FloorCalibration:
    return from_camera(
        camera.matrix(*SIZE), camera.rotation(), camera.translation_m(), np.array(camera.distortion, np.float64)
    )


@settings(deadline=None)  # the first call compiles
@given(st.floats(2.5, 9.0), st.floats(1.0, 7.0), st.sampled_from([STRAIGHT, BENT]))
def test_a_floor_point_is_drawn_where_the_calibration_expects_it(x: float, y: float, camera: StoreCamera) -> None:
    seen = project(make_view(camera, *SIZE), np.array([[x, y, 0.0]], np.float32))[0]
    if seen[2] > 0 and -50 < seen[0] < SIZE[0] + 50 and -50 < seen[1] < SIZE[1] + 50:
        assert calibration(camera).to_floor(seen[None, :2])[0] == pytest.approx((x, y), abs=0.01)


@pytest.mark.parametrize("camera", [STRAIGHT, BENT])
def test_rays_go_back_where_projection_came_from(camera: StoreCamera) -> None:
    view = make_view(camera, *SIZE)
    rays = pixel_rays(view)
    pixels = np.array([[0, 0], [SIZE[0] - 1, 0], [160, 90], [17, 170], [SIZE[0] - 1, SIZE[1] - 1]])
    ends = view.position_m + 4.0 * rays[pixels[:, 1], pixels[:, 0]].astype(np.float64) @ view.rotation
    again = project(view, ends.astype(np.float32))
    assert again[:, :2] == pytest.approx(pixels, abs=0.02)
    assert again[:, 2] == pytest.approx(0.25, rel=1e-4)


def test_nothing_behind_the_camera_or_beyond_the_lens_is_drawn() -> None:
    view = make_view(BENT, *SIZE)
    behind = view.position_m - view.rotation[2] * 2
    beside = view.position_m + view.rotation[2] * 0.3 + view.rotation[0] * 30
    assert (project(view, np.stack([behind, beside]).astype(np.float32))[:, 2] == 0).all()


def test_a_lens_that_folds_the_picture_is_refused() -> None:
    with pytest.raises(GeometryError, match=r"'bent'.*folds"):
        make_view(replace(BENT, distortion=(-0.6, 0.0, 0.0, 0.0, 0.0)), *SIZE)
