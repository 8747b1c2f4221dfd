"""Reading and letterboxing of real frames for the vision tests."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from retail_ray.core.boxes import Letterbox

Frames = list[NDArray[np.uint8]]


def letterboxed(frames: Frames, model_hw: tuple[int, int]) -> NDArray[np.uint8]:
    """(K, H, W, 3) RGB, scaled and padded with grey 114 as ultralytics does."""
    images = np.full((len(frames), *model_hw, 3), 114, np.uint8)
    for image, frame in zip(images, frames, strict=True):
        box = Letterbox(frame.shape[:2], model_hw)
        height, width = box.content_hw
        left, top = box.pad_px
        image[top : top + height, left : left + width] = cv2.resize(frame, (width, height))
    return images


def read_frames(video: Path, wanted: range) -> Frames:
    capture = cv2.VideoCapture(str(video))
    frames = []
    for index in range(wanted.stop):
        ok, bgr = capture.read()
        assert ok, f"{video}: no frame {index}"
        if index in wanted:
            frames.append(np.ascontiguousarray(bgr[..., ::-1]))
    capture.release()
    return frames
