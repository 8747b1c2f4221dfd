"""Where one camera saw people stand, as columns: what calibration from overlapping tracks works on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retail_ray.core.checks import require


@dataclass(frozen=True, slots=True)
class FootTracks:
    """N sights of tracked people by one camera, ordered by (track, time).

    track: (N,) int64. time_us: (N,) int64. foot_px: (N, 2) float64, native pixels. head_px: (N, 2) float64, middle of
    the box's upper edge. person: (N,) int64, identity across cameras, -1 where there is none.
    """

    camera_id: str
    track: NDArray[np.int64]
    time_us: NDArray[np.int64]
    foot_px: NDArray[np.float64]
    head_px: NDArray[np.float64]
    person: NDArray[np.int64]

    def __post_init__(self) -> None:
        n = len(self.track)
        place = f"FootTracks of camera '{self.camera_id}'"
        require(f"{place}: track", self.track, (n,), np.int64)
        require(f"{place}: time_us", self.time_us, (n,), np.int64)
        require(f"{place}: foot_px", self.foot_px, (n, 2), np.float64)
        require(f"{place}: head_px", self.head_px, (n, 2), np.float64)
        require(f"{place}: person", self.person, (n,), np.int64)

    def __len__(self) -> int:
        return len(self.track)

    def __getitem__(self, index: NDArray[np.bool_] | NDArray[np.intp]) -> FootTracks:
        return FootTracks(
            self.camera_id,
            self.track[index],
            self.time_us[index],
            self.foot_px[index],
            self.head_px[index],
            self.person[index],
        )

    @property
    def height_px(self) -> NDArray[np.float64]:
        """(N,) heights of the boxes."""
        return np.asarray(self.foot_px[:, 1] - self.head_px[:, 1])
