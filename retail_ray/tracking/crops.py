"""How good a crop of a person is for re-identification, and which crops are worth an embedding."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retail_ray.core.boxes import Boxes, visible_share
from retail_ray.core.checks import require
from retail_ray.core.errors import DataError
from retail_ray.core.time import US_PER_S
from retail_ray.core.types import Image

STATE_FORMAT = 1
# Height of a person below which an embedding says nothing, and above which more pixels add nothing (input: 256).
HEIGHT_RANGE_PX = (32.0, 160.0)
VISIBLE_RANGE = (0.4, 0.95)
CONFIDENCE_RANGE = (0.2, 0.7)
# Height over width: (useless, plausible, plausible, useless); people stand, bend and push trolleys.
ASPECT_RANGE = (0.9, 1.6, 3.6, 6.0)
BORDER_MARGIN_PX = 2.0
# Each cut-off side takes away about half of what the network looks at.
CUT_SIDE_FACTOR = 0.5
# Variance of the Laplacian (8-bit luma) at which a patch counts as half sharp.
HALF_SHARP = 100.0


def crop_quality(
    xyxy_px: Boxes,
    confidence: NDArray[np.float32],
    frame_hw: tuple[int, int],
    sharpness: NDArray[np.float32] | None = None,
) -> NDArray[np.float32]:
    """(N,) float32 in [0, 1] for all boxes of one frame: the product of what each flaw leaves.

    xyxy_px: (N, 4) float32 native pixels; all people of the frame, because they hide each other.
    confidence: (N,) float32. sharpness: (N,) float32 in [0, 1] from `sharpness_of`, where patches are at hand.
    """
    height = np.maximum(xyxy_px[:, 3] - xyxy_px[:, 1], 0)
    width = np.maximum(xyxy_px[:, 2] - xyxy_px[:, 0], np.float32(1e-3))
    quality = (
        _rise(height, HEIGHT_RANGE_PX)
        * _rise(visible_share(xyxy_px), VISIBLE_RANGE)
        * (0.5 + 0.5 * _rise(confidence, CONFIDENCE_RANGE))
        * _aspect(height / width)
        * CUT_SIDE_FACTOR ** _cut_sides(xyxy_px, frame_hw)
    )
    if sharpness is not None:
        require("crop_quality: sharpness", sharpness, (len(xyxy_px),), np.float32)
        quality = quality * sharpness
    return quality.astype(np.float32)


def sharpness_of(patch: Image) -> float:
    """In [0, 1): variance v of the patch's Laplacian as v / (v + 100); 0 for a patch smaller than 3 x 3.

    Pech-Pacheco et al., "Diatom autofocusing in brightfield microscopy", ICPR 2000.
    """
    if min(patch.shape[:2]) < 3:
        return 0.0
    luma = patch.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    around = luma[:-2, 1:-1] + luma[2:, 1:-1] + luma[1:-1, :-2] + luma[1:-1, 2:]
    variance = float((around - 4 * luma[1:-1, 1:-1]).var())
    return variance / (variance + HALF_SHARP)


def _rise(values: NDArray[np.float32], limits: tuple[float, float]) -> NDArray[np.float64]:
    """0 up to the lower limit, 1 from the upper, a line between."""
    return np.interp(values, limits, (0.0, 1.0))


def _aspect(ratio: NDArray[np.float32]) -> NDArray[np.float64]:
    return np.interp(ratio, ASPECT_RANGE, (0.0, 1.0, 1.0, 0.0))


def _cut_sides(xyxy_px: Boxes, frame_hw: tuple[int, int]) -> NDArray[np.int64]:
    height, width = frame_hw
    near = xyxy_px[:, :2] <= BORDER_MARGIN_PX
    far = xyxy_px[:, 2:] >= np.array([width, height], np.float32) - BORDER_MARGIN_PX
    sides: NDArray[np.int64] = near.sum(axis=1) + far.sum(axis=1)
    return sides


@dataclass(frozen=True, slots=True)
class CropPolicy:
    """When a crop is worth an embedding.

    acceptable: least quality in [0, 1]. better_by: a crop this much better than the best so far is always worth it.
    interval_s: seconds after the first embedding until another crop is worth it; doubles with each one, so that
    the crops of a long stay spread over it. per_tracklet: embeddings of a tracklet in all.
    per_tracklet_chunk: of a tracklet in one chunk. per_chunk: of all tracklets in one chunk.
    """

    acceptable: float = 0.04
    better_by: float = 0.15
    interval_s: float = 1.0
    per_tracklet: int = 10
    per_tracklet_chunk: int = 2
    per_chunk: int = 16

    def __post_init__(self) -> None:
        if not (0 <= self.acceptable <= 1 and 0 < self.better_by <= 1 and self.interval_s > 0):
            raise DataError(f"CropPolicy: acceptable in [0, 1], better_by in (0, 1], interval_s above 0, found {self}")
        if min(self.per_tracklet, self.per_tracklet_chunk, self.per_chunk) < 1:
            raise DataError(f"CropPolicy: every limit must be at least 1, found {self}")


@dataclass(frozen=True, slots=True)
class Embedded:
    """What a tracklet has had embedded so far; `last_us` is the latest crop's time."""

    crops: int = 0
    best_quality: float = 0.0
    last_us: int = 0

    def with_crop(self, quality: float, time_us: int) -> Embedded:
        return Embedded(self.crops + 1, max(self.best_quality, quality), max(self.last_us, time_us))


_NOTHING = Embedded()


@dataclass(frozen=True, slots=True)
class CropCandidates:
    """All tracked boxes of one chunk. time_us, local_id: (N,) int64; quality: (N,) float32 in [0, 1]."""

    time_us: NDArray[np.int64]
    local_id: NDArray[np.int64]
    quality: NDArray[np.float32]

    def __post_init__(self) -> None:
        n = len(self.time_us)
        require("CropCandidates.time_us", self.time_us, (n,), np.int64)
        require("CropCandidates.local_id", self.local_id, (n,), np.int64)
        require("CropCandidates.quality", self.quality, (n,), np.float32)


def choose(
    history: Mapping[int, Embedded], candidates: CropCandidates, policy: CropPolicy
) -> tuple[NDArray[np.intp], dict[int, Embedded]]:
    """Rows of `candidates` to embed, ordered by (time_us, local_id), and the history that follows.

    Tracklets without any embedding come first when the chunk's budget is short, then those with the fewest.
    """
    ranked: list[tuple[int, float, int]] = []
    for local_id in np.unique(candidates.local_id).tolist():
        rows = np.flatnonzero(candidates.local_id == local_id)
        had = history.get(local_id, _NOTHING)
        for row in _worth_it(had, rows, candidates, policy):
            ranked.append((had.crops, -float(candidates.quality[row]), row))
            had = had.with_crop(float(candidates.quality[row]), int(candidates.time_us[row]))
    chosen = [row for _, _, row in sorted(ranked)[: policy.per_chunk]]
    chosen.sort(key=lambda row: (candidates.time_us[row], candidates.local_id[row]))
    after = dict(history)
    for row in chosen:
        local_id = int(candidates.local_id[row])
        had = after.get(local_id, _NOTHING)
        after[local_id] = had.with_crop(float(candidates.quality[row]), int(candidates.time_us[row]))
    return np.array(chosen, np.intp), after


def _worth_it(had: Embedded, rows: NDArray[np.intp], candidates: CropCandidates, policy: CropPolicy) -> Iterable[int]:
    """Rows of one tracklet, the best first, each judged with those before it already embedded."""
    taken = 0
    for row in rows[np.argsort(-candidates.quality[rows], kind="stable")].tolist():
        quality, time_us = float(candidates.quality[row]), int(candidates.time_us[row])
        if (
            candidates.quality[row] < np.float32(policy.acceptable)
            or taken == policy.per_tracklet_chunk
            or had.crops >= policy.per_tracklet
        ):
            return
        wait_us = policy.interval_s * US_PER_S * 2 ** max(0, had.crops - 1)
        if not had.crops or quality >= had.best_quality + policy.better_by or time_us >= had.last_us + wait_us:
            had = had.with_crop(quality, time_us)
            taken += 1
            yield row


class CropSelector:
    """Remembers what was embedded of each living tracklet of one camera; the decision itself is `choose`."""

    def __init__(self, policy: CropPolicy | None = None) -> None:
        self._policy = policy or CropPolicy()
        self._history: dict[int, Embedded] = {}

    def select(self, candidates: CropCandidates) -> NDArray[np.intp]:
        """Rows of `candidates` to embed now, ordered by (time_us, local_id); they count as embedded."""
        rows, self._history = choose(self._history, candidates, self._policy)
        return rows

    def forget(self, local_ids: Iterable[int]) -> None:
        """Tracklets that have ended."""
        for local_id in local_ids:
            self._history.pop(local_id, None)

    def state(self) -> dict[str, Any]:
        """Plain numbers only."""
        history = {i: (had.crops, had.best_quality, had.last_us) for i, had in self._history.items()}
        return {"format": STATE_FORMAT, "history": history}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Raises DataError when the state was written by another version."""
        if state.get("format") != STATE_FORMAT:
            raise DataError(f"crop selector state has format {state.get('format')!r}, need {STATE_FORMAT}")
        self._history = {local_id: Embedded(*had) for local_id, had in state["history"].items()}
