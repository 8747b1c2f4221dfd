"""What travels between the rooms: frames, detections, tracks, observations.

Images are RGB uint8 `(H, W, 3)`; boxes are `xyxy` pixels, float32; times are int64 microseconds UTC
of the stream; embeddings are float32 and L2-normalised.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from retail_ray.core.checks import require
from retail_ray.core.errors import DataError

Image = NDArray[np.uint8]
UNTRACKED = -1


@dataclass(frozen=True, slots=True, order=True)
class TrackletKey:
    """Names one camera's unbroken track of one person, for ever."""

    site_id: str
    camera_id: str
    run_id: str
    local_id: int

    def __str__(self) -> str:
        return f"{self.site_id}/{self.camera_id}/{self.run_id}/{self.local_id}"


@dataclass(frozen=True, slots=True)
class Frame:
    """One decoded frame at native size; `index` counts all frames of the source from 0, sampled or not."""

    index: int
    time_us: int
    image: Image

    def __post_init__(self) -> None:
        require("Frame.image", self.image, (None, None, 3), np.uint8)


@dataclass(frozen=True, slots=True)
class Gap:
    """Sampled frames that a source owed in [from_us, to_us) and did not give.

    `reason` is one word for `coverage`: 'corrupt', 'missing', 'truncated', 'behind', 'disconnected'.
    """

    reason: str
    from_us: int
    to_us: int
    frames: int


@dataclass(frozen=True, slots=True)
class Detections:
    """Boxes of one frame.

    xyxy_px: (N, 4) float32, in the frame that the producer names (model or native pixels).
    confidence: (N,) float32 in [0, 1]. class_id: (N,) int32, the model's own class numbers.
    """

    xyxy_px: NDArray[np.float32]
    confidence: NDArray[np.float32]
    class_id: NDArray[np.int32]

    def __post_init__(self) -> None:
        n = len(self.xyxy_px)
        require("Detections.xyxy_px", self.xyxy_px, (n, 4), np.float32)
        require("Detections.confidence", self.confidence, (n,), np.float32)
        require("Detections.class_id", self.class_id, (n,), np.int32)
        if not np.isfinite(self.xyxy_px).all() or not np.isfinite(self.confidence).all():
            raise DataError("Detections: boxes and confidences must be finite")

    def __len__(self) -> int:
        return len(self.xyxy_px)

    def __getitem__(self, index: NDArray[np.bool_] | NDArray[np.intp]) -> Detections:
        return Detections(self.xyxy_px[index], self.confidence[index], self.class_id[index])

    @staticmethod
    def empty() -> Detections:
        return Detections(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int32))


@dataclass(frozen=True, slots=True)
class Tracks:
    """The tracker's answer for one frame.

    xyxy_px: (N, 4) float32 native pixels. confidence: (N,) float32. local_id: (N,) int64, unique in the frame.
    detection_index: (N,) int32, row of the detection that fed the track in this frame.
    """

    xyxy_px: NDArray[np.float32]
    confidence: NDArray[np.float32]
    local_id: NDArray[np.int64]
    detection_index: NDArray[np.int32]

    def __post_init__(self) -> None:
        n = len(self.xyxy_px)
        require("Tracks.xyxy_px", self.xyxy_px, (n, 4), np.float32)
        require("Tracks.confidence", self.confidence, (n,), np.float32)
        require("Tracks.local_id", self.local_id, (n,), np.int64)
        require("Tracks.detection_index", self.detection_index, (n,), np.int32)
        if len(np.unique(self.local_id)) != n:
            raise DataError(f"Tracks: a local id stands twice in one frame: {self.local_id.tolist()}")

    def __len__(self) -> int:
        return len(self.xyxy_px)

    @staticmethod
    def empty() -> Tracks:
        return Tracks(
            np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64), np.zeros(0, np.int32)
        )


@dataclass(frozen=True, slots=True)
class Masks:
    """Segmentation of the boxes of one key frame, in native pixels.

    rle: N COCO run-length strings (compressed counts), column-major over `size_hw`.
    foot_px: (N, 2) float32, the lowest visible part of the person. area_px: (N,) float32.
    score: (N,) float32, the model's own estimate of its IoU.
    """

    size_hw: tuple[int, int]
    rle: tuple[bytes, ...]
    foot_px: NDArray[np.float32]
    area_px: NDArray[np.float32]
    score: NDArray[np.float32]

    def __post_init__(self) -> None:
        n = len(self.rle)
        require("Masks.foot_px", self.foot_px, (n, 2), np.float32)
        require("Masks.area_px", self.area_px, (n,), np.float32)
        require("Masks.score", self.score, (n,), np.float32)

    def __len__(self) -> int:
        return len(self.rle)


@dataclass(frozen=True, slots=True)
class Observations:
    """What one camera saw of tracked people in one chunk: the message to gallery and site.

    Rows are ordered by (time_us, local_id). A message without people still carries frame times and watermark.
    frame_time_us: (F,) int64, every analysed frame of the chunk, also those without people.
    time_us, local_id: (N,) int64. foot_px: (N, 2) float32 native pixels.
    floor_xy_m: (N, 2) float64 metres, NaN where the camera has no floor calibration.
    floor_cov_m2: (N, 2, 2) float64. confidence: (N,) float32. foot_estimated: (N,) bool, truncated or occluded feet.
    embedding: (M, D) float32, L2-normalised. embedding_row: (M,) int32, the observation it belongs to.
    embedding_quality: (M,) float32 in [0, 1].
    edge_px: (N, 2) float32, edge_xy_m: (N, 2) float64: the lower end of what is seen, in the picture and as if on the
    floor; the foot itself where left out. Counting lines go by it: it moves on evenly where an estimate may jump.
    watermark_us: no later message of this camera holds a time before it.
    """

    camera_id: str
    watermark_us: int
    frame_time_us: NDArray[np.int64]
    time_us: NDArray[np.int64]
    local_id: NDArray[np.int64]
    foot_px: NDArray[np.float32]
    floor_xy_m: NDArray[np.float64]
    floor_cov_m2: NDArray[np.float64]
    confidence: NDArray[np.float32]
    foot_estimated: NDArray[np.bool_]
    embedding: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    embedding_row: NDArray[np.int32] = field(default_factory=lambda: np.zeros(0, np.int32))
    embedding_quality: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))
    edge_px: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 2), np.float32))
    edge_xy_m: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 2)))

    def __post_init__(self) -> None:
        n, m = len(self.time_us), len(self.embedding_row)
        if not len(self.edge_px) and not len(self.edge_xy_m):
            object.__setattr__(self, "edge_px", self.foot_px)
            object.__setattr__(self, "edge_xy_m", self.floor_xy_m)
        place = f"Observations of camera '{self.camera_id}'"
        require(f"{place}: frame_time_us", self.frame_time_us, (None,), np.int64)
        require(f"{place}: time_us", self.time_us, (n,), np.int64)
        require(f"{place}: local_id", self.local_id, (n,), np.int64)
        require(f"{place}: foot_px", self.foot_px, (n, 2), np.float32)
        require(f"{place}: floor_xy_m", self.floor_xy_m, (n, 2), np.float64)
        require(f"{place}: floor_cov_m2", self.floor_cov_m2, (n, 2, 2), np.float64)
        require(f"{place}: confidence", self.confidence, (n,), np.float32)
        require(f"{place}: foot_estimated", self.foot_estimated, (n,), np.bool_)
        require(f"{place}: embedding", self.embedding, (m, None), np.float32)
        require(f"{place}: embedding_row", self.embedding_row, (m,), np.int32)
        require(f"{place}: embedding_quality", self.embedding_quality, (m,), np.float32)
        require(f"{place}: edge_px", self.edge_px, (n, 2), np.float32)
        require(f"{place}: edge_xy_m", self.edge_xy_m, (n, 2), np.float64)
        if not np.isfinite(self.embedding).all():
            raise DataError(f"{place}: an embedding is not finite")
        if n and (np.diff(self.time_us) < 0).any():
            raise DataError(f"{place}: rows are not in event-time order")

    def __len__(self) -> int:
        return len(self.time_us)
