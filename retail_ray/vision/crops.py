"""Patches of people, cut from native frames for the embedder."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from retail_ray.core.errors import DataError
from retail_ray.core.types import Image


def cut_patches(
    image: Image,
    xyxy_px: NDArray[np.float32],
    patch_hw: tuple[int, int],
    masks: list[NDArray[np.bool_] | None] | None = None,
) -> NDArray[np.uint8]:
    """(N, 4) native boxes -> (N, *patch_hw, 3) uint8 patches, resized without keeping the aspect ratio.

    masks: for each box None or the person's (H, W) mask of the whole frame; what lies outside of it becomes the
    mean colour of what lies inside. Raises DataError for a box that lies wholly outside the frame.
    """
    patches = np.empty((len(xyxy_px), *patch_hw, 3), np.uint8)
    for i, box in enumerate(xyxy_px):
        left, top, right, bottom = pixel_box(box, (image.shape[0], image.shape[1]))
        if right <= left or bottom <= top:
            raise DataError(f"box {i} {box.tolist()} lies outside of the {image.shape[1]}x{image.shape[0]} frame")
        crop = image[top:bottom, left:right]
        mask = masks[i] if masks is not None else None
        if mask is not None:
            crop = without_background(crop, mask[top:bottom, left:right])
        patches[i] = cv2.resize(crop, (patch_hw[1], patch_hw[0]), interpolation=cv2.INTER_LINEAR)
    return patches


def without_background(crop: Image, mask: NDArray[np.bool_]) -> Image:
    """The crop with everything outside of `mask` in the mean colour of the inside; as it was for an empty mask."""
    if not mask.any():
        return crop
    clean = np.empty_like(crop)
    clean[:] = np.round(crop[mask].mean(axis=0)).astype(np.uint8)
    clean[mask] = crop[mask]
    return clean


def pixel_box(xyxy_px: NDArray[np.float32], frame_hw: tuple[int, int]) -> tuple[int, int, int, int]:
    """Left, top, right, bottom in whole pixels, rounded as BoxMOT does and cut at the frame's border."""
    left, top, right, bottom = (int(v) for v in np.round(xyxy_px))
    return max(left, 0), max(top, 0), min(right, frame_hw[1]), min(bottom, frame_hw[0])


def scale_to_side(image: Image, longest_side_px: int) -> Image:
    """The frame scaled so that its longer side has this length; the other rounds as segment-anything's does."""
    scale = longest_side_px / max(image.shape[:2])
    height, width = (max(1, int(side * scale + 0.5)) for side in image.shape[:2])
    if (height, width) == image.shape[:2]:
        return image
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (width, height), interpolation=interpolation), np.uint8)
