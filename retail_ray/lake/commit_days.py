"""Commit records of finished business days, put into one file per run and day: a year has half a million epochs.

    <lake>/_commits/<run>/<first>-<last>.json.gz   the records of these epochs as they were

The file is whole and durable before the first record goes, and where an epoch is in both, the file counts. So a crash
leaves records that the next job removes. The newest records of a run stay: its states hang on them.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from itertools import groupby
from pathlib import Path

from retail_ray.core.errors import LakeError
from retail_ray.lake.epochs import STATES_KEPT, Commit, CommitRecord, commit_records, read_record
from retail_ray.lake.files import lake_errors, sync_folder, write_atomically
from retail_ray.lake.locks import publishing
from retail_ray.lake.partitions import newest_days, partitions
from retail_ray.lake.runs import RunRecord, runs


@dataclass(frozen=True, slots=True)
class CommitDay:
    """Records of one run that become one file."""

    run_id: str
    records: tuple[CommitRecord, ...]

    @property
    def path(self) -> Path:
        first, last = self.records[0], self.records[-1]
        return first.path.with_name(f"{first.first:06d}-{last.last:06d}.json.gz")


def commit_days(lake_root: Path) -> list[CommitDay]:
    """What there is to put together. A day is finished when its run is complete or the site has rows of a later day."""
    root = Path(lake_root)
    newest = newest_days(partitions(root))
    known = [run for run in runs(root) if run.status in ("running", "complete")]
    return [found for run in known for found in _of_run(root, run, newest.get(run.site_id, date.min))]


def put_together(lake_root: Path, wanted: Sequence[CommitDay] | None = None) -> list[CommitDay]:
    """Put records together, by default all of finished days. Call under `maintenance`. LakeError names a damaged one.

    What a run lost meanwhile, because it was superseded, is left out.
    """
    root, done = Path(lake_root), []
    for run in runs(root):
        _remove_doubled(root, run.run_id)
    for day in commit_days(root) if wanted is None else wanted:
        commits = [commit for record in day.records for commit in read_record(record.path)]
        text = json.dumps([asdict(commit) for commit in commits], sort_keys=True, ensure_ascii=False)
        with lake_errors("put together", day.path), publishing(root):
            if not all(record.path.exists() for record in day.records):
                continue
            write_atomically(day.path, gzip.compress(text.encode(), mtime=0))
            if read_record(day.path) != commits:
                raise LakeError(f"{day.path}: holds something else than was written; look at the disk, and remove it")
            _remove(day.records)
        done.append(day)
    return done


def _of_run(root: Path, run: RunRecord, newest: date) -> Iterator[CommitDay]:
    """Days of two or more records, oldest first, up to the first record of a day that goes on."""
    singles = [record for record in commit_records(root, run.run_id) if not record.is_of_day][:-STATES_KEPT]
    day = date.min
    dated = []
    for record in singles:
        day = max(day, *map(_newest_day, read_record(record.path)))
        if run.status != "complete" and day >= newest:
            break
        dated.append((day, record))
    for _, some in groupby(dated, key=lambda pair: pair[0]):
        records = tuple(record for _, record in some)
        if len(records) > 1:
            yield CommitDay(run.run_id, records)


def _newest_day(commit: Commit) -> date:
    """The newest business day that the commit has rows of."""
    days = (entry.path.split("/")[1].removeprefix("date=") for entry in commit.files if entry.kind == "rows")
    return max(map(date.fromisoformat, days), default=date.min)


def _remove_doubled(root: Path, run_id: str) -> None:
    """Remove records that are in a day's file too: a job was cut off before it could."""
    folder = root / "_commits" / run_id
    counted = {record.path for record in commit_records(root, run_id)}
    doubled = [path for path in folder.glob("[0-9]*.json") if path not in counted] if folder.is_dir() else []
    if doubled:
        with lake_errors("tidy up", folder), publishing(root):
            for path in doubled:
                path.unlink(missing_ok=True)
            sync_folder(folder)


def _remove(records: Sequence[CommitRecord]) -> None:
    for record in records:
        record.path.unlink()
    sync_folder(records[0].path.parent)
