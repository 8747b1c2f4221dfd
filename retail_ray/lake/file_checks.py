"""Whether a file is one of the lake's own: whole, of its table, and of a schema that this program knows."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from retail_ray.core.errors import LakeError
from retail_ray.lake.schemas import META_TABLE, META_VERSION, SCHEMA_VERSION, TABLES


def has_current_columns(path: Path, table: str) -> bool:
    """Whether a file has the columns of this program's schema, or those of an older one.

    LakeError where it is no Parquet file, not of this table, or from the future.
    """
    try:
        schema = pq.read_schema(path)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
        if getattr(error, "errno", None) is not None:  # the file system's own; a damaged footer has none
            raise
        raise LakeError(
            f"{path}: not a whole Parquet file, so not written by retail-ray: remove it ({first_line(error)})"
        ) from error
    metadata = schema.metadata or {}
    if metadata.get(META_TABLE, b"").decode(errors="replace") != table:
        raise LakeError(f"{path}: not written by retail-ray for table '{table}'; move it out of the lake")
    version = int(metadata.get(META_VERSION, b"0"))
    if version > SCHEMA_VERSION:
        raise LakeError(f"{path}: schema version {version} is newer than this program's {SCHEMA_VERSION}; update it")
    return schema.names == TABLES[table].names  # type: ignore[no-any-return]


def first_line(error: Exception) -> str:
    return str(error).strip().split("\n", 1)[0]
