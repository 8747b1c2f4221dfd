"""What the runtime needs from the rooms, as protocols; each has one implementation per foreign library."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from retail_ray.core.boxes import Letterbox
from retail_ray.core.types import Detections, Gap, Image, Masks, Tracks


class DecodedFrame(Protocol):
    """One sampled frame, turned into RGB only where asked; stays in the process that decoded it."""

    @property
    def index(self) -> int:
        """Counts all frames of the source from 0, sampled or not."""
        ...

    @property
    def time_us(self) -> int: ...

    @property
    def native_hw(self) -> tuple[int, int]: ...

    def native(self) -> Image:
        """(H, W, 3) uint8 RGB at native size, upright; converted at every call."""
        ...

    def letterboxed(self, letterbox: Letterbox) -> Image:
        """(*letterbox.model_hw, 3) uint8 RGB, pixel-identical to ultralytics' LetterBox of `native()`."""
        ...


class VideoSource(Protocol):
    """Frames of one camera in presentation order, already sampled to the analysis rate."""

    @property
    def native_hw(self) -> tuple[int, int]: ...

    def frames(self, resume_after_us: int | None = None) -> Iterator[DecodedFrame]:
        """Yield sampled frames; with `resume_after_us`, only those after that event time."""
        ...

    def expected_frames(self, from_us: int, until_us: int) -> int:
        """How many sampled frames this source owes in [from_us, until_us)."""
        ...

    def take_gaps(self) -> list[Gap]:
        """What is known to be lost since the last call, in the order it was noticed."""
        ...

    def close(self) -> None: ...


class Detector(Protocol):
    """Finds people. Thread-safe; an image gives the same boxes whatever else is in the batch."""

    @property
    def input_hw(self) -> tuple[int, int]:
        """Height and width of the letterboxed images that `detect` takes."""
        ...

    def detect(self, images: NDArray[np.uint8]) -> list[Detections]:
        """(K, H, W, 3) uint8 RGB, letterboxed -> K Detections in model pixels, classes filtered, NMS applied."""
        ...


class Embedder(Protocol):
    """Describes the appearance of people."""

    @property
    def dimension(self) -> int: ...

    @property
    def patch_hw(self) -> tuple[int, int]: ...

    def embed(self, patches: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(N, h, w, 3) uint8 RGB patches of `patch_hw` -> (N, D) float32, L2-normalised."""
        ...


class Segmenter(Protocol):
    """Cuts people out of key frames, prompted with boxes."""

    @property
    def longest_side_px(self) -> int:
        """Key frames are scaled so that their longer side has this length."""
        ...

    def segment(self, image: Image, boxes_xyxy_px: NDArray[np.float32], native_hw: tuple[int, int]) -> Masks:
        """`image` is the scaled key frame; `boxes_xyxy_px` (N, 4) and the masks are in native pixels."""
        ...


class Tracker(Protocol):
    """One camera's tracker. `update` must be called for every analysed frame, also without detections."""

    def update(self, detections: Detections, image: Image | None, time_us: int) -> Tracks: ...

    def state(self) -> bytes:
        """Everything needed to go on as if never stopped; holds no pixels and no embeddings."""
        ...

    def restore(self, state: bytes) -> None: ...


class StateHolder(Protocol):
    """A gallery or operator whose state is part of every epoch's commit."""

    def state(self) -> Any: ...

    def restore(self, state: Any) -> None: ...
