"""What rows of a lake say about each other: duplicates, references to nothing, minutes without coverage."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from retail_ray.lake.retention import first_kept_days
from retail_ray.lake.runs import runs
from retail_ray.lake.views import Lake, open_lake

Kind = Literal[
    "record", "missing", "damaged", "orphan", "foreign", "future_schema", "doubled", "duplicate", "reference",
    "unfinished", "gap", "not_looked_at",
]  # fmt: skip

KEYS: Final = {
    "detections": ("camera_id", "time", "local_id", "x1_px", "y1_px", "x2_px", "y2_px"),
    "tracklets": ("camera_id", "local_id"),
    "identity_events": ("sequence",),
    "line_crossings": ("line_id", "camera_id", "local_id", "time"),
    "zone_visits": ("zone_id", "camera_id", "local_id", "enter_time"),
    "occupancy": ("time",),
    "queue_visits": ("lane_id", "camera_id", "local_id", "session_id", "identity_id", "join_time"),
    "queue_metrics": ("lane_id", "time"),
    "heat": ("time", "x0_m", "y0_m", "cell_m"),
    "journey_versions": ("journey_id", "version"),
    "alerts": ("time", "rule_id", "dedup_key", "state"),
}
"""What tells two rows of one run and version apart. Rows of coverage add up: several may speak of one minute."""
_REFERENCES: Final = ("detections", "identity_events", "line_crossings", "zone_visits", "queue_visits")
_MOST: Final = 50
_MEMORY: Final = "2GB"
_LONGEST_S: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Finding:
    """kind: what is wrong. place: a file relative to the lake, or a table, day and site. text: what, and what to do."""

    kind: Kind
    place: str
    text: str


def row_findings(lake_root: Path) -> tuple[list[Finding], list[Finding]]:
    """Faults (duplicates, broken references) and notes (gaps in coverage). LakeError where a file cannot be read."""
    with open_lake(lake_root, max_execution_s=_LONGEST_S, memory_limit=_MEMORY) as lake:
        faults = [finding for table in KEYS for finding in _duplicates(lake, table)]
        faults += [finding for table in _REFERENCES for finding in _broken(lake, table, lake_root)]
        return faults, _gaps(lake)


def _duplicates(lake: Lake, view: str) -> list[Finding]:
    """Day by day, and boxes camera by camera, to bound memory."""
    found = []
    key = ", ".join(("site_id", "run_id", "config_version", *KEYS[view]))
    parts = ("date", "site_id", "camera_id") if view == "detections" else ("date", "site_id")
    here = " AND ".join(f"{name} = ${name}" for name in parts)
    for part in lake.rows(f"SELECT DISTINCT {', '.join(parts)} FROM {view} ORDER BY ALL"):
        row = lake.rows(
            f"""SELECT coalesce(sum(n - 1), 0)::BIGINT AS extra FROM (
            SELECT count(*) AS n FROM {view} WHERE {here} GROUP BY {key} HAVING n > 1)""",
            part,
        )[0]
        if row["extra"]:
            text = f"{row['extra']} rows stand there twice (same {', '.join(KEYS[view])}): look for copied files"
            found.append(Finding("duplicate", " ".join([view, *map(str, part.values())]), text))
    return found


def _broken(lake: Lake, table: str, lake_root: Path) -> list[Finding]:
    """Rows whose tracklet is not in the lake. It is written when it ends, perhaps on the day before or after; those of
    the run's newest day may still be open, and those before the first kept day are gone on purpose."""
    kept = first_kept_days(lake_root)
    rows = lake.rows(
        f"""WITH last AS (SELECT site_id, run_id, max(date) AS newest FROM coverage GROUP BY ALL)
        SELECT t.date, t.site_id, count(*) AS n FROM {table} t
        JOIN last USING (site_id, run_id)
        ANTI JOIN tracklets k USING (site_id, run_id, camera_id, local_id)
        WHERE t.local_id IS NOT NULL AND (t.date < last.newest OR t.run_id IN (SELECT unnest($complete)))
        GROUP BY ALL ORDER BY ALL LIMIT {_MOST}""",
        {"complete": _complete(lake_root)},
    )
    return [
        Finding(
            "reference", f"{table} {row['date']} {row['site_id']}", f"{row['n']} rows of tracklets that are not there"
        )
        for row in rows
        if (row["site_id"], "tracklets") not in kept or row["date"] >= kept[row["site_id"], "tracklets"]
    ]


def _complete(lake_root: Path) -> list[str]:
    return [run.run_id for run in runs(lake_root) if run.status == "complete"]


def _gaps(lake: Lake) -> list[Finding]:
    """Minutes of a business day, between a camera's first and last, of which no row of coverage speaks."""
    rows = lake.rows(
        f"""SELECT date, site_id, camera_id,
               date_diff('minute', min(time), max(time)) + 1 - count(DISTINCT time) AS minutes
        FROM coverage GROUP BY ALL HAVING minutes > 0 ORDER BY ALL LIMIT {_MOST}"""
    )
    return [
        Finding(
            "gap", f"coverage {row['date']} {row['site_id']}", f"camera '{row['camera_id']}': {row['minutes']} minutes"
        )
        for row in rows
    ]
