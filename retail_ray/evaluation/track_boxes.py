"""Tracked boxes of one clip, as parallel arrays: what every measure of this room takes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retail_ray.core.checks import require
from retail_ray.core.errors import DataError


@dataclass(frozen=True, slots=True)
class TrackBoxes:
    """Boxes of one clip with the identity that each was given.

    frame: (N,) int64, frame number in the clip's own count. track_id: (N,) int64, at most once per frame.
    xyxy_px: (N, 4) float64 native pixels; may reach beyond the frame.
    """

    frame: NDArray[np.int64]
    track_id: NDArray[np.int64]
    xyxy_px: NDArray[np.float64]

    def __post_init__(self) -> None:
        n = len(self.frame)
        require("TrackBoxes.frame", self.frame, (n,), np.int64)
        require("TrackBoxes.track_id", self.track_id, (n,), np.int64)
        require("TrackBoxes.xyxy_px", self.xyxy_px, (n, 4), np.float64)
        if not np.isfinite(self.xyxy_px).all():
            raise DataError("TrackBoxes.xyxy_px: boxes must be finite")
        pairs, counts = np.unique(np.stack([self.frame, self.track_id], axis=1), axis=0, return_counts=True)
        if (counts > 1).any():
            frame, track_id = pairs[counts > 1][0]
            raise DataError(f"TrackBoxes: id {track_id} stands twice in frame {frame}")

    def __len__(self) -> int:
        return len(self.frame)

    def __getitem__(self, index: NDArray[np.bool_] | NDArray[np.intp]) -> TrackBoxes:
        return TrackBoxes(self.frame[index], self.track_id[index], self.xyxy_px[index])

    def at(self, frames: NDArray[np.int64]) -> TrackBoxes:
        """Only the boxes of these frames."""
        return self[np.isin(self.frame, frames)]

    @staticmethod
    def empty() -> TrackBoxes:
        return TrackBoxes(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros((0, 4), np.float64))
