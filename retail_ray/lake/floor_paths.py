"""Where the identities of one day and run were: from detections, crossings and zone visits to arrays."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from retail_ray.core.floor_paths import STEP_US, DoorCrossings, FloorPaths
from retail_ray.lake.views import Lake

_IN_RUN: Final = "site_id = $site AND run_id = $run AND date = $day"
_NUMBERED: Final = f"""
numbered AS (
    SELECT session_id, identity_id, dense_rank() OVER (ORDER BY session_id, identity_id) - 1 AS identity,
           camera_id, local_id
    FROM tracklet_identity
    WHERE site_id = $site AND run_id = $run AND identity_id IS NOT NULL
      AND (camera_id, local_id) IN (
          SELECT (camera_id, local_id) FROM detections WHERE {_IN_RUN} AND local_id IS NOT NULL
          UNION SELECT (camera_id, local_id) FROM line_crossings WHERE {_IN_RUN}
          UNION SELECT (camera_id, local_id) FROM zone_visits WHERE {_IN_RUN})
)"""
_IDENTITIES: Final = (
    f"WITH {_NUMBERED} SELECT DISTINCT identity, session_id, identity_id FROM numbered ORDER BY identity"
)
_PATHS: Final = f"""
WITH {_NUMBERED}, by_camera AS (
    SELECT identity, camera_id, epoch_us(time) // {STEP_US} AS step,
           avg(floor_x_m) AS x_m, avg(floor_y_m) AS y_m
    FROM detections JOIN numbered USING (camera_id, local_id)
    WHERE {_IN_RUN} AND floor_x_m IS NOT NULL AND floor_y_m IS NOT NULL
    GROUP BY ALL
)
SELECT identity, step * {STEP_US} + {STEP_US // 2} AS time_us, avg(x_m) AS x_m, avg(y_m) AS y_m
FROM by_camera GROUP BY identity, step ORDER BY identity, step
"""
_CROSSINGS: Final = f"""
WITH {_NUMBERED}
SELECT identity, line_id, epoch_us(time) AS time_us, direction = 'in' AS inwards
FROM line_crossings JOIN numbered USING (camera_id, local_id)
WHERE {_IN_RUN} AND NOT turned_back ORDER BY time, line_id, identity
"""
_ZONES: Final = f"""
WITH {_NUMBERED}, by_camera AS (
    SELECT zone_id, identity, camera_id, sum(observed_s) AS seconds
    FROM zone_visits JOIN numbered USING (camera_id, local_id) WHERE {_IN_RUN} GROUP BY ALL
)
SELECT zone_id, identity, max(seconds) AS seconds FROM by_camera GROUP BY ALL ORDER BY zone_id, identity
"""


@dataclass(frozen=True, slots=True)
class DayPaths:
    """What the lake says of the identities of one site, day and run; numbers of identities index `identities`.

    identities: (session_id, identity_id) of each. lines: counting lines by their numbers. zone_s: zone -> (I,) float64
    seconds that the camera which saw most of it saw the identity there.
    """

    identities: tuple[tuple[str, int], ...]
    paths: FloorPaths
    crossings: DoorCrossings
    lines: tuple[str, ...]
    zone_s: dict[str, NDArray[np.float64]]


def read_day_paths(lake: Lake, site_id: str, run_id: str, day: date) -> DayPaths:
    """Means over each half second, first within a camera, then over cameras; rows without identity are left out."""
    params = {"site": site_id, "run": run_id, "day": day}
    identities = tuple((row["session_id"], row["identity_id"]) for row in lake.rows(_IDENTITIES, params))
    paths, crossings = lake.sql(_PATHS, params), lake.sql(_CROSSINGS, params)
    lines, line = np.unique(np.array(crossings["line_id"].to_pylist(), np.str_), return_inverse=True)
    return DayPaths(
        identities,
        FloorPaths(
            _numbers(paths["identity"]),
            _numbers(paths["time_us"]),
            np.stack([np.asarray(paths[name].to_numpy(), np.float64) for name in ("x_m", "y_m")], axis=1),
        ),
        DoorCrossings(
            _numbers(crossings["identity"]),
            line.astype(np.int64),
            _numbers(crossings["time_us"]),
            np.asarray(crossings["inwards"].to_numpy(), np.bool_),
        ),
        tuple(lines.tolist()),
        _zone_seconds(lake, params, len(identities)),
    )


def _zone_seconds(lake: Lake, params: dict[str, Any], identities: int) -> dict[str, NDArray[np.float64]]:
    seconds: dict[str, NDArray[np.float64]] = {}
    for row in lake.rows(_ZONES, params):
        seconds.setdefault(row["zone_id"], np.zeros(identities))[row["identity"]] = row["seconds"]
    return seconds


def _numbers(column: Any) -> NDArray[np.int64]:
    return np.asarray(column.to_numpy(), np.int64)
