"""Native frames into the model's input; pixel-identical to ultralytics' LetterBox."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from retail_ray.core.boxes import Letterbox
from retail_ray.core.checks import require
from retail_ray.core.errors import DataError
from retail_ray.core.ports import DecodedFrame
from retail_ray.core.types import Image
from retail_ray.video.images import scale_bilinear

PADDING = np.uint8(114)


def model_shape_for(native_hw: tuple[int, int], long_side: int = 640, stride: int = 32) -> tuple[int, int]:
    """(height, width): the smallest multiples of `stride` that hold the frame scaled to `long_side`."""
    scale = long_side / max(native_hw)
    height, width = (max(stride, math.ceil(round(side * scale) / stride) * stride) for side in native_hw)
    return height, width


def letterbox_image(image: Image, letterbox: Letterbox) -> Image:
    """(H, W, 3) uint8 RGB of `letterbox.native_hw` -> (*model_hw, 3), scaled and padded with 114."""
    out = np.empty((*letterbox.model_hw, 3), np.uint8)
    _fill(out, image, letterbox)
    return out


def stack_letterboxed(
    frames: Sequence[DecodedFrame], letterbox: Letterbox, out: NDArray[np.uint8] | None = None
) -> NDArray[np.uint8]:
    """K frames -> one contiguous (K, *model_hw, 3) uint8 RGB array; written into `out` where given."""
    shape = (len(frames), *letterbox.model_hw, 3)
    if out is None:
        out = np.empty(shape, np.uint8)
    require("stack_letterboxed: out", out, shape, np.uint8)
    for slot, frame in zip(out, frames, strict=True):
        slot[:] = frame.letterboxed(letterbox)
    return out


def _fill(out: Image, image: Image, letterbox: Letterbox) -> None:
    require("letterbox: image", image, (*letterbox.native_hw, 3), np.uint8)
    height, width = letterbox.content_hw
    left, top = letterbox.pad_px
    if min(height, width) < 1:
        raise DataError(f"letterbox: a frame of {letterbox.native_hw} vanishes in a model of {letterbox.model_hw}")
    scaled = image if (height, width) == letterbox.native_hw else scale_bilinear(image, (height, width))
    out[:top] = out[top + height :] = PADDING
    rows = out[top : top + height]
    rows[:, :left] = rows[:, left + width :] = PADDING
    rows[:, left : left + width] = scaled
