"""Kept sums as files, so that a new process need not read the facts of a year first.

    <lake>/_rollups/<site>/<roll-up>.parquet    the roll-up's columns, and `rests_on`: a digest of what a day rests on

The digest is of the roll-up's own SQL and of names, sizes and times of the day's files. A day with another digest is
summed up anew, so a file may be old, missing or damaged, and may be deleted at any time.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Collection, Mapping
from datetime import date
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from retail_ray.lake.files import check_name, lake_errors, write_atomically

_DIGEST: Final = "rests_on"


def rollup_file(root: Path, site_id: str, name: str) -> Path:
    return root / "_rollups" / check_name("site", site_id) / f"{name}.parquet"


def digest(sql: str, rests_on: tuple[Any, ...]) -> str:
    return hashlib.sha256(repr((sql, rests_on)).encode()).hexdigest()


def write_sums(path: Path, sums: pa.Table, digests: Mapping[date, str]) -> int:
    """Put the sums of all days into one file; its size in bytes."""
    of_row = pa.array([digests[day] for day in sums["date"].to_pylist()], pa.string()).dictionary_encode()
    content = io.BytesIO()
    pq.write_table(sums.append_column(_DIGEST, of_row), content, compression="zstd")
    with lake_errors("write", path):
        write_atomically(path, content.getvalue())
    return len(content.getvalue())


def read_sums(path: Path) -> tuple[pa.Table, dict[date, str]] | None:
    """The sums in a file and what each day's rest on; None where there is none, or none that can be read."""
    try:
        data = pq.read_table(path, partitioning=None)
        digests = dict(zip(data["date"].to_pylist(), data[_DIGEST].to_pylist(), strict=True))
        return data.drop_columns([_DIGEST]), digests
    except (OSError, pa.ArrowInvalid, KeyError):
        return None


def of_days(sums: pa.Table, days: Collection[date]) -> pa.Table:
    return sums.filter(pc.is_in(sums["date"], pa.array(sorted(days), pa.date32())))
