"""How large a pixel is on the floor, near and far."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from retail_ray.core.homography import FloorCalibration, Points

FAR_M: Final = 20.0


def metres_per_pixel(calibration: FloorCalibration, points_px: Points) -> NDArray[np.float64]:
    """(N,) metres that one pixel spans on the floor in its longest direction; NaN above the horizon."""
    covariance = calibration.covariance(points_px, np.ones(len(points_px)))
    finite = np.isfinite(covariance).all(axis=(1, 2)) & np.isfinite(calibration.to_floor(points_px)).all(axis=1)
    usable = np.asarray(finite)
    safe = np.where(usable[:, None, None], covariance, np.eye(2))
    return np.where(usable, np.sqrt(np.linalg.eigvalsh(safe)[:, 1]), np.nan)


def near_and_far(calibration: FloorCalibration, native_hw: tuple[int, int]) -> tuple[float, float]:
    """Metres per pixel at the bottom of the picture's middle column, and at its highest spot within FAR_M of that."""
    height, width = native_hw
    rows = np.linspace(height - 1, 0, 64)
    column = np.stack([np.full(64, width / 2), rows], axis=1)
    floor = calibration.to_floor(column)
    away = np.hypot(*(floor - floor[0]).T)
    inside = np.flatnonzero(away <= FAR_M)
    scale = metres_per_pixel(calibration, column)
    return float(scale[0]), float(scale[inside[-1]]) if len(inside) else float(scale[0])


def visible_grid(native_hw: tuple[int, int], columns: int = 16, rows: int = 9) -> Points:
    """(columns * rows, 2) pixels spread over the picture, middles of equal cells."""
    height, width = native_hw
    x, y = np.meshgrid((np.arange(columns) + 0.5) / columns * width, (np.arange(rows) + 0.5) / rows * height)
    return np.stack([x.ravel(), y.ravel()], axis=1)
