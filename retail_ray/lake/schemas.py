"""One Arrow schema per table of the lake; unit and meaning stand in the metadata of each field.

Decided once, for every table:
- An instant is `timestamp[us, UTC]`, named `time` or `…_time`: the same integer as the records' `…_us`.
- "None" is NULL: a NaN of a record (no calibration, no score) and `UNTRACKED` become NULL and come back.
- Text that repeats (ids, kinds, reasons) is dictionary-encoded.
- `date` (the business day) and `site` are no columns of the files but their folders' names.
"""

from __future__ import annotations

from typing import Final

import pyarrow as pa

SCHEMA_VERSION: Final = 1
META_TABLE: Final = b"retail_ray.table"
META_VERSION: Final = b"retail_ray.schema_version"

_INSTANT = pa.timestamp("us", tz="UTC")
_WORD = pa.dictionary(pa.int32(), pa.string())
_MASK = pa.struct([pa.field("size", pa.list_(pa.int32())), pa.field("counts", pa.string())])


def _column(name: str, kind: pa.DataType, meaning: str, unit: str = "", *, nullable: bool = False) -> pa.Field:
    metadata = {"meaning": meaning} | ({"unit": unit} if unit else {})
    return pa.field(name, kind, nullable=nullable, metadata=metadata)


def _instant(name: str, meaning: str) -> pa.Field:
    return _column(name, _INSTANT, meaning, "us since 1970-01-01 UTC, event time")


def _camera() -> pa.Field:
    return _column("camera_id", _WORD, "camera that saw it")


def _local_id(*, nullable: bool = False) -> pa.Field:
    meaning = "tracklet of this camera and run" + ("; NULL where none took the box" if nullable else "")
    return _column("local_id", pa.int64(), meaning, nullable=nullable)


def _table(name: str, meaning: str, *columns: pa.Field) -> pa.Schema:
    common = [
        _column("site_id", _WORD, "site"),
        _column("run_id", _WORD, "run that wrote the row"),
        _column("config_version", _WORD, "version of geometry and settings, see table sites"),
    ]
    metadata = {META_TABLE: name, META_VERSION: str(SCHEMA_VERSION), "meaning": meaning}
    return pa.schema([*common, *columns], metadata=metadata)


TABLES: Final[dict[str, pa.Schema]] = {
    "detections": _table(
        "detections",
        "every person box of every analysed frame",
        _camera(),
        _column("frame_index", pa.int64(), "frame of the source, counted from 0, analysed or not"),
        _instant("time", "presentation time of the frame"),
        _column("x1_px", pa.float32(), "left edge in the native frame", "px"),
        _column("y1_px", pa.float32(), "upper edge in the native frame", "px"),
        _column("x2_px", pa.float32(), "right edge in the native frame", "px"),
        _column("y2_px", pa.float32(), "lower edge in the native frame", "px"),
        _column("confidence", pa.float32(), "the detector's confidence, 0 to 1"),
        _local_id(nullable=True),
        _column("foot_x_px", pa.float32(), "where the person touches the floor, native frame", "px"),
        _column("foot_y_px", pa.float32(), "where the person touches the floor, native frame", "px"),
        _column("foot_source", _WORD, "box, mask, or estimated where the feet are hidden"),
        _column("floor_x_m", pa.float64(), "foot point on the floor; NULL without calibration", "m", nullable=True),
        _column("floor_y_m", pa.float64(), "foot point on the floor; NULL without calibration", "m", nullable=True),
        _column("visible_share", pa.float32(), "estimated share of the person not hidden, 0 to 1"),
        _column("mask", _MASK, "COCO run-length mask of key frames: size [height, width], counts", nullable=True),
    ),
    "tracklets": _table(
        "tracklets",
        "one camera's unbroken track of one person, written when it has ended",
        _camera(),
        _local_id(),
        _instant("first_time", "first frame of the tracklet; decides the business day"),
        _instant("last_time", "last frame of the tracklet"),
        _column("frames", pa.int64(), "analysed frames with a box of this tracklet"),
        _column("mean_confidence", pa.float64(), "mean confidence of its boxes, 0 to 1"),
        _column("path_m", pa.float64(), "length of its way on the floor; NULL without calibration", "m", nullable=True),
        _column("embedded_crops", pa.int64(), "crops that were described for identification"),
        _column("best_crop_quality", pa.float64(), "quality of its best crop, 0 to 1", nullable=True),
    ),
    "identity_events": _table(
        "identity_events",
        "append-only decisions of the gallery; the view tracklet_identity resolves them",
        _instant("time", "event time of the decision"),
        _column("sequence", pa.int64(), "order of the decisions of one run"),
        _column(
            "kind", _WORD, "session, create, assign, merge (identity absorbs other), split (tracklet leaves other)"
        ),
        _column("session_id", _WORD, "identity session; identities are numbered within it"),
        _column("identity_id", pa.int64(), "identity that the decision is about", nullable=True),
        _column("other_identity_id", pa.int64(), "merge: the absorbed one; split: the one left", nullable=True),
        _column("camera_id", _WORD, "camera of the tracklet", nullable=True),
        _column("local_id", pa.int64(), "tracklet of that camera", nullable=True),
        _column("score", pa.float64(), "similarity behind the decision, -1 to 1", nullable=True),
        _column("margin", pa.float64(), "lead over the next best", nullable=True),
        _column("reason", _WORD, "why"),
    ),
    "line_crossings": _table(
        "line_crossings",
        "completed crossings of counting lines",
        _column("line_id", _WORD, "counting line"),
        _camera(),
        _local_id(),
        _instant("time", "interpolated instant of the crossing"),
        _column("direction", _WORD, "in or out"),
        _column("turned_back", pa.bool_(), "came back within min_inside_s: not counted as an entry or exit"),
    ),
    "zone_visits": _table(
        "zone_visits",
        "one stay of one tracklet in one zone, stamped at the first and last crossing of its border",
        _column("zone_id", _WORD, "zone"),
        _camera(),
        _local_id(),
        _instant("enter_time", "first crossing inwards; decides the business day"),
        _instant("exit_time", "last crossing outwards"),
        _column("dwell_s", pa.float64(), "exit_time - enter_time", "s"),
        _column("observed_s", pa.float64(), "part of the stay that was seen", "s"),
        _column("bridged_s", pa.float64(), "part of the stay that was bridged over gaps", "s"),
        _column("censored", pa.bool_(), "cut off by the start or end of the track or data: the true stay is longer"),
    ),
    "occupancy": _table(
        "occupancy",
        "people inside at the end of each minute, from the counting lines since the start of the day",
        _instant("time", "start of the minute"),
        _column("entries", pa.int64(), "entries since the start of the day", "people"),
        _column("exits", pa.int64(), "exits since the start of the day", "people"),
        _column("inside", pa.int64(), "entries - exits", "people"),
    ),
    "coverage": _table(
        "coverage",
        "how much of each camera-minute was analysed; rows of one camera-minute add up",
        _camera(),
        _instant("time", "start of the minute"),
        _column("expected_frames", pa.int64(), "frames that should have been analysed", "frames"),
        _column("processed_frames", pa.int64(), "frames that were analysed", "frames"),
        _column("dropped_frames", pa.int64(), "frames that were dropped", "frames"),
        _column("reason", _WORD, "why frames are missing; empty when none is"),
    ),
    "sites": _table(
        "sites",
        "versioned geometry and settings",
        _instant("time", "event time from which a run used this version"),
        _column("name", pa.string(), "name for people"),
        _column("timezone", _WORD, "IANA timezone"),
        _column("day_start", _WORD, "local time at which a business day begins, HH:MM[:SS]"),
        _column("settings_json", pa.string(), "cameras, lines, zones and settings as JSON; no credentials"),
    ),
}

DAY_COLUMN: Final = {
    name: next(field.name for field in schema if pa.types.is_timestamp(field.type)) for name, schema in TABLES.items()
}
"""The instant of each table that decides a row's business day."""
