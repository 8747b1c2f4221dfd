"""The crops of a chunk that are worth an embedding: chosen, cut, and sent as one array."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retail_ray.runtime.rows import FrameResult
from retail_ray.tracking.crops import CropCandidates, CropSelector, crop_quality
from retail_ray.vision.crops import cut_patches
from retail_ray.vision.masks import decode


@dataclass(frozen=True, slots=True)
class ChosenCrops:
    """place: (index of the frame in the chunk, row of its tracks), ordered by frame; local_id: of the tracklet.

    quality: (M,) float32. patches: (M, h, w, 3) uint8.
    """

    place: tuple[tuple[int, int], ...]
    local_id: tuple[int, ...]
    quality: NDArray[np.float32]
    patches: NDArray[np.uint8]


def choose_crops(
    results: Sequence[FrameResult], selector: CropSelector, patch_hw: tuple[int, int]
) -> ChosenCrops | None:
    """The chunk's best crops, None where none is worth it; only frames with a chosen crop are converted to RGB."""
    rows = [np.arange(len(result.tracks)) for result in results]
    counts = [len(row) for row in rows]
    candidates = CropCandidates(
        np.repeat(np.array([result.frame.time_us for result in results], np.int64), counts),
        np.concatenate([result.tracks.local_id for result in results]),
        np.concatenate(
            [crop_quality(r.tracks.xyxy_px, r.tracks.confidence, r.frame.native_hw) for r in results]
        ).astype(np.float32),
    )
    chosen = selector.select(candidates)
    if not len(chosen):
        return None
    frame_of, row_of = np.repeat(np.arange(len(results)), counts)[chosen], np.concatenate(rows)[chosen]
    patches = [_patches(results[frame], row_of[frame_of == frame], patch_hw) for frame in np.unique(frame_of).tolist()]
    place = tuple(zip(frame_of.tolist(), row_of.tolist(), strict=True))
    local_id = tuple(candidates.local_id[chosen].tolist())
    return ChosenCrops(place, local_id, candidates.quality[chosen], np.concatenate(patches))


def _patches(result: FrameResult, rows: NDArray[np.intp], patch_hw: tuple[int, int]) -> NDArray[np.uint8]:
    masks: list[NDArray[np.bool_] | None] = [None] * len(rows)
    if result.masks is not None:
        masks = [decode(result.masks, int(row)) for row in rows]
    return cut_patches(result.frame.native(), result.tracks.xyxy_px[rows], patch_hw, masks)
