"""From pixels to floor metres and back: a homography, optionally behind lens distortion.

Distortion is the Brown-Conrady model in OpenCV's order (k1, k2, p1, p2, k3).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retail_ray.core.errors import GeometryError

Matrix = NDArray[np.float64]
Points = NDArray[np.float64]

# A step of the inverse distortion that no longer matters, as a share of the focal length.
UNDISTORTED = 1e-11


@dataclass(frozen=True, slots=True)
class Lens:
    """Camera matrix (3, 3) and distortion (5,) of a real lens."""

    matrix: Matrix
    distortion: NDArray[np.float64]

    def undistort(self, points_px: Points) -> Points:
        """(N, 2) pixels as an ideal pinhole would see them (fixed-point iteration, as OpenCV's)."""
        fx, fy, cx, cy = self.matrix[0, 0], self.matrix[1, 1], self.matrix[0, 2], self.matrix[1, 2]
        seen = (points_px - (cx, cy)) / (fx, fy)
        ideal = seen.copy()
        for _ in range(20):
            radial, tangential = self._terms(ideal)
            before, ideal = ideal, (seen - tangential) / radial[:, None]
            if not (np.abs(ideal - before) > UNDISTORTED).any():
                break
        return np.asarray(ideal * (fx, fy) + (cx, cy))

    def distort(self, points_px: Points) -> Points:
        """(N, 2) ideal pinhole pixels as this lens shows them."""
        fx, fy, cx, cy = self.matrix[0, 0], self.matrix[1, 1], self.matrix[0, 2], self.matrix[1, 2]
        ideal = (points_px - (cx, cy)) / (fx, fy)
        radial, tangential = self._terms(ideal)
        return np.asarray((ideal * radial[:, None] + tangential) * (fx, fy) + (cx, cy))

    def reaches(self, ideal_px: Points) -> NDArray[np.bool_]:
        """(N,) whether (N, 2) ideal pixels lie where the radial polynomial still grows: beyond, pictures fold back."""
        focal, centre = self.matrix[[0, 1], [0, 1]], self.matrix[:2, 2]
        k1, k2, _, _, k3 = self.distortion
        r2 = (((ideal_px - centre) / focal) ** 2).sum(axis=1)
        return np.asarray(1 + r2 * (3 * k1 + r2 * (5 * k2 + r2 * 7 * k3)) > 0)

    def _terms(self, ideal: Points) -> tuple[NDArray[np.float64], Points]:
        k1, k2, p1, p2, k3 = self.distortion
        x, y = ideal[:, 0], ideal[:, 1]
        r2 = x * x + y * y
        radial = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
        tangential = np.stack([2 * p1 * x * y + p2 * (r2 + 2 * x * x), p1 * (r2 + 2 * y * y) + 2 * p2 * x * y], axis=1)
        return radial, tangential


@dataclass(frozen=True, slots=True)
class Pose:
    """Camera matrix (3, 3) and x_camera = rotation (3, 3) @ x_world + translation_m (3,)."""

    matrix: Matrix
    rotation: Matrix
    translation_m: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class FloorCalibration:
    """One camera's map between pixels and the floor plane of the site.

    `pixel_to_floor` is a (3, 3) homography; points on the far side of the horizon map to NaN.
    `side` is the sign of the homogeneous weight on the visible floor. `pose` where a camera model was given.
    """

    pixel_to_floor: Matrix
    lens: Lens | None
    side: float
    pose: Pose | None = None

    def to_floor(self, points_px: NDArray[np.floating]) -> Points:
        """(N, 2) pixels -> (N, 2) float64 metres; NaN above the horizon."""
        ideal = self._ideal(points_px)
        mapped = ideal @ self.pixel_to_floor[:, :2].T + self.pixel_to_floor[:, 2]
        weight = mapped[:, 2] * self.side
        visible = weight > 1e-9
        scale = np.where(visible, mapped[:, 2], 1.0)
        return np.where(visible[:, None], mapped[:, :2] / scale[:, None], np.nan)

    def to_pixels(self, floor_xy_m: Points) -> Points:
        """(N, 2) metres -> (N, 2) native pixels."""
        inverse = np.linalg.inv(self.pixel_to_floor)
        mapped = floor_xy_m @ inverse[:, :2].T + inverse[:, 2]
        ideal = mapped[:, :2] / mapped[:, 2:]
        return ideal if self.lens is None else self.lens.distort(ideal)

    def covariance(self, points_px: NDArray[np.floating], sigma_px: NDArray[np.floating]) -> Matrix:
        """(N, 2, 2) m²: isotropic pixel noise (N,) carried through the homography's Jacobian."""
        ideal = self._ideal(points_px)
        h = self.pixel_to_floor
        mapped = ideal @ h[:, :2].T + h[:, 2]
        w = np.where(np.abs(mapped[:, 2]) < 1e-9, np.nan, mapped[:, 2])
        floor = mapped[:, :2] / w[:, None]
        jacobian = (h[None, :2, :2] - floor[:, :, None] * h[None, 2:3, :2]) / w[:, None, None]
        variance = np.square(np.asarray(sigma_px, np.float64))
        return np.asarray(jacobian @ jacobian.transpose(0, 2, 1) * variance[:, None, None])

    def _ideal(self, points_px: NDArray[np.floating]) -> Points:
        points = np.asarray(points_px, np.float64)
        return points if self.lens is None else self.lens.undistort(points)


def from_matrix(pixel_to_floor: Matrix, frame_foot_px: Points, lens: Lens | None = None) -> FloorCalibration:
    """Check a homography; `frame_foot_px` (2,) is a pixel known to show the floor (usually bottom centre)."""
    matrix = np.asarray(pixel_to_floor, np.float64)
    if matrix.shape != (3, 3) or not np.isfinite(matrix).all():
        raise GeometryError(f"a homography is 3 x 3 finite numbers, found shape {matrix.shape}")
    norm = float(np.linalg.norm(matrix))
    balanced = matrix / norm if norm > 0 else matrix
    if abs(float(np.linalg.det(balanced))) < 1e-15 or float(np.linalg.cond(matrix)) > 1e12:
        raise GeometryError("the homography is degenerate: it maps the floor to a line or a point")
    weight = float(balanced[2] @ np.array([frame_foot_px[0], frame_foot_px[1], 1.0]))
    if abs(weight) < 1e-9:
        raise GeometryError("the homography puts the bottom of the picture on the horizon")
    return FloorCalibration(balanced, lens, float(np.sign(weight)))


def from_points(points_px: Points, points_m: Points) -> FloorCalibration:
    """Least-squares homography of ≥ 4 point pairs, (N, 2) each (normalised DLT, Hartley & Zisserman 4.4)."""
    px, floor = np.asarray(points_px, np.float64), np.asarray(points_m, np.float64)
    if len(px) < 4 or px.shape != floor.shape or px.shape[1:] != (2,):
        raise GeometryError(f"at least 4 pairs of points are needed, found {len(px)} and {len(floor)}")
    to_px, to_floor = _normaliser(px, "pixel"), _normaliser(floor, "floor")
    p = px @ to_px[:2, :2].T + to_px[:2, 2]
    f = floor @ to_floor[:2, :2].T + to_floor[:2, 2]
    zeros, ones = np.zeros(len(p)), np.ones(len(p))
    x, y, u, v = p[:, 0], p[:, 1], f[:, 0], f[:, 1]
    rows_u = np.stack([x, y, ones, zeros, zeros, zeros, -u * x, -u * y, -u], axis=1)
    rows_v = np.stack([zeros, zeros, zeros, x, y, ones, -v * x, -v * y, -v], axis=1)
    _, singular, basis = np.linalg.svd(np.concatenate([rows_u, rows_v]))
    if singular[7] < 1e-6 * singular[0]:
        raise GeometryError("the point pairs do not fix a homography: three or more of four lie on one line")
    matrix = np.linalg.inv(to_floor) @ basis[-1].reshape(3, 3) @ to_px
    return from_matrix(matrix, px[int(np.argmax(px[:, 1]))])


def from_camera(
    camera_matrix: Matrix,
    rotation: Matrix,
    translation_m: NDArray[np.float64],
    distortion: NDArray[np.float64],
) -> FloorCalibration:
    """Floor plane z = 0 of a camera with x_camera = rotation @ x_world + translation."""
    matrix, pose = np.asarray(camera_matrix, np.float64), np.asarray(rotation, np.float64)
    floor_to_pixel = matrix @ np.column_stack([pose[:, 0], pose[:, 1], translation_m])
    if abs(float(np.linalg.det(floor_to_pixel / np.linalg.norm(floor_to_pixel)))) < 1e-15:
        raise GeometryError("the camera looks along the floor: its pose maps the floor to a line")
    inverse = np.linalg.inv(floor_to_pixel)
    lens = Lens(matrix, np.asarray(distortion, np.float64)) if np.any(distortion) else None
    # A visible floor point has positive depth: the forward map's third row is positive there, so the
    # inverse map's weight is positive too (it is 1 / depth).
    balanced = inverse / np.linalg.norm(inverse)
    return FloorCalibration(balanced, lens, 1.0, Pose(matrix, pose, np.asarray(translation_m, np.float64)))


def rotation_from_quaternion(wxyz: NDArray[np.float64]) -> Matrix:
    """(3, 3) rotation of a quaternion (w, x, y, z), normalised here."""
    norm = float(np.linalg.norm(wxyz))
    if norm < 1e-9:
        raise GeometryError("a quaternion of zeros is no rotation")
    w, x, y, z = np.asarray(wxyz, np.float64) / norm
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def _normaliser(points: Points, what: str) -> Matrix:
    centre = points.mean(axis=0)
    spread = float(np.sqrt(((points - centre) ** 2).sum(axis=1)).mean())
    if spread < 1e-9:
        raise GeometryError(f"all {what} points are the same")
    s = np.sqrt(2) / spread
    return np.array([[s, 0, -s * centre[0]], [0, s, -s * centre[1]], [0, 0, 1]])
