"""What is remembered of a camera's view: described corners of its background. No picture can be made of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from retail_ray.core.checks import require
from retail_ray.core.errors import DataError

DESCRIPTOR_BYTES = 32


@dataclass(frozen=True, slots=True)
class ViewFeatures:
    """F corners of one view. descriptors: (F, 32) uint8, binary. points_px: (F, 2) float32, native pixels."""

    descriptors: NDArray[np.uint8]
    points_px: NDArray[np.float32]

    def __post_init__(self) -> None:
        n = len(self.points_px)
        require("ViewFeatures.points_px", self.points_px, (n, 2), np.float32)
        require("ViewFeatures.descriptors", self.descriptors, (n, DESCRIPTOR_BYTES), np.uint8)
        if not np.isfinite(self.points_px).all():
            raise DataError("ViewFeatures.points_px must be finite")

    def __len__(self) -> int:
        return len(self.points_px)

    def __getitem__(self, index: NDArray[np.bool_] | NDArray[np.intp]) -> ViewFeatures:
        return ViewFeatures(self.descriptors[index], self.points_px[index])

    @staticmethod
    def empty() -> ViewFeatures:
        return ViewFeatures(np.zeros((0, DESCRIPTOR_BYTES), np.uint8), np.zeros((0, 2), np.float32))


ViewState = Literal["learning", "unmoved", "moved", "blocked", "dark"]


@dataclass(frozen=True, slots=True)
class ViewChange:
    """A camera's view has changed its state. shift_px: how far the picture moved, native pixels, NaN where unknown.

    to_now: (3, 3) map from calibration pixels to today's, None where unknown. features: recognised ones.
    """

    time_us: int
    before: ViewState
    after: ViewState
    shift_px: float
    features: int
    to_now: NDArray[np.float64] | None
