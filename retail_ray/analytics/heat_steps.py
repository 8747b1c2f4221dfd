"""From each person's sight to the next one: compiled, because heat asks for it of everybody in every tick."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
from numba import types
from numpy.typing import NDArray

from retail_ray.analytics.compiled import INTS, array_of, compiled, part
from retail_ray.analytics.floor_tables import SAMPLE

NOBODY: Final = -1
STOOD_M: Final = 1.0
SEEN_STEP_US: Final = 1_000_000

WALKER: Final = np.dtype(
    [("number", np.int64), ("time_us", np.int64), ("x_m", np.float64), ("y_m", np.float64)], align=True
)
"""Where a person was last. number: stays when a person turns out to be another one; NOBODY: not seen yet."""

STEP: Final = np.dtype(
    [("walker", np.int64), ("from_us", np.int64), ("until_us", np.int64)]
    + [(name, np.float64) for name in ("from_x_m", "from_y_m", "x_m", "y_m")],
    align=True,
)
"""Time that a walker spent at two places."""


@part
def _was_there(walker: Any, sample: Any, max_gap_us: float, walk_gap_us: float) -> bool:
    """Whether the time since the last sight was spent at its two ends."""
    gap_us = sample.time_us - walker.time_us
    if gap_us <= SEEN_STEP_US:
        return bool(gap_us > 0)
    limit_us = max_gap_us
    if math.hypot(sample.x_m - walker.x_m, sample.y_m - walker.y_m) > STOOD_M:
        limit_us = min(limit_us, walk_gap_us)
    return bool(gap_us <= limit_us)


@compiled(
    array_of(SAMPLE), INTS, INTS, array_of(types.int64, 2), INTS, array_of(WALKER), types.int64, types.float64,
    types.float64,
)  # fmt: skip
def steps(
    samples: Any,
    begins: NDArray[np.int64],
    place: NDArray[np.int64],
    merged: NDArray[np.int64],
    merged_begins: NDArray[np.int64],
    walkers: Any,
    number: int,
    max_gap_us: float,
    walk_gap_us: float,
) -> tuple[Any, int]:
    """(STEP records in order, number of the next walker).

    samples, begins: those of FloorTicks. place: row in `walkers` of each sample's person. merged: (M, 2) rows of who is
    no more and of who stays; merged_begins: (T + 1,) the first ones of each tick. walkers: changed in place.
    """
    found, n = np.empty(len(samples), STEP), 0
    for tick in range(len(begins) - 1):
        for gone, stays in merged[merged_begins[tick] : merged_begins[tick + 1]]:
            if walkers[stays].number == NOBODY:
                walkers[stays] = walkers[gone]
            walkers[gone].number = NOBODY
        for at in range(begins[tick], begins[tick + 1]):
            sample, walker = samples[at], walkers[place[at]]
            if not sample.alone:
                continue
            if walker.number == NOBODY:
                walker.number = number
                number += 1
            elif _was_there(walker, sample, max_gap_us, walk_gap_us):
                step = found[n]
                step.walker, step.from_us, step.until_us = walker.number, walker.time_us, sample.time_us
                step.from_x_m, step.from_y_m, step.x_m, step.y_m = walker.x_m, walker.y_m, sample.x_m, sample.y_m
                n += 1
            walker.time_us, walker.x_m, walker.y_m = sample.time_us, sample.x_m, sample.y_m
    return found[:n], number
