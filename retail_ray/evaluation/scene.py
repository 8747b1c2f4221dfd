"""A lake and its truth brought together: the analysed frames, true and found boxes in them, and who is who.

Times of the lake are what the clips say (true instant + this camera's clock error); boxes meet by frame number.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retail_ray.evaluation.analysed_frames import Frames, analysed_frames, rows_of_frames
from retail_ray.evaluation.box_matching import UNMATCHED, match_boxes
from retail_ray.lake.scored_rows import NOBODY, ScoredRows
from retail_ray.lake.truth import Truth

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ScoringRules:
    """Who must be found. Others are ignored: missing them is no miss, finding them is no false box."""

    min_visible_share: float = 0.25
    min_height_px: float = 40.0
    min_person_s: float = 1.0


@dataclass(frozen=True, slots=True)
class TrueBoxes:
    """People in the analysed frames. frame: (N,) int64, row of Frames. xyxy_px: the visible part.

    full_xyxy_px: the whole body. required: (N,) bool, must be found. floor_xy_m: (N, 2).
    """

    frame: Ints
    person: Ints
    xyxy_px: Floats
    full_xyxy_px: Floats
    visible_share: Floats
    floor_xy_m: Floats
    required: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.frame)


@dataclass(frozen=True, slots=True)
class FoundBoxes:
    """Boxes of the lake. tracklet: (N,) int64, NOBODY where no tracklet took the box. floor_xy_m: NaN if unknown.

    true_row: (N,) int64, the true box that each fits, UNMATCHED where none: one to one in each frame.
    """

    frame: Ints
    tracklet: Ints
    confidence: Floats
    xyxy_px: Floats
    floor_xy_m: Floats
    time_us: Ints
    true_row: Ints

    def __len__(self) -> int:
        return len(self.frame)

    def __getitem__(self, keep: NDArray[np.bool_]) -> FoundBoxes:
        return FoundBoxes(
            self.frame[keep],
            self.tracklet[keep],
            self.confidence[keep],
            self.xyxy_px[keep],
            self.floor_xy_m[keep],
            self.time_us[keep],
            self.true_row[keep],
        )


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything that the measures of this room take.

    detected: all boxes of the lake; tracked: those with a tracklet, matched among themselves.
    identity: (T,) int64 of each tracklet; one without a decision stands for itself.
    """

    truth: Truth
    rows: ScoredRows
    rules: ScoringRules
    cameras: tuple[str, ...]
    analysed: tuple[str, ...]
    frames: Frames
    true: TrueBoxes
    detected: FoundBoxes
    tracked: FoundBoxes
    identity: Ints = field(init=False)

    def __post_init__(self) -> None:
        known = self.rows.identity
        own = known.max(initial=NOBODY) + 1 + np.arange(len(known))
        object.__setattr__(self, "identity", np.where(known == NOBODY, own, known))

    def scored(self) -> FoundBoxes:
        """Tracked boxes without those on people whom nobody must find."""
        row = self.tracked.true_row
        # UNMATCHED reads the last entry.
        return self.tracked[np.append(self.true.required, True)[row]]


def build_scene(truth: Truth, rows: ScoredRows, rules: ScoringRules | None = None) -> Scene:
    """DataError that names both sides where the truth belongs to other clips than the lake."""
    rules = rules or ScoringRules()
    cameras = tuple(sorted(set(truth.tables["frames"]["camera_id"].tolist())))
    analysed, frames = analysed_frames(truth, rows, cameras)
    true = _true_boxes(truth, cameras, frames, rules)
    detected = _found_boxes(rows, cameras, frames, true)
    with_tracklet = detected[detected.tracklet != NOBODY]
    tracked = _matched(with_tracklet, true)
    return Scene(truth, rows, rules, cameras, analysed, frames, true, detected, tracked)


def _true_boxes(truth: Truth, cameras: tuple[str, ...], frames: Frames, rules: ScoringRules) -> TrueBoxes:
    table = truth.tables["boxes"]
    frame = rows_of_frames(table["camera_id"], table["frame_index"], cameras, frames)
    kept = frame >= 0
    xyxy_px = _stacked(table, "x1_px", "y1_px", "x2_px", "y2_px")[kept]
    visible_share = table["visible_share"][kept].astype(np.float64)
    height_px = xyxy_px[:, 3] - xyxy_px[:, 1]
    return TrueBoxes(
        frame[kept],
        table["person_id"][kept].astype(np.int64),
        xyxy_px,
        _stacked(table, "full_x1_px", "full_y1_px", "full_x2_px", "full_y2_px")[kept],
        visible_share,
        _stacked(table, "x_m", "y_m")[kept],
        (visible_share >= rules.min_visible_share) & (height_px >= rules.min_height_px),
    )


def _found_boxes(rows: ScoredRows, cameras: tuple[str, ...], frames: Frames, true: TrueBoxes) -> FoundBoxes:
    table = rows.tables.get("detections")
    if table is None or not len(frames):
        none, numbers = np.zeros(0, np.int64), np.zeros(0)
        return FoundBoxes(none, none, numbers, np.zeros((0, 4)), np.zeros((0, 2)), none, none)
    frame = rows_of_frames(table["camera_id"], table["frame_index"], cameras, frames)
    kept = frame >= 0
    boxes = FoundBoxes(
        frame[kept],
        table["tracklet"][kept],
        table["confidence"][kept].astype(np.float64),
        _stacked(table, "x1_px", "y1_px", "x2_px", "y2_px")[kept],
        _stacked(table, "floor_x_m", "floor_y_m")[kept],
        table["time_us"][kept].astype(np.int64),
        np.full(int(kept.sum()), UNMATCHED, np.int64),
    )
    return _matched(boxes, true)


def _matched(found: FoundBoxes, true: TrueBoxes) -> FoundBoxes:
    hidden = np.where(true.required[:, None], true.xyxy_px, true.full_xyxy_px)
    row = match_boxes(true.frame, (true.xyxy_px, hidden), found.frame, found.xyxy_px)
    return FoundBoxes(
        found.frame, found.tracklet, found.confidence, found.xyxy_px, found.floor_xy_m, found.time_us, row
    )


def _stacked(table: dict[str, Any], *names: str) -> Floats:
    return np.stack([table[name].astype(np.float64) for name in names], axis=1)
