"""Stored foot points of one camera, read for calibration."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from retail_ray.core.errors import LakeError
from retail_ray.core.foot_tracks import FootTracks
from retail_ray.lake.views import open_lake

MOST_ROWS: Final = 200_000

_ROWS: Final = """
SELECT dense_rank() OVER (ORDER BY d.run_id, d.local_id) - 1 AS track, epoch_us(d.time) AS time_us,
       d.foot_x_px, d.foot_y_px, (d.x1_px + d.x2_px) / 2 AS head_x_px, d.y1_px AS head_y_px,
       coalesce(i.identity_id, -1) AS person
FROM detections d LEFT JOIN tracklet_identity i USING (site_id, run_id, camera_id, local_id)
WHERE d.site_id = $site AND d.camera_id = $camera AND d.local_id IS NOT NULL AND d.foot_source <> 'estimated'
  AND d.confidence >= $confidence AND d.visible_share >= $share
ORDER BY d.time DESC, track LIMIT $most
"""


def read_foot_tracks(
    root: Path, site_id: str, camera_id: str, *, least_confidence: float = 0.4, least_visible: float = 0.7
) -> FootTracks:
    """The newest sights of tracked people whose feet were seen, at most MOST_ROWS.

    LakeError where there is no lake, or nothing of this camera: the message names the cameras that are there.
    """
    with open_lake(root) as lake:
        found = lake.sql(
            _ROWS,
            {
                "site": site_id,
                "camera": camera_id,
                "confidence": least_confidence,
                "share": least_visible,
                "most": MOST_ROWS,
            },
        )
        if not len(found):
            known = lake.rows("SELECT DISTINCT site_id, camera_id FROM detections ORDER BY ALL")
            names = ", ".join(f"{row['site_id']}/{row['camera_id']}" for row in known) or "none"
            raise LakeError(
                f"{lake.root}: no tracked people of site '{site_id}', camera '{camera_id}'; detections are of {names}"
            )
    columns = {name: found[name].to_numpy() for name in found.column_names}
    order = np.lexsort((columns["time_us"], columns["track"]))

    def pixels(name: str) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        both = np.stack([columns[f"{name}_x_px"], columns[f"{name}_y_px"]], axis=1)
        return np.asarray(both[order], np.float64)

    return FootTracks(
        camera_id,
        columns["track"][order].astype(np.int64),
        columns["time_us"][order].astype(np.int64),
        pixels("foot"),
        pixels("head"),
        columns["person"][order].astype(np.int64),
    )
