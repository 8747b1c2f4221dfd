"""Where a camera stands and where it looks, as rotation and translation; world z points up, the floor is z = 0."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from retail_ray.core.errors import GeometryError
from retail_ray.core.homography import Matrix

Vector = NDArray[np.float64]


def look_at(position_m: Vector, target_m: Vector, roll_rad: float = 0.0) -> tuple[Matrix, Vector]:
    """(3, 3) rotation and (3,) translation of a camera at `position_m` whose middle shows `target_m`.

    x_camera = rotation @ x_world + translation; camera axes are right, down, forward. roll_rad turns the camera
    clockwise about its axis. GeometryError where both places are the same or the camera is not above the floor.
    """
    position, target = np.asarray(position_m, np.float64), np.asarray(target_m, np.float64)
    if not np.isfinite([*position, *target]).all() or position[2] <= 0:
        raise GeometryError(f"a camera stands above the floor, z > 0; found {position.tolist()}")
    forward = target - position
    distance = float(np.linalg.norm(forward))
    if distance < 1e-6:
        raise GeometryError("position and the place looked at are the same")
    forward = forward / distance
    right = np.cross(forward, [0.0, 0.0, 1.0])
    if np.linalg.norm(right) < 1e-6:
        right = np.array([1.0, 0.0, 0.0])
    right = right / np.linalg.norm(right)
    down = np.cross(forward, right)
    c, s = np.cos(roll_rad), np.sin(roll_rad)
    rotation = np.stack([c * right + s * down, c * down - s * right, forward])
    return rotation, -rotation @ position


def quaternion_of(rotation: Matrix) -> Vector:
    """(4,) w, x, y, z of a rotation matrix, w >= 0 (Shepperd's method by the largest part)."""
    m = rotation
    squares = np.array(
        [
            1 + m[0, 0] + m[1, 1] + m[2, 2],
            1 + m[0, 0] - m[1, 1] - m[2, 2],
            1 - m[0, 0] + m[1, 1] - m[2, 2],
            1 - m[0, 0] - m[1, 1] + m[2, 2],
        ]
    )
    off = (m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1])
    sums = (m[1, 0] + m[0, 1], m[0, 2] + m[2, 0], m[2, 1] + m[1, 2])
    rows = np.array(
        [
            [squares[0], off[0], off[1], off[2]],
            [off[0], squares[1], sums[0], sums[1]],
            [off[1], sums[0], squares[2], sums[2]],
            [off[2], sums[1], sums[2], squares[3]],
        ]
    )
    row = rows[int(np.argmax(squares))]
    unit = row / np.linalg.norm(row)
    return np.asarray(-unit if unit[0] < 0 else unit)


def rotation_of(vector_rad: Vector) -> Matrix:
    """(3, 3) rotation about `vector_rad` by its length (Rodrigues' formula)."""
    angle = float(np.linalg.norm(vector_rad))
    if angle < 1e-12:
        return np.eye(3)
    x, y, z = vector_rad / angle
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.asarray(np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross)
