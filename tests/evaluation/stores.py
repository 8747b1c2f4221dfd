"""A small store with two cameras, its truth, and a lake that saw everything right; tests then break the lake.

Four people walk along x in a shop 12 m long; camera `left` sees x < 8 m, camera `right` x > 4 m, at 5 frames/s.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time
from pathlib import Path
from typing import Any

import numpy as np

from retail_ray.core.records import (
    CoverageRow,
    DetectionRows,
    IdentityEvent,
    LineCrossing,
    OccupancyRow,
    ZoneVisit,
)
from retail_ray.core.retail_records import Journey, QueueMinute, QueueVisit
from retail_ray.core.time import US_PER_S, BusinessDay, to_us
from retail_ray.lake.codecs import Record, RowContext, SiteRow
from retail_ray.lake.epochs import Stage, publish
from retail_ray.lake.truth import TruthOf, write_truth

START_US = to_us(datetime(2026, 3, 2, 10, tzinfo=UTC))
FPS = 5
DURATION_S = 120
CAMERAS = {"left": (0.0, 8.0), "right": (4.0, 12.0)}
OF = TruthOf("shop", "tiny", 7, START_US, START_US + DURATION_S * US_PER_S, {})
SETTINGS = {
    "cameras": [{"id": name, "analysis_fps": float(FPS)} for name in CAMERAS],
    "lines": [{"id": "door"}],
    "zones": [{"id": "shelf"}],
}
SPEED_M_S = 0.5
IN, SHELF, OUT = 1.0, (5.0, 10.0), 11.0
NAN = float("nan")


@dataclass(frozen=True)
class Walk:
    """In at x = 1 m over the line `door`, through the zone `shelf` from 5 to 10 m, out at 11 m over `door`."""

    person: int
    begin_s: float

    def x_m(self, at_s: float) -> float:
        return (at_s - self.begin_s) * SPEED_M_S

    def at_us(self, x_m: float) -> int:
        return START_US + round((self.begin_s + x_m / SPEED_M_S) * US_PER_S)


STAFF, COMPANY = 4, (1, 2)
WALKS = tuple(Walk(person, begin_s) for person, begin_s in ((1, 0.0), (2, 13.0), (3, 40.0), (4, 77.0)))


@dataclass
class Seen:
    """The rows of a lake, as records that a test may change before `write`."""

    detections: dict[str, DetectionRows]
    tables: dict[str, list[Any]]
    identities: dict[tuple[str, int], int]
    site_id: str = "shop"
    shift_us: int = 0
    settings: dict[str, Any] | None = field(default_factory=lambda: SETTINGS)

    def write(self, root: Path) -> Path:
        context, day = RowContext(self.site_id, "r1", "c1"), BusinessDay("UTC", time(0))
        stage, entries = Stage(root, context, "test", day), []
        tables: dict[str, Sequence[Record]] = dict(self.tables)
        tables["detections"] = list(self.detections.values())
        tables["identity_events"] = self._identity_events()
        if self.settings is not None:
            tables["sites"] = [SiteRow(START_US, "shop", "UTC", "00:00", json.dumps(self.settings))]
        for name, records in tables.items():
            entries += stage.write_records(name, records, 0)
        root.mkdir(parents=True, exist_ok=True)
        publish(root, context, 0, entries)
        return root

    def _identity_events(self) -> list[Record]:
        first: set[int] = set()
        events: list[Record] = []
        for (camera, local_id), identity in sorted(self.identities.items()):
            kind = "assign" if identity in first else "create"
            first.add(identity)
            events.append(
                IdentityEvent(START_US, len(events), kind, "s1", identity, None, camera, local_id, NAN, NAN, "")  # type: ignore[arg-type]
            )
        return events

    def keep(self, camera: str, rows: np.ndarray[Any, Any]) -> None:
        """Only these detections (a mask)."""
        self.detections[camera] = take(self.detections[camera], rows)

    def change(self, table: str, number: int, **values: Any) -> None:
        self.tables[table][number] = replace(self.tables[table][number], **values)


def take(rows: DetectionRows, kept: np.ndarray[Any, Any]) -> DetectionRows:
    at = np.arange(len(rows))[kept]
    return replace(
        rows,
        **{
            name: getattr(rows, name)[at]
            for name in (
                "frame_index",
                "time_us",
                "xyxy_px",
                "confidence",
                "local_id",
                "foot_px",
                "foot_source",
                "floor_xy_m",
                "visible_share",
                "edge_px",
            )
        },
        mask_rle=tuple(rows.mask_rle[i] for i in at),
    )


def boxes(camera: str, walks: Sequence[Walk] = WALKS) -> dict[str, np.ndarray[Any, Any]]:
    """Rows of everybody in one camera: frame, person, x."""
    low, high = CAMERAS[camera]
    rows = [
        (frame, walk.person, walk.x_m(frame / FPS))
        for frame in range(DURATION_S * FPS)
        for walk in walks
        if low <= walk.x_m(frame / FPS) < high
    ]
    table = np.array(rows, np.float64).reshape(-1, 3)
    frame, person, x_m = table[:, 0].astype(np.int64), table[:, 1].astype(np.int64), table[:, 2]
    left_px = 100 * (x_m - low)
    xyxy_px = np.stack([left_px, np.full_like(x_m, 50), left_px + 60, np.full_like(x_m, 200)], axis=1)
    return {"frame": frame, "person": person, "x_m": x_m, "xyxy_px": xyxy_px.astype(np.float32)}


def perfect() -> Seen:
    """Every person is one tracklet per camera: local id = 10 × person."""
    return Seen(
        {camera: detections(camera) for camera in CAMERAS},
        {
            "tracklets": [],
            "line_crossings": [
                LineCrossing("door", "left" if way == "in" else "right", 10 * walk.person, walk.at_us(x), way, False)  # type: ignore[arg-type]
                for walk in WALKS
                for way, x in (("in", IN), ("out", OUT))
            ],
            # The cameras hand over in the middle of the zone.
            "zone_visits": [visit for walk in WALKS for visit in zone_visits(walk)],
            "occupancy": [occupancy(m) for m in range(DURATION_S // 60)],
            "coverage": [
                CoverageRow(camera, START_US + m * 60 * US_PER_S, 60 * FPS, 60 * FPS, 0, "")
                for camera in CAMERAS
                for m in range(DURATION_S // 60)
            ],
            "queue_visits": [
                QueueVisit("till", "right", 10 * person, None, None, join, service, leave, outcome)  # type: ignore[arg-type]
                for person, join, service, leave, outcome in QUEUE
            ],
            "journeys": [journey(walk) for walk in WALKS],
            "queue_metrics": [
                QueueMinute("till", START_US + m * 60 * US_PER_S, mean, 1, 0, 0, 0, NAN, NAN, 0.0)
                for m, mean in enumerate(QUEUE_MEAN)
            ],
        },
        {(camera, 10 * walk.person): walk.person for camera in CAMERAS for walk in WALKS},
    )


def detections(camera: str, walks: Sequence[Walk] = WALKS) -> DetectionRows:
    rows = boxes(camera, walks)
    n = len(rows["frame"])
    return DetectionRows(
        camera,
        rows["frame"],
        START_US + rows["frame"] * US_PER_S // FPS,
        rows["xyxy_px"],
        np.full(n, 0.9, np.float32),
        10 * rows["person"],
        rows["xyxy_px"][:, 2:],
        np.zeros(n, np.int8),
        np.stack([rows["x_m"], np.full(n, 3.0)], axis=1),
        np.ones(n, np.float32),
        (None,) * n,
        (0, 0),
    )


def zone_visits(walk: Walk) -> list[ZoneVisit]:
    enter, left_ends, right_begins, leave = (walk.at_us(x) for x in (SHELF[0], 8.0, 5.0, SHELF[1]))
    local_id = 10 * walk.person
    return [
        ZoneVisit("shelf", "left", local_id, enter, left_ends, 6.0, 0.0, True),
        ZoneVisit("shelf", "right", local_id, right_begins, leave, 10.0, 0.0, False),
    ]


def journey(walk: Walk) -> Journey:
    person = walk.person
    span_us = walk.at_us(IN), walk.at_us(OUT)
    group, staff = 7 if person in COMPANY else None, float(person == STAFF)
    return Journey(f"s1-{person}", "s1", person, *span_us, False, (), 1.0, None, None, group, staff)


def occupancy(minute: int) -> OccupancyRow:
    end_us = START_US + (minute + 1) * 60 * US_PER_S
    entries, exits = (sum(walk.at_us(x) <= end_us for walk in WALKS) for x in (IN, OUT))
    return OccupancyRow(START_US + minute * 60 * US_PER_S, entries, exits, entries - exits)


def _s(seconds: float) -> int:
    return START_US + round(seconds * US_PER_S)


# person, join, service, leave, outcome
QUEUE: tuple[tuple[int, int, int | None, int, str], ...] = (
    (1, _s(15), _s(18), _s(20), "served"),
    (2, _s(30), None, _s(36), "abandoned"),
    (4, _s(93), _s(99), _s(100), "served"),
)
QUEUE_MEAN = (9 / 60, 6 / 60)


def write_true(folder: Path, of: TruthOf = OF, **changed: dict[str, Any]) -> Path:
    """The exact truth; `changed` replaces tables."""
    parts = {camera: boxes(camera) for camera in CAMERAS}
    joined = {name: np.concatenate([part[name] for part in parts.values()]) for name in parts["left"]}
    camera_id = [camera for camera, part in parts.items() for _ in part["frame"]]
    time_us = START_US + joined["frame"] * US_PER_S // FPS
    corners = {name: joined["xyxy_px"][:, i] for i, name in enumerate(("x1_px", "y1_px", "x2_px", "y2_px"))}
    n, every_frame = len(time_us), np.arange(DURATION_S * FPS)
    ids = [walk.person for walk in WALKS]
    tables: dict[str, dict[str, Any]] = {
        "people": {
            "person_id": ids,
            "kind": ["staff" if person == STAFF else "shopper" for person in ids],
            "group_id": [1 if person in COMPANY else -1 for person in ids],
            "height_m": [1.7] * 4,
            "cluster": [0] * 4,
            "twin_of": [-1] * 4,
        },
        "visits": {
            "person_id": ids,
            "enter_us": [walk.at_us(IN) for walk in WALKS],
            "exit_us": [walk.at_us(OUT) for walk in WALKS],
            "served": [False] * 4,
        },
        "crossings": {
            "line_id": ["door"] * 8,
            "person_id": ids * 2,
            "time_us": [walk.at_us(x) for x in (IN, OUT) for walk in WALKS],
            "direction": ["in"] * 4 + ["out"] * 4,
            "turned_back": [False] * 8,
        },
        "zone_stays": {
            "zone_id": ["shelf"] * 4,
            "person_id": ids,
            "enter_us": [walk.at_us(SHELF[0]) for walk in WALKS],
            "exit_us": [walk.at_us(SHELF[1]) for walk in WALKS],
            "censored": [False] * 4,
        },
        "queue_visits": {
            "lane_id": ["till"] * len(QUEUE),
            "person_id": [row[0] for row in QUEUE],
            "join_us": [row[1] for row in QUEUE],
            "service_us": [-1 if row[2] is None else row[2] for row in QUEUE],
            "leave_us": [row[3] for row in QUEUE],
            "outcome": [row[4] for row in QUEUE],
        },
        "groups": {"group_id": [1] * len(COMPANY), "person_id": list(COMPANY)},
        "frames": {
            "camera_id": [camera for camera in CAMERAS for _ in every_frame],
            "frame_index": np.tile(every_frame, 2),
            "time_us": np.tile(START_US + every_frame * US_PER_S // FPS, 2),
            "stamp_us": np.tile(START_US + every_frame * US_PER_S // FPS, 2),
        },
        "boxes": {
            "camera_id": camera_id,
            "frame_index": joined["frame"],
            "time_us": time_us,
            "stamp_us": time_us,
            "person_id": joined["person"],
            **corners,
            **{f"full_{name}": values for name, values in corners.items()},
            "visible_share": np.ones(n),
            "x_m": joined["x_m"],
            "y_m": np.full(n, 3.0),
        },
    }
    write_truth(folder, of, tables | changed)
    return folder
