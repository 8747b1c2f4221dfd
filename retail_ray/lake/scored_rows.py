"""What a lake says about one site and interval, as numpy columns: what the evaluation holds against the truth."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from retail_ray.core.errors import LakeError
from retail_ray.core.time import US_PER_S, from_us
from retail_ray.lake.identity_views import IdentityVersion, identities_as_of
from retail_ray.lake.schemas import TABLES
from retail_ray.lake.truth import Columns
from retail_ray.lake.views import Lake, open_lake

NOBODY: Final = -1
"""Stands where a row has no tracklet, or a tracklet no identity."""

_SLACK_US: Final = 5 * US_PER_S
_TABLES: Final[tuple[str, ...]] = (
    "detections",
    "line_crossings",
    "zone_visits",
    "occupancy",
    "queue_visits",
    "queue_metrics",
    "journeys",
    "coverage",
)
_UNREAD: Final = {"mask", "stays", "date", "site_id", "config_version"}
_MINE: Final = """site_id = $site AND ($run IS NULL OR run_id = $run)
      AND {time} >= make_timestamptz($start_us) AND {time} < make_timestamptz($end_us)"""
_TRACKED: Final = {
    "detections": "time",
    "line_crossings": "time",
    "zone_visits": "enter_time",
    "queue_visits": "join_time",
}
_NUMBERED: Final = f"""
WITH keys AS ({
    " UNION ".join(
        f"SELECT run_id, camera_id, local_id FROM {table} WHERE local_id IS NOT NULL AND {_MINE.format(time=time)}"
        for table, time in _TRACKED.items()
    )
}), known AS (
    SELECT keys.*, identity_id, session_id FROM keys
    LEFT JOIN (SELECT * FROM {{identities}} WHERE site_id = $site) USING (run_id, camera_id, local_id)
)
SELECT *, row_number() OVER (ORDER BY run_id, camera_id, local_id) - 1 AS tracklet,
       CASE WHEN identity_id IS NULL THEN {NOBODY}
            ELSE dense_rank() OVER (ORDER BY identity_id IS NULL, run_id, session_id, identity_id) - 1 END AS identity
FROM known ORDER BY tracklet
"""


@dataclass(frozen=True, slots=True)
class ScoredRows:
    """Rows of one site within an interval. Instants are int64 microseconds named `…_us`; NULL numbers are NaN.

    settings: the site file as the run used it, None where the lake has none. identity: (T,) int64, identity of each
    tracklet, NOBODY where it has none. tables: columns by table; tables of tracklets have a column `tracklet`,
    an index into `identity` or NOBODY; journeys have a column `identity`, one of `identity` or NOBODY. A table that
    this lake does not have is missing, not empty.
    """

    root: Path
    site_id: str
    run_ids: tuple[str, ...]
    settings: dict[str, Any] | None
    identity: np.ndarray[Any, np.dtype[np.int64]]
    camera_of_tracklet: tuple[str, ...]
    local_id_of_tracklet: tuple[int, ...]
    tables: dict[str, Columns]


def read_scored_rows(
    root: Path,
    site_id: str,
    start_us: int,
    end_us: int,
    run_id: str | None = None,
    *,
    identities: IdentityVersion = "revised",
) -> ScoredRows:
    """Everything of [start_us, end_us), give or take the error of camera clocks, with identities as of a version.

    LakeError where there is no lake, a file is damaged, or nothing of this site and interval is in it: the message
    says what is.
    """
    with open_lake(root) as lake:
        params = {"site": site_id, "run": run_id, "start_us": start_us - _SLACK_US, "end_us": end_us + _SLACK_US}
        _require_rows(lake, params)
        numbering = _NUMBERED.format(identities=identities_as_of(identities))
        numbered = lake.sql(numbering, params)
        tables = {name: _read(lake, name, params, numbering) for name in _TABLES if name in TABLES}
        kept: dict[str, Columns] = {
            name: columns for name, columns in tables.items() if len(next(iter(columns.values())))
        }
        return ScoredRows(
            Path(root),
            site_id,
            tuple(sorted({run for columns in kept.values() for run in columns["run_id"].tolist()})),
            _settings(lake, params),
            numbered["identity"].to_numpy().astype(np.int64),
            tuple(numbered["camera_id"].to_pylist()),
            tuple(numbered["local_id"].to_pylist()),
            kept,
        )


def _require_rows(lake: Lake, params: dict[str, Any]) -> None:
    """Say which sites, runs and times there are, so that the caller can see what was mixed up."""
    found = lake.rows(
        " UNION ALL ".join(
            f"SELECT site_id, run_id, epoch_us(min({time})) AS first_us, epoch_us(max({time})) AS last_us "
            f"FROM {table} GROUP BY ALL"
            for table, time in _timed()
        )
    )
    if not found:
        raise LakeError(f"{lake.root}: the lake is empty: no run has written to it; analyse the clips first")
    sites = sorted({row["site_id"] for row in found})
    if params["site"] not in sites:
        raise LakeError(f"{lake.root}: no rows of site '{params['site']}'; the lake holds {', '.join(sites)}")
    mine = [row for row in found if row["site_id"] == params["site"]]
    if params["run"] is not None and params["run"] not in {row["run_id"] for row in mine}:
        known = ", ".join(sorted({row["run_id"] for row in mine}))
        raise LakeError(f"{lake.root}: no rows of run '{params['run']}' for site '{params['site']}'; runs are {known}")
    if not any(row["first_us"] < params["end_us"] and row["last_us"] >= params["start_us"] for row in mine):
        first, last = min(row["first_us"] for row in mine), max(row["last_us"] for row in mine)
        asked = params["start_us"] + _SLACK_US, params["end_us"] - _SLACK_US
        raise LakeError(
            f"{lake.root}: site '{params['site']}' has rows from {_clock(first)} to {_clock(last)} UTC, none between "
            f"{_clock(asked[0])} and {_clock(asked[1])}"
        )


def _clock(time_us: int) -> str:
    return f"{from_us(time_us):%Y-%m-%d %H:%M:%S}"


def _timed() -> list[tuple[str, str]]:
    return [(name, _time_column(name)) for name in _TABLES if name in TABLES]


def _time_column(table: str) -> str:
    return str(next(field.name for field in TABLES[table] if pa.types.is_timestamp(field.type)))


def _read(lake: Lake, table: str, params: dict[str, Any], numbering: str) -> Columns:
    names = [field.name for field in TABLES[table] if field.name not in _UNREAD]
    time = _time_column(table)
    mine = f"SELECT {', '.join(names)} FROM {table} WHERE {_MINE.format(time=time)}"
    if table in _TRACKED:
        names.append("tracklet")
        mine = f"""SELECT mine.*, coalesce(tracklet, {NOBODY}) AS tracklet FROM ({mine}) mine
            LEFT JOIN (SELECT run_id, camera_id, local_id, tracklet FROM ({numbering})) numbered
            USING (run_id, camera_id, local_id)"""
    if table == "journeys":
        names.append("identity")
        mine = f"""SELECT mine.*, coalesce(identity, {NOBODY}) AS identity FROM ({mine}) mine
            LEFT JOIN (SELECT DISTINCT run_id, session_id, identity_id, identity FROM ({numbering})
                       WHERE identity_id IS NOT NULL) numbered
            USING (run_id, session_id, identity_id)"""
    order = ", ".join(name for name in ("camera_id", time, "lane_id", "local_id", "journey_id") if name in names)
    rows = lake.sql(f"SELECT * FROM ({mine}) ORDER BY {order}", params)
    return {_attribute(name): _numpy(rows[name]) for name in names}


def _attribute(column: str) -> str:
    """time -> time_us, enter_time -> enter_us: as the records of core name instants."""
    if column == "time":
        return "time_us"
    return column.removesuffix("_time") + "_us" if column.endswith("_time") else column


def _numpy(column: pa.ChunkedArray) -> np.ndarray[Any, Any]:
    if pa.types.is_timestamp(column.type):
        column = pc.fill_null(column.cast(pa.int64()), NOBODY)
    elif pa.types.is_boolean(column.type):
        column = pc.fill_null(column, fill_value=False)
    elif pa.types.is_integer(column.type) and column.null_count:
        column = column.cast(pa.float64())
    return np.asarray(column.to_numpy())


def _settings(lake: Lake, params: dict[str, Any]) -> dict[str, Any] | None:
    rows = lake.rows(
        """SELECT settings_json FROM sites WHERE site_id = $site AND ($run IS NULL OR run_id = $run)
           AND time < make_timestamptz($end_us) AND time >= make_timestamptz($start_us) - INTERVAL 1 DAY
           ORDER BY time DESC, run_id DESC LIMIT 1""",
        params,
    )
    if not rows:
        return None
    settings: dict[str, Any] = json.loads(rows[0]["settings_json"])
    return settings
