"""Exact truth of a simulated store as Parquet, one file per table in a folder, beside the clips.

Arrays go in and come out; `truth.json` says of which site, scenario and seed they are.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from retail_ray.core.errors import DataError, LakeError

FORMAT: Final = "retail_ray truth 1"
DESCRIPTION: Final = "truth.json"
_TIME = pa.int64()
_ID = pa.int32()

TRUTH_TABLES: Final[dict[str, pa.Schema]] = {
    "people": pa.schema(
        [
            ("person_id", _ID),
            ("kind", pa.string()),  # shopper, staff, passer_by
            ("group_id", _ID),  # -1: alone
            ("height_m", pa.float32()),
            ("cluster", _ID),
            ("twin_of", _ID),  # -1: nobody's twin
        ]
    ),
    "positions": pa.schema(
        [
            ("time_us", _TIME),
            ("person_id", _ID),
            ("x_m", pa.float32()),
            ("y_m", pa.float32()),
            ("heading_rad", pa.float32()),
            ("speed_mps", pa.float32()),
            ("activity", pa.string()),
        ]
    ),
    "visits": pa.schema(  # one row from entry to exit; exit -1: still inside at the end
        [
            ("person_id", _ID),
            ("enter_us", _TIME),
            ("exit_us", _TIME),
            ("served", pa.bool_()),
        ]
    ),
    "crossings": pa.schema(
        [
            ("line_id", pa.string()),
            ("person_id", _ID),
            ("time_us", _TIME),
            ("direction", pa.string()),  # in, out
            ("turned_back", pa.bool_()),  # a U-turn on the door line: no entry and no exit
        ]
    ),
    "zone_stays": pa.schema(  # every stay between two crossings of the border, short ones too
        [
            ("zone_id", pa.string()),
            ("person_id", _ID),
            ("enter_us", _TIME),
            ("exit_us", _TIME),
            ("censored", pa.bool_()),
        ]
    ),
    "queue_visits": pa.schema(  # service -1: never served; leave -1: still there at the end
        [
            ("lane_id", pa.string()),
            ("person_id", _ID),
            ("join_us", _TIME),
            ("service_us", _TIME),
            ("leave_us", _TIME),
            ("outcome", pa.string()),  # served, abandoned, censored
        ]
    ),
    "groups": pa.schema([("group_id", _ID), ("person_id", _ID)]),
    "frames": pa.schema(  # every frame of every clip, and the dropped ones
        [
            ("camera_id", pa.string()),
            ("frame_index", _ID),  # index in the clip; -1: dropped
            ("time_us", _TIME),  # true instant
            ("stamp_us", _TIME),  # what the clip says: true instant + this camera's clock error
        ]
    ),
    "boxes": pa.schema(
        [
            ("camera_id", pa.string()),
            ("frame_index", _ID),
            ("time_us", _TIME),
            ("stamp_us", _TIME),
            ("person_id", _ID),
            ("x1_px", pa.float32()),  # visible box
            ("y1_px", pa.float32()),
            ("x2_px", pa.float32()),
            ("y2_px", pa.float32()),
            ("full_x1_px", pa.float32()),  # the whole body, also where hidden or outside the frame
            ("full_y1_px", pa.float32()),
            ("full_x2_px", pa.float32()),
            ("full_y2_px", pa.float32()),
            ("visible_share", pa.float32()),  # visible pixels / pixels of the whole body, the frame's cut included
            ("x_m", pa.float32()),
            ("y_m", pa.float32()),
        ]
    ),
    "masks": pa.schema(  # COCO run-length counts over the frame, on key frames
        [
            ("camera_id", pa.string()),
            ("frame_index", _ID),
            ("person_id", _ID),
            ("height_px", _ID),
            ("width_px", _ID),
            ("visible_counts", pa.binary()),
            ("full_counts", pa.binary()),  # the whole body as far as the frame reaches
        ]
    ),
}

TRUTH_FIELDS: Final = {name: tuple(schema.names) for name, schema in TRUTH_TABLES.items()}
"""Column names by table."""

Columns = dict[str, np.ndarray[Any, Any]]


@dataclass(frozen=True, slots=True)
class TruthOf:
    """What a truth belongs to."""

    site_id: str
    layout: str
    seed: int
    start_us: int
    end_us: int
    scenario: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Truth:
    """A truth as read: columns by table; a table that was not written is empty."""

    of: TruthOf
    tables: dict[str, Columns]


def write_truth(folder: Path, of: TruthOf, tables: Mapping[str, Mapping[str, Any]]) -> None:
    """Write the given tables; raises DataError that names table and column where one does not fit its schema."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, columns in tables.items():
        pq.write_table(_encode(name, columns), folder / f"{name}.parquet", compression="zstd")
    text = json.dumps({"format": FORMAT} | asdict(of), indent=1)
    (folder / DESCRIPTION).write_text(text + "\n", encoding="utf-8")


def read_truth(folder: Path) -> Truth:
    """Raises LakeError that names the file where it is missing, damaged or of another format."""
    return Truth(read_description(folder), {name: _read(folder, name) for name in TRUTH_TABLES})


def read_description(folder: Path) -> TruthOf:
    """`truth.json` alone."""
    path = folder / DESCRIPTION
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(content, dict) or content.pop("format", None) != FORMAT:
            raise ValueError(f"it is not marked '{FORMAT}'")
        return TruthOf(**content)
    except OSError as error:
        raise LakeError(f"{path}: no truth of a simulation here ({error.strerror}); give the truth folder") from error
    except (ValueError, TypeError) as error:
        raise LakeError(f"{path}: damaged, or not a truth of a simulation: {error}") from error


def _encode(name: str, columns: Mapping[str, Any]) -> pa.Table:
    if name not in TRUTH_TABLES:
        raise DataError(f"truth: no table '{name}'; tables are {', '.join(TRUTH_TABLES)}")
    schema = TRUTH_TABLES[name]
    if set(columns) != set(schema.names):
        raise DataError(f"truth table '{name}': columns are {sorted(columns)}, should be {schema.names}")
    try:
        return pa.table({field.name: pa.array(columns[field.name], field.type) for field in schema}, schema=schema)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError) as error:
        raise DataError(f"truth table '{name}': {error}") from error


def _read(folder: Path, name: str) -> Columns:
    path, schema = folder / f"{name}.parquet", TRUTH_TABLES[name]
    if not path.exists():
        return {field.name: pa.array([], field.type).to_numpy(zero_copy_only=False) for field in schema}
    try:
        table = pq.read_table(path).cast(schema)
    except (OSError, pa.ArrowInvalid, pa.ArrowTypeError, ValueError) as error:
        raise LakeError(f"{path}: damaged or of another format: {error}") from error
    return {name: table[name].to_numpy() for name in schema.names}
