"""A camera with its lens from point pairs on the floor (OpenCV's calibrateCamera: Zhang 2000, one view of a plane)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from retail_ray.core.errors import GeometryError
from retail_ray.core.homography import FloorCalibration, Points, from_camera, from_points

LEAST_PAIRS: Final = 10
_FOLDS: Final = 5


@dataclass(frozen=True, slots=True)
class LensFit:
    """focal_px, k1 and pose; square pixels, principal point in the middle. fold_px: error of pairs left out, in px;
    homography_fold_px: the same for a homography without lens."""

    focal_px: float
    principal_px: NDArray[np.float64]
    k1: float
    rotation: NDArray[np.float64]
    translation_m: NDArray[np.float64]
    fold_px: float
    homography_fold_px: float

    def calibration(self) -> FloorCalibration:
        matrix = np.array(
            [[self.focal_px, 0, self.principal_px[0]], [0, self.focal_px, self.principal_px[1]], [0, 0, 1]]
        )
        return from_camera(matrix, self.rotation, self.translation_m, np.array([self.k1, 0, 0, 0, 0]))

    @property
    def better_than_homography(self) -> bool:
        return self.fold_px < self.homography_fold_px


def fit_lens(points_px: Points, points_m: Points, native_hw: tuple[int, int]) -> LensFit:
    """Of (N, 2) pairs, N >= LEAST_PAIRS. GeometryError where they are too few or tell no camera."""
    if len(points_px) < LEAST_PAIRS:
        raise GeometryError(f"a lens needs at least {LEAST_PAIRS} pairs, found {len(points_px)}")
    focal, k1, rotation, translation, principal = _fitted(points_px, points_m, native_hw)
    folds = np.arange(len(points_px)) % _FOLDS
    own, plain = [], []
    for fold in range(_FOLDS):
        kept, left = folds != fold, folds == fold
        f, k, r, t, p = _fitted(points_px[kept], points_m[kept], native_hw)
        part = LensFit(f, p, k, r, t, 0.0, 0.0).calibration()
        own.append(np.hypot(*(part.to_pixels(points_m[left]) - points_px[left]).T))
        straight = from_points(points_px[kept], points_m[kept])
        plain.append(np.hypot(*(straight.to_pixels(points_m[left]) - points_px[left]).T))
    errors = (float(np.sqrt(np.mean(np.concatenate(parts) ** 2))) for parts in (own, plain))
    return LensFit(focal, principal, k1, rotation, translation, *errors)


def _fitted(points_px: Points, points_m: Points, native_hw: tuple[int, int]) -> tuple[float, float, Any, Any, Any]:
    height, width = native_hw
    principal = np.array([(width - 1) / 2, (height - 1) / 2])
    guess = np.array([[0.8 * width, 0, principal[0]], [0, 0.8 * width, principal[1]], [0, 0, 1]])
    flags = (
        cv2.CALIB_USE_INTRINSIC_GUESS | cv2.CALIB_FIX_PRINCIPAL_POINT | cv2.CALIB_FIX_ASPECT_RATIO
        | cv2.CALIB_ZERO_TANGENT_DIST | cv2.CALIB_FIX_K2 | cv2.CALIB_FIX_K3
    )  # fmt: skip
    flat = np.column_stack([points_m, np.zeros(len(points_m))]).astype(np.float32)
    seen = np.asarray(points_px, np.float32)
    try:
        _, matrix, distortion, turns, shifts = cv2.calibrateCamera(
            [flat], [seen], (width, height), guess, np.zeros(5), flags=flags
        )
    except cv2.error as error:
        raise GeometryError(f"the pairs tell no camera ({error.err}); measure spots all over the picture") from error
    rotation, _ = cv2.Rodrigues(turns[0])
    position = -rotation.T @ shifts[0].ravel()
    if not 0.2 * width < matrix[0, 0] < 10 * width or position[2] <= 0:
        raise GeometryError("the pairs tell no camera above the floor; measure spots all over the picture")
    return float(matrix[0, 0]), float(distortion.ravel()[0]), rotation, shifts[0].ravel(), principal
