"""Which found box fits which true one: one to one in each frame, at IoU 0.5."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from retail_ray.evaluation.tracking_metrics import MATCH_IOU, iou, rows_by_frame

UNMATCHED = -1


def match_boxes(
    true_frame: NDArray[np.int64],
    true_xyxy_px: tuple[NDArray[np.float64], ...],
    found_frame: NDArray[np.int64],
    found_xyxy_px: NDArray[np.float64],
) -> NDArray[np.int64]:
    """(M,) int64, row of the true box of each found one, UNMATCHED where none is.

    true_xyxy_px: one or more (N, 4) ways to draw each true box (visible part, whole body); the better fit counts.
    """
    from scipy.optimize import linear_sum_assignment

    match = np.full(len(found_frame), UNMATCHED, np.int64)
    frames = np.intersect1d(true_frame, found_frame)
    sides = (rows_by_frame(frame_of_row, frames) for frame_of_row in (true_frame, found_frame))
    for true_rows, found_rows in zip(*sides, strict=True):
        overlap = np.max([iou(way[true_rows], found_xyxy_px[found_rows]) for way in true_xyxy_px], axis=0)
        overlap[overlap < MATCH_IOU] = 0
        chosen_true, chosen_found = linear_sum_assignment(-overlap)
        fits = overlap[chosen_true, chosen_found] > 0
        match[found_rows[chosen_found[fits]]] = true_rows[chosen_true[fits]]
    return match


def match_in_time(
    true_us: NDArray[np.int64], found_us: NDArray[np.int64], tolerance_us: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows of true and found instants that belong together: as many as possible, then as near as possible."""
    from scipy.optimize import linear_sum_assignment

    apart_us = np.abs(true_us[:, None] - found_us[None, :]).astype(np.float64)
    near = apart_us <= tolerance_us
    # A pair beyond the tolerance costs more than all that one pair could save elsewhere.
    far_us = 2.0 * (tolerance_us + 1) * (min(apart_us.shape) + 1)
    chosen_true, chosen_found = linear_sum_assignment(np.where(near, apart_us, far_us))
    fits = near[chosen_true, chosen_found]
    return chosen_true[fits], chosen_found[fits]
