"""What one camera sees where: from world metres to pixels and back, through the lens.

The lens is Brown-Conrady in OpenCV's order (k1, k2, p1, p2, k3), as in `core.homography`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from retail_ray.core.errors import GeometryError
from retail_ray.simulation.store import StoreCamera

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class View:
    """One camera at one picture size. rotation: (3, 3), translation_m: (3,), focal and centre: (2,) pixels.

    `reach` is the squared slope up to which the lens bends monotonically; nothing beyond it is in the picture.
    """

    camera_id: str
    width_px: int
    height_px: int
    rotation: Array
    translation_m: Array
    focal_px: Array
    centre_px: Array
    distortion: Array
    reach: float

    @property
    def position_m(self) -> Array:
        return -self.rotation.T @ self.translation_m


def make_view(camera: StoreCamera, width_px: int, height_px: int) -> View:
    """Raises GeometryError for a lens whose picture does not reach the corners of the frame."""
    matrix = camera.matrix(width_px, height_px)
    distortion = np.array(camera.distortion, np.float64)
    focal, centre = np.array([matrix[0, 0], matrix[1, 1]]), np.array([matrix[0, 2], matrix[1, 2]])
    reach = _monotone_reach(distortion)
    view = View(camera.id, width_px, height_px, camera.rotation(), camera.translation_m(), focal, centre, distortion,
                reach)  # fmt: skip
    corners = np.array([[0.0, 0], [width_px - 1, 0], [0, height_px - 1], [width_px - 1, height_px - 1]])
    slopes = ideal_slopes(corners, focal, centre, distortion)
    terms = np.array([lens_terms(x, y, distortion) for x, y in slopes])
    again = (slopes * terms[:, :1] + terms[:, 1:]) * focal + centre
    if not ((np.sum(slopes * slopes, axis=1) <= reach) & (np.abs(again - corners).max(axis=1) < 0.1)).all():
        raise GeometryError(
            f"camera '{camera.id}': the distortion {camera.distortion} folds the picture before its corners; "
            f"use a smaller one or a narrower view than {camera.horizontal_fov_deg:g} degrees"
        )
    return view


def pixel_rays(view: View) -> NDArray[np.float32]:
    """(H, W, 3) float32 camera-frame directions of all pixel centres, z = 1."""
    return _rays(view.width_px, view.height_px, view.focal_px, view.centre_px, view.distortion)


def _monotone_reach(distortion: Array) -> float:
    if not np.any(distortion):
        return float("inf")
    k1, k2, _, _, k3 = distortion
    squared = np.linspace(0, 16, 3201)
    rising = 1 + squared * (3 * k1 + squared * (5 * k2 + squared * 7 * k3)) > 0.05
    return float(squared[-1] if rising.all() else squared[max(int(np.argmin(rising)) - 1, 0)])


@njit(cache=True, nogil=True)
def ideal_slopes(points_px: Array, focal: Array, centre: Array, distortion: Array) -> Array:
    """(N, 2) x/z and y/z of what these pixels show."""
    out = np.empty_like(points_px)
    for i in range(len(points_px)):
        seen_x = (points_px[i, 0] - centre[0]) / focal[0]
        seen_y = (points_px[i, 1] - centre[1]) / focal[1]
        out[i, 0], out[i, 1] = _undo(seen_x, seen_y, distortion)
    return out


@njit(cache=True, nogil=True)
def _rays(width: int, height: int, focal: Array, centre: Array, distortion: Array) -> NDArray[np.float32]:
    out = np.empty((height, width, 3), np.float32)
    for row in range(height):
        for column in range(width):
            x, y = _undo((column - centre[0]) / focal[0], (row - centre[1]) / focal[1], distortion)
            out[row, column, 0], out[row, column, 1], out[row, column, 2] = x, y, 1.0
    return out


@njit(cache=True, nogil=True)
def _undo(seen_x: float, seen_y: float, distortion: Array) -> tuple[float, float]:
    x, y = seen_x, seen_y
    for _ in range(20):
        radial, shift_x, shift_y = lens_terms(x, y, distortion)
        x, y = (seen_x - shift_x) / radial, (seen_y - shift_y) / radial
    return x, y


@njit(cache=True, nogil=True, inline="always")
def lens_terms(x: float, y: float, distortion: Array) -> tuple[float, float, float]:
    """Radial factor and tangential shift at an ideal slope."""
    r2 = x * x + y * y
    radial = 1.0 + r2 * (distortion[0] + r2 * (distortion[1] + r2 * distortion[4]))
    shift_x = 2 * distortion[2] * x * y + distortion[3] * (r2 + 2 * x * x)
    shift_y = distortion[2] * (r2 + 2 * y * y) + 2 * distortion[3] * x * y
    return radial, shift_x, shift_y
