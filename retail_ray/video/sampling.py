"""Which frames are analysed: a pure function of presentation time, so that a resumed run picks the same ones."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from retail_ray.core.errors import ConfigError

# Containers round presentation times, often to whole milliseconds: a frame this little before its slot belongs to it.
ROUNDING_S = Fraction(1, 1000)
# 29.97 asked of 30000/1001 means every frame.
_SAME_RATE = Fraction(999, 1000)


def exact_rate(analysis_fps: float) -> Fraction:
    """The rate as it was written: 0.1 is one tenth. Raises ConfigError unless finite and positive."""
    if not math.isfinite(analysis_fps) or analysis_fps <= 0:
        raise ConfigError(f"analysis_fps must be a positive number, found {analysis_fps}")
    return Fraction(repr(float(analysis_fps)))


def slot_of(ticks: int, time_base: Fraction, fps: Fraction) -> int:
    """The sampling slot of a frame shown at `ticks * time_base` seconds; exact at any length."""
    return math.floor((ticks * time_base + ROUNDING_S) * fps)


def takes_every_frame(fps: Fraction, native_fps: Fraction | None) -> bool:
    """Whether the source has no more frames than are asked for."""
    return native_fps is not None and fps >= native_fps * _SAME_RATE


def sampled(
    elapsed_ticks: NDArray[np.int64], time_base: Fraction, fps: Fraction, native_fps: Fraction | None
) -> NDArray[np.bool_]:
    """(N,) true for the first frame of every slot; `elapsed_ticks` (N,) must not decrease."""
    if takes_every_frame(fps, native_fps):
        return np.ones(len(elapsed_ticks), np.bool_)
    step, shift = time_base * fps, ROUNDING_S * fps
    scale = math.lcm(step.denominator, shift.denominator)
    # Python integers: 64 bits overflow within days at 90 kHz and odd rates.
    slots = (elapsed_ticks.astype(object) * int(step * scale) + int(shift * scale)) // scale
    first = np.ones(len(slots), np.bool_)
    first[1:] = slots[1:] != slots[:-1]
    return first
