"""Rows of the lake as plain values. `lake/codecs.py` turns them into Arrow; no other room knows Arrow.

Columns that every table shares (site_id, run_id, config_version, date) are added by the codec.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from retail_ray.core.boxes import foot_points
from retail_ray.core.checks import require

FootSource = Literal["box", "mask", "estimated"]
FOOT_SOURCES: tuple[FootSource, ...] = ("box", "mask", "estimated")


@dataclass(frozen=True, slots=True)
class DetectionRows:
    """Every person box of some analysed frames of one camera, as parallel arrays.

    frame_index, time_us: (N,) int64. xyxy_px: (N, 4) float32 native pixels. confidence: (N,) float32.
    local_id: (N,) int64, -1 where no tracklet took the box. foot_px: (N, 2) float32.
    foot_source: (N,) int8, index into FOOT_SOURCES. floor_xy_m: (N, 2) float64, NaN without calibration.
    visible_share: (N,) float32 in [0, 1], an estimate, NaN without tracklet.
    mask_rle: N COCO counts or None; mask_hw: their frame size.
    edge_px: (N, 2) float32, the lower end of what is seen; the middle of the box's lower edge where left out.
    """

    camera_id: str
    frame_index: NDArray[np.int64]
    time_us: NDArray[np.int64]
    xyxy_px: NDArray[np.float32]
    confidence: NDArray[np.float32]
    local_id: NDArray[np.int64]
    foot_px: NDArray[np.float32]
    foot_source: NDArray[np.int8]
    floor_xy_m: NDArray[np.float64]
    visible_share: NDArray[np.float32]
    mask_rle: tuple[bytes | None, ...]
    mask_hw: tuple[int, int]
    edge_px: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 2), np.float32))

    def __post_init__(self) -> None:
        n = len(self.time_us)
        if not len(self.edge_px):
            object.__setattr__(self, "edge_px", foot_points(self.xyxy_px))
        require("DetectionRows.frame_index", self.frame_index, (n,), np.int64)
        require("DetectionRows.time_us", self.time_us, (n,), np.int64)
        require("DetectionRows.xyxy_px", self.xyxy_px, (n, 4), np.float32)
        require("DetectionRows.confidence", self.confidence, (n,), np.float32)
        require("DetectionRows.local_id", self.local_id, (n,), np.int64)
        require("DetectionRows.foot_px", self.foot_px, (n, 2), np.float32)
        require("DetectionRows.foot_source", self.foot_source, (n,), np.int8)
        require("DetectionRows.floor_xy_m", self.floor_xy_m, (n, 2), np.float64)
        require("DetectionRows.visible_share", self.visible_share, (n,), np.float32)
        require("DetectionRows.edge_px", self.edge_px, (n, 2), np.float32)

    def __len__(self) -> int:
        return len(self.time_us)


@dataclass(frozen=True, slots=True)
class TrackletRow:
    """One finished tracklet. `path_m` is NaN without floor calibration."""

    camera_id: str
    local_id: int
    first_us: int
    last_us: int
    frames: int
    mean_confidence: float
    path_m: float
    embedded_crops: int
    best_crop_quality: float


@dataclass(frozen=True, slots=True)
class IdentityEvent:
    """One append-only decision of the gallery; views resolve them to 'which identity has this tracklet'.

    kind: 'session' (a new identity session begins), 'create' (first tracklet of an identity), 'assign'
    (a further tracklet), 'merge' (identity_id absorbs other_identity_id), 'split' (the tracklet leaves
    other_identity_id and belongs to identity_id, new or known, from then on).
    score: log-likelihood ratio of the link in nats; margin: its lead over the next best alternative in nats.
    p_same: probability that the link is right, as the gallery had it; of a 'create', that nobody known is this person.
    NaN where there is none.
    """

    time_us: int
    sequence: int
    kind: Literal["session", "create", "assign", "merge", "split"]
    session_id: str
    identity_id: int | None
    other_identity_id: int | None
    camera_id: str | None
    local_id: int | None
    score: float
    margin: float
    reason: str
    p_same: float = math.nan


@dataclass(frozen=True, slots=True)
class LineCrossing:
    """A tracklet completed a crossing of a counting line; `time_us` is the interpolated instant."""

    line_id: str
    camera_id: str
    local_id: int
    time_us: int
    direction: Literal["in", "out"]
    turned_back: bool


@dataclass(frozen=True, slots=True)
class ZoneVisit:
    """One stay of one tracklet in one zone, stamped at the first and last crossing of its border.

    censored: the stay was cut off by the start or end of the track or the data, so the true stay is longer.
    """

    zone_id: str
    camera_id: str
    local_id: int
    enter_us: int
    exit_us: int
    observed_s: float
    bridged_s: float
    censored: bool

    @property
    def dwell_s(self) -> float:
        return (self.exit_us - self.enter_us) / 1e6


@dataclass(frozen=True, slots=True)
class OccupancyRow:
    """People inside at the end of a minute: entries minus exits of all counting lines since the day's start, plus
    what was corrected since then."""

    minute_us: int
    entries: int
    exits: int
    inside: int


CorrectionReason = Literal["seen_inside", "below_zero", "closed", "day_start"]


@dataclass(frozen=True, slots=True)
class OccupancyCorrection:
    """The count of people inside was set from `before` to `after`.

    reason: 'seen_inside' a camera saw more at once, 'below_zero' more had left than had come, 'closed' what was left
    over some time after closing, 'day_start' what was left over when counting began anew.
    """

    time_us: int
    reason: CorrectionReason
    before: int
    after: int


@dataclass(frozen=True, slots=True)
class OccupancyStart:
    """What was counted of a business day before `time_us`, for a run that goes on from there."""

    time_us: int
    entries: int
    exits: int
    correction: int


@dataclass(frozen=True, slots=True)
class CoverageRow:
    """How much of one camera-minute was really analysed; `reason` says why the rest was not."""

    camera_id: str
    minute_us: int
    expected_frames: int
    processed_frames: int
    dropped_frames: int
    reason: str
