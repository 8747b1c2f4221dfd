"""Random views of labelled pictures and patches: zoom, shift, mirror, the colours of another camera."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from retail_ray.core.boxes import area, clip
from retail_ray.core.types import Image

PADDING = 114
TOWARDS_PEOPLE = 0.7
KEPT_AREA_SHARE = 0.35


@dataclass(frozen=True, slots=True)
class View:
    """An affine map (2, 3) float64 from the picture's pixels to the input's, whose size is `input_hw`."""

    matrix: NDArray[np.float64]
    input_hw: tuple[int, int]

    def image(self, image: Image) -> Image:
        """(*input_hw, 3) uint8, bilinear as the product's own letterbox, grey outside of the picture."""
        return np.asarray(self._warp(image, (PADDING,) * 3), np.uint8)

    def mask(self, mask: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(*input_hw) float32 in [0, 1]."""
        return np.asarray(self._warp(mask.astype(np.float32), (0,)), np.float32)

    def boxes(self, xyxy_px: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """(N, 4) boxes cut at the input's border, and (N,) whether enough of each is left."""
        scale, shift = np.diag(self.matrix), self.matrix[:, 2]
        corners = (xyxy_px.reshape(-1, 2, 2) * scale + shift).reshape(-1, 4)
        if scale[0] < 0:
            corners = corners[:, [2, 1, 0, 3]]
        moved = corners.astype(np.float32)
        cut = clip(moved, self.input_hw)
        return cut, np.asarray(area(cut) >= KEPT_AREA_SHARE * np.maximum(area(moved), 1))

    def _warp(self, image: NDArray[np.generic], border: tuple[int, ...]) -> NDArray[np.generic]:
        height, width = self.input_hw
        centred = self.matrix.copy()
        centred[:, 2] += 0.5 * np.diag(self.matrix) - 0.5
        return np.asarray(cv2.warpAffine(image, centred, (width, height), flags=cv2.INTER_LINEAR, borderValue=border))


def random_view(
    picture_hw: tuple[int, int],
    xyxy_px: NDArray[np.float32],
    input_hw: tuple[int, int],
    zoom: tuple[float, float],
    random: np.random.Generator,
) -> View:
    """A zoomed, shifted, maybe mirrored view; more often than not somebody of (N, 4) `xyxy_px` is in it."""
    height, width = picture_hw
    scale = input_hw[1] / width * random.uniform(*zoom)
    target = random.uniform(0, 1, 2) * (width, height)
    if len(xyxy_px) and random.random() < TOWARDS_PEOPLE:
        box = xyxy_px[random.integers(len(xyxy_px))]
        target = random.uniform(box[:2], box[2:])
    shift = np.empty(2)
    for axis, (side, room) in enumerate(zip((width, height), (input_hw[1], input_hw[0]), strict=True)):
        spare = room - side * scale
        wanted = room * random.uniform(0.25, 0.75) - target[axis] * scale
        shift[axis] = random.uniform(0, spare) if spare >= 0 else np.clip(wanted, spare, 0)
    matrix = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
    if random.random() < 0.5:
        matrix[0] = [-scale, 0, input_hw[1] - shift[0]]
    return View(matrix, input_hw)


def recoloured(image: Image, random: np.random.Generator, strength: float) -> Image:
    """As another camera would show it: gain and gamma of every channel, contrast; strength 0 changes nothing."""
    level = np.arange(256) / 255
    table = np.empty((256, 3))
    gain, gamma = np.exp(random.normal(0, 0.12 * strength)), np.exp(random.normal(0, 0.2 * strength))
    for channel in range(3):
        balance = np.exp(random.normal(0, 0.08 * strength))
        table[:, channel] = level**gamma * gain * balance
    return np.asarray(cv2.LUT(image, (table.clip(0, 1) * 255 + 0.5).astype(np.uint8).reshape(1, 256, 3)), np.uint8)


def erased(patch: Image, random: np.random.Generator, probability: float) -> Image:
    """With this probability a random rectangle of the patch is hidden behind noise, as behind a shelf."""
    if random.random() >= probability:
        return patch
    height, width = patch.shape[:2]
    rows, columns = (max(1, int(side * random.uniform(0.15, 0.5))) for side in (height, width))
    top, left = random.integers(0, height - rows + 1), random.integers(0, width - columns + 1)
    hidden = patch.copy()
    hidden[top : top + rows, left : left + columns] = random.integers(0, 256, (rows, columns, 3))
    return hidden
