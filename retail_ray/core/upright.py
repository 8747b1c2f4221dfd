"""People stand upright: what a box says about where its person stands and how tall that person is.

A vertical body is a segment in the picture of an ideal pinhole, on the line through the box's centre and the vanishing
point of the vertical. Its lower end meets the floor plane, its upper end the plane at the body's height
(single view metrology, Criminisi et al. 2000). Focal length and pose come with a camera model, or from a homography
to the floor under square pixels and a principal point in the picture's middle (Zhang 2000; Hartley & Zisserman 8.6).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retail_ray.core.homography import FloorCalibration, Matrix, Points, Pose

Floats = NDArray[np.float64]

# How far the columns of a recovered rotation may be from orthonormal, and the camera heights that a shop can have.
MAX_RESIDUAL = 0.15
CAMERA_HEIGHT_M = (1.0, 30.0)
# Least share of the focal length's equations that the picture fixes: below, the camera looks straight down.
MIN_PERSPECTIVE = 1e-3


@dataclass(frozen=True, slots=True)
class PlanePoints:
    """Where rays meet a horizontal plane.

    xy_m: (N, 2), NaN where a ray does not meet it. per_px: (N, 2, 2) metres per native pixel.
    per_m: (N, 2) metres on the floor per metre of the plane's height.
    """

    xy_m: Points
    per_px: Floats
    per_m: Floats

    def __getitem__(self, rows: slice) -> PlanePoints:
        return PlanePoints(self.xy_m[rows], self.per_px[rows], self.per_m[rows])

    def covariance(self, sigma_px: Floats, sigma_height_m: Floats) -> Floats:
        """(N, 2, 2) m² of pixel noise (N, 2) in x and y and of a height's uncertainty (N,)."""
        by_noise = self.per_px * sigma_px[:, None, :]
        by_height = self.per_m * sigma_height_m[:, None]
        return np.asarray(by_noise @ by_noise.transpose(0, 2, 1) + by_height[:, :, None] * by_height[:, None, :])


@dataclass(frozen=True, slots=True)
class UprightView:
    """A camera whose vertical is known.

    ray: (3, 3) ideal pixel (u, v, 1) -> direction in site axes, z up. centre_m: (3,) the camera, z above the floor.
    vertical_px: (3,) homogeneous vanishing point of the vertical, towards the feet.
    """

    calibration: FloorCalibration
    ray: Matrix
    centre_m: Floats
    vertical_px: Floats

    def body_ends(self, xyxy_px: NDArray[np.floating]) -> tuple[Points, Points, NDArray[np.bool_]]:
        """Ideal pixels (N, 2) of the body's axis at the lower and upper edges of (N, 4) boxes, and where they hold.

        False (N,) where the body lies across the picture rather than upright in it, as right below a camera.
        """
        n, box = len(xyxy_px), np.asarray(xyxy_px, np.float64)
        middle_x = (box[:, 0] + box[:, 2]) / 2
        rows = np.concatenate([box[:, 3], box[:, 1], (box[:, 1] + box[:, 3]) / 2])
        ideal = self._ideal(np.column_stack([np.tile(middle_x, 3), rows]))
        foot, head, centre = ideal[:n], ideal[n : 2 * n], ideal[2 * n :]
        way = self.vertical_px[:2] - self.vertical_px[2] * centre
        upright = way[:, 1] > np.abs(way[:, 0])
        slope = np.where(upright, way[:, 0] / np.where(upright, way[:, 1], 1.0), 0.0)
        for end in (foot, head):
            end[:, 0] = centre[:, 0] + slope * (end[:, 1] - centre[:, 1])
        return foot, head, upright

    def on_plane(self, ideal_px: Points, height_m: Floats) -> PlanePoints:
        """Where the rays of (N, 2) ideal pixels meet the planes (N,) metres above the floor."""
        direction = ideal_px @ self.ray[:, :2].T + self.ray[:, 2]
        rise_m = height_m - self.centre_m[2]
        meets = direction[:, 2] * rise_m > 1e-9
        depth = np.where(meets, rise_m / np.where(meets, direction[:, 2], 1.0), np.nan)
        ground = direction[:, :2] / np.where(meets, direction[:, 2], np.nan)[:, None]
        per_ideal = depth[:, None, None] * (self.ray[None, :2, :2] - ground[:, :, None] * self.ray[None, 2:, :2])
        per_px = per_ideal if self.calibration.lens is None else per_ideal @ self._ideal_per_native(ideal_px)
        return PlanePoints(self.centre_m[:2] + depth[:, None] * direction[:, :2], per_px, ground)

    def height_m(self, floor_xy_m: Points, head_ideal_px: Points) -> Floats:
        """(N,) heights at which the heads' rays pass over floor points (N, 2)."""
        direction = head_ideal_px @ self.ray[:, :2].T + self.ray[:, 2]
        away = floor_xy_m - self.centre_m[:2]
        along = (away * direction[:, :2]).sum(axis=1) / np.maximum((direction[:, :2] ** 2).sum(axis=1), 1e-12)
        return np.asarray(self.centre_m[2] + along * direction[:, 2])

    def in_picture(self, floor_xy_m: Points) -> NDArray[np.bool_]:
        """(N,) true for floor points (N, 2) in front of the camera, as far out as the lens model goes."""
        lens, down = self.calibration.lens, np.linalg.inv(self.ray)
        away = np.column_stack([floor_xy_m - self.centre_m[:2], np.full(len(floor_xy_m), -self.centre_m[2])]) @ down.T
        ahead = away[:, 2] > 1e-6
        if lens is None:
            return np.asarray(ahead)
        ideal = away[:, :2] / np.where(ahead, away[:, 2], 1.0)[:, None]
        return np.asarray(ahead & lens.reaches(ideal))

    def outward(self, floor_xy_m: Points) -> Points:
        """(N, 2) unit vectors on the floor from below the camera to floor points."""
        away = floor_xy_m - self.centre_m[:2]
        return np.asarray(away / np.maximum(np.linalg.norm(away, axis=1, keepdims=True), 1e-9))

    def _ideal(self, points_px: Points) -> Points:
        lens = self.calibration.lens
        return points_px if lens is None else lens.undistort(points_px)

    def _ideal_per_native(self, ideal_px: Points) -> Floats:
        """(N, 2, 2) Jacobian of undistortion, from differences of one pixel."""
        lens, n = self.calibration.lens, len(ideal_px)
        assert lens is not None
        around = np.concatenate([ideal_px, ideal_px + np.array([1.0, 0.0]), ideal_px + np.array([0.0, 1.0])])
        seen = lens.distort(around)
        a, c = (seen[n : 2 * n] - seen[:n]).T
        b, d = (seen[2 * n :] - seen[:n]).T
        inverse = np.stack([d, -b, -c, a], axis=1).reshape(n, 2, 2)
        return np.asarray(inverse / (a * d - b * c)[:, None, None])


def upright_view(calibration: FloorCalibration, native_hw: tuple[int, int]) -> UprightView | None:
    """The upright model of a calibrated camera.

    None where the calibration does not fix the vertical: a homography of a camera that looks straight down, of a
    picture that was cut or stretched, or in other units than metres.
    """
    pose = calibration.pose or recovered_pose(calibration, native_hw)
    if pose is None:
        return None
    centre_m = -pose.rotation.T @ pose.translation_m
    # Floor coordinates may be left-handed (a plan's y points down): up is where the camera is.
    up = np.array([1.0, 1.0, np.sign(centre_m[2])])
    if not CAMERA_HEIGHT_M[0] <= abs(centre_m[2]) <= CAMERA_HEIGHT_M[1]:
        return None
    ray = (pose.rotation * up).T @ np.linalg.inv(pose.matrix)
    vertical = -(pose.matrix @ (pose.rotation * up)[:, 2])
    return UprightView(calibration, ray, centre_m * up, vertical)


def recovered_pose(calibration: FloorCalibration, native_hw: tuple[int, int]) -> Pose | None:
    """Focal length and pose behind a homography; None where it does not fix them."""
    middle = np.array([native_hw[1] / 2, native_hw[0] / 2])
    plane = np.linalg.inv(calibration.pixel_to_floor) * calibration.side
    plane = np.array([[1, 0, -middle[0]], [0, 1, -middle[1]], [0, 0, 1]]) @ plane
    plane /= float(np.linalg.norm(plane[:2, :2]))
    size = float(max(native_hw))
    flat, steep = plane[:2, :2], plane[2, :2] * size
    # r1 and r2 are orthogonal and equally long: two equations for (size / focal length)^2 = -steep / flat.
    of_flat = np.array([flat[:, 0] @ flat[:, 1], (flat[:, 0] @ flat[:, 0] - flat[:, 1] @ flat[:, 1]) / 2])
    of_steep = np.array([steep[0] * steep[1], (steep[0] ** 2 - steep[1] ** 2) / 2])
    if float(np.linalg.norm(of_steep)) < MIN_PERSPECTIVE:
        return None
    inverse_focal = -float(of_flat @ of_steep) / max(float(of_flat @ of_flat), 1e-12)
    if inverse_focal <= 0:
        return None
    focal_px = size / float(np.sqrt(inverse_focal))
    matrix = np.array([[focal_px, 0, 0], [0, focal_px, 0], [0, 0, 1.0]])
    pose = np.linalg.inv(matrix) @ plane
    lengths = np.linalg.norm(pose[:, :2], axis=0)
    pose /= float(lengths.mean())
    first, second = pose[:, 0], pose[:, 1]
    if max(abs(float(first @ second)), abs(float(lengths[0] - lengths[1])) / float(lengths.mean())) > MAX_RESIDUAL:
        return None
    left, _, right = np.linalg.svd(np.column_stack([first, second, np.cross(first, second)]))
    matrix[:2, 2] = middle
    return Pose(matrix, left @ right, pose[:, 2])
