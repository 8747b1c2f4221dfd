"""What the lake holds of one run around a business day: what cameras saw, who is who, and what was counted of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from retail_ray.core.errors import LakeError
from retail_ray.core.records import CoverageRow
from retail_ray.core.time import BusinessDay
from retail_ray.lake.codecs import Record, decode
from retail_ray.lake.detection_codec import edges_px
from retail_ray.lake.files import lake_errors
from retail_ray.lake.schemas import TABLES

_SEEN_COLUMNS: Final = (
    "run_id", "camera_id", "time", "local_id", "confidence", "x1_px", "y1_px", "x2_px", "y2_px", "foot_x_px",
    "foot_y_px", "foot_source", "floor_x_m", "floor_y_m", "edge_x_px", "edge_y_px",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class SeenRows:
    """Tracked boxes of one camera, ordered by (time_us, local_id).

    time_us, local_id: (N,) int64. foot_px, edge_px: (N, 2) float32. floor_xy_m: (N, 2) float64, NaN where unknown.
    confidence: (N,) float32. foot_estimated: (N,) bool.
    """

    camera_id: str
    time_us: NDArray[np.int64]
    local_id: NDArray[np.int64]
    foot_px: NDArray[np.float32]
    floor_xy_m: NDArray[np.float64]
    edge_px: NDArray[np.float32]
    confidence: NDArray[np.float32]
    foot_estimated: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class StoredRun:
    """One run of one site in a lake, as partitions of business days."""

    lake_root: Path
    site_id: str
    run_id: str

    def dates(self, table: str) -> list[date]:
        """Business days of which the table has rows of this run, oldest first."""
        folders = sorted((Path(self.lake_root) / table).glob(f"date=*/site={self.site_id}"))
        days = [date.fromisoformat(folder.parent.name.removeprefix("date=")) for folder in folders]
        return [day for day in days if self.has(table, day)]

    def has(self, table: str, on: date) -> bool:
        """Whether the table may have rows of this run on this business day."""
        return any(True for _ in self._groups(table, on))

    def records(self, table: str, days: Sequence[date], version: str | None = None) -> list[Record]:
        """Rows of the table on these days, of one config version or of all; in the order of the files' names."""
        found: list[Record] = []
        for day in days:
            for path in self._files(table, day):
                data = _columns_of(table, _read(path))
                mine = pc.equal(data["run_id"].cast(pa.string()), self.run_id)
                if version is not None:
                    mine = pc.and_(mine, pc.equal(data["config_version"].cast(pa.string()), version))
                found += decode(table, data.filter(mine))
        return found

    def window_us(self, day: BusinessDay, on: date, quiet_us: int) -> tuple[int, int]:
        """[start, end) around a business day in which every tracklet of the day lies whole, and `quiet_us` without
        anybody before and behind it. Ends at most one business day away."""
        start_us, end_us = day.start_us(on), day.end_us(on)
        around = [on + timedelta(days=offset) for offset in (-2, -1, 0, 1)]
        spans = self._spans_us(around)
        spans = spans[np.argsort(spans[:, 0], kind="stable")]
        seen_until = np.maximum.accumulate(spans[:, 1]) if len(spans) else spans[:, 1]
        begins = spans[np.r_[True, spans[1:, 0] - seen_until[:-1] > quiet_us], 0] if len(spans) else spans[:, 0]
        ends = seen_until[np.r_[spans[1:, 0] - seen_until[:-1] > quiet_us, True]] if len(spans) else begins
        for begin_us, last_us in zip(begins.tolist(), ends.tolist(), strict=True):
            if begin_us < start_us <= last_us:
                start_us = max(begin_us, day.start_us(on - timedelta(days=1)))
            if begin_us < end_us <= last_us:
                end_us = min(last_us + 1, day.end_us(on + timedelta(days=1)))
        return start_us, end_us

    def _spans_us(self, days: Sequence[date]) -> NDArray[np.int64]:
        """(N, 2) first and last time of every tracklet of these days."""
        found = [np.zeros((0, 2), np.int64)]
        for path in (path for day in days for path in self._files("tracklets", day)):
            data = _read(path, ["run_id", "first_time", "last_time"])
            mine = data.filter(pc.equal(data["run_id"].cast(pa.string()), self.run_id))
            times = [mine[name].cast(pa.int64()).to_numpy() for name in ("first_time", "last_time")]
            found.append(np.stack(times, axis=1))
        return np.concatenate(found)

    def seen(self, days: Sequence[date], start_us: int, end_us: int, slice_us: int) -> Iterator[list[SeenRows]]:
        """Tracked boxes of [start_us, end_us), slice by slice, each as one SeenRows per camera."""
        groups = [group for on in days for group in self._groups("detections", on)]
        for begin_us in range(start_us, end_us, slice_us):
            until_us = min(begin_us + slice_us, end_us)
            due = [group for group in groups if group.first_us < until_us and group.last_us >= begin_us]
            yield _by_camera([group.read(self.run_id, begin_us, until_us) for group in due])

    def coverage(self, days: Sequence[date]) -> list[CoverageRow]:
        return [row for row in self.records("coverage", days) if isinstance(row, CoverageRow)]

    def _files(self, table: str, on: date) -> list[Path]:
        return sorted((Path(self.lake_root) / table / f"date={on}" / f"site={self.site_id}").glob("*.parquet"))

    def _groups(self, table: str, on: date) -> Iterator[_RowGroup]:
        for path in self._files(table, on):
            with lake_errors("read", path):
                try:
                    metadata = pq.read_metadata(path)
                except pa.ArrowInvalid as error:
                    raise LakeError(f"{path}: not a whole Parquet file: restore it or remove it ({error})") from error
            yield from _row_groups(path, metadata, self.run_id)


@dataclass(frozen=True, slots=True)
class _RowGroup:
    """A part of a file, and the event times in it."""

    path: Path
    number: int
    first_us: int
    last_us: int

    def read(self, run_id: str, begin_us: int, until_us: int) -> pa.Table:
        with lake_errors("read", self.path):
            file = pq.ParquetFile(self.path)
            data = file.read_row_group(self.number, columns=list(_SEEN_COLUMNS))
        times = data["time"].cast(pa.int64())
        kept = pc.and_(pc.greater_equal(times, begin_us), pc.less(times, until_us))
        kept = pc.and_(pc.and_(kept, data["local_id"].is_valid()), pc.equal(data["run_id"].cast(pa.string()), run_id))
        return _columns_of("detections", data.filter(kept)).select(list(_SEEN_COLUMNS))


def _read(path: Path, columns: list[str] | None = None) -> pa.Table:
    with lake_errors("read", path), pq.ParquetFile(path) as file:
        return file.read(columns)


def _row_groups(path: Path, metadata: pq.FileMetaData, run_id: str) -> Iterator[_RowGroup]:
    """Those that may hold rows of the run; where the file does not say what it holds, all of it."""
    names = metadata.schema.names
    time_column = next((names.index(name) for name in ("time", "first_time", "enter_time") if name in names), None)
    run_column = names.index("run_id") if "run_id" in names else None
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        run = None if run_column is None else group.column(run_column).statistics
        if run is not None and run.has_min_max and not run.min <= run_id <= run.max:
            continue
        times = None if time_column is None else group.column(time_column).statistics
        low, high = -(2**62), 2**62
        if times is not None and times.has_min_max:
            low, high = _us(times.min), _us(times.max)
        if group.num_rows:
            yield _RowGroup(path, number, low, high)


def _us(value: Any) -> int:
    return int(value) if isinstance(value, int) else int(np.datetime64(value.replace(tzinfo=None), "us").astype(int))


def _columns_of(table: str, data: pa.Table) -> pa.Table:
    """Columns that came with a later version are NULL in an older file."""
    for field in TABLES[table]:
        if field.name not in data.column_names and field.nullable:
            data = data.append_column(field, pa.nulls(len(data), field.type))
    return data


def _by_camera(parts: Sequence[pa.Table]) -> list[SeenRows]:
    by_name: dict[str, list[pa.Table]] = {}
    for part in parts:
        for camera_id in part["camera_id"].unique().to_pylist():
            mine = part.filter(pc.equal(part["camera_id"].cast(pa.string()), camera_id))
            by_name.setdefault(camera_id, []).append(mine)
    joined = {name: pa.concat_tables(tables, promote_options="default") for name, tables in by_name.items()}
    return [_seen(name, joined[name]) for name in sorted(joined)]


def _seen(camera_id: str, data: pa.Table) -> SeenRows:
    def pair(first: str, second: str, dtype: type[np.generic]) -> Any:
        return np.stack([data[name].to_numpy().astype(dtype) for name in (first, second)], axis=1)

    time_us, local_id = data["time"].cast(pa.int64()).to_numpy(), data["local_id"].to_numpy()
    order = np.lexsort((local_id, time_us))
    estimated = pc.equal(data["foot_source"].cast(pa.string()), "estimated").to_numpy()
    return SeenRows(
        camera_id,
        time_us[order],
        local_id[order],
        pair("foot_x_px", "foot_y_px", np.float32)[order],
        pair("floor_x_m", "floor_y_m", np.float64)[order],
        edges_px(data)[order],
        data["confidence"].to_numpy()[order],
        estimated[order],
    )
