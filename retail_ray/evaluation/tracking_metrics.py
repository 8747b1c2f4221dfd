"""HOTA, IDF1 and CLEAR of tracked boxes, computed by roboflow's `trackers.eval` (a port of TrackEval).

Luiten et al., "HOTA", IJCV 2021; Ristani et al., ECCV-W 2016 (IDF1); Bernardin and Stiefelhagen 2008 (MOTA).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retail_ray.core.errors import DataError
from retail_ray.evaluation.track_boxes import TrackBoxes

MATCH_IOU = 0.5

Ids = list[NDArray[np.int64]]
Overlaps = list[NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class TrackingScores:
    """Scores of one clip or of several pooled; shares in [0, 1], MOTA in (-inf, 1], counts at IoU 0.5."""

    hota: float
    det_a: float
    ass_a: float
    loc_a: float
    idf1: float
    mota: float
    recall: float
    precision: float
    id_switches: int
    fragmentations: int
    misses: int
    false_positives: int
    truth_boxes: int

    def as_dict(self, digits: int = 4) -> dict[str, float | int]:
        return {name: round(value, digits) for name, value in asdict(self).items()}


@dataclass(frozen=True, slots=True)
class ClipScore:
    """Scores of one clip with the sums that pooling needs."""

    scores: TrackingScores
    hota_sums: dict[str, Any]
    identity_sums: dict[str, Any]
    clear_sums: dict[str, Any]


def score_clip(truth: TrackBoxes, result: TrackBoxes, frames: NDArray[np.int64] | None = None) -> ClipScore:
    """Score a result against the truth on `frames` (F,) int64; without it, on every frame either of them has.

    Raises DataError when the truth has no box there: every score would be empty of meaning.
    """
    chosen = np.unique(np.concatenate([truth.frame, result.frame]) if frames is None else frames)
    truth, result = truth.at(chosen), result.at(chosen)
    if not len(truth):
        raise DataError("score_clip: the ground truth has no box on the frames to score")
    return score_ids(*_per_frame(truth, result, chosen))


def score_ids(truth_ids: Ids, result_ids: Ids, similarity: Overlaps) -> ClipScore:
    """Score frames of anything that has identities, boxes or floor points; a match needs a similarity of 0.5.

    One entry per frame. truth_ids: (N,) and result_ids: (M,) int64, each at most once in a frame, counted from 0
    without holes. similarity: (N, M) float64 in [0, 1].
    """
    from trackers.eval.clear import compute_clear_metrics
    from trackers.eval.hota import compute_hota_metrics
    from trackers.eval.identity import compute_identity_metrics

    hota = compute_hota_metrics(truth_ids, result_ids, similarity)
    clear = compute_clear_metrics(truth_ids, result_ids, similarity, threshold=MATCH_IOU)
    identity = compute_identity_metrics(truth_ids, result_ids, similarity, threshold=MATCH_IOU)
    return ClipScore(_scores(hota, identity, clear), hota, identity, clear)


def pool(clips: Sequence[ClipScore]) -> TrackingScores:
    """Scores over several clips as if they were one: counts are summed, ratios taken of the sums.

    Raises DataError without clips.
    """
    from trackers.eval.clear import aggregate_clear_metrics
    from trackers.eval.hota import aggregate_hota_metrics
    from trackers.eval.identity import aggregate_identity_metrics

    if not clips:
        raise DataError("pool: no clip to pool")
    return _scores(
        aggregate_hota_metrics([clip.hota_sums for clip in clips]),
        aggregate_identity_metrics([clip.identity_sums for clip in clips]),
        aggregate_clear_metrics([clip.clear_sums for clip in clips]),
    )


def without_distractors(result: TrackBoxes, truth: TrackBoxes, distractors: TrackBoxes) -> TrackBoxes:
    """The result less the boxes that fit a distractor (a statue, a reflection) better than any true person.

    As the MOTChallenge protocol has it: per frame, one-to-one matching at IoU 0.5 against truth and distractors.
    """
    from scipy.optimize import linear_sum_assignment

    keep = np.ones(len(result), np.bool_)
    for frame in np.unique(distractors.frame):
        rows = np.flatnonzero(result.frame == frame)
        people = truth.xyxy_px[truth.frame == frame]
        others = distractors.xyxy_px[distractors.frame == frame]
        overlap = iou(np.concatenate([people, others]), result.xyxy_px[rows])
        overlap[overlap < MATCH_IOU] = 0
        matched_truth, matched_row = linear_sum_assignment(-overlap)
        on_distractor = (matched_truth >= len(people)) & (overlap[matched_truth, matched_row] > 0)
        keep[rows[matched_row[on_distractor]]] = False
    return result[keep]


def _per_frame(truth: TrackBoxes, result: TrackBoxes, frames: NDArray[np.int64]) -> tuple[Ids, Ids, Overlaps]:
    """Ids counted from 0 without holes, and (truth, result) IoU, for each frame."""
    truth_ids = np.unique(truth.track_id, return_inverse=True)[1]
    result_ids = np.unique(result.track_id, return_inverse=True)[1]
    of_truth, of_result, overlaps = [], [], []
    for in_truth, in_result in zip(*(rows_by_frame(side.frame, frames) for side in (truth, result)), strict=True):
        of_truth.append(truth_ids[in_truth])
        of_result.append(result_ids[in_result])
        overlaps.append(iou(truth.xyxy_px[in_truth], result.xyxy_px[in_result]))
    return of_truth, of_result, overlaps


def rows_by_frame(frame_of_row: NDArray[np.int64], frames: NDArray[np.int64]) -> list[NDArray[np.intp]]:
    """Row numbers of each frame, in their order."""
    order = np.argsort(frame_of_row, kind="stable")
    ordered = frame_of_row[order]
    low, high = np.searchsorted(ordered, frames, "left"), np.searchsorted(ordered, frames, "right")
    return [order[start:stop] for start, stop in zip(low, high, strict=True)]


def iou(a_xyxy: NDArray[np.float64], b_xyxy: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, M) float64; the core's float32 would move boxes across the threshold."""
    low = np.maximum(a_xyxy[:, None, :2], b_xyxy[None, :, :2])
    high = np.minimum(a_xyxy[:, None, 2:], b_xyxy[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=2)
    area_a = (a_xyxy[:, 2:] - a_xyxy[:, :2]).prod(axis=1)
    area_b = (b_xyxy[:, 2:] - b_xyxy[:, :2]).prod(axis=1)
    union = area_a[:, None] + area_b[None, :] - shared
    share: NDArray[np.float64] = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return share


def _scores(hota: dict[str, Any], identity: dict[str, Any], clear: dict[str, Any]) -> TrackingScores:
    return TrackingScores(
        hota=float(hota["HOTA"]),
        det_a=float(hota["DetA"]),
        ass_a=float(hota["AssA"]),
        loc_a=float(hota["LocA"]),
        idf1=float(identity["IDF1"]),
        mota=float(clear["MOTA"]),
        recall=float(clear["CLR_Re"]),
        precision=float(clear["CLR_Pr"]),
        id_switches=int(clear["IDSW"]),
        fragmentations=int(clear["Frag"]),
        misses=int(clear["CLR_FN"]),
        false_positives=int(clear["CLR_FP"]),
        truth_boxes=int(clear["CLR_TP"] + clear["CLR_FN"]),
    )
