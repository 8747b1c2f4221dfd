"""The detector alone: which people were boxed, by their height in the picture and by how much of them is visible.

Frames of one person are not independent, so Wilson's intervals are narrower than the truth.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from retail_ray.evaluation.box_matching import UNMATCHED
from retail_ray.evaluation.measures import Measure, Section, not_measured, share
from retail_ray.evaluation.scene import Scene

HEIGHTS_PX = (0, 40, 80, 130, 200, np.inf)
VISIBLE_SHARES = (0.0, 0.25, 0.5, 0.75, 1.01)


def detector(scene: Scene) -> Section:
    """Recall of all people and of large visible ones; precision leaves out boxes on people nobody must find."""
    true, found = scene.true, scene.detected
    if not len(scene.frames):
        return {"recall": not_measured("the lake has no analysed frames")}
    hit = np.isin(np.arange(len(true)), found.true_row)
    height_px, visible = true.xyxy_px[:, 3] - true.xyxy_px[:, 1], true.visible_share
    box_height_px = found.xyxy_px[:, 3] - found.xyxy_px[:, 1]
    right = found.true_row != UNMATCHED
    counts = ~right | np.append(true.required, True)[found.true_row]
    heights, shares = _ranges(HEIGHTS_PX), _ranges(VISIBLE_SHARES)
    return {
        "recall": _part(hit, true.required, "true boxes"),
        "recall_80px_half_visible": _part(hit, (height_px >= 80) & (visible >= 0.5), "true boxes"),
        "precision": _part(right, counts, "boxes"),
        "recall_by_height_and_visibility": {
            _height(*tall): {
                _visible(*seen): _part(hit, _within(height_px, tall) & _within(visible, seen), "true boxes")
                for seen in shares
            }
            for tall in heights
        },
        "precision_by_height": {
            _height(*tall): _part(right, counts & _within(box_height_px, tall), "boxes") for tall in heights
        },
    }


def _part(right: NDArray[np.bool_], among: NDArray[np.bool_], of: str) -> Measure:
    return share(int(right[among].sum()), int(among.sum()), of)


def _ranges(limits: tuple[float, ...]) -> list[tuple[float, float]]:
    return list(pairwise(limits))


def _within(values: NDArray[np.float64], limits: tuple[float, float]) -> NDArray[np.bool_]:
    return (values >= limits[0]) & (values < limits[1])


def _height(low: float, high: float) -> str:
    return f"{low:g} px or more" if high == np.inf else f"{low:g} to {high:g} px"


def _visible(low: float, high: float) -> str:
    return f"{low:.0%} to {min(high, 1):.0%} visible"
