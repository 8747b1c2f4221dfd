"""Fills sampled tracks in, so that a run at 10 fps is scored on every ground-truth frame of a 30 fps clip."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from retail_ray.core.errors import DataError
from retail_ray.evaluation.track_boxes import TrackBoxes


def interpolate(boxes: TrackBoxes, frames: NDArray[np.int64], max_gap_frames: int) -> TrackBoxes:
    """Boxes at exactly `frames`, ordered by (frame, id): seen ones unchanged, those between moved on a line.

    frames: (F,) int64, any order. A track is filled only between two of its own boxes at most `max_gap_frames`
    apart; it is never prolonged beyond its first or last box. Raises DataError when `max_gap_frames` is below 1.
    """
    if max_gap_frames < 1:
        raise DataError(f"interpolate: max_gap_frames must be at least 1, found {max_gap_frames}")
    wanted = np.unique(frames)
    parts = [
        _fill(boxes[np.flatnonzero(boxes.track_id == track_id)], wanted, max_gap_frames)
        for track_id in np.unique(boxes.track_id)
    ]
    if not parts:
        return TrackBoxes.empty()
    frame = np.concatenate([part.frame for part in parts])
    track_id = np.concatenate([part.track_id for part in parts])
    order = np.lexsort((track_id, frame))
    return TrackBoxes(frame[order], track_id[order], np.concatenate([part.xyxy_px for part in parts])[order])


def _fill(track: TrackBoxes, wanted: NDArray[np.int64], max_gap_frames: int) -> TrackBoxes:
    """`track` holds one id only."""
    order = np.argsort(track.frame)
    seen, xyxy_px = track.frame[order], track.xyxy_px[order]
    inside = wanted[(wanted >= seen[0]) & (wanted <= seen[-1])]
    after = np.searchsorted(seen, inside, side="left")
    before = np.where(seen[after] == inside, after, after - 1)
    gap = seen[after] - seen[before]
    near = gap <= max_gap_frames
    inside, before, after, gap = inside[near], before[near], after[near], gap[near]
    share = np.divide(inside - seen[before], gap, out=np.zeros(len(gap)), where=gap > 0)[:, None]
    return TrackBoxes(
        inside, np.full(len(inside), track.track_id[0]), (1 - share) * xyxy_px[before] + share * xyxy_px[after]
    )
