"""Whether a truth is that of a site's clips, told before anything is analysed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from retail_ray.core.errors import DataError
from retail_ray.core.time import US_PER_S, from_us
from retail_ray.lake.truth import Truth

TOLERANCE_US: Final = US_PER_S // 10


def require_truth_of(site_id: str, begins_us: Mapping[str, int | None], truth: Truth) -> None:
    """DataError where site, cameras or the beginnings of their clips differ.

    begins_us: what each camera's configuration says about the first frame of its clip.
    """
    if truth.of.site_id != site_id:
        raise DataError(
            f"the truth is of site '{truth.of.site_id}', not of site '{site_id}'; give the site's own truth"
        )
    frames = truth.tables["frames"]
    known = set(frames["camera_id"].tolist())
    lone = sorted(known ^ set(begins_us))
    if lone:
        where = "the truth" if lone[0] in known else "the site"
        raise DataError(f"camera '{lone[0]}' is only in {where} of '{site_id}'; both must have the same cameras")
    for camera_id, begin_us in begins_us.items():
        mine = (frames["camera_id"] == camera_id) & (frames["frame_index"] >= 0)
        first_us = int(np.min(frames["stamp_us"][mine]))
        if begin_us is None or abs(begin_us - first_us) > TOLERANCE_US:
            said = "nothing" if begin_us is None else f"{from_us(begin_us):%Y-%m-%d %H:%M:%S.%f}"
            raise DataError(
                f"camera '{camera_id}': its first frame is of {from_us(first_us):%Y-%m-%d %H:%M:%S.%f} UTC in the "
                f"truth, and recorded_at says {said}; they are not of one recording"
            )
