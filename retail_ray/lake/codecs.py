"""Records to Arrow and back: the only place where the lake's columns meet the types of core."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from operator import attrgetter
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from retail_ray.core.errors import DataError, LakeError
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
from retail_ray.core.time import BusinessDay
from retail_ray.lake.detection_codec import decode_detections, detection_columns
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


RetailRow = QueueVisit | QueueMinute | HeatCell | Journey | Alert | Transaction | Conversion
OccupancyRecord = OccupancyRow | OccupancyCorrection
Row = TrackletRow | IdentityEvent | LineCrossing | ZoneVisit | OccupancyRecord | RetailRow | CoverageRow | SiteRow
Record = DetectionRows | Row

_ROW_TYPES: Final[dict[str, type[Any]]] = {
    "tracklets": TrackletRow,
    "identity_events": IdentityEvent,
    "line_crossings": LineCrossing,
    "zone_visits": ZoneVisit,
    "occupancy": OccupancyRow,
    "occupancy_corrections": OccupancyCorrection,
    "queue_visits": QueueVisit,
    "queue_metrics": QueueMinute,
    "heat": HeatCell,
    "journeys": Journey,
    "transactions": Transaction,
    "conversions": Conversion,
    "alerts": Alert,
    "coverage": CoverageRow,
    "sites": SiteRow,
}
_COMMON: Final = ("site_id", "run_id", "config_version")
_DERIVED: Final = {"zone_visits": ("dwell_s",), "queue_visits": ("wait_s", "service_s"), "journeys": ("duration_s",)}
_NAN_IS_NULL: Final = {
    "tracklets": ("path_m", "best_crop_quality"),
    "identity_events": ("score", "margin", "p_same"),
    "queue_metrics": ("avg_wait_s", "max_wait_s"),
    "journeys": ("p_same", "staff_probability"),
    "transactions": ("amount",),
    "conversions": ("offset_s", "uncertainty_s"),
}
_STAYS_AS_NUMBERS: Final = pa.list_(
    pa.struct(
        [
            pa.field(field.name, pa.int64() if pa.types.is_timestamp(field.type) else field.type)
            for field in TABLES["journeys"].field("stays").type.value_type
        ]
    )
)
_MINUTES: Final = frozenset({"occupancy", "queue_metrics", "coverage"})


def encode(table: str, records: Sequence[Record], context: RowContext) -> pa.Table:
    """Rows of one table; their order is kept. DataError names the table where a record is not its type."""
    schema = schema_of(table)
    wanted = DetectionRows if table == "detections" else _ROW_TYPES[table]
    for kind in dict.fromkeys(map(type, records)):
        if not issubclass(kind, wanted):
            raise DataError(f"table '{table}' takes {wanted.__name__}, found {kind.__name__}")
    try:
        columns = detection_columns(records) if table == "detections" else _row_columns(table, records)
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
        return decode_detections(data)
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


def day_us(table: str, record: Record) -> int:
    """The instant that decides a row's business day; not of detections, which come as many rows in one."""
    return int(getattr(record, _attribute(table, DAY_COLUMN[table])))


def to_parquet(data: pa.Table) -> bytes:
    """The file's bytes: the same rows give the same bytes."""
    sink = pa.BufferOutputStream()
    pq.write_table(data.combine_chunks(), sink, **parquet_options(data.schema))
    return bytes(sink.getvalue())


def parquet_options(schema: pa.Schema) -> dict[str, Any]:
    """How every file of the lake is written, for pyarrow's writers."""
    return {
        "compression": "zstd",
        "compression_level": 3,
        "version": "2.6",
        "store_schema": True,
        "use_dictionary": [field.name for field in schema if pa.types.is_dictionary(field.type)],
        "column_encoding": _encodings(schema),
    }


def _encodings(schema: pa.Schema) -> dict[str, str]:
    """What makes numbers small: over a day of detections a fifth less than dictionaries, and as fast to read."""
    return {
        field.name: "BYTE_STREAM_SPLIT" if pa.types.is_floating(field.type) else "DELTA_BINARY_PACKED"
        for field in schema
        if pa.types.is_floating(field.type) or pa.types.is_integer(field.type) or pa.types.is_timestamp(field.type)
    }


def _as(field: pa.Field, values: Any) -> pa.Array:
    if pa.types.is_timestamp(field.type):
        array = pa.array(values, pa.int64()).cast(field.type)
    else:
        array = values.cast(field.type) if isinstance(values, pa.Array) else pa.array(values, field.type)
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
    columns: dict[str, Any] = {}
    for name in TABLES[table].names:
        if name in _COMMON:
            continue
        values = list(map(attrgetter(_attribute(table, name)), records))
        if name in nan_is_null:
            columns[name] = pa.array(values, pa.float64(), from_pandas=True)
        else:
            columns[name] = _stays(values) if name == "stays" else values
    return columns


def _stays(stays_of: Sequence[Sequence[JourneyStay]]) -> pa.ListArray:
    """One list per visit, out of one array per field."""
    lists = TABLES["journeys"].field("stays").type
    ends = np.cumsum([0, *map(len, stays_of)], dtype=np.int32)
    flat = [stay for stays in stays_of for stay in stays]
    fields = list(lists.value_type)
    columns = [_as(field, list(map(attrgetter(_attribute("journeys", field.name)), flat))) for field in fields]
    return pa.ListArray.from_arrays(pa.array(ends), pa.StructArray.from_arrays(columns, fields=fields), lists)


def _values(table: str, name: str, column: pa.ChunkedArray) -> list[Any]:
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.int64())
    if pa.types.is_primitive(column.type) and not column.null_count and not pa.types.is_boolean(column.type):
        return list(column.to_numpy().tolist())
    if name == "stays":
        return [_journey_stays(stays) for stays in column.cast(_STAYS_AS_NUMBERS).to_pylist()]
    values = column.to_pylist()
    return [np.nan if value is None else value for value in values] if name in _NAN_IS_NULL.get(table, ()) else values


def _journey_stays(stays: list[dict[str, Any]]) -> tuple[JourneyStay, ...]:
    return tuple(JourneyStay(stay["zone_id"], stay["enter_time"], stay["exit_time"]) for stay in stays)
