"""How a camera asks a model: in the same process, or through Serve by reference. Both look the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from retail_ray.core.types import Detections, Image, Masks

Answer_co = TypeVar("Answer_co", covariant=True)


class Pending(Protocol[Answer_co]):
    """An answer that may still be on its way."""

    def result(self) -> Answer_co:
        """Wait for it; StuckError after the configured time."""
        ...


@dataclass(slots=True)
class Deferred(Generic[Answer_co]):
    """A Pending that computes when asked: one process, one thread, no overlap."""

    compute: Callable[[], Answer_co]

    def result(self) -> Answer_co:
        return self.compute()


class ModelClients(Protocol):
    """The three models as one camera sees them; embedder and segmenter may be off."""

    @property
    def patch_hw(self) -> tuple[int, int] | None:
        """Shape of ReID patches, None when the embedder is off."""
        ...

    @property
    def segmenter_side_px(self) -> int | None:
        """Longer side of key frames, None when the segmenter is off."""
        ...

    def input_hw(self, native_hw: tuple[int, int]) -> tuple[int, int]:
        """The detector's input shape for frames of this size."""
        ...

    def detect(self, images: NDArray[np.uint8]) -> Pending[list[Detections]]: ...

    def embed(self, patches: NDArray[np.uint8]) -> Pending[NDArray[np.float32]]: ...

    def segment(self, image: Image, xyxy_px: NDArray[np.float32], native_hw: tuple[int, int]) -> Pending[Masks]: ...


class LocalClients:
    """All models in this process: for plain loops, tests and the measurement of what Ray costs."""

    def __init__(self, detector: Any, embedder: Any | None, segmenter: Any | None) -> None:
        """`detector` is a DetectorPool; embedder and segmenter are the ports of core."""
        self._detector, self._embedder, self._segmenter = detector, embedder, segmenter

    @property
    def patch_hw(self) -> tuple[int, int] | None:
        return None if self._embedder is None else self._embedder.patch_hw

    @property
    def segmenter_side_px(self) -> int | None:
        return None if self._segmenter is None else self._segmenter.longest_side_px

    def input_hw(self, native_hw: tuple[int, int]) -> tuple[int, int]:
        shape: tuple[int, int] = self._detector.input_hw(native_hw)
        return shape

    def detect(self, images: NDArray[np.uint8]) -> Pending[list[Detections]]:
        return Deferred(lambda: self._detector.detect(images))

    def embed(self, patches: NDArray[np.uint8]) -> Pending[NDArray[np.float32]]:
        return Deferred(lambda: self._embedder.embed(patches))  # type: ignore[union-attr]

    def segment(self, image: Image, xyxy_px: NDArray[np.float32], native_hw: tuple[int, int]) -> Pending[Masks]:
        return Deferred(lambda: self._segmenter.segment(image, xyxy_px, native_hw))  # type: ignore[union-attr]
