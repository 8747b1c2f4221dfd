"""Masks of people: COCO run lengths, upsampling inside a box, and the foot point."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco

from retail_ray.core.types import Masks

BELOW_FOOT_SHARE = 0.005
FOOT_ROWS_SHARE = 0.03


def encode(mask: NDArray[np.bool_]) -> bytes:
    """(H, W) mask -> COCO compressed counts."""
    counts: bytes = coco.encode(np.asfortranarray(mask, np.uint8))["counts"]
    return counts


def decode(masks: Masks, index: int) -> NDArray[np.bool_]:
    """The (H, W) mask of one person in the native frame."""
    decoded = coco.decode({"size": list(masks.size_hw), "counts": masks.rle[index]})
    return np.asarray(decoded, np.bool_)


def foot_point(mask: NDArray[np.bool_]) -> tuple[float, float] | None:
    """x, y of the lowest part of the mask's largest piece, in pixels of the mask; None for an empty mask.

    y is the lower edge of the row below which less than 0.5 % of the piece lies, so that a few stray pixels do not
    move it; x is the mean of the lowest 3 % of rows above that edge.
    """
    count, labels, statistics, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    if count < 2:
        return None
    piece = labels == 1 + int(np.argmax(statistics[1:, cv2.CC_STAT_AREA]))
    pixels_per_row = piece.sum(axis=1)
    at_or_below = np.cumsum(pixels_per_row[::-1])[::-1]
    bottom = int(np.flatnonzero(at_or_below >= max(1.0, BELOW_FOOT_SHARE * at_or_below[0]))[-1])
    top = int(np.flatnonzero(pixels_per_row)[0])
    rows = max(1, round(FOOT_ROWS_SHARE * (bottom + 1 - top)))
    columns = np.nonzero(piece[bottom + 1 - rows : bottom + 1])[1]
    return float(columns.mean()) + 0.5, float(bottom + 1)


def upsample_region(
    logits: NDArray[np.float32], full_hw: tuple[int, int], region: tuple[int, int, int, int]
) -> NDArray[np.float32]:
    """Bilinear upsampling of (h, w) logits to `full_hw`, computed only for left, top, right, bottom of the result.

    The same arithmetic as `torch.nn.functional.interpolate(align_corners=False)`.
    """
    left, top, right, bottom = region
    low, high, weight = _taps(logits.shape[0], full_hw[0], top, bottom)
    rows = logits[low] * (1 - weight)[:, None] + logits[high] * weight[:, None]
    low, high, weight = _taps(logits.shape[1], full_hw[1], left, right)
    return np.asarray(rows[:, low] * (1 - weight) + rows[:, high] * weight, np.float32)


def _taps(
    small: int, large: int, start: int, stop: int
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]:
    position = np.maximum((np.arange(start, stop, dtype=np.float32) + 0.5) * np.float32(small / large) - 0.5, 0)
    low = np.minimum(position.astype(np.intp), small - 1)
    return low, np.minimum(low + 1, small - 1), (position - low).astype(np.float32)
