"""A small lake with every table filled: each epoch one person comes in at the door, shops, queues and is gone."""

from __future__ import annotations

import shutil
import tempfile
from datetime import date, time
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from retail_ray.core.records import (
    CoverageRow,
    DetectionRows,
    IdentityEvent,
    LineCrossing,
    OccupancyCorrection,
    OccupancyRow,
    TrackletRow,
    ZoneVisit,
)
from retail_ray.core.retail_records import (
    Alert,
    Conversion,
    HeatCell,
    Journey,
    JourneyStay,
    QueueMinute,
    QueueVisit,
    Transaction,
)
from retail_ray.core.time import US_PER_MINUTE, US_PER_S, BusinessDay
from retail_ray.lake.codecs import RowContext, SiteRow
from retail_ray.lake.epochs import FileEntry, Stage, publish
from retail_ray.lake.runs import CameraSpan, RunRecord, begin_run, finish_run
from retail_ray.lake.schemas import TABLES
from retail_ray.lake.views import Lake, open_lake

SITE = "shop-1"
DAY = BusinessDay("UTC", time(0))
FIRST_DAY = date(2026, 3, 2)
START_US = DAY.start_us(FIRST_DAY) + 9 * 3600 * US_PER_S
DAY_US = 86_400 * US_PER_S
EPOCHS_A_DAY = 3
CAMERAS = ("door", "till")
BOXES = 20
NAN = float("nan")
_TEMPLATES = tempfile.TemporaryDirectory()


def epoch_us(epoch: int) -> int:
    """Epochs are minutes; those of one day follow on each other."""
    return START_US + epoch // EPOCHS_A_DAY * DAY_US + epoch % EPOCHS_A_DAY * US_PER_MINUTE


def boxes(camera: str, local_id: int, start_us: int) -> DetectionRows:
    n = BOXES
    number = np.arange(n)
    edges = np.stack([number + local_id, number, number + 50.0 + local_id, number + 150.0], axis=1)
    return DetectionRows(
        camera,
        number.astype(np.int64),
        start_us + number * US_PER_S,
        edges.astype(np.float32),
        np.full(n, 0.9, np.float32),
        np.where(number < n - 1, local_id, -1).astype(np.int64),
        edges[:, 2:].astype(np.float32),
        np.zeros(n, np.int8),
        edges[:, :2] / 10,
        np.where(number < n - 1, 1.0, NAN).astype(np.float32),
        (None,) * n,
        (1080, 1920),
    )


def stage_epoch(root: Path, epoch: int, run_id: str = "r1") -> list[FileEntry]:
    """Person number `epoch` + 1: `local_id` in both cameras, identity of the day's session, and everything counted."""
    context = RowContext(SITE, run_id, "c1")
    at, who = epoch_us(epoch), epoch + 1
    session = f"{SITE}-{epoch // EPOCHS_A_DAY}"
    entries = []
    for camera in CAMERAS:
        stage = Stage(root, context, camera, DAY)
        entries += stage.write_records("detections", [boxes(camera, who, at)], epoch)
        track = TrackletRow(camera, who, at, at + BOXES * US_PER_S, BOXES, 0.9, 3.0, 2, 0.8)
        entries += stage.write_records("tracklets", [track], epoch)
        entries += stage.write_records("coverage", [CoverageRow(camera, at, 600, 600, 0, "")], epoch)
    tables: dict[str, list[Any]] = {
        "identity_events": [
            IdentityEvent(at, 3 * epoch, "session", session, None, None, None, None, NAN, NAN, "day"),
            IdentityEvent(at, 3 * epoch + 1, "create", session, who, None, "door", who, NAN, NAN, "new", 0.9),
            IdentityEvent(at, 3 * epoch + 2, "assign", session, who, None, "till", who, 4.0, 2.0, "alike", 0.9),
        ],
        "line_crossings": [LineCrossing("main", "door", who, at + US_PER_S, "in", False)],
        "zone_visits": [ZoneVisit("shelf", "till", who, at, at + 9 * US_PER_S, 9.0, 0.0, False)],
        "occupancy": [OccupancyRow(at, who, 0, who)],
        "queue_visits": [QueueVisit("one", "till", who, session, who, at, at + 5, at + 9 * US_PER_S, "served")],
        "queue_metrics": [QueueMinute("one", at, 0.5, 1, 1, 1, 0, 5.0, 5.0, 60.0)],
        "heat": [HeatCell(at - at % (60 * US_PER_MINUTE), float(epoch), 0.0, 1.0, 9.0, 1)],
        "journeys": [
            Journey(
                f"j{who}",
                session,
                who,
                at,
                at + BOXES * US_PER_S,
                False,
                (JourneyStay("shelf", at, at + 9 * US_PER_S),),
                0.9,
                True,
                "pos",
                None,
                0.1,
                epoch,
            )
        ],
        "occupancy_corrections": [OccupancyCorrection(at, "seen_inside", who, who + 1)],
        "transactions": [Transaction(at + 6 * US_PER_S, "one", f"t{who}", 3.5, "EUR")],
        "conversions": [
            Conversion(
                at + 6 * US_PER_S,
                at + 5 * US_PER_S,
                "one",
                f"t{who}",
                1.0,
                0.1,
                run_id,
                "one",
                "till",
                who,
                session,
                who,
                at,
                at + 9 * US_PER_S,
                1,
            )
        ],
        "alerts": [Alert(at, "crowd", "raised", "info", f"k{epoch}", "shelf", None, None, 1.0, 0.5, "many")],
        "sites": [SiteRow(at, SITE, "UTC", "00:00:00", "{}")],
    }
    stage = Stage(root, context, "site", DAY)
    for table, rows in tables.items():
        entries += stage.write_records(table, rows, epoch)
    return entries


def publish_epoch(root: Path, epoch: int, run_id: str = "r1") -> None:
    publish(root, RowContext(SITE, run_id, "c1"), epoch, stage_epoch(root, epoch, run_id))


def begin(root: Path, run_id: str = "r1", cameras: tuple[str, ...] = CAMERAS, end_us: int | None = None) -> None:
    spans = tuple(CameraSpan(camera, START_US, end_us) for camera in cameras)
    begin_run(root, RunRecord(run_id, SITE, "c1", "test", spans, START_US))


def write_days(root: Path, days: int, run_id: str = "r1", *, complete: bool = True) -> None:
    """A run with `days` business days of EPOCHS_A_DAY epochs each."""
    shutil.copytree(_written(days, run_id, complete=complete), root, dirs_exist_ok=True)


@cache
def _written(days: int, run_id: str, *, complete: bool) -> Path:
    root = Path(_TEMPLATES.name) / f"{days}-{run_id}-{complete}"
    begin(root, run_id)
    for epoch in range(days * EPOCHS_A_DAY):
        publish_epoch(root, epoch, run_id)
    if complete:
        finish_run(root, run_id, START_US)
    return root


def rows(lake: Lake, *tables: str) -> dict[str, list[dict[str, Any]]]:
    """All rows of each table, in an order that no file decides."""
    names = tables or tuple(TABLES)
    return {name: lake.rows(f"SELECT * FROM {name} ORDER BY ALL") for name in names}


def all_rows(root: Path) -> dict[str, list[dict[str, Any]]]:
    with open_lake(root) as lake:
        return rows(lake)


def files(root: Path) -> list[Path]:
    return sorted(root.glob("[a-z]*/date=*/site=*/*.parquet"))
