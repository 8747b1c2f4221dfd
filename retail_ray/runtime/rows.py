"""What one chunk's detections, tracks and masks say, as rows for the lake and as the message to gallery and site."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from retail_ray.core import boxes
from retail_ray.core.homography import FloorCalibration
from retail_ray.core.ports import DecodedFrame
from retail_ray.core.records import DetectionRows
from retail_ray.core.types import UNTRACKED, Detections, Masks, Observations, Tracks
from retail_ray.tracking.feet import BOX, ESTIMATED, Feet, FootFinder

# Untracked boxes below this confidence are the tracker's raw material, not people.
STORED_CONFIDENCE = 0.25


@dataclass(slots=True)
class FrameResult:
    """One analysed frame. `masks` are those of `tracks`, in their order, on key frames only."""

    frame: DecodedFrame
    detections: Detections
    tracks: Tracks
    masks: Masks | None = None
    feet: Feet = field(init=False)
    visible_share: NDArray[np.float32] = field(init=False)


def locate(results: Sequence[FrameResult], finder: FootFinder) -> None:
    """Fill in foot points, floor positions and visible shares of a chunk's tracks."""
    feet = finder.find([r.tracks for r in results], [r.masks for r in results], [r.frame.time_us for r in results])
    for result, found in zip(results, feet, strict=True):
        result.feet, result.visible_share = found, boxes.visible_share(result.tracks.xyxy_px)


def on_floor(foot_px: NDArray[np.float32], calibration: FloorCalibration | None) -> NDArray[np.float64]:
    """(N, 2) metres, NaN without calibration."""
    if calibration is None:
        return np.full((len(foot_px), 2), np.nan)
    return calibration.to_floor(foot_px)


def detection_rows(
    camera_id: str, results: Sequence[FrameResult], calibration: FloorCalibration | None
) -> DetectionRows:
    """All tracked boxes, and the untracked ones above STORED_CONFIDENCE."""
    parts = [_frame_rows(result, calibration) for result in results]
    return DetectionRows(
        camera_id,
        np.repeat([r.frame.index for r in results], [len(p.xyxy_px) for p in parts]).astype(np.int64),
        np.repeat([r.frame.time_us for r in results], [len(p.xyxy_px) for p in parts]).astype(np.int64),
        np.concatenate([p.xyxy_px for p in parts]),
        np.concatenate([p.confidence for p in parts]),
        np.concatenate([p.local_id for p in parts]),
        np.concatenate([p.foot_px for p in parts]),
        np.concatenate([p.foot_source for p in parts]),
        np.concatenate([p.floor_xy_m for p in parts]),
        np.concatenate([p.visible_share for p in parts]),
        tuple(rle for p in parts for rle in p.mask_rle),
        results[0].frame.native_hw,
        np.concatenate([p.edge_px for p in parts]),
    )


def observations(camera_id: str, results: Sequence[FrameResult], embeddings: Embeddings) -> Observations:
    """The tracked people of a chunk, ordered by (time, local id), with the embeddings of its chosen crops."""
    order = [np.argsort(r.tracks.local_id, kind="stable") for r in results]
    counts = [len(o) for o in order]

    def column(name: str) -> NDArray[np.generic]:
        return np.concatenate([getattr(r.feet, name)[o] for r, o in zip(results, order, strict=True)])

    frame_time_us = np.array([r.frame.time_us for r in results], np.int64)
    starts = np.cumsum([0, *counts[:-1]])
    rows = [starts[i] + int(np.flatnonzero(order[i] == j)[0]) for i, j in embeddings.place]
    return Observations(
        camera_id=camera_id,
        watermark_us=int(frame_time_us[-1]) + 1,
        frame_time_us=frame_time_us,
        time_us=np.repeat(frame_time_us, counts),
        local_id=np.concatenate([r.tracks.local_id[o] for r, o in zip(results, order, strict=True)]),
        foot_px=np.asarray(column("foot_px"), np.float32),
        floor_xy_m=np.asarray(column("floor_xy_m"), np.float64),
        floor_cov_m2=np.asarray(column("floor_cov_m2"), np.float64),
        confidence=np.concatenate([r.tracks.confidence[o] for r, o in zip(results, order, strict=True)]),
        foot_estimated=np.asarray(column("foot_source") == ESTIMATED),
        embedding=embeddings.vectors,
        embedding_row=np.array(rows, np.int32),
        embedding_quality=embeddings.quality,
        edge_px=np.asarray(column("edge_px"), np.float32),
        edge_xy_m=np.asarray(column("edge_xy_m"), np.float64),
    )


@dataclass(frozen=True, slots=True)
class Embeddings:
    """Embeddings of a chunk's best crops. place: (index of the frame in the chunk, row of its tracks)."""

    place: tuple[tuple[int, int], ...]
    vectors: NDArray[np.float32]
    quality: NDArray[np.float32]

    @staticmethod
    def none() -> Embeddings:
        return Embeddings((), np.zeros((0, 0), np.float32), np.zeros(0, np.float32))


def silence(camera_id: str, watermark_us: int) -> Observations:
    """A message without frames: it only says that nothing before `watermark_us` will come."""
    return Observations(
        camera_id,
        watermark_us,
        np.zeros(0, np.int64),
        np.zeros(0, np.int64),
        np.zeros(0, np.int64),
        np.zeros((0, 2), np.float32),
        np.zeros((0, 2)),
        np.zeros((0, 2, 2)),
        np.zeros(0, np.float32),
        np.zeros(0, np.bool_),
    )


@dataclass(frozen=True, slots=True)
class _FrameRows:
    xyxy_px: NDArray[np.float32]
    confidence: NDArray[np.float32]
    local_id: NDArray[np.int64]
    foot_px: NDArray[np.float32]
    foot_source: NDArray[np.int8]
    floor_xy_m: NDArray[np.float64]
    visible_share: NDArray[np.float32]
    mask_rle: tuple[bytes | None, ...]
    edge_px: NDArray[np.float32]


def _frame_rows(result: FrameResult, calibration: FloorCalibration | None) -> _FrameRows:
    tracks, detections = result.tracks, result.detections
    taken = np.zeros(len(detections), np.bool_)
    taken[tracks.detection_index[tracks.detection_index >= 0]] = True
    extra = detections[~taken & (detections.confidence >= STORED_CONFIDENCE)]
    extra_feet = boxes.foot_points(extra.xyxy_px)
    masks: tuple[bytes | None, ...] = (None,) * len(tracks) if result.masks is None else result.masks.rle
    return _FrameRows(
        np.concatenate([tracks.xyxy_px, extra.xyxy_px]),
        np.concatenate([tracks.confidence, extra.confidence]),
        np.concatenate([tracks.local_id, np.full(len(extra), UNTRACKED, np.int64)]),
        np.concatenate([result.feet.foot_px, extra_feet]).astype(np.float32),
        np.concatenate([result.feet.foot_source, np.full(len(extra), BOX, np.int8)]),
        np.concatenate([result.feet.floor_xy_m, on_floor(extra_feet, calibration)]),
        np.concatenate([result.visible_share, np.full(len(extra), np.nan, np.float32)]),
        (*masks, *(None,) * len(extra)),
        np.concatenate([result.feet.edge_px, extra_feet]).astype(np.float32),
    )
