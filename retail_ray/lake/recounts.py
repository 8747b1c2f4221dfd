"""Which version of its numbers holds for each run and business day, where zones or thresholds were counted anew.

    <lake>/_recounts/<site>.json          one record per site, replaced as a whole
    <lake>/_commits/<job>/000000.json     the files of one counted day: a run, a business day, a config version

Rows of a counted day keep their run_id and carry the new config_version. Until its record says otherwise the run's own
version holds, so the record is written before the first of these rows; views look at it (`versions_in_force`).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from retail_ray.core.errors import LakeError
from retail_ray.lake.epochs import remove_run_files
from retail_ray.lake.files import check_name, lake_errors, locked, read_json, write_json

DayKey = tuple[str, str]
"""(run_id, business day as YYYY-MM-DD)."""

RECOUNTABLE: Final = (
    "line_crossings", "zone_visits", "occupancy", "occupancy_corrections", "queue_visits", "queue_metrics",
    "heat", "alerts", "journeys",
)  # fmt: skip
"""Tables that follow from geometry and thresholds; the others say what cameras saw and who is who."""


@dataclass(frozen=True, slots=True)
class CountedDay:
    """One run's business day. counted: tables that each version holds beside the run's own (`own_version`)."""

    run_id: str
    date: str
    own_version: str
    in_force: str
    counted: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def key(self) -> DayKey:
        return self.run_id, self.date

    @property
    def versions(self) -> tuple[str, ...]:
        return (self.own_version, *sorted(self.counted))


@dataclass(frozen=True, slots=True)
class Recounts:
    """All counted days of one site; `settings`: the site's settings by version."""

    site_id: str
    days: Mapping[DayKey, CountedDay] = field(default_factory=dict)
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


_JOB: Final = re.compile(r"(.+)\.c[0-9a-f]{12}")


def job_of(run_id: str, date: str, version: str) -> str:
    """The name under which a counted day is staged and committed."""
    return f"{run_id}.c" + hashlib.sha256(f"{date}/{version}".encode()).hexdigest()[:12]


def jobs_of(lake_root: Path, run_id: str) -> list[str]:
    """The run itself, and the jobs that counted days of it anew: under these names its files were committed."""
    counted = (path.name for path in (Path(lake_root) / "_commits").glob(f"{run_id}.c*"))
    return [run_id, *sorted(name for name in counted if run_counted(name) == run_id)]


def run_counted(job: str) -> str:
    """The run whose people the rows of a job speak of."""
    found = _JOB.fullmatch(job)
    return job if found is None else found.group(1)


def recounting(lake_root: Path, site_id: str) -> AbstractContextManager[None]:
    """Keep other recounts of this site out of this lake; runs go on."""
    path = Path(lake_root) / "_recounts" / f".{check_name('site', site_id)}.lock"
    return locked(path, f"another recount works on site '{site_id}' in this lake; wait for it or end it")


def read_recounts(lake_root: Path, site_id: str) -> Recounts:
    """What the record of a site says; nothing counted where there is none."""
    path = _path(lake_root, site_id)
    with lake_errors("read", path):
        return _read(path) if path.exists() else Recounts(site_id)


def all_recounts(lake_root: Path) -> list[Recounts]:
    return [_read(path) for path in record_paths(lake_root)]


def record_paths(lake_root: Path) -> list[Path]:
    return sorted((Path(lake_root) / "_recounts").glob("[!.]*.json"))


def is_record(name: str) -> bool:
    """Whether a file of a lake, by its path within, is a record of recounts."""
    return name.startswith("_recounts/") and name.endswith(".json") and not name.startswith("_recounts/.")


def in_force(recounts: Iterable[Recounts]) -> Iterator[tuple[str, str, str, str, str]]:
    """(site_id, run_id, date, table, version) of every table of which a lake may hold several versions."""
    for of_site in recounts:
        for day in of_site.days.values():
            for table in sorted({name for tables in day.counted.values() for name in tables} | set(RECOUNTABLE)):
                holds = table in day.counted.get(day.in_force, ())
                yield of_site.site_id, day.run_id, day.date, table, day.in_force if holds else day.own_version


def begin(lake_root: Path, site_id: str, own_versions: Mapping[DayKey, str]) -> None:
    """Before a day's first row: what is not in force is not seen. Known days stay as they are."""

    def change(days: dict[DayKey, CountedDay]) -> None:
        for key, own in own_versions.items():
            days.setdefault(key, CountedDay(*key, own, own))

    _change(lake_root, site_id, change)


def note_counted(
    lake_root: Path, site_id: str, version: str, settings: Mapping[str, Any], tables: Mapping[DayKey, tuple[str, ...]]
) -> None:
    """These days' rows of this version are committed; nothing changes about what is in force."""

    def change(days: dict[DayKey, CountedDay]) -> None:
        for key, names in tables.items():
            days[key] = replace(days[key], counted={**days[key].counted, version: names})

    _change(lake_root, site_id, change, {version: settings})


def activate(lake_root: Path, site_id: str, version: str, keys: Iterable[DayKey] | None = None) -> list[CountedDay]:
    """Put a version in force for these days, or for every day that has it: all at once. Returns the days changed.

    LakeError where no day, or one of the asked days, has the version. A run's own version is always there.
    """
    recounts = read_recounts(lake_root, site_id)
    wanted = [key for key, day in recounts.days.items() if version in day.versions] if keys is None else list(keys)
    missing = [key for key in wanted if key not in recounts.days or version not in recounts.days[key].versions]
    if missing or not wanted:
        place = ", ".join(f"{date} of run '{run}'" for run, date in missing) or "any day"
        known = sorted({name for day in recounts.days.values() for name in day.versions})
        raise LakeError(
            f"{_path(lake_root, site_id)}: version '{version}' was not counted for {place}; known versions: "
            f"{', '.join(known) or 'none'}; count it first"
        )
    changed = [recounts.days[key] for key in wanted if recounts.days[key].in_force != version]

    def change(days: dict[DayKey, CountedDay]) -> None:
        days.update({day.key: replace(day, in_force=version) for day in changed})

    _change(lake_root, site_id, change)
    return changed


def drop(lake_root: Path, site_id: str, version: str, keys: Iterable[DayKey] | None = None) -> list[CountedDay]:
    """Delete the rows of a version; where it is in force the run's own version is put in force before."""
    recounts = read_recounts(lake_root, site_id)
    having = [day for key, day in recounts.days.items() if version in day.counted and (keys is None or key in keys)]
    if not having:
        raise LakeError(
            f"{_path(lake_root, site_id)}: no counted day has version '{version}'; a run's own version cannot be "
            "dropped, `retail-ray recount list` shows the others"
        )

    def fall_back(days: dict[DayKey, CountedDay]) -> None:
        for day in having:
            if day.in_force == version:
                days[day.key] = replace(day, in_force=day.own_version)

    def forget(days: dict[DayKey, CountedDay]) -> None:
        for day in having:
            counted = {name: tables for name, tables in day.counted.items() if name != version}
            days[day.key] = replace(days[day.key], counted=counted)

    _change(lake_root, site_id, fall_back)
    for day in having:
        remove_run_files(lake_root, job_of(*day.key, version))
    _change(lake_root, site_id, forget)
    return having


def forget_run(lake_root: Path, site_id: str, run_id: str) -> None:
    """The run's rows are gone: so are all recounts of them, those that a crash cut off too."""
    root, recounts = Path(lake_root), read_recounts(lake_root, site_id)
    gone = [day for day in recounts.days.values() if day.run_id == run_id]
    jobs = {path.name for folder in ("_commits", "_staging") for path in (root / folder).glob(f"{run_id}.c*")}
    for table in RECOUNTABLE if gone else ():
        files = (root / table).glob(f"date=*/site={site_id}/*-{run_id}.c*-*.parquet")
        jobs |= {path.stem.split("-")[-2] for path in files}
    for job in sorted(jobs):
        remove_run_files(lake_root, job)

    def change(days: dict[DayKey, CountedDay]) -> None:
        for day in gone:
            del days[day.key]

    if gone:
        _change(lake_root, site_id, change)


def _change(
    lake_root: Path,
    site_id: str,
    change: Callable[[dict[DayKey, CountedDay]], None],
    settings: Mapping[str, Mapping[str, Any]] | None = None,
) -> None:
    before = read_recounts(lake_root, site_id)
    days = dict(before.days)
    change(days)
    named = {name for day in days.values() for name in day.counted}
    kept = {name: value for name, value in {**before.settings, **(settings or {})}.items() if name in named}
    path = _path(lake_root, site_id)
    with lake_errors("write", path):
        write_json(path, {"site_id": site_id, "days": [asdict(days[key]) for key in sorted(days)], "settings": kept})


def _path(lake_root: Path, site_id: str) -> Path:
    return Path(lake_root) / "_recounts" / f"{check_name('site', site_id)}.json"


def _read(path: Path) -> Recounts:
    with lake_errors("read", path):
        content = read_json(path)
    return recounts_of(content, path)


def recounts_of(content: Any, place: Path | str) -> Recounts:
    """The record that this JSON is; LakeError names `place` where it is none."""
    try:
        days = [
            CountedDay(**day | {"counted": {name: tuple(tables) for name, tables in day["counted"].items()}})
            for day in content["days"]
        ]
        return Recounts(content["site_id"], {day.key: day for day in days}, content["settings"])
    except (TypeError, KeyError, AttributeError) as error:
        raise LakeError(f"{place}: not a record of recounts ({error}); restore it from a copy of the lake") from error
