"""Stored boxes of one camera, frame by frame: what still figures are found in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from retail_ray.lake.views import Lake

MOST_FRAMES: Final = 36_000

_OF_CAMERA = """
FROM detections WHERE site_id = $site AND camera_id = $camera
AND ($from_us IS NULL OR epoch_us(time) >= $from_us) AND ($until_us IS NULL OR epoch_us(time) < $until_us)"""
_ANALYSED = """
SELECT coalesce(sum(processed_frames), 0) AS n FROM coverage WHERE site_id = $site AND camera_id = $camera
AND ($from_us IS NULL OR epoch_us(time) + 60_000_000 > $from_us)
AND ($until_us IS NULL OR epoch_us(time) < $until_us)"""


def was_analysed(lake: Lake, site_id: str, camera_id: str, from_us: int | None, until_us: int | None) -> bool:
    """Whether a minute of the camera in [from_us, until_us) has analysed frames."""
    asked = {"site": site_id, "camera": camera_id, "from_us": from_us, "until_us": until_us}
    return bool(lake.rows(_ANALYSED, asked)[0]["n"])


def read_frames(
    lake: Lake, site_id: str, camera_id: str, from_us: int | None, until_us: int | None
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """(time_us, (N, 4) float32 xyxy native pixels) of the frames that have boxes, in [from_us, until_us), in order.

    At most about MOST_FRAMES, evenly spread.
    """
    asked = {"site": site_id, "camera": camera_id, "from_us": from_us, "until_us": until_us}
    frames = lake.rows(f"SELECT count(DISTINCT time) AS n {_OF_CAMERA}", asked)[0]["n"]
    if not frames:
        return
    every = -(-frames // MOST_FRAMES)
    found = lake.sql(
        f"SELECT epoch_us(time) AS time_us, x1_px, y1_px, x2_px, y2_px {_OF_CAMERA} "
        f"QUALIFY (dense_rank() OVER (ORDER BY time) - 1) % {every} = 0 ORDER BY ALL",
        asked,
    )
    time_us = found["time_us"].to_numpy()
    boxes = np.stack([found[name].to_numpy() for name in ("x1_px", "y1_px", "x2_px", "y2_px")], axis=1)
    starts = np.flatnonzero(np.diff(time_us, prepend=time_us[0] - 1))
    for start, rows in zip(starts.tolist(), np.split(boxes.astype(np.float32), starts[1:]), strict=True):
        yield int(time_us[start]), rows
