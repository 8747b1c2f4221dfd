"""OpenCV at the edge: bilinear scaling and still images."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from retail_ray.core.types import Image


def read_rgb(path: Path) -> Image | None:
    """(H, W, 3) uint8 RGB; None where the file holds no readable image."""
    data = np.frombuffer(path.read_bytes(), np.uint8)
    image = cv2.imdecode(data, cv2.IMREAD_COLOR_RGB) if len(data) else None
    return None if image is None else np.asarray(image, np.uint8)


def scale_bilinear(image: Image, size_hw: tuple[int, int]) -> Image:
    """Four-neighbour bilinear scaling without smoothing, as the detectors were trained and validated with."""
    return np.asarray(cv2.resize(image, size_hw[::-1], interpolation=cv2.INTER_LINEAR), np.uint8)
