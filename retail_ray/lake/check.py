"""`lake check`: what a lake holds against what its commit records and its ledger of replacements say it should hold."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from retail_ray.core.errors import LakeError
from retail_ray.lake.check_rows import Finding, row_findings
from retail_ray.lake.deletion import unfinished_deletions
from retail_ray.lake.epochs import FileEntry
from retail_ray.lake.file_checks import has_current_columns
from retail_ray.lake.files import lake_errors
from retail_ray.lake.locks import publishing
from retail_ray.lake.replacements import current_files, digest_of, unfinished
from retail_ray.lake.retention import first_kept_days, is_retained
from retail_ray.lake.runs import RunRecord, overlapping_runs, runs
from retail_ray.lake.schemas import TABLES

QUARANTINED: Final = frozenset({"orphan", "foreign", "damaged", "future_schema"})
"""Kinds of files that `repair` moves away."""


@dataclass(frozen=True, slots=True)
class CheckReport:
    """faults: what makes numbers wrong or unreadable. notes: good to know. files, rows, bytes: what is sound."""

    files: int
    rows: int
    bytes: int
    faults: list[Finding] = field(default_factory=list)
    notes: list[Finding] = field(default_factory=list)

    @property
    def is_sound(self) -> bool:
        return not self.faults

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"is_sound": self.is_sound}


@dataclass(slots=True)
class _Records:
    """What should be there. unreadable: runs with a damaged record, of whose files nothing can be said."""

    expected: dict[str, FileEntry] = field(default_factory=dict)
    unreadable: dict[str, str] = field(default_factory=dict)

    def speaks_of(self, path: str) -> bool:
        return path in self.expected or any(f"-{run}-" in path for run in self.unreadable)


def check(lake_root: Path, *, checksums: bool = True, rows: bool = True) -> CheckReport:
    """Compare files with records and, where all files can be read, rows with each other. Call under `maintenance`.

    checksums: read every file whole; without it only sizes are compared.
    rows: look for duplicates, broken references and gaps in coverage.
    """
    root = Path(lake_root)
    before = _records(root)
    with publishing(root):  # so that no epoch is seen half
        present = {str(path.relative_to(root)): path for path in _files(root)}
    after = before if set(present) == set(before.expected) else _records(root)
    faults = [Finding("record", f"_commits/{run}", text) for run, text in after.unreadable.items()]
    sound = []
    for path in sorted(present):
        finding = _look(root, path, after, checksums=checksums) if present[path].exists() else None
        if finding is not None:
            faults.append(finding)
        elif path in after.expected:
            sound.append(after.expected[path])
    days = first_kept_days(root)
    faults += [
        Finding("missing", path, "recorded, and not there: restore it from a copy of the lake")
        for path in sorted(set(before.expected) & set(after.expected) - set(present))
        if not is_retained(days, path)
    ]
    faults += _doubled(root)
    faults += [
        Finding("unfinished", str(path.relative_to(root)), "a deletion was cut off: `retail-ray lake delete --finish`")
        for path in unfinished_deletions(root)
    ]
    notes = [
        Finding("unfinished", str(path.relative_to(root)), "an exchange that did not happen: it is tidied up next time")
        for path in unfinished(root)
    ]
    if rows and not any(fault.kind in QUARANTINED - {"orphan"} for fault in faults):
        more_faults, more_notes = row_findings(root)
        faults, notes = faults + more_faults, notes + more_notes
    elif rows:
        notes.append(Finding("not_looked_at", "rows", "some files cannot be read: repair first"))
    return CheckReport(len(sound), sum(e.rows for e in sound), sum(e.bytes for e in sound), faults, notes)


def repair(lake_root: Path, faults: list[Finding]) -> list[str]:
    """Move orphans and files that cannot be used to `_quarantine/`, under the same names; what was moved.

    Call under `maintenance`. Nothing is deleted.
    """
    root, moved = Path(lake_root), []
    useless = [fault for fault in faults if fault.kind in QUARANTINED]
    if not useless:
        return []
    with publishing(root):
        records = _records(root)
        for fault in useless:
            if fault.kind != "orphan" or not records.speaks_of(fault.place):
                _move(root / fault.place, root / "_quarantine" / fault.place)
                moved.append(fault.place)
    return moved


def _move(path: Path, target: Path) -> None:
    with lake_errors("move", path):
        if target.exists():
            raise LakeError(f"{target}: a file of this name was moved there before; take it out of the lake first")
        target.parent.mkdir(parents=True, exist_ok=True)
        path.rename(target)


def _records(root: Path) -> _Records:
    found = _Records()
    for run in sorted(path.name for path in (root / "_commits").glob("*") if path.is_dir()):
        try:
            found.expected |= current_files(root, run)
        except LakeError as error:
            found.unreadable[run] = str(error)
    return found


def _files(root: Path) -> Iterator[Path]:
    """Everything in the folders of the tables."""
    for table in TABLES:
        yield from (path for path in (root / table).rglob("*") if path.is_file())


def _look(root: Path, path: str, records: _Records, *, checksums: bool) -> Finding | None:
    file, entry = root / path, records.expected.get(path)
    if file.suffix != ".parquet" or len(Path(path).parts) != 4:
        return Finding("foreign", path, "no file of the lake has such a name: move it away (`retail-ray lake repair`)")
    if entry is not None and _differs(file, entry, checksums=checksums):
        return Finding("damaged", path, "its bytes are not those that were recorded: restore it from a copy")
    kind: Literal["foreign", "future_schema"] = "foreign"
    try:
        has_current_columns(file, file.relative_to(root).parts[0])
    except LakeError as error:
        kind = "future_schema" if "is newer than" in str(error) else "foreign"
        return Finding(kind, path, str(error).partition(": ")[2])
    if not records.speaks_of(path):
        return Finding("orphan", path, "no commit names it; a crash left it, or somebody put it there")
    return None


def _differs(file: Path, entry: FileEntry, *, checksums: bool) -> bool:
    return file.stat().st_size != entry.bytes or (checksums and digest_of(file) != entry.sha256)


def _doubled(root: Path) -> list[Finding]:
    """Runs over the same camera-minutes: their people count twice."""
    found = []
    live: list[RunRecord] = [run for run in runs(root) if run.status in ("running", "complete")]
    for run in live:
        others = overlapping_runs(root, run.site_id, run.cameras, other_than=run.run_id)
        for other in others:
            if run.run_id < other.run_id:
                text = f"holds camera-minutes of run '{other.run_id}' too: they count twice; supersede one of them"
                found.append(Finding("doubled", f"_runs/{run.run_id}.json", text))
    return found
