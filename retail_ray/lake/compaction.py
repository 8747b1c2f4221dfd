"""Compaction: the many small files of one run, table, business day and site become one, sorted for scans.

Only committed files are taken, and their bytes are compared with the commit records first. The file of a finished day
holds all its rows; on a day that may still grow, new files are merged once there are enough of them. Compacting again
changes nothing, and the same files give the same bytes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from retail_ray.core.errors import LakeError
from retail_ray.lake.codecs import parquet_options
from retail_ray.lake.epochs import FileEntry
from retail_ray.lake.partitions import Partition, newest_days, partitions
from retail_ray.lake.replacements import MERGED, current_files, digest_of, epoch_of, replace
from retail_ray.lake.runs import runs
from retail_ray.lake.schemas import DAY_COLUMN, META_VERSION, SCHEMA_VERSION, TABLES

SLAB_ROWS: Final = 1 << 20
"""Rows that are sorted together, in order of the epochs: this bounds memory."""
ROW_GROUP_ROWS: Final = 1 << 17
SORTED_BY: Final = {"detections": ("camera_id", "time"), "coverage": ("camera_id", "time")}
OPEN_DAY_FILES: Final = 64


@dataclass(frozen=True, slots=True)
class Merge:
    """Files of one run in one partition that become one."""

    partition: Partition
    run_id: str
    inputs: tuple[FileEntry, ...]

    @property
    def rows(self) -> int:
        return sum(entry.rows for entry in self.inputs)

    @property
    def bytes(self) -> int:
        return sum(entry.bytes for entry in self.inputs)


@dataclass(frozen=True, slots=True)
class Merged:
    """What became of a merge. bytes_after: size of the one file. problem: why it was left out, else empty."""

    merge: Merge
    bytes_after: int
    problem: str = ""


def merges(lake_root: Path, *, open_day_files: int = OPEN_DAY_FILES) -> list[Merge]:
    """What there is to merge. A day is finished when its run is complete or the site has rows of a later day."""
    root = Path(lake_root)
    newest = newest_days(partitions(root))
    found = []
    for run in runs(root):
        if run.status not in ("running", "complete"):
            continue
        by_partition: dict[str, list[FileEntry]] = defaultdict(list)
        for entry in current_files(root, run.run_id).values():
            if (root / entry.path).exists():
                by_partition[entry.path.rpartition("/")[0]].append(entry)
        for part in partitions(root):
            if part.table == "alerts" and (root / "_alerts" / part.site_id).exists():
                continue  # sinks find what they have to send by the commits' own files
            entries = by_partition.get(part.folder, [])
            finished = run.status == "complete" or part.day < newest[part.site_id]
            chosen = entries if finished else [entry for entry in entries if not entry.writer.startswith(MERGED)]
            if len(chosen) >= (2 if finished else open_day_files):
                found.append(Merge(part, run.run_id, tuple(sorted(chosen, key=_age))))
    return found


def compact(
    lake_root: Path, wanted: Sequence[Merge] | None = None, on_merged: Callable[[Merged], None] = lambda _: None
) -> list[Merged]:
    """Carry out merges, by default all that there are. Call under `maintenance`.

    A merge with a damaged file, one of an older schema, or one that vanished is left out, and says why.
    """
    done = []
    for merge in merges(lake_root) if wanted is None else wanted:
        try:
            record = replace(lake_root, "compaction", list(merge.inputs), _Rewrite(Path(lake_root), merge))
            merged = Merged(merge, sum(entry.bytes for entry in record.outputs))
        except LakeError as error:
            merged = Merged(merge, 0, str(error))
        done.append(merged)
        on_merged(merged)
    return done


def verify(lake_root: Path, entry: FileEntry) -> Path:
    """The file's path; LakeError where its bytes are not those that were recorded."""
    path = Path(lake_root) / entry.path
    if digest_of(path) != entry.sha256:
        raise LakeError(f"{path}: damaged: its checksum is not the recorded one; see `retail-ray lake check`")
    return path


def write_slabs(path: Path, table: str, slabs: Iterator[pa.Table]) -> int:
    """Write tables one after the other, each sorted; the number of rows. No file for no rows."""
    rows, schema = 0, TABLES[table]
    writer: pq.ParquetWriter | None = None
    try:
        for slab in slabs:
            writer = writer or pq.ParquetWriter(path, schema, **parquet_options(schema))
            writer.write_table(_sorted(table, slab), row_group_size=ROW_GROUP_ROWS)
            rows += len(slab)
    finally:
        if writer is not None:
            writer.close()
    return rows


def slabs_of(table: str, parts: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """Gather tables until they are large enough to be sorted and written together."""
    held: list[pa.Table] = []
    for part in parts:
        held.append(part.cast(TABLES[table]))
        if sum(map(len, held)) >= SLAB_ROWS:
            yield pa.concat_tables(held)
            held = []
    if sum(map(len, held)):
        yield pa.concat_tables(held)


def row_groups(lake_root: Path, entry: FileEntry) -> Iterator[pa.Table]:
    """Rows of one file, verified first, with the columns of the newest schema: what older files lack is NULL."""
    path, schema = verify(lake_root, entry), TABLES[entry.table]
    with pq.ParquetFile(path) as file:
        version = (file.schema_arrow.metadata or {}).get(META_VERSION, b"0").decode()
        missing = [field for field in schema if field.name not in file.schema_arrow.names]
        if int(version) > SCHEMA_VERSION or not all(field.nullable for field in missing):
            raise LakeError(f"{path}: schema version {version} cannot be rewritten as version {SCHEMA_VERSION}")
        for number in range(file.num_row_groups):
            data = file.read_row_group(number)
            for field in missing:
                data = data.append_column(field, pa.nulls(len(data), field.type))
            yield data.select(schema.names)


@dataclass(frozen=True, slots=True)
class _Rewrite:
    root: Path
    merge: Merge

    def __call__(self, path: Path) -> int:
        table = self.merge.partition.table
        parts = (part for entry in self.merge.inputs for part in row_groups(self.root, entry))
        rows = write_slabs(path, table, slabs_of(table, parts))
        if rows != self.merge.rows:
            raise LakeError(f"{self.merge.partition.folder}: {rows} rows read, {self.merge.rows} are recorded")
        return rows


def _age(entry: FileEntry) -> tuple[bool, int, str]:
    """Merged files hold older epochs than those beside them."""
    return not entry.writer.startswith(MERGED), epoch_of(entry.path), entry.path


def _sorted(table: str, slab: pa.Table) -> pa.Table:
    """Stable: rows with equal keys keep the order of their files."""
    whole = slab.unify_dictionaries().combine_chunks()
    names = SORTED_BY.get(table, (DAY_COLUMN[table],))
    keys = pa.table({name: _plain(whole[name]) for name in names})
    order = pc.sort_indices(keys, sort_keys=[(name, "ascending") for name in names])
    return whole.take(order)


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column
