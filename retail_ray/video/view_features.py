"""Corners of a picture and how one view maps onto another (ORB: Rublee et al. 2011; robust similarity by RANSAC)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from retail_ray.core.boxes import Boxes
from retail_ray.core.types import Image
from retail_ray.core.view import ViewFeatures

MOST_FEATURES: Final = 600
LEAST_INLIERS: Final = 15
_LEAST_SHARE: Final = 0.2
_MASK_MARGIN: Final = 0.15
_RANSAC_PX: Final = 3.0
_RATIO: Final = 0.85
_FARTHEST_BITS: Final = 64
_SMOOTHING_PX: Final = 1.2
_NEAR_SHARE: Final = 0.04
_ENOUGH_SHARE: Final = 0.4


@dataclass(frozen=True, slots=True)
class ViewMatch:
    """How a remembered view lies in today's picture. to_now: (3, 3), None where it was not recognised.

    inliers: remembered corners that agree. expected: those that nobody stood in front of.
    """

    to_now: NDArray[np.float64] | None
    inliers: int
    expected: int


def find_features(image: Image, scale: float, people_px: Boxes) -> ViewFeatures:
    """Corners of the background of (H, W, 3) uint8 RGB, in native pixels; `scale` is its pixels per native pixel.

    people_px: (N, 4) native boxes to look away from.
    """
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    background = np.full(grey.shape, 255, np.uint8)
    for x1, y1, x2, y2 in _widened(people_px) * scale:
        background[max(0, int(y1)) : max(0, int(y2) + 1), max(0, int(x1)) : max(0, int(x2) + 1)] = 0
    smooth = cv2.GaussianBlur(grey, (0, 0), _SMOOTHING_PX)
    detector = cv2.ORB.create(
        nfeatures=3 * MOST_FEATURES, fastThreshold=5, edgeThreshold=16, scaleFactor=1.3, nlevels=5
    )
    corners, descriptors = detector.compute(smooth, _spread(detector.detect(smooth, background), grey.shape))
    if descriptors is None or not len(corners):
        return ViewFeatures.empty()
    points = (np.array([corner.pt for corner in corners], np.float64) + 0.5) / scale - 0.5
    return ViewFeatures(np.asarray(descriptors, np.uint8), points.astype(np.float32))


def _spread(corners: Sequence[Any], shape_hw: tuple[int, ...]) -> list[Any]:
    """The strongest corners of each cell of a grid, so that one busy shelf does not speak for the whole picture."""
    cells: dict[tuple[int, int], list[Any]] = {}
    for corner in sorted(corners, key=lambda c: (-c.response, c.pt)):
        cell = cells.setdefault((int(corner.pt[0] * 8 / shape_hw[1]), int(corner.pt[1] * 6 / shape_hw[0])), [])
        if len(cell) < MOST_FEATURES // 48:
            cell.append(corner)
    return [corner for cell in cells.values() for corner in cell]


def in_front(points_px: NDArray[np.float32], people_px: Boxes) -> NDArray[np.bool_]:
    """(F,) whether a person's box covers each of (F, 2) points."""
    boxes = _widened(people_px)
    x, y = points_px[:, 0, None], points_px[:, 1, None]
    inside = (x >= boxes[:, 0]) & (x <= boxes[:, 2]) & (y >= boxes[:, 1]) & (y <= boxes[:, 3])
    return np.asarray(inside.any(axis=1))


def match_views(
    reference: ViewFeatures, now: ViewFeatures, people_px: Boxes, scale: float, native_hw: tuple[int, int]
) -> ViewMatch:
    """Where the remembered corners are now. Deterministic: OpenCV's RANSAC begins with the same seed each time."""
    expected = int((~in_front(reference.points_px, people_px)).sum())
    near = _agreement(reference, now, _near_pairs(reference, now, native_hw), scale)
    far = _agreement(reference, now, _pairs(reference, now), scale) if near[1] < _ENOUGH_SHARE * expected else near
    to_now, inliers = max(near, far, key=lambda found: found[1])
    return ViewMatch(to_now, inliers, expected)


def _agreement(
    reference: ViewFeatures, now: ViewFeatures, pairs: NDArray[np.int64], scale: float
) -> tuple[NDArray[np.float64] | None, int]:
    """The similarity that most pairs of corners agree on, and how many do."""
    if len(pairs) < LEAST_INLIERS:
        return None, 0
    before, after = reference.points_px[pairs[:, 0]], now.points_px[pairs[:, 1]]
    found, agree = cv2.estimateAffinePartial2D(
        before, after, method=cv2.RANSAC, ransacReprojThreshold=_RANSAC_PX / scale, maxIters=2000, confidence=0.995
    )
    inliers = 0 if agree is None else int(agree.sum())
    if found is None or inliers < max(LEAST_INLIERS, _LEAST_SHARE * len(pairs)):
        return None, 0
    return np.vstack([found, [0.0, 0.0, 1.0]]), inliers


def static_features(
    first: ViewFeatures, later: list[ViewFeatures], scale: float, native_hw: tuple[int, int]
) -> ViewFeatures:
    """Corners of `first` found again at the same place in at least half of the later pictures."""
    seen = np.zeros(len(first), np.int64)
    for features in later:
        pairs = _near_pairs(first, features, native_hw)
        moved = np.hypot(*(features.points_px[pairs[:, 1]] - first.points_px[pairs[:, 0]]).T)
        seen[pairs[moved <= 2.0 / scale, 0]] += 1
    return first[seen * 2 >= max(len(later), 1)]


def mean_shift_px(to_now: NDArray[np.float64], native_hw: tuple[int, int]) -> float:
    """Mean distance that a grid over the picture is carried by `to_now`."""
    height, width = native_hw
    x, y = np.meshgrid(np.linspace(0, width - 1, 5), np.linspace(0, height - 1, 5))
    points = np.stack([x.ravel(), y.ravel(), np.ones(25)], axis=1)
    mapped = points @ to_now.T
    return float(np.hypot(*(mapped[:, :2] / mapped[:, 2:] - points[:, :2]).T).mean())


def _pairs(reference: ViewFeatures, now: ViewFeatures) -> NDArray[np.int64]:
    """(P, 2) rows of both that describe the same corner: nearest both ways, and clearly nearer than the second."""
    if len(reference) < 2 or len(now) < 2:
        return np.zeros((0, 2), np.int64)
    matcher = cv2.BFMatcher(cv2.NORM_HAMMING)
    forward = matcher.knnMatch(reference.descriptors, now.descriptors, k=2)
    backward = matcher.match(now.descriptors, reference.descriptors)
    nearest_of_now = {match.queryIdx: match.trainIdx for match in backward}
    kept = [
        (best.queryIdx, best.trainIdx)
        for best, second in forward
        if best.distance <= _FARTHEST_BITS
        and best.distance < _RATIO * second.distance
        and nearest_of_now[best.trainIdx] == best.queryIdx
    ]
    return np.array(kept, np.int64).reshape(-1, 2)


def _near_pairs(reference: ViewFeatures, now: ViewFeatures, native_hw: tuple[int, int]) -> NDArray[np.int64]:
    """As `_pairs`, of corners that lie near each other: repeated patterns, as of shelves, are told apart by place."""
    if len(reference) < 2 or len(now) < 2:
        return np.zeros((0, 2), np.int64)
    apart = np.abs(reference.points_px[:, None] - now.points_px[None]).max(axis=2)
    mask = (apart <= _NEAR_SHARE * native_hw[1]).astype(np.uint8)
    matcher = cv2.BFMatcher(cv2.NORM_HAMMING)
    forward = matcher.match(reference.descriptors, now.descriptors, mask)
    backward = matcher.match(now.descriptors, reference.descriptors, np.ascontiguousarray(mask.T))
    nearest_of_now = {match.queryIdx: match.trainIdx for match in backward}
    kept = [
        (match.queryIdx, match.trainIdx)
        for match in forward
        if match.distance <= _FARTHEST_BITS and nearest_of_now.get(match.trainIdx) == match.queryIdx
    ]
    return np.array(kept, np.int64).reshape(-1, 2)


def _widened(people_px: Boxes) -> Boxes:
    margin = (people_px[:, 2:] - people_px[:, :2]) * np.float32(_MASK_MARGIN)
    return np.concatenate([people_px[:, :2] - margin, people_px[:, 2:] + margin], axis=1)
