"""How well point pairs fix a camera's floor calibration: errors, leave-one-out, the outlier, points on a line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from retail_ray.core.errors import GeometryError
from retail_ray.core.homography import FloorCalibration, Points, from_points

LEAVE_ONE_OUT_PAIRS: Final = 5
OUTLIER_PAIRS: Final = 6
_OUTLIER_RATIO: Final = 3.0
_OUTLIER_SHARE: Final = 0.01
_ON_LINE_SHARE: Final = 0.05

Errors = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class PairErrors:
    """Reprojection errors of N pairs under one calibration: (N,) px in the picture, (N,) m on the floor."""

    px: Errors
    m: Errors


def pair_errors(calibration: FloorCalibration, points_px: Points, points_m: Points) -> PairErrors:
    """Distances between each pair's two points, in the picture and on the floor; inf where one maps nowhere."""
    px = np.hypot(*(calibration.to_pixels(points_m) - points_px).T)
    m = np.hypot(*(calibration.to_floor(points_px) - points_m).T)
    return PairErrors(np.nan_to_num(px, nan=np.inf), np.nan_to_num(m, nan=np.inf))


def leave_one_out(points_px: Points, points_m: Points) -> PairErrors | None:
    """Each pair's error under the homography of all others: what an unmeasured spot must expect.

    None below LEAVE_ONE_OUT_PAIRS pairs. inf where the others do not fix a homography.
    """
    n = len(points_px)
    if n < LEAVE_ONE_OUT_PAIRS:
        return None
    px, m = np.full(n, np.inf), np.full(n, np.inf)
    for i in range(n):
        others = np.arange(n) != i
        fitted = _fitted(points_px[others], points_m[others])
        if fitted is not None:
            errors = pair_errors(fitted, points_px[i : i + 1], points_m[i : i + 1])
            px[i], m[i] = errors.px[0], errors.m[0]
    return PairErrors(px, m)


def outlier(points_px: Points, points_m: Points) -> int | None:
    """The one pair without which all others agree; None where there is none or too few pairs to tell.

    With a wrong pair, every fit that keeps it is bad: leaving it out must beat leaving out any other, by a ratio that
    chance reaches the less the more pairs there are.
    Below OUTLIER_PAIRS pairs every pair can be left out with the same right, because four pairs always fit exactly.
    """
    n = len(points_px)
    if n < OUTLIER_PAIRS:
        return None
    rest_px, own_px = np.full(n, np.inf), np.zeros(n)
    for i in range(n):
        others = np.arange(n) != i
        fitted = _fitted(points_px[others], points_m[others])
        if fitted is not None:
            errors = pair_errors(fitted, points_px, points_m).px
            rest_px[i], own_px[i] = float(np.sqrt(np.mean(errors[others] ** 2))), errors[i]
    best, second = np.argsort(rest_px, kind="stable")[:2]
    freedom = 2 * (n - 1) - 8
    alone = rest_px[second] > (_OUTLIER_RATIO + 8 / freedom) * rest_px[best]
    return int(best) if alone and own_px[best] > _OUTLIER_SHARE * _extent(points_px) else None


def on_a_line(points: Points) -> bool:
    """Whether all points but at most one lie within 5 % of the extent of one line: they fix no plane then."""
    limit = _ON_LINE_SHARE * _extent(points)
    for i in range(len(points)):
        for j in range(i + 1, len(points)):
            along = points[j] - points[i]
            length = float(np.hypot(*along))
            if length < limit:
                continue
            offset = points - points[i]
            beside = np.abs(along[0] * offset[:, 1] - along[1] * offset[:, 0]) / length > limit
            if int(beside.sum()) <= 1:
                return True
    return False


def _fitted(points_px: Points, points_m: Points) -> FloorCalibration | None:
    try:
        return from_points(points_px, points_m)
    except (GeometryError, np.linalg.LinAlgError):
        return None


def _extent(points: Points) -> float:
    return float(np.hypot(*(points.max(axis=0) - points.min(axis=0))))
