"""From the settings of a model to the model: weights found, threads set, one detector for each input shape."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from retail_ray.config_models import DetectorSettings, EmbedderSettings, ModelSettings, SegmenterSettings
from retail_ray.core.ports import Detector, Embedder, Segmenter
from retail_ray.core.types import Detections
from retail_ray.vision import detector as yolo
from retail_ray.vision import embedder as reid
from retail_ray.vision.weights import default_cache_dir, default_models_dir, fetch, known_weights, locate


def limit_threads(threads: int) -> None:
    """Every library with a pool of its own is told explicitly; Ray only sets OMP_NUM_THREADS."""
    cv2.setNumThreads(threads)
    threadpool_limits(limits=threads)


def threads_of(settings: ModelSettings) -> int:
    """CPU threads of one replica: as set, else all cores that this process may use."""
    return settings.threads or len(os.sched_getaffinity(0))


def find_weights(name_or_path: str) -> Path:
    """The weights on this machine; known names are downloaded where they are missing."""
    if name_or_path in known_weights():
        return fetch(name_or_path, default_models_dir(), default_cache_dir())
    return locate(name_or_path, default_models_dir(), default_cache_dir())


class DetectorPool:
    """One detector for each input shape that the cameras need, made when it is first asked for."""

    def __init__(self, settings: DetectorSettings) -> None:
        self._settings = settings
        self._weights = find_weights(settings.weights)
        self._making = threading.Lock()
        first = self._load(None)
        self._own_hw = first.input_hw
        self._detectors: dict[tuple[int, int], Detector] = {self._own_hw: first}

    def input_hw(self, native_hw: tuple[int, int]) -> tuple[int, int]:
        """The input shape for frames of this size; its network is ready when this returns."""
        long_side_px = self._settings.long_side_px or max(self._own_hw)
        shape = (long_side_px, long_side_px)
        if self._settings.rectangular:
            shape = yolo.rectangular_hw(native_hw, long_side_px)
        self._of(shape)
        return shape

    def detect(self, images: NDArray[np.uint8]) -> list[Detections]:
        """(K, H, W, 3) letterboxed images of one shape -> K Detections in model pixels."""
        return self._of((images.shape[1], images.shape[2])).detect(images)

    def check(self) -> None:
        """Run a grey image through a network that is in use."""
        self.detect(np.full((1, *self._own_hw, 3), 114, np.uint8))

    def _of(self, shape: tuple[int, int]) -> Detector:
        ready = self._detectors.get(shape)
        if ready is not None:
            return ready
        with self._making:
            if shape not in self._detectors:
                self._detectors[shape] = self._load(shape)
            return self._detectors[shape]

    def _load(self, shape: tuple[int, int] | None) -> Detector:
        settings = self._settings
        return yolo.load_detector(
            yolo.DetectorSettings(
                weights=self._weights,
                backend=settings.backend,
                precision=settings.precision,
                input_hw=shape,
                confidence=settings.confidence,
                iou=settings.iou,
                threads=threads_of(settings),
                device=settings.resolved_device,
            ),
            default_cache_dir(),
        )


def build_embedder(settings: EmbedderSettings) -> Embedder:
    return reid.load_embedder(
        reid.EmbedderSettings(
            weights=find_weights(settings.weights), threads=threads_of(settings), device=settings.resolved_device
        ),
        default_cache_dir(),
    )


def build_segmenter(settings: SegmenterSettings) -> Segmenter:
    from retail_ray.vision import segmenter as sam

    return sam.load_segmenter(
        sam.SegmenterSettings(
            weights=find_weights(settings.weights), threads=threads_of(settings), device=settings.resolved_device
        )
    )
