"""Areas and ways asked about many people at once: compiled loops, because numpy's calls cost more than its work."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numba import types
from numpy.typing import NDArray

from retail_ray.analytics.compiled import INTS, POINTS, array_of, compiled

Floats = NDArray[np.float64]
_SHAPES = array_of(types.float64, 3)


class Polygons:
    """Several polygons, asked about the same points at once; `inside` agrees with `contains` of each."""

    def __init__(self, polygons: Sequence[Floats]) -> None:
        longest = max((len(corners) for corners in polygons), default=1)
        # An edge without length is never crossed, so repeating the last corner changes nothing.
        padded = [np.pad(corners, ((0, longest - len(corners)), (0, 0)), mode="edge") for corners in polygons]
        self._corners = np.array(padded, np.float64).reshape(-1, longest, 2)

    def inside(self, points: Floats) -> NDArray[np.bool_]:
        """(N, P) whether each of (N, 2) points is inside each of the P polygons; NaN points are outside."""
        return _inside(self._corners, points)


class Ways:
    """Several ways, each of up to S straight steps."""

    def __init__(self, ways: Sequence[Floats]) -> None:
        longest = max((len(way) for way in ways), default=2)
        self._points = np.zeros((len(ways), longest, 2))
        self._steps = np.array([len(way) - 1 for way in ways], np.int64)
        for place, way in enumerate(ways):
            self._points[place, : len(way)] = way
        self.length_m = np.array([np.hypot(*np.diff(way, axis=0).T).sum() for way in ways], np.float64)

    def along_and_aside(self, points: Floats) -> tuple[Floats, Floats]:
        """(N, W) of (N, 2) points: how far along each way the nearest point of it is, and how far away."""
        return _along_and_aside(self._points, self._steps, points)


@compiled(_SHAPES, POINTS)
def _inside(corners: Floats, points: Floats) -> NDArray[np.bool_]:
    many, edges = corners.shape[0], corners.shape[1]
    found = np.zeros((len(points), many), np.bool_)
    for place in range(many):
        own = corners[place]
        x_low, x_high, y_low, y_high = own[:, 0].min(), own[:, 0].max(), own[:, 1].min(), own[:, 1].max()
        for row in range(len(points)):
            x, y = points[row, 0], points[row, 1]
            if not (x_low <= x <= x_high and y_low <= y <= y_high):
                continue
            odd = False
            x0, y0 = own[edges - 1]
            for edge in range(edges):
                x1, y1 = own[edge]
                if (y0 > y) != (y1 > y) and x < x0 + (y - y0) * (x1 - x0) / (y1 - y0):
                    odd = not odd
                x0, y0 = x1, y1
            found[row, place] = odd
    return found


@compiled(_SHAPES, INTS, POINTS)
def _along_and_aside(ways: Floats, steps: NDArray[np.int64], points: Floats) -> tuple[Floats, Floats]:
    shape = (len(points), len(ways))
    along_m, aside_m = np.empty(shape), np.empty(shape)
    for place in range(len(ways)):
        for row in range(len(points)):
            before_m, nearest_m, at_m = 0.0, np.inf, 0.0
            for step in range(steps[place]):
                start_x, start_y = ways[place, step]
                step_x, step_y = ways[place, step + 1, 0] - start_x, ways[place, step + 1, 1] - start_y
                long_m = math.hypot(step_x, step_y)
                x, y = points[row, 0] - start_x, points[row, 1] - start_y
                share = min(max((x * step_x + y * step_y) / (long_m * long_m), 0.0), 1.0)
                away_m = math.hypot(x - share * step_x, y - share * step_y)
                if away_m < nearest_m:
                    nearest_m, at_m = away_m, before_m + share * long_m
                before_m += long_m
            along_m[row, place], aside_m[row, place] = at_m, nearest_m
    return along_m, aside_m
