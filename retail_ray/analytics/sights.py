"""What ticks show of each tracklet in one plane: every operator that follows tracklets starts from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from retail_ray.core.ticks import Ticks

KEY_STEP: Final = 1 << 40
"""A tracklet's key: place of its camera among the sorted names x KEY_STEP + local id."""


@dataclass(frozen=True, slots=True)
class Sights:
    """Rows of T ticks with a finite point, by tick, then tracklet, then time. A sight: one tracklet's rows in one tick.

    points: (N, 2) float64. time_us: (N,) int64. key: (G,) int64 tracklet of each sight. first: (G + 1,) int64 its first
    row; begins: (T + 1,) int64 the first sight of each tick; the last of both is the end. end_us: (T,) int64.
    """

    tick_us: int
    end_us: NDArray[np.int64]
    points: NDArray[np.float64]
    time_us: NDArray[np.int64]
    key: NDArray[np.int64]
    first: NDArray[np.int64]
    begins: NDArray[np.int64]


def floor_sights(ticks: Ticks) -> Sights:
    """On the floor, metres: tracklets of all calibrated cameras."""
    points = ticks.data.floor_xy_m
    return _sights(ticks, np.flatnonzero(np.isfinite(points[:, 0])), points)


def pixel_sights(ticks: Ticks, camera: int) -> Sights:
    """Foot points in the pixels of one camera, given by its place among the sorted names."""
    points = ticks.data.foot_px
    return _sights(ticks, np.flatnonzero((ticks.data.camera == camera) & np.isfinite(points[:, 0])), points)


def _sights(ticks: Ticks, rows: NDArray[np.intp], points: NDArray[np.floating]) -> Sights:
    data = ticks.data
    key = data.camera[rows].astype(np.int64) * KEY_STEP + data.local_id[rows]
    tick = ticks.number(data.time_us[rows])
    order = np.lexsort((key, tick))
    key, tick, rows = key[order], tick[order], rows[order]
    new = np.ones(len(key), np.bool_)
    new[1:] = (key[1:] != key[:-1]) | (tick[1:] != tick[:-1])
    first = np.flatnonzero(new)
    return Sights(
        tick_us=ticks.tick_us,
        end_us=ticks.end_us,
        points=points[rows].astype(np.float64),
        time_us=data.time_us[rows],
        key=key[first],
        first=np.append(first, len(rows)).astype(np.int64),
        begins=np.array(ticks.begins(tick[first]), np.int64),
    )
