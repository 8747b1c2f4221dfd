"""`retail-ray recount`: which days are counted anew, by whom, and what becomes of the rows."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, Final, cast

from retail_ray.config import Site
from retail_ray.core.errors import ConfigError, LakeError
from retail_ray.core.time import US_PER_MINUTE
from retail_ray.lake.codecs import SiteRow
from retail_ray.lake.epochs import last_commit
from retail_ray.lake.recounts import activate, begin, note_counted, read_recounts, recounting
from retail_ray.lake.runs import RunRecord, runs
from retail_ray.lake.stored_day import StoredRun
from retail_ray.runtime.recount_day import DayResult, DayTask, count_day
from retail_ray.runtime.recount_summary import Totals, changes

CountDays = Callable[[Sequence[DayTask]], Iterable[DayResult]]
APPLIED: Final = frozenset({"lines", "zones", "queues", "visits", "alerts", "cameras"})
"""Sections of a site file that a recount applies; of cameras, the calibration."""
# A run that goes on has not written yet what it will say of its last minutes.
_OPEN_US: Final = 10 * US_PER_MINUTE
_FACTS: Final = ("tracklets", "line_crossings", "zone_visits")


@dataclass(frozen=True, slots=True)
class Recounted:
    """What was counted. written: the rows are in the lake. in_force: they are what answers see."""

    site_id: str
    version: str
    written: bool
    in_force: bool
    days: list[DayResult]
    notes: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        old, new, processed, expected = Totals(), Totals(), 0, 0
        for day in self.days:
            old.merge(day.old)
            new.merge(day.new)
            processed, expected = processed + day.frames[0], expected + day.frames[1]
        return {
            "site_id": self.site_id,
            "config_version": self.version,
            "written": self.written,
            "in_force": self.in_force,
            "days": [
                {
                    "run_id": day.run_id,
                    "date": f"{day.date}",
                    "rows": day.tables,
                    "wall_s": round(day.wall_s, 3),
                    "cpu_s": round(day.cpu_s, 3),
                }
                for day in self.days
            ],
            "changes": [asdict(change) | {"difference": change.difference} for change in changes(old, new)],
            "coverage": {
                "processed_frames": processed,
                "expected_frames": expected,
                "share": processed / expected if expected else None,
            },
            "notes": self.notes,
        }


def one_after_the_other(tasks: Sequence[DayTask]) -> Iterator[DayResult]:
    """All days in this process."""
    return map(count_day, tasks)


def recount(
    site: Site,
    first: date | None = None,
    last: date | None = None,
    *,
    activated: bool = False,
    count_days: CountDays = one_after_the_other,
    on_day: Callable[[DayResult], None] = lambda _: None,
) -> Recounted:
    """Count business days from first to last, both included, None: all there are.

    The version of the site file that the runs themselves used is compared and not written again. Until all days are
    counted, and unless `activated`, what answers see stays as it was. ConfigError or LakeError where nothing can be
    counted.
    """
    lake, version = Path(site.lake), site.config_version
    plan = _plan(site, first, last)
    wanted = {(task.run.run_id, f"{task.date}"): task for task in plan.tasks if task.write}
    days: list[DayResult] = []
    with recounting(lake, site.site) if wanted else nullcontext():
        if wanted:
            begin(lake, site.site, {key: task.run.config_version for key, task in wanted.items()})
        for day in count_days(plan.tasks):
            on_day(day)
            days.append(day)
        tables = {(day.run_id, f"{day.date}"): tuple(sorted(day.tables)) for day in days}
        if wanted:
            note_counted(lake, site.site, version, site.settings(), {key: tables[key] for key in wanted})
        if wanted and activated:
            activate(lake, site.site, version, wanted)
    notes = [*plan.notes, *dict.fromkeys(note for day in days for note in day.notes), *_unseen_zones(site, days)]
    return Recounted(site.site, version, bool(wanted), activated and bool(wanted), days, notes)


@dataclass(frozen=True, slots=True)
class _Plan:
    tasks: list[DayTask]
    notes: list[str]


def _plan(site: Site, first: date | None, last: date | None) -> _Plan:
    if first is not None and last is not None and first > last:
        raise ConfigError(f"--from {first} lies behind --to {last}")
    plan = _Plan([], [])
    for run in _runs(site):
        _plan_run(site, run, (first or date.min, last or date.max), plan)
    if not plan.tasks:
        why = "; ".join(plan.notes) or "no run has data on these days"
        raise LakeError(f"{site.lake}: nothing can be counted for site '{site.site}': {why}")
    return _Plan(plan.tasks, list(dict.fromkeys(plan.notes)))


def _runs(site: Site) -> list[RunRecord]:
    """Runs of this site whose rows are in the lake."""
    lake = Path(site.lake)
    if not lake.is_dir():
        raise LakeError(f"{lake}: no lake here; give the folder that runs of this site wrote to (--lake)")
    known = runs(lake)
    mine = [run for run in known if run.site_id == site.site and run.status in ("running", "complete")]
    if not mine:
        others = ", ".join(sorted({f"'{run.site_id}'" for run in known})) or "no run at all"
        raise ConfigError(
            f"{lake}: no run of site '{site.site}' is in this lake, it has {others}; "
            "a recount needs the site file of a site that ran"
        )
    return mine


def _plan_run(site: Site, run: RunRecord, days: tuple[date, date], plan: _Plan) -> None:
    lake = Path(site.lake)
    stored = StoredRun(lake, site.site, run.run_id)
    own = _own_settings(stored, run)
    dates = [on for on in stored.dates("coverage") if days[0] <= on <= days[1]]
    if not dates:
        return
    _require_same_days(site, own, run)
    recalibrated = _recalibrated(site, own, run)
    plan.notes.extend(_notes(site, own, run, recalibrated))
    commit = last_commit(lake, run.run_id)
    committed_us = 0 if commit is None else int(commit.extra.get("end_us", 0))
    complete = run.status == "complete"
    known = read_recounts(lake, site.site).days
    for on in dates:
        if not complete and site.business_day.end_us(on) > committed_us - _OPEN_US:
            plan.notes.append(f"{on}: run '{run.run_id}' is not through with this day; count it when it is")
        elif not stored.has("detections", on) and any(stored.has(table, on) for table in _FACTS):
            plan.notes.append(f"{on}: the detections of run '{run.run_id}' were deleted (retention): not counted")
        else:
            held = known.get((run.run_id, f"{on}"))
            old = run.config_version if held is None or held.in_force == site.config_version else held.in_force
            end_us = committed_us if run.finished_us is None else run.finished_us
            write = site.config_version != run.config_version
            in_force = held is not None and held.in_force == site.config_version
            plan.tasks.append(DayTask(site, run, on, old, end_us, recalibrated, write, in_force))


def _own_settings(stored: StoredRun, run: RunRecord) -> Mapping[str, Any]:
    """The settings with which the run worked."""
    rows = cast("list[SiteRow]", stored.records("sites", stored.dates("sites"), run.config_version))
    if not rows:
        raise LakeError(
            f"{stored.lake_root}/sites: no row of run '{run.run_id}', so its settings are unknown; restore the table"
        )
    settings: Mapping[str, Any] = json.loads(rows[-1].settings_json)
    return settings


def _require_same_days(site: Site, own: Mapping[str, Any], run: RunRecord) -> None:
    new = site.settings()
    for name in ("timezone", "day_start"):
        if own.get(name) != new[name]:
            raise ConfigError(
                f"{name}: '{new[name]}' differs from '{own.get(name)}' of run '{run.run_id}'; rows lie by business "
                "day, which a recount cannot move: give the former value"
            )


def _recalibrated(site: Site, own: Mapping[str, Any], run: RunRecord) -> tuple[str, ...]:
    """Cameras whose calibration is another than the run's."""
    former = {camera["id"]: camera.get("floor") for camera in own["cameras"]}
    present = {camera["id"]: camera["floor"] for camera in site.settings()["cameras"]}
    taking_part = {span.camera_id for span in run.cameras}
    return tuple(sorted(name for name in taking_part & present.keys() if present[name] != former.get(name)))


def _notes(site: Site, own: Mapping[str, Any], run: RunRecord, recalibrated: Sequence[str]) -> Iterator[str]:
    there, declared = {span.camera_id for span in run.cameras}, {camera.id for camera in site.cameras}
    for name in recalibrated:
        yield (
            f"camera '{name}': another calibration than in run '{run.run_id}'; its floor points are computed anew "
            "from the stored foot points in the picture"
        )
    for name in sorted(declared - there):
        yield f"camera '{name}': no data of it in run '{run.run_id}'; its lines and zones are left out"
    for name in sorted(there - declared):
        yield f"camera '{name}': not in the site file; what it saw in run '{run.run_id}' is left out"
    new = site.settings()
    unused = sorted(name for name in {*own, *new} - APPLIED if own.get(name) != new.get(name))
    if unused:
        yield f"{', '.join(unused)}: changed, but what the cameras saw is stored; only a new run applies these settings"
    if _staff_areas(own) != _staff_areas(new):
        yield "staff zones or cashiers' places changed: staff probabilities and groups stay as the run assessed them"


def _staff_areas(settings: Mapping[str, Any]) -> tuple[list[Any], list[Any]]:
    staff = [zone for zone in settings.get("zones", []) if zone.get("kind") == "staff"]
    return staff, [lane.get("cashier_m") for lane in settings.get("queues", [])]


def _unseen_zones(site: Site, days: Sequence[DayResult]) -> Iterator[str]:
    """Zones on the floor where no camera sees anybody."""
    extents = [day.floor_m for day in days if day.floor_m is not None]
    if not extents:
        return
    low = [min(extent[axis] for extent in extents) for axis in (0, 1)]
    high = [max(extent[axis + 2] for extent in extents) for axis in (0, 1)]
    for zone in site.zones:
        if zone.m is not None and any(
            max(corner[axis] for corner in zone.m) < low[axis] or min(corner[axis] for corner in zone.m) > high[axis]
            for axis in (0, 1)
        ):
            yield (
                f"zone '{zone.id}' lies outside all floor points (x {low[0]:.1f} to {high[0]:.1f} m, "
                f"y {low[1]:.1f} to {high[1]:.1f} m): check its corners"
            )
