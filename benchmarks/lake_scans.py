"""Scans over a day of detections against DuckDB's own over the same files, and how fast rows are written."""

from __future__ import annotations

import tempfile
import time
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any, Final

import duckdb
import numpy as np
import pyarrow.parquet as pq

from benchmarks.year_lake import DAY
from retail_ray.core.records import FOOT_SOURCES, DetectionRows
from retail_ray.lake.codecs import RowContext, decode, encode
from retail_ray.lake.epochs import Stage
from retail_ray.lake.views import open_lake

_SCANS: Final = {
    "mean confidence by camera": "SELECT camera_id, count(*), avg(confidence) FROM {rows} GROUP BY ALL",
    "floor cells of half a metre": """SELECT floor(floor_x_m * 2) AS x, floor(floor_y_m * 2) AS y, count(*) FROM {rows}
        WHERE floor_x_m IS NOT NULL GROUP BY ALL""",
    "boxes a minute": "SELECT time_bucket(INTERVAL 1 MINUTE, time) AS minute, count(*) FROM {rows} GROUP BY ALL",
    "largest boxes": "SELECT max((x2_px - x1_px) * (y2_px - y1_px)), min(confidence), max(local_id) FROM {rows}",
}
_EPOCH_ROWS: Final = 60_000
_SMALL_TABLES: Final = ("tracklets", "identity_events", "zone_visits", "coverage", "line_crossings", "journeys")


def scans(root: Path, day: date, threads: int, repetitions: int) -> dict[str, Any]:
    """Million rows a second through the lake's views and by DuckDB alone, taking turns; medians."""
    files = [str(path) for path in sorted((root / "detections" / f"date={day}").rglob("*.parquet"))]
    count = sum(pq.read_metadata(path).num_rows for path in files)
    found = []
    with open_lake(root, threads=threads) as lake, duckdb.connect(":memory:") as plain:
        plain.execute(f"SET threads = {threads}")
        plain.execute("SET TimeZone = 'UTC'")
        for name, scan in _SCANS.items():
            views = scan.format(rows=f"(FROM detections WHERE date = DATE '{day}')")
            own = scan.format(rows=f"read_parquet({files}, hive_partitioning = false)")
            taken_s: dict[str, list[float]] = {"views": [], "duckdb": []}
            asks: dict[str, Any] = {"views": partial(lake.sql, views), "duckdb": partial(_alone, plain, own)}
            for _ in range(1 + max(5, repetitions // 3)):
                for who, ask in asks.items():
                    began = time.perf_counter()
                    ask()
                    taken_s[who].append(time.perf_counter() - began)
            medians = {who: float(np.median(some[1:])) for who, some in taken_s.items()}
            speeds = {f"{who}_million_rows_per_s": round(count / taken / 1e6, 1) for who, taken in medians.items()}
            found.append(
                {"scan": name, **speeds, "time_against_duckdb": round(medians["views"] / medians["duckdb"], 3)}
            )
    return {"rows": count, "files": len(files), "threads": threads, "scans": found}


def _alone(plain: Any, query: str) -> Any:
    return plain.sql(query).to_arrow_table()


def writes(root: Path, day: date) -> dict[str, Any]:
    """Rows a second of `Stage.write_records`: detections in epochs of an hour, other tables as they come."""
    file = next((root / "detections" / f"date={day}").rglob("*.parquet"))
    context = RowContext("store", "run1", "version")
    epochs = _epochs(file, 32)
    speeds = []
    with tempfile.TemporaryDirectory() as folder:
        stage = Stage(Path(folder), context, "camera", DAY)
        began = time.perf_counter()
        for number, rows in enumerate(epochs):
            stage.write_records("detections", [rows], number)
        taken_s = time.perf_counter() - began
        written = sum(map(len, epochs))
        speeds.append({"table": "detections", "rows": written, "rows_per_s": round(written / taken_s)})
        began = time.perf_counter()
        for rows in epochs:
            encode("detections", [rows], context)
        encoded_s = time.perf_counter() - began
        for table in _SMALL_TABLES:
            path = next((root / table / f"date={day}").rglob("*.parquet"))
            records = decode(table, pq.read_table(path, partitioning=None).slice(0, 50_000))
            began = time.perf_counter()
            stage.write_records(table, records, 0)
            taken_s = time.perf_counter() - began
            speeds.append({"table": table, "rows": len(records), "rows_per_s": round(len(records) / taken_s)})
    return {"tables": speeds, "detections_encoded_rows_per_s": round(written / encoded_s)}


def _epochs(file: Path, count: int) -> list[DetectionRows]:
    """Boxes as a camera hands them over; those of one file, cut into epochs."""
    data = pq.read_table(file, partitioning=None).slice(0, count * _EPOCH_ROWS)

    def numbers(dtype: Any, *names: str) -> Any:
        columns = [data[name].to_numpy().astype(dtype) for name in names]
        return columns[0] if len(columns) == 1 else np.stack(columns, axis=1)

    local_id = data["local_id"].fill_null(-1).to_numpy()
    source = {name: i for i, name in enumerate(FOOT_SOURCES)}
    foot_source = np.array([source[name] for name in data["foot_source"].to_pylist()], np.int8)
    columns = {
        "frame_index": numbers(np.int64, "frame_index"),
        "time_us": data["time"].cast("int64").to_numpy(),
        "xyxy_px": numbers(np.float32, "x1_px", "y1_px", "x2_px", "y2_px"),
        "confidence": numbers(np.float32, "confidence"),
        "local_id": local_id,
        "foot_px": numbers(np.float32, "foot_x_px", "foot_y_px"),
        "foot_source": foot_source,
        "floor_xy_m": numbers(np.float64, "floor_x_m", "floor_y_m"),
        "visible_share": numbers(np.float32, "visible_share"),
    }
    return [
        DetectionRows(
            "camera", **{name: column[start : start + _EPOCH_ROWS] for name, column in columns.items()},
            mask_rle=(None,) * min(_EPOCH_ROWS, len(data) - start), mask_hw=(720, 1280),
        )
        for start in range(0, len(data), _EPOCH_ROWS)
    ]  # fmt: skip
