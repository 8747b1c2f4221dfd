"""Records to Arrow and back: the only place where the lake's columns meet the types of core."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from retail_ray.core.errors import DataError, LakeError
from retail_ray.core.records import (
    FOOT_SOURCES,
    CoverageRow,
    DetectionRows,
    IdentityEvent,
    LineCrossing,
    OccupancyRow,
    TrackletRow,
    ZoneVisit,
)
from retail_ray.core.time import BusinessDay
from retail_ray.core.types import UNTRACKED
from retail_ray.lake.schemas import DAY_COLUMN, TABLES


@dataclass(frozen=True, slots=True)
class RowContext:
    """The columns that every row of a run shares."""

    site_id: str
    run_id: str
    config_version: str


@dataclass(frozen=True, slots=True)
class SiteRow:
    """One version of a site's geometry and settings, as a run used it from `time_us` on."""

    time_us: int
    name: str
    timezone: str
    day_start: str
    settings_json: str


Row = TrackletRow | IdentityEvent | LineCrossing | ZoneVisit | OccupancyRow | CoverageRow | SiteRow
Record = DetectionRows | Row

_ROW_TYPES: Final[dict[str, type[Any]]] = {
    "tracklets": TrackletRow,
    "identity_events": IdentityEvent,
    "line_crossings": LineCrossing,
    "zone_visits": ZoneVisit,
    "occupancy": OccupancyRow,
    "coverage": CoverageRow,
    "sites": SiteRow,
}
_COMMON: Final = ("site_id", "run_id", "config_version")
_DERIVED: Final = {"zone_visits": ("dwell_s",)}
_NAN_IS_NULL: Final = {
    "tracklets": ("path_m", "best_crop_quality"),
    "identity_events": ("score", "margin"),
}
_MINUTES: Final = frozenset({"occupancy", "coverage"})


def encode(table: str, records: Sequence[Record], context: RowContext) -> pa.Table:
    """Rows of one table; their order is kept. DataError names the table where a record is not its type."""
    schema = schema_of(table)
    wanted = DetectionRows if table == "detections" else _ROW_TYPES[table]
    for record in records:
        if not isinstance(record, wanted):
            raise DataError(f"table '{table}' takes {wanted.__name__}, found {type(record).__name__}")
    try:
        columns = _detection_columns(records) if table == "detections" else _row_columns(table, records)
        n = sum(map(len, records)) if table == "detections" else len(records)  # type: ignore[arg-type]
        shared = {name: _repeated(getattr(context, name), n) for name in _COMMON}
        arrays = [_as(field, (shared | columns)[field.name]) for field in schema]
        return pa.Table.from_arrays(arrays, schema=schema)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError, UnicodeError) as error:
        raise DataError(f"table '{table}': a record cannot be stored: {error}") from error


def decode(table: str, data: pa.Table) -> list[Record]:
    """The records of a table in their order; detections come back as one DetectionRows per camera and mask size."""
    schema = schema_of(table)
    missing = [field.name for field in schema if field.name not in data.column_names]
    if missing:
        raise DataError(f"table '{table}': column(s) {', '.join(missing)} are missing")
    if table == "detections":
        return _decode_detections(data)
    kind = _ROW_TYPES[table]
    names = [name for name in schema.names if name not in (*_COMMON, *_DERIVED.get(table, ()))]
    columns = [_values(table, name, data[name]) for name in names]
    attributes = [_attribute(table, name) for name in names]
    return [kind(**dict(zip(attributes, row, strict=True))) for row in zip(*columns, strict=True)]


def schema_of(table: str) -> pa.Schema:
    if table not in TABLES:
        raise LakeError(f"the lake has no table '{table}'; it has {', '.join(TABLES)}")
    return TABLES[table]


def split_by_day(table: str, data: pa.Table, day: BusinessDay) -> dict[date, pa.Table]:
    """Rows by business day, oldest day first; a stay or tracklet belongs to the day of its beginning."""
    if not len(data):
        return {}
    times = data[DAY_COLUMN[table]].cast(pa.int64()).to_numpy()
    first = day.date_of(int(times.min()))
    if times.max() < day.end_us(first):
        return {first: data}
    days = np.array([day.date_of(int(time_us)).toordinal() for time_us in times])
    return {date.fromordinal(int(number)): data.filter(pa.array(days == number)) for number in np.unique(days)}


def to_parquet(data: pa.Table) -> bytes:
    """The file's bytes: the same rows give the same bytes."""
    sink = pa.BufferOutputStream()
    pq.write_table(
        data.combine_chunks(), sink, compression="zstd", compression_level=3, version="2.6", store_schema=True
    )
    return bytes(sink.getvalue())


def _as(field: pa.Field, values: Any) -> pa.Array:
    if pa.types.is_timestamp(field.type):
        return pa.array(values, pa.int64()).cast(field.type)
    if pa.types.is_dictionary(field.type):
        text = values if isinstance(values, pa.DictionaryArray) else pa.array(values, pa.string()).dictionary_encode()
        array = text.cast(field.type)
    else:
        array = pa.array(values, field.type)
    if array.null_count and not field.nullable:
        raise pa.ArrowInvalid(f"column {field.name} has no value for some rows")
    return array


def _repeated(word: str, n: int) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(n, np.int32)), pa.array([word], pa.string()))


def _attribute(table: str, column: str) -> str:
    """Name in the record: time -> time_us (minute_us where a row is a minute), enter_time -> enter_us."""
    if column == "time":
        return "minute_us" if table in _MINUTES else "time_us"
    return column.removesuffix("_time") + "_us" if column.endswith("_time") else column


def _row_columns(table: str, records: Sequence[Any]) -> dict[str, Any]:
    nan_is_null = _NAN_IS_NULL.get(table, ())
    columns = {}
    for name in TABLES[table].names:
        if name in _COMMON:
            continue
        read: Callable[[Any], Any] = _reader(_attribute(table, name))
        values = [read(record) for record in records]
        columns[name] = [None if math.isnan(value) else value for value in values] if name in nan_is_null else values
    return columns


def _reader(attribute: str) -> Callable[[Any], Any]:
    return lambda record: getattr(record, attribute)


def _values(table: str, name: str, column: pa.ChunkedArray) -> list[Any]:
    if pa.types.is_timestamp(column.type):
        return list(column.cast(pa.int64()).to_pylist())
    values = column.to_pylist()
    return [np.nan if value is None else value for value in values] if name in _NAN_IS_NULL.get(table, ()) else values


def _detection_columns(records: Sequence[Any]) -> dict[str, Any]:
    def joined(name: str, empty: tuple[int, ...], dtype: type[np.generic]) -> Any:
        return np.concatenate([np.zeros(empty, dtype), *(getattr(rows, name) for rows in records)])

    boxes, feet = joined("xyxy_px", (0, 4), np.float32), joined("foot_px", (0, 2), np.float32)
    floor = joined("floor_xy_m", (0, 2), np.float64)
    local_id = joined("local_id", (0,), np.int64)
    source = joined("foot_source", (0,), np.int8).astype(np.int32)
    return {
        "camera_id": [rows.camera_id for rows in records for _ in range(len(rows))],
        "frame_index": joined("frame_index", (0,), np.int64),
        "time": joined("time_us", (0,), np.int64),
        **{f"{name}_px": boxes[:, i] for i, name in enumerate(("x1", "y1", "x2", "y2"))},
        "confidence": joined("confidence", (0,), np.float32),
        "local_id": pa.array(local_id, mask=local_id == UNTRACKED),
        "foot_x_px": feet[:, 0],
        "foot_y_px": feet[:, 1],
        "foot_source": pa.DictionaryArray.from_arrays(pa.array(source), pa.array(FOOT_SOURCES)),
        "floor_x_m": pa.array(floor[:, 0], mask=np.isnan(floor[:, 0])),
        "floor_y_m": pa.array(floor[:, 1], mask=np.isnan(floor[:, 1])),
        "visible_share": joined("visible_share", (0,), np.float32),
        "mask": [_mask(counts, rows.mask_hw) for rows in records for counts in rows.mask_rle],
    }


def _mask(counts: bytes | None, size_hw: tuple[int, int]) -> dict[str, Any] | None:
    return None if counts is None else {"size": list(size_hw), "counts": counts.decode("ascii")}


def _decode_detections(data: pa.Table) -> list[Record]:
    cameras, masks = data["camera_id"].to_pylist(), data["mask"].to_pylist()
    sizes = [None if mask is None else tuple(mask["size"]) for mask in masks]
    result: list[Record] = []
    start = 0
    for camera_id, rows in groupby(range(len(data)), cameras.__getitem__):
        camera_rows = list(rows)
        for stop in _size_changes(sizes, camera_rows):
            part = data.slice(start, stop - start)
            result.append(_one_camera(camera_id, part, masks[start:stop], sizes[start:stop]))
            start = stop
    return result


def _size_changes(sizes: list[Any], rows: list[int]) -> list[int]:
    """Where a run of rows must end so that each holds masks of one frame size only."""
    ends, current = [], None
    for row in rows:
        if sizes[row] is not None and current not in (None, sizes[row]):
            ends.append(row)
        current = sizes[row] or current
    return [*ends, rows[-1] + 1]


def _one_camera(camera_id: str, data: pa.Table, masks: list[Any], sizes: list[Any]) -> DetectionRows:
    def numbers(*names: str, dtype: type[np.generic]) -> Any:
        columns = [data[name].to_numpy().astype(dtype) for name in names]
        return columns[0] if len(columns) == 1 else np.stack(columns, axis=1)

    source = {name: i for i, name in enumerate(FOOT_SOURCES)}
    return DetectionRows(
        camera_id=camera_id,
        frame_index=numbers("frame_index", dtype=np.int64),
        time_us=data["time"].cast(pa.int64()).to_numpy(),
        xyxy_px=numbers("x1_px", "y1_px", "x2_px", "y2_px", dtype=np.float32),
        confidence=numbers("confidence", dtype=np.float32),
        local_id=pc.fill_null(data["local_id"], UNTRACKED).to_numpy(),
        foot_px=numbers("foot_x_px", "foot_y_px", dtype=np.float32),
        foot_source=np.array([source[name] for name in data["foot_source"].to_pylist()], np.int8),
        floor_xy_m=numbers("floor_x_m", "floor_y_m", dtype=np.float64),
        visible_share=numbers("visible_share", dtype=np.float32),
        mask_rle=tuple(None if mask is None else mask["counts"].encode("ascii") for mask in masks),
        mask_hw=next((size for size in sizes if size is not None), (0, 0)),
    )
