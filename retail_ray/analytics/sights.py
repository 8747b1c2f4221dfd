"""What one tick shows of each tracklet in one plane: every operator that follows tracklets starts from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from retail_ray.core.event_time import Tick

KEY_STEP: Final = 1 << 40
"""A tracklet's key: place of its camera among the sorted names x KEY_STEP + local id."""


@dataclass(frozen=True, slots=True)
class Sights:
    """Rows of a tick with a finite point, by tracklet, then by time.

    points: (N, 2) float64. times_us, places: the N times and points as lists. key, first: (G,) key and first row of
    each tracklet, in order of the key. spans: key -> first row and the row behind the last.
    """

    end_us: int
    points: NDArray[np.float64]
    times_us: list[int]
    places: list[list[float]]
    key: NDArray[np.int64]
    first: NDArray[np.intp]
    spans: dict[int, tuple[int, int]]


def floor_sights(tick: Tick) -> Sights:
    """On the floor, metres: tracklets of all calibrated cameras."""
    return _sights(tick, np.flatnonzero(np.isfinite(tick.floor_xy_m[:, 0])), tick.floor_xy_m)


def pixel_sights(tick: Tick, camera: int) -> Sights:
    """Foot points in the pixels of one camera, given by its place among the sorted names."""
    return _sights(tick, np.flatnonzero((tick.camera == camera) & np.isfinite(tick.foot_px[:, 0])), tick.foot_px)


def _sights(tick: Tick, rows: NDArray[np.intp], points: NDArray[np.floating]) -> Sights:
    key = tick.camera[rows].astype(np.int64) * KEY_STEP + tick.local_id[rows]
    order = np.argsort(key, kind="stable")
    key, rows = key[order], rows[order]
    new = np.ones(len(key), np.bool_)
    new[1:] = key[1:] != key[:-1]
    first = np.flatnonzero(new)
    begins, key, own = first.tolist(), key[first], points[rows].astype(np.float64)
    spans = dict(zip(key.tolist(), zip(begins, [*begins[1:], len(rows)], strict=False), strict=True))
    return Sights(tick.end_us, own, tick.time_us[rows].tolist(), own.tolist(), key, first, spans)
