"""What ran over which camera-minutes, so that nothing is counted twice: `<lake>/_runs/<run>.json`."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final, Literal

from retail_ray.core.errors import LakeError
from retail_ray.core.time import from_us
from retail_ray.lake.epochs import remove_run_files
from retail_ray.lake.files import check_name, lake_errors, locked, read_json, write_json
from retail_ray.lake.recounts import forget_run

_FOREVER: Final = 1 << 62


@dataclass(frozen=True, slots=True)
class CameraSpan:
    """Event time of one camera in one run, [start_us, end_us); `end_us` None while it is live.

    fingerprint: tells another video under the same name apart; empty where there is no file.
    """

    camera_id: str
    start_us: int
    end_us: int | None
    fingerprint: str = ""

    def overlaps(self, other: CameraSpan) -> bool:
        end, other_end = self.end_us or _FOREVER, other.end_us or _FOREVER
        return self.camera_id == other.camera_id and self.start_us < other_end and other.start_us < end


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One run over one site. `command` says how it was started; times are event time or the starter's clock."""

    run_id: str
    site_id: str
    config_version: str
    command: str
    cameras: tuple[CameraSpan, ...]
    started_us: int
    status: Literal["running", "complete", "superseding", "superseded"] = "running"
    finished_us: int | None = None
    superseded_by: str | None = None


def begin_run(lake_root: Path, record: RunRecord, *, replace_older: bool = False) -> RunRecord:
    """Record a new run, or go on with the one of the same id (the stored record is returned: see its status).

    LakeError names the runs that already hold camera-minutes of this one; with `replace_older` their files are
    deleted first. After a crash in between, doing it again finishes the removal.
    """
    check_name("run", record.run_id)
    known = read_run(lake_root, record.run_id)
    if known is not None and known.status in ("running", "complete"):
        _refuse_other_input(lake_root, known, record)
        return known
    if known is not None:
        _remove(lake_root, known)
    older = overlapping_runs(lake_root, record.site_id, record.cameras, other_than=record.run_id)
    if older and not replace_older:
        raise LakeError(_overlap_message(lake_root, record, older))
    for run in older:
        supersede(lake_root, run.run_id, by=record.run_id)
    _write(lake_root, record)
    return record


def exclusive(lake_root: Path, site_id: str) -> AbstractContextManager[None]:
    """Keep other jobs of this site out of this lake; LakeError when one is at work."""
    path = Path(lake_root) / "_runs" / f".{check_name('site', site_id)}.lock"
    return locked(path, f"another job works on site '{site_id}' in this lake; wait for it, end it, or use another lake")


def finish_run(
    lake_root: Path, run_id: str, finished_us: int, cameras: Sequence[CameraSpan] | None = None
) -> RunRecord:
    """Mark a run complete; `cameras` replaces the spans, to close those of a live run."""
    record = _known(lake_root, run_id)
    spans = tuple(cameras) if cameras is not None else record.cameras
    done = replace(record, status="complete", finished_us=finished_us, cameras=spans)
    _write(lake_root, done)
    return done


def runs(lake_root: Path, site_id: str | None = None) -> list[RunRecord]:
    """All recorded runs, oldest first."""
    folder = Path(lake_root) / "_runs"
    with lake_errors("list", folder):
        paths = sorted(folder.glob("[!.]*.json")) if folder.is_dir() else []
    records = [_read(path) for path in paths]
    return sorted(
        (record for record in records if site_id in (None, record.site_id)),
        key=lambda record: (record.started_us, record.run_id),
    )


def read_run(lake_root: Path, run_id: str) -> RunRecord | None:
    path = _path(lake_root, run_id)
    with lake_errors("read", path):
        return _read(path) if path.exists() else None


def overlapping_runs(
    lake_root: Path, site_id: str, cameras: Sequence[CameraSpan], other_than: str | None = None
) -> list[RunRecord]:
    """Runs of this site, not superseded, that hold some of the same camera-minutes."""
    return [
        record
        for record in runs(lake_root, site_id)
        if record.run_id != other_than
        and record.status != "superseded"
        and any(mine.overlaps(theirs) for mine in cameras for theirs in record.cameras)
    ]


def supersede(lake_root: Path, run_id: str, by: str) -> RunRecord:
    """Delete all rows and states of a run; its record stays and names the run that replaced it."""
    record = replace(_known(lake_root, run_id), status="superseding", superseded_by=by)
    _write(lake_root, record)
    _remove(lake_root, record)
    done = replace(record, status="superseded")
    _write(lake_root, done)
    return done


def _remove(lake_root: Path, record: RunRecord) -> None:
    remove_run_files(lake_root, record.run_id)
    forget_run(lake_root, record.site_id, record.run_id)


def _known(lake_root: Path, run_id: str) -> RunRecord:
    record = read_run(lake_root, run_id)
    if record is None:
        raise LakeError(f"{_path(lake_root, run_id)}: no run '{run_id}' is recorded in this lake")
    return record


def _path(lake_root: Path, run_id: str) -> Path:
    return Path(lake_root) / "_runs" / f"{check_name('run', run_id)}.json"


def _write(lake_root: Path, record: RunRecord) -> None:
    path = _path(lake_root, record.run_id)
    with lake_errors("write", path):
        write_json(path, asdict(record))


def _read(path: Path) -> RunRecord:
    with lake_errors("read", path):
        content = read_json(path)
    try:
        return RunRecord(**content | {"cameras": tuple(CameraSpan(**span) for span in content["cameras"])})
    except (TypeError, KeyError) as error:
        raise LakeError(f"{path}: not a run record ({error}); restore it from a copy of the lake") from error


def _refuse_other_input(lake_root: Path, known: RunRecord, record: RunRecord) -> None:
    for name in ("site_id", "config_version", "cameras"):
        if getattr(known, name) != getattr(record, name):
            raise LakeError(
                f"{_path(lake_root, known.run_id)}: run '{known.run_id}' was started with another {name} "
                f"({getattr(known, name)!r}, now {getattr(record, name)!r}); start over with --replace"
            )


def _overlap_message(lake_root: Path, record: RunRecord, older: Sequence[RunRecord]) -> str:
    lines = []
    for run in older:
        spans = [theirs for theirs in run.cameras if any(mine.overlaps(theirs) for mine in record.cameras)]
        held = ", ".join(
            f"camera '{span.camera_id}' {from_us(span.start_us):%Y-%m-%d %H:%M:%S} to "
            + (f"{from_us(span.end_us):%Y-%m-%d %H:%M:%S} UTC" if span.end_us else "now")
            for span in spans
        )
        lines.append(f"run '{run.run_id}' ({run.status}) holds {held}")
    return (
        f"{lake_root}: these camera-minutes are in the lake already: {'; '.join(lines)}. "
        f"Counting them twice would be wrong: replace the older run (--replace), or use another lake"
    )
