"""A camera as few numbers: focal length, lens, and pose over the floor, with square pixels."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from retail_ray.core.homography import FloorCalibration, Lens, Matrix, Points, from_camera
from retail_ray.core.pose import look_at, rotation_of

Vector = NDArray[np.float64]
PERSON_M = 1.7
TALL_M = (1.35, 2.1)


@dataclass(frozen=True, slots=True)
class Pinhole:
    """x_camera = rotation @ x_world + translation_m. distortion: (5,) in OpenCV's order."""

    focal_px: float
    principal_px: Vector
    distortion: Vector
    rotation: Matrix
    translation_m: Vector

    @property
    def position_m(self) -> Vector:
        return np.asarray(-self.rotation.T @ self.translation_m)

    @property
    def matrix(self) -> Matrix:
        x, y = self.principal_px
        return np.array([[self.focal_px, 0, x], [0, self.focal_px, y], [0, 0, 1.0]])

    def calibration(self) -> FloorCalibration:
        return from_camera(self.matrix, self.rotation, self.translation_m, self.distortion)

    def project(self, world_m: Points) -> Points:
        """(N, 3) places -> (N, 2) pixels; far outside the picture where they lie behind the camera."""
        seen = world_m @ self.rotation.T + self.translation_m
        depth = np.maximum(seen[:, 2], 0.05)
        slopes = np.clip(seen[:, :2] / depth[:, None], -20, 20)
        ideal = slopes * self.focal_px + self.principal_px
        if not np.any(self.distortion):
            return np.asarray(ideal)
        # Beyond this slope a barrel lens would fold the picture back.
        radius = np.hypot(*slopes.T)[:, None]
        held = np.where(radius > 1.5, slopes * 1.5 / np.maximum(radius, 1e-9), slopes)
        bent = Lens(self.matrix, self.distortion).distort(held * self.focal_px + self.principal_px)
        return np.asarray(bent + (slopes - held) * self.focal_px)

    def moved(self, scale: float, turn_rad: float, shift_m: Vector) -> Pinhole:
        """The same camera in a floor frame with x_new = scale * turn(x) + shift; heights scale along."""
        turn_back = rotation_of(np.array([0.0, 0.0, -turn_rad]))
        rotation = self.rotation @ turn_back
        shift = np.array([shift_m[0], shift_m[1], 0.0])
        return replace(self, rotation=rotation, translation_m=scale * self.translation_m - rotation @ shift)

    def changed(self, change: Vector) -> Pinhole:
        """change: (8,) log focal length, k1, rotation vector (3), translation (3)."""
        distortion = self.distortion.copy()
        distortion[0] += change[1]
        return Pinhole(
            self.focal_px * float(np.exp(np.clip(change[0], -1.5, 1.5))),
            self.principal_px,
            distortion,
            rotation_of(change[2:5]) @ self.rotation,
            self.translation_m + change[5:8],
        )


def from_homography(floor_to_pixel: Matrix, native_hw: tuple[int, int]) -> Pinhole | None:
    """The pinhole camera of a floor homography, principal point in the middle (Zhang 2000 for one view).

    None where it does not tell the focal length, as when the camera looks straight down.
    """
    height, width = native_hw
    principal = np.array([(width - 1) / 2, (height - 1) / 2])
    centred = np.array([[1, 0, -principal[0]], [0, 1, -principal[1]], [0, 0, 1]]) @ floor_to_pixel
    a, b = centred[:, 0], centred[:, 1]
    down = np.array([a[2] * b[2], a[2] ** 2 - b[2] ** 2])
    across = -np.array([a[0] * b[0] + a[1] * b[1], a[0] ** 2 + a[1] ** 2 - b[0] ** 2 - b[1] ** 2])
    squared = float(down @ across) / max(float(down @ down), 1e-30)
    focal = float(np.sqrt(squared)) if squared > 0 else 0.0
    if not 0.25 * width < focal < 6 * width:
        return None
    columns = np.diag([1 / focal, 1 / focal, 1.0]) @ centred
    columns = columns / np.sqrt(np.linalg.norm(columns[:, 0]) * np.linalg.norm(columns[:, 1]))
    rotation = _rotation(columns)
    if -(rotation.T @ columns[:, 2])[2] < 0:
        columns = -columns
        rotation = _rotation(columns)
    return Pinhole(focal, principal, np.zeros(5), rotation, columns[:, 2])


def _rotation(columns: Matrix) -> Matrix:
    full = np.column_stack([columns[:, 0], columns[:, 1], np.cross(columns[:, 0], columns[:, 1])])
    u, _, v = np.linalg.svd(full)
    return np.asarray(u @ np.diag([1, 1, np.linalg.det(u @ v)]) @ v)


def guesses_from_people(foot_px: Points, head_px: Points, native_hw: tuple[int, int]) -> list[Pinhole]:
    """Cameras under which people at all places are equally tall, one for each of some fields of view.

    They stand at the origin of a floor frame of their own. From (N, 2) feet and heads.
    """
    height, width = native_hw
    principal = np.array([(width - 1) / 2, (height - 1) / 2])
    found = []
    for field_deg in (50.0, 65.0, 80.0, 95.0):
        focal = width / 2 / np.tan(np.radians(field_deg / 2))
        best: tuple[float, Pinhole] | None = None
        for tilt_deg in np.arange(8.0, 86.0, 3.0):
            tilt = np.radians(tilt_deg)
            rotation, translation = look_at(np.array([0, 0, 1.0]), np.array([0, np.cos(tilt), 1 - np.sin(tilt)]))
            camera = Pinhole(float(focal), principal, np.zeros(5), rotation, translation)
            tall = people_heights(camera, foot_px, head_px)
            tall = tall[np.isfinite(tall) & (tall > 0)]
            if len(tall) < 0.8 * len(foot_px):
                continue
            middle = float(np.median(tall))
            spread = float(np.median(np.abs(tall - middle))) / middle
            if best is None or spread < best[0]:
                best = spread, camera.moved(PERSON_M / middle, 0.0, np.zeros(2))
        if best is not None:
            found.append(best[1])
    return found


def people_heights(camera: Pinhole, foot_px: Points, head_px: Points) -> NDArray[np.float64]:
    """(N,) metres from foot to head of people that stand upright; NaN where the feet are not on the floor."""
    floor = camera.calibration().to_floor(foot_px)
    seen = np.column_stack([floor, np.zeros(len(floor))]) @ camera.rotation.T + camera.translation_m
    up = camera.rotation[:, 2]
    slope = (head_px[:, 1] - camera.principal_px[1]) / camera.focal_px
    return np.asarray((slope * seen[:, 2] - seen[:, 1]) / (up[1] - slope * up[2]))
