"""Camera poses: what is looked at lies in the middle; quaternions and rotations are the same thing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retail_ray.core.errors import GeometryError
from retail_ray.core.homography import rotation_from_quaternion
from retail_ray.core.pose import look_at, quaternion_of, rotation_of

numbers = st.floats(-10, 10)


@settings(deadline=None, max_examples=30)
@given(numbers, numbers, st.floats(0.5, 6), numbers, numbers, st.floats(-3, 3))
def test_what_is_looked_at_is_in_the_middle(x: float, y: float, z: float, u: float, v: float, roll: float) -> None:
    rotation, translation = look_at(np.array([x, y, z]), np.array([u, v, 0.0]), roll)
    seen = rotation @ np.array([u, v, 0.0]) + translation
    assert np.abs(seen[:2]).max() < 1e-6
    assert seen[2] > 0
    assert np.allclose(rotation @ rotation.T, np.eye(3))
    assert np.linalg.det(rotation) == pytest.approx(1)
    assert np.allclose(rotation_from_quaternion(quaternion_of(rotation)), rotation)


@settings(deadline=None, max_examples=30)
@given(st.tuples(numbers, numbers, numbers))
def test_every_rotation_has_its_quaternion(vector: tuple[float, float, float]) -> None:
    rotation = rotation_of(np.array(vector))
    assert np.allclose(rotation_from_quaternion(quaternion_of(rotation)), rotation)


def test_up_is_up() -> None:
    rotation, translation = look_at(np.array([0, 0, 3.0]), np.array([0, 5.0, 0]))
    foot, head = (rotation @ np.array([0, 5.0, z]) + translation for z in (0.0, 1.7))
    assert head[1] < foot[1]


def test_a_camera_under_the_floor_is_refused() -> None:
    with pytest.raises(GeometryError, match="above the floor"):
        look_at(np.array([0, 0, -1.0]), np.zeros(3))
