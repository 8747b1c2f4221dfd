"""How well a detector finds the people of labelled pictures, measured through the product's own detector."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from retail_ray.core.boxes import Letterbox, intersection, iou
from retail_ray.core.ports import Detector
from retail_ray.core.types import Detections, Image
from retail_ray.vision.training.data import Picture, read_image

PADDING = 114


@dataclass(frozen=True, slots=True)
class Asked:
    """Who must be found. Everybody else is neither demanded nor counted as false."""

    min_visible_share: float = 0.5
    min_height_px: float = 40.0
    confidence: float = 0.25
    overlap: float = 0.5


def score_detector(detector: Detector, pictures: Iterable[Picture], asked: Asked) -> dict[str, float]:
    """ap50, recall and precision at `asked.confidence`, false boxes per picture without people."""
    confidence: list[NDArray[np.float32]] = []
    true: list[NDArray[np.bool_]] = []
    people, empty, false_in_empty = 0, 0, 0
    for picture in pictures:
        found = detect(detector, read_image(picture.path))
        demanded = picture.people(asked.min_visible_share, asked.min_height_px)
        is_true, counts = match(found, picture.xyxy_px, demanded, asked.overlap)
        confidence.append(found.confidence[counts])
        true.append(is_true[counts])
        people += int(demanded.sum())
        if not len(picture):
            empty += 1
            false_in_empty += int((found.confidence >= asked.confidence).sum())
    confidences, hits = np.concatenate(confidence), np.concatenate(true)
    sure = confidences >= asked.confidence
    return {
        "ap50": average_precision(confidences, hits, people),
        "recall": float(hits[sure].sum() / max(1, people)),
        "precision": float(hits[sure].sum() / max(1, sure.sum())),
        "people": float(people),
        "false_per_empty_picture": false_in_empty / max(1, empty),
        "empty_pictures": float(empty),
    }


def detect(detector: Detector, image: Image) -> Detections:
    """Detections in the picture's own pixels, by way of the letterbox."""
    letterbox = Letterbox((image.shape[0], image.shape[1]), detector.input_hw)
    height, width = letterbox.content_hw
    left, top = letterbox.pad_px
    canvas = np.full((1, *detector.input_hw, 3), PADDING, np.uint8)
    canvas[0, top : top + height, left : left + width] = cv2.resize(image, (width, height))
    found = detector.detect(canvas)[0]
    return Detections(letterbox.to_native(found.xyxy_px), found.confidence, found.class_id)


def match(
    found: Detections, people_xyxy_px: NDArray[np.float32], demanded: NDArray[np.bool_], overlap: float
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """(D,) whether each box, best first, is the first on a demanded person; (D,) whether it counts at all.

    A box on somebody who is not demanded does not count: `overlap` as intersection over union, or half of the box
    on a person that is not demanded.
    """
    overlaps = iou(found.xyxy_px, people_xyxy_px)
    sides = np.clip(found.xyxy_px[:, 2:] - found.xyxy_px[:, :2], 1e-6, None)
    inside = intersection(found.xyxy_px, people_xyxy_px) / (sides[:, :1] * sides[:, 1:])
    is_true, counts = np.zeros(len(found), np.bool_), np.ones(len(found), np.bool_)
    free = demanded.copy()
    for row in np.argsort(-found.confidence, kind="stable"):
        able = np.where(free, overlaps[row], 0)
        if len(able) and able.max() >= overlap:
            is_true[row] = True
            free[able.argmax()] = False
        else:
            counts[row] = not ((inside[row] >= 0.5) & ~demanded).any()
    return is_true, counts


def average_precision(confidence: NDArray[np.float32], hits: NDArray[np.bool_], people: int) -> float:
    """Area under the precision-recall curve, precision made monotone (all-point interpolation of PASCAL VOC)."""
    if not people or not len(hits):
        return 0.0
    ordered = hits[np.argsort(-confidence, kind="stable")]
    true = np.cumsum(ordered)
    precision = true / np.arange(1, len(true) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float((envelope * ordered).sum() / people)
