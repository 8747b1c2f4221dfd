"""Retention: whole business days of a table leave the lake when they are older than what is kept of it.

    <lake>/_retention.json   site -> table -> the first day that is kept; written before anything is removed

Days are counted in event time: by default from the newest business day of the site. That day always stays, and the
newest day of each run that is at work.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

from retail_ray.core.errors import LakeError
from retail_ray.lake.files import lake_errors, read_json, write_json
from retail_ray.lake.locks import exchanging
from retail_ray.lake.partitions import FOLDER, Partition, newest_days, partitions, put_aside
from retail_ray.lake.runs import runs
from retail_ray.lake.schemas import TABLES

RECORD: Final = "_retention.json"


@dataclass(frozen=True, slots=True)
class Expired:
    """A partition that retention takes away, with its files and their bytes."""

    partition: Partition
    files: int
    bytes: int


def expired(lake_root: Path, kept_days: Mapping[str, int | None], today: date | None = None) -> list[Expired]:
    """What is older than `kept_days` of its table, counted back from `today` or the newest day of each site.

    kept_days: 1 keeps `today` alone, None keeps all; tables that are not named are kept.
    LakeError names a table that there is not, or days below 1.
    """
    _check(kept_days)
    root = Path(lake_root)
    found = partitions(root)
    newest, written = newest_days(found), _days_being_written(root, found)
    chosen = []
    for part in found:
        kept = kept_days.get(part.table)
        if kept is None or part.day == newest[part.site_id] or (part.site_id, part.day) in written:
            continue
        if part.day <= (today or newest[part.site_id]) - timedelta(days=kept):
            sizes = [path.stat().st_size for path in (root / part.folder).iterdir()]
            chosen.append(Expired(part, len(sizes), sum(sizes)))
    return chosen


def retain(lake_root: Path, gone: Sequence[Expired], on_removed: Callable[[Expired], None] = lambda _: None) -> None:
    """Take partitions out of the lake, with a record of it. Call under `maintenance`; a second time changes nothing."""
    root = Path(lake_root)
    _record(root, [item.partition for item in gone])
    for item in gone:
        folder = root / item.partition.folder
        with lake_errors("remove", folder), exchanging(root):
            if folder.is_dir():
                (root / FOLDER).mkdir(exist_ok=True)
                put_aside(folder, root / FOLDER)
        on_removed(item)


def first_kept_days(lake_root: Path) -> dict[tuple[str, str], date]:
    """(site, table) -> the first day that retention has left; files of earlier days may be missing."""
    path = Path(lake_root) / RECORD
    with lake_errors("read", path):
        content: Any = read_json(path) if path.exists() else {}
    try:
        return {
            (site, table): date.fromisoformat(day) for site, tables in content.items() for table, day in tables.items()
        }
    except (AttributeError, TypeError, ValueError) as error:
        raise LakeError(f"{path}: not a record of retention ({error}); restore it from a copy of the lake") from error


def is_retained(days: Mapping[tuple[str, str], date], path: str) -> bool:
    """Whether retention took away the day of this file, relative to the lake."""
    table, day, site, _ = path.split("/")
    first = days.get((site.removeprefix("site="), table))
    return first is not None and date.fromisoformat(day.removeprefix("date=")) < first


def _record(root: Path, gone: Sequence[Partition]) -> None:
    days = first_kept_days(root)
    for part in gone:
        key = part.site_id, part.table
        days[key] = max(part.day + timedelta(days=1), days.get(key, date.min))
    content: dict[str, dict[str, str]] = {}
    for (site, table), day in sorted(days.items()):
        content.setdefault(site, {})[table] = day.isoformat()
    if gone:
        with lake_errors("write", root / RECORD):
            write_json(root / RECORD, content)


def _days_being_written(root: Path, found: Sequence[Partition]) -> set[tuple[str, date]]:
    """(site, day) of the newest rows of each run that is at work."""
    days: dict[str, date] = {}
    for run in runs(root):
        for part in found if run.status == "running" else ():
            if part.site_id == run.site_id and any((root / part.folder).glob(f"*-{run.run_id}-*.parquet")):
                days[run.run_id] = max(part.day, days.get(run.run_id, part.day))
    return {(run.site_id, days[run.run_id]) for run in runs(root) if run.run_id in days}


def _check(kept_days: Mapping[str, int | None]) -> None:
    for table, days in kept_days.items():
        if table not in TABLES:
            raise LakeError(f"retention of '{table}': the lake has no such table; it has {', '.join(TABLES)}")
        if days is not None and days < 1:
            raise LakeError(f"retention of '{table}': {days} days; keep at least 1, the newest day")
