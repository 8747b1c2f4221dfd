"""Where identities were on the floor over time, and when they passed the door: what traits of people are told from.

Identities are numbered from 0 within one set of arrays; whoever makes the arrays keeps what each number stands for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from retail_ray.core.checks import require
from retail_ray.core.errors import DataError
from retail_ray.core.time import US_PER_S

STEP_US: Final = US_PER_S // 2
"""Positions are means over half seconds of event time."""


@dataclass(frozen=True, slots=True)
class FloorPaths:
    """At most one position for each identity and half second, ordered by identity, then time.

    identity: (N,) int64 from 0. time_us: (N,) int64, within the half second. xy_m: (N, 2) float64 on the floor.
    DataError where shapes, order or values break this.
    """

    identity: NDArray[np.int64]
    time_us: NDArray[np.int64]
    xy_m: NDArray[np.float64]

    def __post_init__(self) -> None:
        n = len(self.identity)
        require("FloorPaths.identity", self.identity, (n,), np.int64)
        require("FloorPaths.time_us", self.time_us, (n,), np.int64)
        require("FloorPaths.xy_m", self.xy_m, (n, 2), np.float64)
        if n and self.identity.min() < 0:
            raise DataError(f"FloorPaths.identity: {int(self.identity.min())} is no number of an identity")
        if not np.isfinite(self.xy_m).all():
            raise DataError("FloorPaths.xy_m: positions must be finite; leave out rows without one")
        same, step = np.diff(self.identity), np.diff(self.time_us // STEP_US)
        if ((same < 0) | ((same == 0) & (step <= 0))).any():
            raise DataError("FloorPaths: rows must be ordered by identity, then half second, each of them once")

    def __len__(self) -> int:
        return len(self.identity)

    def of(self, identity: int) -> slice:
        """The rows of one identity."""
        low, high = np.searchsorted(self.identity, [identity, identity + 1])
        return slice(int(low), int(high))


@dataclass(frozen=True, slots=True)
class DoorCrossings:
    """Completed crossings of counting lines, turn-backs left out.

    identity: (N,) int64. line: (N,) int64, number of the line. time_us: (N,) int64. inwards: (N,) bool.
    """

    identity: NDArray[np.int64]
    line: NDArray[np.int64]
    time_us: NDArray[np.int64]
    inwards: NDArray[np.bool_]

    def __post_init__(self) -> None:
        n = len(self.identity)
        require("DoorCrossings.identity", self.identity, (n,), np.int64)
        require("DoorCrossings.line", self.line, (n,), np.int64)
        require("DoorCrossings.time_us", self.time_us, (n,), np.int64)
        require("DoorCrossings.inwards", self.inwards, (n,), np.bool_)

    def __len__(self) -> int:
        return len(self.identity)


def floor_paths(identity: NDArray[np.int64], time_us: NDArray[np.int64], xy_m: NDArray[np.float64]) -> FloorPaths:
    """Paths from positions in any order: means over each identity's half seconds, rows that are not finite left out."""
    seen = np.isfinite(xy_m).all(axis=1)
    who, step = identity[seen].astype(np.int64), time_us[seen].astype(np.int64) // STEP_US
    cells, place = np.unique(np.stack([who, step], axis=1), axis=0, return_inverse=True)
    place, count = place.ravel(), len(cells)
    times = np.bincount(place, minlength=count)
    mean_m = [np.bincount(place, xy_m[seen, axis], count) / times for axis in (0, 1)] if count else [np.zeros(0)] * 2
    return FloorPaths(cells[:, 0].copy(), cells[:, 1] * STEP_US + STEP_US // 2, np.stack(mean_m, axis=1))
