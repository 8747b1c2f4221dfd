"""Raw YOLO output to boxes, with the arithmetic of ultralytics' `non_max_suppression` (best class per box)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retail_ray.core.errors import ModelError
from retail_ray.core.types import Detections

MAX_CANDIDATES = 30_000
CLASS_OFFSET_PX = 7680


@dataclass(frozen=True, slots=True)
class Selection:
    """Which boxes stay: confidence above a threshold, IoU within a class at most `iou`, the best `max_detections`."""

    confidence: float
    iou: float
    classes: tuple[int, ...] | None
    max_detections: int

    def __post_init__(self) -> None:
        if not (0 <= self.confidence <= 1 and 0 <= self.iou <= 1):
            raise ModelError(f"detector: confidence {self.confidence} and iou {self.iou} must lie in [0, 1]")
        if self.max_detections < 1:
            raise ModelError(f"detector: max_detections must be at least 1, found {self.max_detections}")


def select(output: NDArray[np.float32], selection: Selection) -> Detections:
    """(4 + C, A) float32 rows cx, cy, w, h and class scores -> the boxes that stay, best first, in model pixels."""
    scores = output[4:]
    wanted = scores if selection.classes is None else scores[list(selection.classes)]
    candidates = np.flatnonzero((wanted > selection.confidence).any(axis=0))
    if not len(candidates):
        return Detections.empty()
    class_id = scores[:, candidates].argmax(axis=0).astype(np.int32)
    if selection.classes is not None:
        kept = np.isin(class_id, selection.classes)
        candidates, class_id = candidates[kept], class_id[kept]
    confidence = scores[class_id, candidates]
    order = np.argsort(-confidence, kind="stable")[:MAX_CANDIDATES]
    candidates, class_id, confidence = candidates[order], class_id[order], confidence[order]
    xyxy = _corners(output[:4, candidates].T)
    stays = non_max_suppression(xyxy + class_id[:, None].astype(np.float32) * CLASS_OFFSET_PX, selection.iou)
    stays = stays[: selection.max_detections]
    return Detections(xyxy[stays], confidence[stays].astype(np.float32), class_id[stays])


def non_max_suppression(xyxy: NDArray[np.float32], iou: float) -> NDArray[np.intp]:
    """Rows that stay of (N, 4) boxes sorted best first; a box goes when its IoU with a better one exceeds `iou`."""
    x1, y1, x2, y2 = np.ascontiguousarray(xyxy.T)
    areas = (x2 - x1) * (y2 - y1)
    alive = np.ones(len(xyxy), np.bool_)
    for i in range(len(xyxy)):
        if not alive[i]:
            continue
        rest = slice(i + 1, None)
        width = np.maximum(np.minimum(x2[i], x2[rest]) - np.maximum(x1[i], x1[rest]), np.float32(0))
        height = np.maximum(np.minimum(y2[i], y2[rest]) - np.maximum(y1[i], y1[rest]), np.float32(0))
        shared = width * height
        # The division, not a multiplied-out comparison: at the threshold it must round as torchvision does.
        with np.errstate(invalid="ignore", divide="ignore"):
            alive[rest] &= ~(shared / (areas[i] + areas[rest] - shared) > iou)
    return np.flatnonzero(alive)


def _corners(xywh: NDArray[np.float32]) -> NDArray[np.float32]:
    half = xywh[:, 2:] / 2
    return np.concatenate([xywh[:, :2] - half, xywh[:, :2] + half], axis=1).astype(np.float32)
