"""Deletion everywhere, with a receipt: the files that hold rows of the target are rewritten without them.

    <lake>/_receipts/<id>.json              what, when asked, rows by table, checksums before and after
    <lake>/_maintenance/deletion-<id>.json  the target while the work goes on; it names tracklets, and goes at the end

The receipt is made from the ledger of replacements, so a deletion that was cut off and asked for again counts each row
once. Commit records stay; the ledger says which files stand for theirs.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa

from retail_ray.core.errors import LakeError
from retail_ray.lake.compaction import row_groups, slabs_of, write_slabs
from retail_ray.lake.deletion_target import DELETED, SUMS, Mask, Target
from retail_ray.lake.epochs import FileEntry
from retail_ray.lake.files import lake_errors, read_json, write_json
from retail_ray.lake.partitions import FOLDER, Partition, newest_days, partitions
from retail_ray.lake.recounts import jobs_of, run_counted
from retail_ray.lake.replacements import Replacement, all_files, current_files, replace, replacements
from retail_ray.lake.runs import runs
from retail_ray.lake.schemas import TABLES

RECEIPTS: Final = "_receipts"
_PLAN: Final = "deletion-"


@dataclass(frozen=True, slots=True)
class Affected:
    """Files of one run in one partition with rows that go, or with minutes of coverage to be marked."""

    partition: Partition
    run_id: str
    files: tuple[FileEntry, ...]
    rows: int
    marked: int


def affected(lake_root: Path, target: Target) -> list[Affected]:
    """What would be rewritten. LakeError where a day is still being written, or a file is damaged."""
    root, found = Path(lake_root), []
    for run, part, entries in _candidates(root, target):
        files, gone, marked = [], 0, 0
        for entry in entries:
            goes, marks = _counts(root, part.table, run, entry, target)
            if goes or marks:
                files.append(entry)
            gone, marked = gone + goes, marked + marks
        if files:
            found.append(Affected(part, run, tuple(files), gone, marked))
    _refuse_open_days(root, found)
    return found


def delete(lake_root: Path, target: Target, asked_us: int) -> Path:
    """Rewrite all files without the target's rows; the receipt. Call under `maintenance`, and empty what is put aside.

    Doing it again changes nothing and gives the receipt of the first time. One that was cut off is finished first.
    asked_us: when it was asked for, microseconds UTC.
    """
    root = Path(lake_root)
    known = _receipt_of(root, target.scope)
    plan = root / FOLDER / f"{_PLAN}{known.stem}.json"
    if not plan.exists():
        found = affected(root, target)
        if known.exists() and not found:
            return known
        known = _free(known)
        plan = root / FOLDER / f"{_PLAN}{known.stem}.json"
        with lake_errors("write", plan):
            write_json(plan, {"asked_us": asked_us, "target": target.as_json()})
    return finish(root, plan)


def finish(lake_root: Path, plan: Path) -> Path:
    """Go on with a deletion as it was planned, to its receipt."""
    root = Path(lake_root)
    with lake_errors("read", plan):
        content = read_json(plan)
    target, receipt = Target.from_json(content["target"]), root / RECEIPTS / f"{plan.stem.removeprefix(_PLAN)}.json"
    # Identities resolve to tracklets only while their decisions are there: those go last.
    for part in sorted(affected(root, target), key=lambda item: item.partition.table == "identity_events"):
        replace(root, "deletion", part.files, _Rewrite(root, part, target), receipt.stem)
    with lake_errors("write", receipt):
        write_json(receipt, _receipt(root, receipt.stem, content["asked_us"], target))
        plan.unlink()
    return receipt


def unfinished_deletions(lake_root: Path) -> list[Path]:
    """Plans of deletions that were cut off."""
    return sorted((Path(lake_root) / FOLDER).glob(f"{_PLAN}*.json"))


@dataclass(frozen=True, slots=True)
class _Rewrite:
    root: Path
    part: Affected
    target: Target

    def __call__(self, path: Path) -> int:
        table = self.part.partition.table
        return write_slabs(path, table, slabs_of(table, self._kept()))

    def _kept(self) -> Iterator[pa.Table]:
        table = self.part.partition.table
        for entry in self.part.files:
            for data in row_groups(self.root, entry):
                if table == "coverage":
                    yield _marked(data, self.target.marks(data))
                else:
                    yield data.filter(pa.array(~self.target.rows(table, run_counted(self.part.run_id), data)))


def _candidates(root: Path, target: Target) -> Iterator[tuple[str, Partition, list[FileEntry]]]:
    """Files of the target's site and days, by run and partition."""
    days = [part for part in partitions(root) if target.first_day <= part.day <= target.last_day]
    mine = {part.folder: part for part in days if part.site_id == target.site_id}
    for job in _jobs(root, target.site_id):
        by_folder: dict[str, list[FileEntry]] = defaultdict(list)
        for path, entry in current_files(root, job).items():
            if path.rpartition("/")[0] in mine and (root / path).exists():
                by_folder[path.rpartition("/")[0]].append(entry)
        for folder, entries in by_folder.items():
            yield job, mine[folder], sorted(entries, key=lambda entry: entry.path)


def _jobs(root: Path, site_id: str) -> list[str]:
    """Under these names files of a site were committed: by runs, and by recounts of them."""
    return [job for run in runs(root, site_id) for job in jobs_of(root, run.run_id)]


def _counts(root: Path, table: str, run: str, entry: FileEntry, target: Target) -> tuple[int, int]:
    goes = marks = 0
    for data in row_groups(root, entry):
        if table == "coverage":
            marks += int(target.marks(data).sum())
        else:
            goes += int(target.rows(table, run_counted(run), data).sum())
    return goes, marks


def _refuse_open_days(root: Path, found: Sequence[Affected]) -> None:
    newest = newest_days(partitions(root))
    working = {run.run_id for run in runs(root) if run.status == "running"}
    for part in found:
        if part.run_id in working and part.partition.day == newest[part.partition.site_id]:
            raise LakeError(
                f"{root / part.partition.folder}: run '{part.run_id}' still writes this business day, and could write "
                "such rows again; ask when the day or the run is over"
            )


def _marked(data: pa.Table, marks: Mask) -> pa.Table:
    """Coverage says that nothing is known of these minutes: no count may pass for zero people."""
    expected = data["expected_frames"].to_numpy()
    reason = np.where(marks, DELETED, np.array(data["reason"].to_pylist(), object))
    columns = {
        "processed_frames": pa.array(np.where(marks, 0, data["processed_frames"].to_numpy())),
        "dropped_frames": pa.array(np.where(marks, expected, data["dropped_frames"].to_numpy())),
        "reason": pa.array(reason, pa.string()).dictionary_encode(),
    }
    for name, values in columns.items():
        number = data.schema.get_field_index(name)
        data = data.set_column(number, data.schema.field(number), values.cast(data.schema.field(number).type))
    return data


def _receipt(root: Path, name: str, asked_us: int, target: Target) -> dict[str, Any]:
    gone: Counter[str] = Counter(dict.fromkeys(TABLES, 0))
    files = []
    for job in _jobs(root, target.site_id):
        history = all_files(root, job)
        for done in replacements(root, job):
            if done.cause == name:
                gone[done.folder.partition("/")[0]] += done.rows_before - done.rows_after
                files.append(_checksums(done, history))
    kept = [] if target.interval is not None and target.interval.camera_id is None else list(SUMS)
    return {
        "receipt": name,
        "asked_us": asked_us,
        "scope": target.scope,
        "rows_deleted": dict(gone),
        "sums_kept": kept,
        "files": files,
    }


def _checksums(done: Replacement, history: dict[str, FileEntry]) -> dict[str, Any]:
    return {
        "folder": done.folder,
        "sha256_before": [history[f"{done.folder}/{name}"].sha256 for name in done.inputs],
        "sha256_after": [entry.sha256 for entry in done.outputs],
    }


def _receipt_of(root: Path, scope: dict[str, Any]) -> Path:
    """The newest receipt of this scope, or where the first would stand."""
    name = hashlib.sha256(json.dumps(scope, sort_keys=True).encode()).hexdigest()[:16]
    found = sorted((root / RECEIPTS).glob(f"{name}-*.json"), key=lambda path: int(path.stem.rpartition("-")[2]))
    planned = sorted((root / FOLDER).glob(f"{_PLAN}{name}-*.json"))
    if planned:
        return root / RECEIPTS / f"{planned[0].stem.removeprefix(_PLAN)}.json"
    return found[-1] if found else root / RECEIPTS / f"{name}-1.json"


def _free(receipt: Path) -> Path:
    """Rows came after an earlier deletion of the same scope: they get a receipt of their own."""
    if not receipt.exists():
        return receipt
    name, _, number = receipt.stem.rpartition("-")
    return receipt.with_name(f"{name}-{int(number) + 1}.json")
