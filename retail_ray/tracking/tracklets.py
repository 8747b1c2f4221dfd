"""Sums up each tracklet while it lives and emits its row when it has ended."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retail_ray.core.checks import require
from retail_ray.core.errors import DataError
from retail_ray.core.records import TrackletRow
from retail_ray.core.time import US_PER_S
from retail_ray.core.types import Tracks

STATE_FORMAT = 1
# Longer than the sway of a standing person's foot point, shorter than two steps.
STEP_M = 0.5
SMOOTHING_S = 0.5


@dataclass(slots=True)
class _Open:
    """One living tracklet; the anchor is the last floor point that counted as walked to."""

    first_us: int
    last_us: int
    frames: int = 0
    confidence_sum: float = 0.0
    path_m: float = 0.0
    smooth_x_m: float = math.nan
    smooth_y_m: float = math.nan
    last_x_m: float = math.nan
    last_y_m: float = math.nan
    floor_us: int = 0
    anchor_x_m: float = math.nan
    anchor_y_m: float = math.nan
    embedded_crops: int = 0
    best_crop_quality: float = 0.0


class TrackletBook:
    """Tracklets of one camera, in event time.

    A tracklet has ended when it was not seen for `buffer_s` (longer than the tracker can take it up again).
    The path is the length of the smoothed floor track, taken in steps of at least 0.5 m: people who stand still
    walk nowhere although their boxes tremble. A turn on the heel costs it about half a metre.
    """

    def __init__(self, camera_id: str, *, buffer_s: float) -> None:
        self._camera_id = camera_id
        self._buffer_us = round(buffer_s * US_PER_S)
        self._open: dict[int, _Open] = {}
        self._last_us: int | None = None

    def add(self, tracks: Tracks, floor_xy_m: NDArray[np.float64], time_us: int) -> list[TrackletRow]:
        """Take one analysed frame in, also an empty one; return the tracklets that have ended by it.

        floor_xy_m: (N, 2) float64 metres of the tracks' foot points, NaN where unknown.
        Raises DataError when time runs backwards or the floor points do not fit the tracks.
        """
        require(f"camera '{self._camera_id}': floor_xy_m", floor_xy_m, (len(tracks), 2), np.float64)
        if self._last_us is not None and time_us <= self._last_us:
            raise DataError(f"camera '{self._camera_id}': frame at {time_us} us does not follow {self._last_us} us")
        self._last_us = time_us
        ended = self._close_before(time_us - self._buffer_us)
        for i, local_id in enumerate(tracks.local_id.tolist()):
            entry = self._open.setdefault(local_id, _Open(time_us, time_us))
            entry.last_us = time_us
            entry.frames += 1
            entry.confidence_sum += float(tracks.confidence[i])
            _walk(entry, float(floor_xy_m[i, 0]), float(floor_xy_m[i, 1]), time_us)
        return ended

    def note_crop(self, local_id: int, quality: float) -> None:
        """A crop of this tracklet, of quality in [0, 1], went to the embedder.

        Raises DataError for a tracklet that is not open.
        """
        entry = self._open.get(local_id)
        if entry is None:
            raise DataError(f"camera '{self._camera_id}': a crop for tracklet {local_id}, which is not open")
        entry.embedded_crops += 1
        entry.best_crop_quality = max(entry.best_crop_quality, quality)

    def flush(self) -> list[TrackletRow]:
        """At the end of the data: every tracklet that is still open, ordered by local id."""
        return self._close(sorted(self._open))

    def state(self) -> dict[str, Any]:
        """Plain numbers only."""
        return {
            "format": STATE_FORMAT,
            "last_us": self._last_us,
            "open": {local_id: asdict(entry) for local_id, entry in self._open.items()},
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Raises DataError when the state was written by another version."""
        if state.get("format") != STATE_FORMAT:
            raise DataError(
                f"camera '{self._camera_id}': tracklet state has format {state.get('format')!r}, need {STATE_FORMAT}"
            )
        self._last_us = state["last_us"]
        self._open = {local_id: _Open(**entry) for local_id, entry in state["open"].items()}

    def _close_before(self, limit_us: int) -> list[TrackletRow]:
        return self._close(sorted(local_id for local_id, entry in self._open.items() if entry.last_us < limit_us))

    def _close(self, local_ids: list[int]) -> list[TrackletRow]:
        return [self._row(local_id, self._open.pop(local_id)) for local_id in local_ids]

    def _row(self, local_id: int, entry: _Open) -> TrackletRow:
        has_floor = not math.isnan(entry.anchor_x_m)
        # The smoothed point lags behind a walker, so the way ends at the last point itself.
        rest_m = math.hypot(entry.last_x_m - entry.anchor_x_m, entry.last_y_m - entry.anchor_y_m)
        walked_m = entry.path_m + (rest_m if entry.path_m > 0 else 0.0)
        return TrackletRow(
            camera_id=self._camera_id,
            local_id=local_id,
            first_us=entry.first_us,
            last_us=entry.last_us,
            frames=entry.frames,
            mean_confidence=entry.confidence_sum / entry.frames,
            path_m=walked_m if has_floor else math.nan,
            embedded_crops=entry.embedded_crops,
            best_crop_quality=entry.best_crop_quality,
        )


def _walk(entry: _Open, x_m: float, y_m: float, time_us: int) -> None:
    if not (math.isfinite(x_m) and math.isfinite(y_m)):
        return
    entry.last_x_m, entry.last_y_m = x_m, y_m
    if math.isnan(entry.anchor_x_m):
        entry.smooth_x_m = entry.anchor_x_m = x_m
        entry.smooth_y_m = entry.anchor_y_m = y_m
        entry.floor_us = time_us
        return
    weight = 1 - math.exp(-(time_us - entry.floor_us) / US_PER_S / SMOOTHING_S)
    entry.floor_us = time_us
    entry.smooth_x_m += weight * (x_m - entry.smooth_x_m)
    entry.smooth_y_m += weight * (y_m - entry.smooth_y_m)
    step_m = math.hypot(entry.smooth_x_m - entry.anchor_x_m, entry.smooth_y_m - entry.anchor_y_m)
    if step_m >= STEP_M:
        entry.path_m += step_m
        entry.anchor_x_m, entry.anchor_y_m = entry.smooth_x_m, entry.smooth_y_m
