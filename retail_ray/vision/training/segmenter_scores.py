"""How well a segmenter cuts people out, measured through the product's own segmenter with jittered true boxes."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from retail_ray.core.ports import Segmenter
from retail_ray.vision.crops import scale_to_side
from retail_ray.vision.masks import decode, foot_point
from retail_ray.vision.training.data import Picture, read_image
from retail_ray.vision.training.segmenter import jittered

JITTER = 0.05


def score_segmenter(
    segmenter: Segmenter, pictures: Iterable[Picture], seed: int, *, min_visible_share: float, min_height_px: float
) -> dict[str, float]:
    """iou: mean over people. box_iou: the same when the whole prompt is taken for the mask. foot_px: median error."""
    random = np.random.default_rng(seed)
    reached, of_boxes, feet = [], [], []
    for picture in pictures:
        rows = np.flatnonzero(picture.people(min_visible_share, min_height_px))
        if not len(rows):
            continue
        image = read_image(picture.path)
        native_hw = (image.shape[0], image.shape[1])
        prompts = jittered(picture.xyxy_px[rows], JITTER, random)
        found = segmenter.segment(scale_to_side(image, segmenter.longest_side_px), prompts, native_hw)
        for i, true in enumerate(picture.masks(rows, native_hw).astype(np.bool_)):
            reached.append(overlap(decode(found, i), true))
            of_boxes.append(overlap(_filled(prompts[i], native_hw), true))
            foot = foot_point(true)
            if foot is not None:
                feet.append(float(np.hypot(*(found.foot_px[i] - foot))))
    return {
        "iou": float(np.mean(reached)),
        "box_iou": float(np.mean(of_boxes)),
        "foot_px": float(np.median(feet)),
        "people": float(len(reached)),
    }


def overlap(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    """Intersection over union of two masks."""
    return float((a & b).sum() / max(1, (a | b).sum()))


def _filled(xyxy_px: NDArray[np.float32], native_hw: tuple[int, int]) -> NDArray[np.bool_]:
    mask = np.zeros(native_hw, np.bool_)
    left, top, right, bottom = np.round(xyxy_px).clip(0).astype(int)
    mask[top:bottom, left:right] = True
    return mask
