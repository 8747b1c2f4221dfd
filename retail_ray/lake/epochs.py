"""The commit protocol: an epoch's files become visible whole, and the same names hold the same bytes again.

    <lake>/_staging/<run>/<epoch>/<writer>/…          what writers prepare; readers never look here
    <lake>/<table>/date=…/site=…/<writer>-<run>-<epoch>.parquet
    <lake>/_states/<run>/<writer>-<epoch>.state       state blobs of the last two commits
    <lake>/_commits/<run>/<epoch>.json                one record per epoch, written last
    <lake>/_commits/<run>/<first>-<last>.json.gz      the records of a finished day; see commit_days.py
    <lake>/_replacements/<run>/…                      which committed files were rewritten since; see replacements.py

A crash before the record leaves orphans, which `recover` removes; a crash after it leaves only leftovers.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import zlib
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import date
from operator import attrgetter
from pathlib import Path
from typing import Any, Final, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from retail_ray.core.errors import LakeError
from retail_ray.core.time import BusinessDay
from retail_ray.lake.codecs import Record, RowContext, decode, encode, schema_of, split_by_day, to_parquet
from retail_ray.lake.files import (
    check_name,
    lake_errors,
    make_folders,
    read_json,
    sha256,
    sync_file,
    sync_folder,
    write_json,
)
from retail_ray.lake.locks import publishing
from retail_ray.lake.schemas import TABLES

STATES_KEPT: Final = 2
_EPOCH: Final = re.compile(r"(?P<first>\d+)(?P<last>)\.json")
_first: Final = attrgetter("first")
_DAY_OF_EPOCHS: Final = re.compile(r"(?P<first>\d+)-(?P<last>\d+)\.json\.gz")


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One file of an epoch. `path` is its final name relative to the lake; `table` is empty for a state."""

    kind: Literal["rows", "state"]
    writer: str
    table: str
    path: str
    sha256: str
    rows: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Commit:
    """The record of one published epoch. `states` holds the newest state of every writer so far."""

    site_id: str
    run_id: str
    config_version: str
    epoch: int
    files: tuple[FileEntry, ...]
    states: dict[str, FileEntry]
    extra: dict[str, Any] = field(default_factory=dict)


class Stage:
    """Where one writer prepares its files of an epoch; preparing again replaces them."""

    def __init__(self, lake_root: Path, context: RowContext, writer: str, day: BusinessDay) -> None:
        check_name("site", context.site_id)
        self._root = Path(lake_root)
        self._context = context
        self._writer = check_name("writer", writer)
        self._run = check_name("run", context.run_id)
        self._day = day

    def write_records(self, table: str, records: Sequence[Record], epoch: int) -> list[FileEntry]:
        """Encode, split by business day and stage; no file for no rows."""
        days = split_by_day(table, encode(table, records, self._context), self._day)
        return [self.write(table, day, epoch, data) for day, data in days.items()]

    def write(self, table: str, day: date, epoch: int, data: pa.Table) -> FileEntry:
        """Stage the rows of one table and business day."""
        schema_of(table)
        folder = f"{table}/date={day.isoformat()}/site={self._context.site_id}"
        name = f"{self._writer}-{self._run}-{epoch:06d}.parquet"
        blob = to_parquet(data)
        path = f"{folder}/{name}"
        return self._stage(
            FileEntry("rows", self._writer, table, path, sha256(blob), len(data), len(blob)), epoch, blob
        )

    def write_state(self, epoch: int, blob: bytes) -> FileEntry:
        """Stage what this writer needs to go on after the epoch."""
        path = f"_states/{self._run}/{self._writer}-{epoch:06d}.state"
        return self._stage(FileEntry("state", self._writer, "", path, sha256(blob), 0, len(blob)), epoch, blob)

    def read_records(self, table: str, epoch: int, entries: Sequence[FileEntry]) -> list[Record]:
        """Rows of a table in these staged files of any writer of this run, in the order of the files' names."""
        found: list[Record] = []
        for entry in sorted(entries, key=lambda entry: entry.path):
            if entry.table == table:
                staged = _staged(self._root, self._run, epoch, entry)
                with lake_errors("read", staged):
                    found += decode(table, pq.read_table(staged, partitioning=None))
        return found

    def _stage(self, entry: FileEntry, epoch: int, blob: bytes) -> FileEntry:
        staged = _staged(self._root, self._run, epoch, entry)
        with lake_errors("write", staged):
            make_folders(staged.parent)
            staged.write_bytes(blob)
        return entry


def publish(
    lake_root: Path,
    context: RowContext,
    epoch: int,
    entries: Sequence[FileEntry],
    extra: Mapping[str, Any] | None = None,
) -> Commit:
    """Make an epoch visible and durable; doing it again changes nothing.

    `extra` is the caller's own JSON, kept in the record (for example how far each camera has come).
    LakeError when the epoch is older than the last commit, or was committed with other contents.
    """
    root, run = Path(lake_root), check_name("run", context.run_id)
    last = last_commit(root, run)
    commit = _next_commit(context, epoch, entries, json.loads(json.dumps(extra or {})), last)
    if last is not None and epoch <= last.epoch:
        _refuse_other_contents(root, commit, last)
    else:
        with lake_errors("publish into", root), publishing(root):
            _move_into_place(root, run, epoch, commit.files)
            write_json(_commit_path(root, run, epoch), asdict(commit))
    with lake_errors("tidy up", root):
        _drop_old_states(root, run)
        _remove(root / "_staging" / run / f"{epoch:06d}")
    return commit


def commits(lake_root: Path, run_id: str) -> list[Commit]:
    """All commits of a run in the order of their epochs."""
    return list(commits_after(lake_root, run_id, -1))


def commits_after(lake_root: Path, run_id: str, epoch: int) -> Iterator[Commit]:
    """The commits of a run behind this epoch, in order; records of earlier ones are not read."""
    while True:
        records = [record for record in commit_records(lake_root, run_id) if record.last > epoch]
        for record in records:
            try:
                found = read_record(record.path)
            except LakeError:
                if record.path.exists():
                    raise
                break  # put into the record of its day meanwhile: list them again
            for commit in found:
                if commit.epoch > epoch:
                    epoch = commit.epoch
                    yield commit
        else:
            return


def last_commit(lake_root: Path, run_id: str) -> Commit | None:
    records = commit_records(lake_root, run_id)
    return read_record(records[-1].path)[-1] if records else None


@dataclass(frozen=True, slots=True)
class CommitRecord:
    """One file with the commits of the epochs from first to last."""

    first: int
    last: int
    place: str

    @property
    def path(self) -> Path:
        return Path(self.place)

    @property
    def is_of_day(self) -> bool:
        return self.place.endswith(".gz")


def commit_records(lake_root: Path, run_id: str) -> list[CommitRecord]:
    """The files with a run's commits in the order of their epochs; each epoch is in one of them."""
    folder = Path(lake_root) / "_commits" / check_name("run", run_id)
    with lake_errors("list", folder):
        # What leaves the first listing for the record of its day is in the second.
        singles = _listed(folder, _EPOCH)
        days = sorted(_listed(folder, _DAY_OF_EPOCHS), key=_first)
    firsts = [day.first for day in days]

    def is_in_day(single: CommitRecord) -> bool:
        place = bisect_right(firsts, single.first) - 1
        return place >= 0 and single.last <= days[place].last

    return sorted([*days, *(single for single in singles if not is_in_day(single))], key=_first)


def _listed(folder: Path, names: re.Pattern[str]) -> list[CommitRecord]:
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as entries:
        found = [names.fullmatch(entry.name) for entry in entries]
        return [
            CommitRecord(int(name["first"]), int(name["last"] or name["first"]), f"{folder}/{name[0]}")
            for name in found if name
        ]  # fmt: skip
    return []


def read_record(path: Path) -> list[Commit]:
    """The commits of one record; LakeError where it is damaged."""
    if path.suffix != ".gz":
        return [read_commit(path)]
    with lake_errors("read", path):
        blob = path.read_bytes()
    try:
        content = json.loads(gzip.decompress(blob))
        return [_commit(commit) for commit in content]
    except (ValueError, EOFError, OSError, zlib.error, TypeError, KeyError, AttributeError) as error:
        raise LakeError(f"{path}: not the commit records of a day ({error}); restore it from a copy") from error


def read_commit(path: Path) -> Commit:
    with lake_errors("read", path):
        content = read_json(path)
    try:
        return _commit(content)
    except (TypeError, KeyError, AttributeError) as error:
        raise LakeError(f"{path}: not a commit record ({error}); restore it from a copy of the lake") from error


def _commit(content: Any) -> Commit:
    files = tuple(FileEntry(**entry) for entry in content["files"])
    states = {writer: FileEntry(**entry) for writer, entry in content["states"].items()}
    return Commit(**content | {"files": files, "states": states})


def load_states(lake_root: Path, commit: Commit) -> dict[str, bytes]:
    """State blob of every writer as of this commit, verified by its checksum."""
    states = {}
    for writer, entry in commit.states.items():
        path = Path(lake_root) / entry.path
        with lake_errors("read", path):
            states[writer] = path.read_bytes()
        if sha256(states[writer]) != entry.sha256:
            raise LakeError(f"{path}: the state is damaged (checksum differs from {commit.epoch:06d}.json); start anew")
    return states


def recover(lake_root: Path, run_id: str) -> Commit | None:
    """Remove what a crash left of this run beyond its last commit; return that commit."""
    root, run = Path(lake_root), check_name("run", run_id)
    last = last_commit(root, run)
    committed = -1 if last is None else last.epoch
    with lake_errors("recover", root), publishing(root):
        _remove(root / "_staging" / run)
        for path, epoch in _files_of_run(root, run):
            if epoch > committed:
                path.unlink()
        for draft in (root / "_commits" / run).glob(".*.draft"):
            draft.unlink()
        _drop_old_states(root, run)
    return last


def drop_states(lake_root: Path, run_id: str) -> None:
    """Delete a finished run's state blobs: they hold embeddings, which outlive no run."""
    _remove(Path(lake_root) / "_states" / check_name("run", run_id))


def remove_run_files(lake_root: Path, run_id: str) -> None:
    """Delete everything a run wrote except its run record: rows, then states, staging and commits."""
    root, run = Path(lake_root), check_name("run", run_id)
    with lake_errors("remove", root), publishing(root):
        for path, _ in _files_of_run(root, run):
            path.unlink(missing_ok=True)
        for folder in ("_states", "_staging", "_commits", "_replacements"):
            _remove(root / folder / run)


def _next_commit(
    context: RowContext, epoch: int, entries: Sequence[FileEntry], extra: dict[str, Any], last: Commit | None
) -> Commit:
    files = tuple(sorted(entries, key=lambda entry: entry.path))
    twice = {entry.path for entry in files if sum(other.path == entry.path for other in files) > 1}
    if twice:
        raise LakeError(
            f"epoch {epoch}: {', '.join(sorted(twice))} would be written twice; give each writer its own name"
        )
    before = last.states if last is not None else {}
    states = before | {entry.writer: entry for entry in files if entry.kind == "state"}
    return Commit(context.site_id, context.run_id, context.config_version, epoch, files, states, extra)


def _refuse_other_contents(root: Path, commit: Commit, last: Commit) -> None:
    path = _commit_path(root, commit.run_id, commit.epoch)
    known = last if commit.epoch == last.epoch else None
    if known is None or known.files != commit.files:
        raise LakeError(
            f"{path}: epoch {commit.epoch} of run '{commit.run_id}' is already committed (the last is {last.epoch}); "
            f"recover and go on with epoch {last.epoch + 1}"
        )


def _move_into_place(root: Path, run: str, epoch: int, files: Sequence[FileEntry]) -> None:
    folders = set()
    for entry in files:
        staged, final = _staged(root, run, epoch, entry), root / entry.path
        folders.add(final.parent)
        if not staged.exists():
            _check_moved_before(final, entry)
            continue
        if staged.stat().st_size != entry.bytes:
            raise LakeError(f"{staged}: expected {entry.bytes} bytes, found {staged.stat().st_size}; stage it again")
        sync_file(staged)
        make_folders(final.parent)
        staged.rename(final)
    for folder in sorted(folders):
        sync_folder(folder)


def _check_moved_before(final: Path, entry: FileEntry) -> None:
    if not final.exists() or sha256(final.read_bytes()) != entry.sha256:
        raise LakeError(f"{final}: neither staged nor published by an earlier try; stage the epoch again")


def _staged(root: Path, run: str, epoch: int, entry: FileEntry) -> Path:
    if epoch < 0:
        raise LakeError(f"epochs are counted from 0, found {epoch}")
    return root / "_staging" / run / f"{epoch:06d}" / entry.writer / entry.path.replace("/", "~")


def _commit_path(root: Path, run: str, epoch: int) -> Path:
    return root / "_commits" / run / f"{epoch:06d}.json"


def _files_of_run(root: Path, run: str) -> Iterator[tuple[Path, int]]:
    """Published rows of a run with their epochs, committed or not. A run's name holds no '-': the ending is its own."""
    ending = re.compile(rf".+-{re.escape(run)}-(\d{{6,}})\.parquet")
    for table in TABLES:
        for path in (root / table).glob(f"date=*/site=*/*-{run}-*.parquet"):
            if found := ending.fullmatch(path.name):
                yield path, int(found.group(1))


def _drop_old_states(root: Path, run: str) -> None:
    records = commit_records(root, run)[-STATES_KEPT:]
    newest = [commit for record in records for commit in read_record(record.path)][-STATES_KEPT:]
    kept = {root / entry.path for commit in newest for entry in commit.states.values()}
    for path in (root / "_states" / run).glob("*.state"):
        if path not in kept:
            path.unlink()


def _remove(folder: Path) -> None:
    with suppress(FileNotFoundError):
        shutil.rmtree(folder)
