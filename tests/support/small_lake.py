"""A shop's lake with a handful of rows, all of them known by heart."""

from __future__ import annotations

import json
from datetime import UTC, datetime, time
from pathlib import Path
from typing import Any

import numpy as np

from retail_ray.core.records import (
    CoverageRow,
    DetectionRows,
    IdentityEvent,
    LineCrossing,
    TrackletRow,
    ZoneVisit,
)
from retail_ray.core.time import BusinessDay, to_us
from retail_ray.lake.codecs import Record, RowContext, SiteRow
from retail_ray.lake.epochs import Stage, publish

MINUTE_US = 60_000_000
TEN_US = to_us(datetime(2026, 3, 2, 9, 0, tzinfo=UTC))  # 10:00 in Rome
NAN = float("nan")


def walk(camera_id: str, local_id: int, calibrated: bool) -> DetectionRows:
    """Ten frames of one person who walks 9 m along the floor."""
    n, across = 10, np.arange(10, dtype=np.float64)
    floor = np.stack([across, np.full(n, local_id, np.float64)], axis=1) if calibrated else np.full((n, 2), np.nan)
    return DetectionRows(
        camera_id=camera_id,
        frame_index=np.arange(n, dtype=np.int64),
        time_us=TEN_US + np.arange(n, dtype=np.int64) * 100_000,
        xyxy_px=np.tile(np.array([0, 0, 10, 30], np.float32), (n, 1)),
        confidence=np.full(n, 0.9, np.float32),
        local_id=np.full(n, local_id, np.int64),
        foot_px=np.tile(np.array([5, 30], np.float32), (n, 1)),
        foot_source=np.zeros(n, np.int8),
        floor_xy_m=floor,
        visible_share=np.ones(n, np.float32),
        mask_rle=(None,) * n,
        mask_hw=(0, 0),
    )


def site_row(zones: list[dict[str, Any]]) -> SiteRow:
    return SiteRow(TEN_US, "shop", "Europe/Rome", "06:00:00", json.dumps({"zones": zones}))


def full_tables() -> dict[str, list[Record]]:
    """Entries at 10 (two, and one that turned back) and 12, an exit at 12; two stays, one of them cut off."""
    crossings = [(1, "in", False), (2, "in", False), (3, "in", True), (121, "in", False), (125, "out", False)]
    zones = [
        {"id": "shelf", "name": "Wine", "m": [[1, 1], [4, 1], [4, 3], [1, 3]]},
        {"id": "till", "name": None, "m": None},
    ]
    return {
        "sites": [site_row(zones)],
        "detections": [walk("hall", 1, True), walk("hall", 2, True), walk("door", 1, False)],
        "tracklets": [
            TrackletRow(camera, local_id, TEN_US, TEN_US + 900_000, 10, 0.9, NAN, 1, 0.5)
            for camera, local_id in (("hall", 1), ("hall", 2), ("door", 1))
        ],
        "identity_events": [
            IdentityEvent(TEN_US, 0, "create", "s1", 1, None, "hall", 1, NAN, NAN, "new"),
            IdentityEvent(TEN_US, 1, "assign", "s1", 1, None, "door", 1, 0.9, 0.2, "appearance"),
        ],
        "line_crossings": [
            LineCrossing("main", "door", number, TEN_US + minute * MINUTE_US, way, back)  # type: ignore[arg-type]
            for number, (minute, way, back) in enumerate(crossings)
        ],
        "zone_visits": [
            ZoneVisit("shelf", "hall", number, TEN_US, TEN_US + dwell_s * 1_000_000, float(dwell_s), 0.0, cut)
            for number, (dwell_s, cut) in enumerate([(10, False), (40, True)])
        ],
        "coverage": [
            CoverageRow("door", TEN_US, 600, 600, 0, ""),
            CoverageRow("hall", TEN_US, 600, 450, 150, "behind"),
        ],
    }


def write_lake(root: Path, tables: dict[str, list[Record]]) -> Path:
    context = RowContext("shop", "r1", "c1")
    stage = Stage(root, context, "site", BusinessDay("Europe/Rome", time(6)))
    entries = [entry for table, rows in tables.items() for entry in stage.write_records(table, rows, 0)]
    publish(root, context, 0, entries)
    return root
