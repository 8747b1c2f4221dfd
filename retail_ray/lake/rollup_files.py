"""Kept sums as files, so that a new process need not read the facts of a year first.

    <lake>/_rollups/<site>/<roll-up>.parquet    the roll-up's columns; in its metadata, what each day rests on

The digest is of the roll-up's own SQL and of names, sizes and times of the day's files. A day with another digest is
summed up anew, so a file may be old, missing or damaged, and may be deleted at any time.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from retail_ray.lake.files import check_name, lake_errors, write_atomically

_DAYS: Final = b"retail_ray.days"


@dataclass(frozen=True, slots=True)
class StoredDay:
    """A day of a file: digest of what it rests on, and the rest as in `Kept`."""

    digest: str
    low_us: int
    high_us: int
    sessions: tuple[str, ...]
    from_us: int
    until_us: int


def rollup_file(root: Path, site_id: str, name: str) -> Path:
    return root / "_rollups" / check_name("site", site_id) / f"{name}.parquet"


def digest(sql: str, rests_on: tuple[Any, ...]) -> str:
    return hashlib.sha256(repr((sql, rests_on)).encode()).hexdigest()


def write_sums(path: Path, sums: pa.Table, days: Mapping[date, StoredDay]) -> int:
    """Put the sums of all days into one file; its size in bytes."""
    described = json.dumps({day.isoformat(): asdict(stored) for day, stored in days.items()})
    content = io.BytesIO()
    pq.write_table(sums.replace_schema_metadata({_DAYS: described}), content, compression="zstd")
    with lake_errors("write", path):
        write_atomically(path, content.getvalue())
    return len(content.getvalue())


def read_sums(path: Path) -> tuple[pa.Table, dict[date, StoredDay]] | None:
    """The sums in a file and its days; None where there is none, or none that can be read."""
    try:
        with pq.ParquetFile(path) as file:  # `read_table` imports pandas, which takes longer than a year's sums
            data = file.read()
        described = json.loads(data.schema.metadata[_DAYS])
        return data, {
            date.fromisoformat(day): StoredDay(**stored | {"sessions": tuple(stored["sessions"])})
            for day, stored in described.items()
        }
    except (OSError, pa.ArrowInvalid, KeyError, TypeError, ValueError):
        return None


def of_days(sums: pa.Table, days: Collection[date]) -> pa.Table:
    return sums.filter(pc.is_in(sums["date"], pa.array(sorted(days), pa.date32())))
