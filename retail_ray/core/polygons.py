"""Polygons and lines in the plane, in whatever unit the caller names (pixels or metres)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from retail_ray.core.errors import GeometryError

Points = NDArray[np.float64]


def check_polygon(points: Points, name: str) -> Points:
    """(N, 2) finite corners of a simple polygon with an area, or GeometryError naming `name` and the fault."""
    corners = np.asarray(points, np.float64)
    if corners.ndim != 2 or corners.shape[1:] != (2,) or len(corners) < 3:
        raise GeometryError(f"{name}: a polygon needs at least 3 corners of 2 numbers, found shape {corners.shape}")
    if not np.isfinite(corners).all():
        raise GeometryError(f"{name}: corners must be finite")
    if len(corners) > 3 and np.array_equal(corners[0], corners[-1]):
        corners = corners[:-1]
    crossing = _first_self_crossing(corners)
    if crossing is not None:
        i, j = crossing
        raise GeometryError(
            f"{name}: the polygon crosses itself (edge {i + 1} meets edge {j + 1}); list the corners in order around it"
        )
    if abs(signed_area(corners)) < 1e-9:
        raise GeometryError(f"{name}: the polygon has no area")
    return corners


def signed_area(corners: Points) -> float:
    """Positive when the corners run counter-clockwise in a right-handed plane (shoelace formula)."""
    x, y = corners[:, 0], corners[:, 1]
    return float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2


def contains(corners: Points, points: Points) -> NDArray[np.bool_]:
    """(N,) whether each of (N, 2) points is inside (even-odd rule); NaN points are outside."""
    x, y = points[:, 0, None], points[:, 1, None]
    x0, y0 = corners[:, 0], corners[:, 1]
    x1, y1 = np.concatenate((corners[1:], corners[:1])).T
    straddles = (y0 > y) != (y1 > y)
    height = np.where(y1 == y0, 1.0, y1 - y0)
    left_of = x < x0 + (y - y0) * (x1 - x0) / height
    return np.asarray((straddles & left_of).sum(axis=1) % 2 == 1)


def signed_distance(start: Points, end: Points, points: Points) -> NDArray[np.float64]:
    """(N,) distance of (N, 2) points from the infinite line; positive on the left of start -> end (y up)."""
    direction = end - start
    length = float(np.hypot(direction[0], direction[1]))
    if length < 1e-9:
        raise GeometryError("a line needs two different points")
    offset = points - start
    return np.asarray((direction[0] * offset[:, 1] - direction[1] * offset[:, 0]) / length)


def along(start: Points, end: Points, points: Points) -> NDArray[np.float64]:
    """(N,) position of (N, 2) points projected on the line: 0 at start, 1 at end."""
    direction = end - start
    offset = points - start
    return np.asarray((offset[:, 0] * direction[0] + offset[:, 1] * direction[1]) / float(direction @ direction))


def _first_self_crossing(corners: Points) -> tuple[int, int] | None:
    n = len(corners)
    for i in range(n):
        for j in range(i + 1, n):
            adjacent = j == i + 1 or (i == 0 and j == n - 1)
            if not adjacent and _segments_meet(corners[i], corners[(i + 1) % n], corners[j], corners[(j + 1) % n]):
                return i, j
    return None


def _segments_meet(a: Points, b: Points, c: Points, d: Points) -> bool:
    def turn(p: Points, q: Points, r: Points) -> float:
        return float((q[0] - p[0]) * (r[1] - p[1]) - (q[1] - p[1]) * (r[0] - p[0]))

    def on_segment(p: Points, q: Points, r: Points) -> bool:
        return bool((np.minimum(p, q) <= r).all() and (r <= np.maximum(p, q)).all())

    t1, t2, t3, t4 = turn(a, b, c), turn(a, b, d), turn(c, d, a), turn(c, d, b)
    if t1 * t2 < 0 and t3 * t4 < 0:
        return True
    touching = ((t1, a, b, c), (t2, a, b, d), (t3, c, d, a), (t4, c, d, b))
    return any(t == 0 and on_segment(p, q, r) for t, p, q, r in touching)
