"""Boxes and the letterbox between native frames and a model's input."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retail_ray.core.errors import DataError

Boxes = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Letterbox:
    """Scales a native frame into the model's input, keeping its shape, padded evenly on both sides.

    `scale` is model pixels per native pixel; `pad_px` is (left, top) in model pixels.
    Rounding follows ultralytics' LetterBox, so that boxes of both agree.
    """

    native_hw: tuple[int, int]
    model_hw: tuple[int, int]

    def __post_init__(self) -> None:
        if min(*self.native_hw, *self.model_hw) <= 0:
            raise DataError(f"letterbox: sizes must be positive, found {self.native_hw} -> {self.model_hw}")

    @property
    def scale(self) -> float:
        return min(self.model_hw[0] / self.native_hw[0], self.model_hw[1] / self.native_hw[1])

    @property
    def content_hw(self) -> tuple[int, int]:
        return round(self.native_hw[0] * self.scale), round(self.native_hw[1] * self.scale)

    @property
    def pad_px(self) -> tuple[int, int]:
        height, width = self.content_hw
        left, top = (self.model_hw[1] - width) / 2, (self.model_hw[0] - height) / 2
        return round(left - 0.1), round(top - 0.1)

    def to_native(self, xyxy_px: Boxes) -> Boxes:
        """(N, 4) boxes in model pixels -> native pixels, clipped to the frame."""
        left, top = self.pad_px
        shift = np.array([left, top, left, top], np.float32)
        native = (xyxy_px - shift) / np.float32(self.scale)
        return clip(native.astype(np.float32), self.native_hw)


def clip(xyxy_px: Boxes, frame_hw: tuple[int, int]) -> Boxes:
    """(N, 4) boxes cut at the border of the frame."""
    height, width = frame_hw
    limits = np.array([width, height, width, height], np.float32)
    return np.clip(xyxy_px, np.float32(0), limits)


def area(xyxy_px: Boxes) -> NDArray[np.float32]:
    """(N,) areas in square pixels; reversed boxes have none."""
    sides = np.clip(xyxy_px[:, 2:] - xyxy_px[:, :2], 0, None)
    return np.asarray(sides[:, 0] * sides[:, 1], np.float32)


def intersection(a_xyxy: Boxes, b_xyxy: Boxes) -> NDArray[np.float32]:
    """(N, M) shared areas of (N, 4) and (M, 4) boxes."""
    low = np.maximum(a_xyxy[:, None, :2], b_xyxy[None, :, :2])
    high = np.minimum(a_xyxy[:, None, 2:], b_xyxy[None, :, 2:])
    sides = np.clip(high - low, 0, None)
    return np.asarray(sides[..., 0] * sides[..., 1], np.float32)


def iou(a_xyxy: Boxes, b_xyxy: Boxes) -> NDArray[np.float32]:
    """(N, M) intersection over union; 0 where both boxes are empty."""
    shared = intersection(a_xyxy, b_xyxy)
    union = area(a_xyxy)[:, None] + area(b_xyxy)[None, :] - shared
    return np.asarray(np.divide(shared, union, out=np.zeros_like(shared), where=union > 0), np.float32)


def foot_points(xyxy_px: Boxes) -> NDArray[np.float32]:
    """(N, 2) middle of each box's lower edge: where a person touches the floor."""
    return np.stack([(xyxy_px[:, 0] + xyxy_px[:, 2]) / 2, xyxy_px[:, 3]], axis=1).astype(np.float32)


def feet_cut_off(xyxy_px: Boxes, frame_hw: tuple[int, int], margin_px: float = 2.0) -> NDArray[np.bool_]:
    """(N,) true where the lower edge touches the frame's, so that the feet may be outside."""
    return xyxy_px[:, 3] >= frame_hw[0] - margin_px


def feet_covered(xyxy_px: Boxes) -> NDArray[np.bool_]:
    """(N,) true where the middle of the lower edge lies within the box of somebody nearer, who ends lower."""
    foot = foot_points(xyxy_px)[:, None]
    low, high = xyxy_px[None, :, :2], xyxy_px[None, :, 2:]
    within: NDArray[np.bool_] = (foot > low) & (foot < high)
    return np.asarray((within[:, :, 0] & within[:, :, 1]).any(axis=1))


def standing_feet(xyxy_px: Boxes, aspect: float = 2.6) -> NDArray[np.float32]:
    """(N, 2) where the feet of upright people would be whose boxes are cut below.

    A standing adult's box is about `aspect` times as high as wide; the visible height is never shortened.
    """
    feet = foot_points(xyxy_px)
    width = xyxy_px[:, 2] - xyxy_px[:, 0]
    feet[:, 1] = np.maximum(xyxy_px[:, 3], xyxy_px[:, 1] + aspect * width)
    return feet


def visible_share(xyxy_px: Boxes) -> NDArray[np.float32]:
    """(N,) estimated share of each box not hidden by nearer people.

    A person whose box ends lower in the picture stands nearer (DESIGN: foot point order). The hidden part is
    the union of nearer boxes within the box, estimated on a 16 x 16 grid.
    """
    n = len(xyxy_px)
    share = np.ones(n, np.float32)
    if n < 2:
        return share
    overlapping = intersection(xyxy_px, xyxy_px) > 0
    steps = (np.arange(16, dtype=np.float32) + 0.5) / 16
    for i in range(n):
        nearer = overlapping[i] & (xyxy_px[:, 3] > xyxy_px[i, 3])
        if not nearer.any():
            continue
        x = xyxy_px[i, 0] + steps * (xyxy_px[i, 2] - xyxy_px[i, 0])
        y = xyxy_px[i, 1] + steps * (xyxy_px[i, 3] - xyxy_px[i, 1])
        boxes = xyxy_px[nearer]
        in_x = (boxes[:, 0, None] <= x) & (x <= boxes[:, 2, None])
        in_y = (boxes[:, 1, None] <= y) & (y <= boxes[:, 3, None])
        hidden = (in_y[:, :, None] & in_x[:, None, :]).any(axis=0)
        share[i] = 1.0 - float(hidden.mean())
    return share
