"""One business day of one run, counted anew from the lake: no video, no model.

The stored sights go through the operators that the run itself uses; identities stay as the run decided them.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, timedelta
from pathlib import Path
from typing import Final, cast

import numpy as np
from numpy.typing import NDArray

from retail_ray.analytics.journeys import JourneyFacts
from retail_ray.analytics.site import SiteOperators, SiteRows
from retail_ray.config import Site
from retail_ray.core.errors import LakeError
from retail_ray.core.homography import FloorCalibration
from retail_ray.core.identity_map import Person
from retail_ray.core.records import IdentityEvent, TrackletRow
from retail_ray.core.retail_records import Alert, Journey
from retail_ray.core.ticks import distinct
from retail_ray.core.time import US_PER_MINUTE
from retail_ray.core.types import Observations
from retail_ray.lake.codecs import Record, RowContext, day_us, encode, split_by_day
from retail_ray.lake.epochs import FileEntry, Stage, publish, recover, remove_run_files
from retail_ray.lake.recounts import job_of
from retail_ray.lake.runs import RunRecord
from retail_ray.lake.stored_day import SeenRows, StoredRun
from retail_ray.runtime.build_site import build_journey_book, build_operators
from retail_ray.runtime.recount_summary import Totals

# What operators remember of somebody who is gone: a line a minute, queues some minutes.
QUIET_US: Final = 5 * US_PER_MINUTE
SLICE_US: Final = 30 * US_PER_MINUTE
CAMERA_RULES: Final = "camera_"
"""Alerts of cameras about their view begin so; they come from pictures, so a recount keeps them."""
# Only tells which side of the horizon is floor.
_SOME_HW: Final = (1080, 1920)


@dataclass(frozen=True, slots=True)
class DayTask:
    """What a process needs to count one day. old_version: the rows to compare with.

    end_us: where the run's data ends. recalibrated: cameras whose floor points are computed anew. write: false to
    compare only. in_force: what is written now is what answers see already.
    """

    site: Site
    run: RunRecord
    date: date
    old_version: str
    end_us: int
    recalibrated: tuple[str, ...]
    write: bool
    in_force: bool = False

    @property
    def stored(self) -> StoredRun:
        return StoredRun(Path(self.site.lake), self.site.site, self.run.run_id)


@dataclass(frozen=True, slots=True)
class DayResult:
    """floor_m: smallest and largest x and y of all floor points, None without any. frames: processed, expected.

    tables: what was counted, with the number of rows. wall_s, cpu_s: how long it took, and how much work it was.
    """

    run_id: str
    date: date
    old: Totals
    new: Totals
    frames: tuple[int, int]
    tables: dict[str, int]
    floor_m: tuple[float, float, float, float] | None
    notes: tuple[str, ...]
    wall_s: float
    cpu_s: float


def count_day(task: DayTask) -> DayResult:
    """Replay, derive journeys, compare, and write where asked. LakeError names a damaged file."""
    began, worked = time.monotonic(), time.process_time()
    replay = Replay(task)
    tables = replay.tables()
    if task.write:
        _write(task, tables)
    old, new = Totals(), Totals()
    for table, records in tables.items():
        new.add(records)
        old.add(task.stored.records(table, [task.date], task.old_version))
    frames = replay.frames()
    rows = {table: len(records) for table, records in tables.items()}
    times_s = time.monotonic() - began, time.process_time() - worked
    return DayResult(task.run.run_id, task.date, old, new, frames, rows, replay.floor_m, tuple(replay.notes), *times_s)


class Replay:
    """The stored sights of a day, and of those whose tracklets reach into it, through the site's operators."""

    def __init__(self, task: DayTask, slice_us: int = SLICE_US) -> None:
        self._task, self._day, self._slice_us = task, task.site.business_day, slice_us
        start_us, end_us = task.stored.window_us(self._day, task.date, QUIET_US)
        self._start_us, self._end_us = start_us, min(end_us, task.end_us)
        last = self._day.date_of(max(start_us, self._end_us - 1))
        first = self._day.date_of(start_us)
        self._dates = [first + timedelta(days=offset) for offset in range((last - first).days + 1)]
        known = {camera.id for camera in task.site.cameras}
        self._cameras = sorted({span.camera_id for span in task.run.cameras} & known)
        self._calibrations = {name: _calibration(task.site, name) for name in self._cameras}
        self._with_line = {line.camera for line in task.site.lines if line.on_floor}
        self._coverage = task.stored.coverage(self._dates)
        self.floor_m: tuple[float, float, float, float] | None = None
        self.notes: list[str] = []
        if first < task.date and not task.stored.has("detections", first):
            self.notes.append(
                f"{task.date}: the detections of {first} are not in the lake any more; stays that began before the "
                "business day are cut at its beginning"
            )

    def tables(self) -> dict[str, list[Record]]:
        """Rows of the business day, by table."""
        rows = self.rows()
        found: dict[str, list[Record]] = {table.name: list(getattr(rows, table.name)) for table in fields(rows)}
        if "alerts" in found:
            found["alerts"] += _camera_alerts(self._task)
        found["journeys"] = list[Record](self._journeys(rows))
        date_of = self._day.date_of
        return {
            table: [row for row in records if date_of(day_us(table, row)) == self._task.date]
            for table, records in found.items()
        }

    def frames(self) -> tuple[int, int]:
        """Processed and expected ones of the business day."""
        own = [row for row in self._coverage if self._day.date_of(row.minute_us) == self._task.date]
        return sum(row.processed_frames for row in own), sum(row.expected_frames for row in own)

    def rows(self) -> SiteRows:
        """All rows of the window, of the days around it too."""
        site, live = self._task.site, self._task.run.run_id.startswith("live")
        starts_us = dict.fromkeys(self._cameras, self._start_us)
        operators = build_operators(site, starts_us, goes_on=Path(site.lake) if live else None)
        rows = SiteRows()
        frames_us = self._frames_us()
        slices = self._task.stored.seen(self._dates, self._start_us, self._end_us, self._slice_us)
        for number, cameras in enumerate(slices):
            begin_us = self._start_us + number * self._slice_us
            until_us = min(begin_us + self._slice_us, self._end_us)
            self._submit(operators, cameras, frames_us, begin_us, until_us)
            rows.extend(operators.advance(until_us))
        rows.extend(operators.finish(self._end_us))
        return rows

    def _submit(
        self,
        operators: SiteOperators,
        cameras: Sequence[SeenRows],
        frames_us: Mapping[str, NDArray[np.int64]],
        begin_us: int,
        until_us: int,
    ) -> None:
        seen = {of.camera_id: of for of in cameras}
        for name in self._cameras:
            own = frames_us[name]
            own = own[(own >= begin_us) & (own < until_us)]
            message = self._message(name, seen.get(name), own, until_us)
            self._note_extent(message.floor_xy_m)
            operators.submit(message)

    def _message(self, name: str, seen: SeenRows | None, frames_us: NDArray[np.int64], until_us: int) -> Observations:
        calibration = self._calibrations[name]
        seen = seen or _nobody(name)
        n = len(seen.time_us)
        nowhere = np.full((n, 2), np.nan)
        again = name in self._task.recalibrated
        floor_xy_m = seen.floor_xy_m
        if again:
            floor_xy_m = nowhere if calibration is None else calibration.to_floor(seen.foot_px)
        return Observations(
            camera_id=name,
            watermark_us=until_us,
            frame_time_us=np.union1d(distinct(seen.time_us), frames_us),
            time_us=seen.time_us,
            local_id=seen.local_id,
            foot_px=seen.foot_px,
            floor_xy_m=floor_xy_m,
            floor_cov_m2=np.zeros((n, 2, 2)),
            confidence=seen.confidence,
            foot_estimated=seen.foot_estimated,
            edge_px=seen.edge_px,
            edge_xy_m=calibration.to_floor(seen.edge_px) if calibration and name in self._with_line else nowhere,
        )

    def _note_extent(self, floor_xy_m: NDArray[np.float64]) -> None:
        known = floor_xy_m[np.isfinite(floor_xy_m[:, 0]) & np.isfinite(floor_xy_m[:, 1])]
        if len(known):
            (x0, y0), (x1, y1) = known.min(axis=0).tolist(), known.max(axis=0).tolist()
            a0, b0, a1, b1 = self.floor_m or (x0, y0, x1, y1)
            self.floor_m = (min(a0, x0), min(b0, y0), max(a1, x1), max(b1, y1))

    def _frames_us(self) -> dict[str, NDArray[np.int64]]:
        """One frame in each minute in which the camera analysed any: empty frames are not stored, minutes are."""
        starts_us = {span.camera_id: span.start_us for span in self._task.run.cameras}
        minutes: dict[str, list[int]] = {name: [] for name in self._cameras}
        for row in self._coverage:
            if row.processed_frames and row.camera_id in minutes:
                minutes[row.camera_id].append(max(row.minute_us, starts_us[row.camera_id]))
        return {name: np.array(times, np.int64) for name, times in minutes.items()}

    def _journeys(self, rows: SiteRows) -> list[Journey]:
        """Visits of everybody around the day. Staff and groups are as the run assessed them."""
        task, stored = self._task, self._task.stored
        around = [task.date + timedelta(days=offset) for offset in (-2, -1, 0, 1)]
        facts = JourneyFacts(
            cast("list[IdentityEvent]", stored.records("identity_events", around)),
            cast("list[TrackletRow]", stored.records("tracklets", around)),
            rows.zone_visits,
            rows.line_crossings,
        )
        staff, groups = _assessed(stored, around, task.run.config_version)
        return build_journey_book(task.site).update(facts, 0, staff, groups)


def _write(task: DayTask, tables: Mapping[str, Sequence[Record]]) -> None:
    """Commit the day's rows under a job of their own; the same rows again change nothing.

    Other rows take the place of an earlier recount's. LakeError while that one is in force.
    """
    lake, version, key = Path(task.site.lake), task.site.config_version, (task.run.run_id, f"{task.date}")
    job, context = job_of(*key, version), RowContext(task.site.site, task.run.run_id, version)
    job_context = RowContext(task.site.site, job, version)
    last = recover(lake, job)
    stage = Stage(lake, job_context, "recount", task.site.business_day)
    entries = _staged(stage, task, tables, context)
    same = last is not None and list(last.files) == sorted(entries, key=lambda entry: entry.path)
    if last is not None and not same:
        if task.in_force:
            raise LakeError(
                f"{lake}: {task.date} of run '{task.run.run_id}': version {version} is in force, and counting it again "
                "gives other rows (another program version, or stored rows have changed): put the run's own version "
                f"in force first (retail-ray recount activate {task.run.config_version})"
            )
        remove_run_files(lake, job)
        entries = _staged(stage, task, tables, context)
    publish(lake, job_context, 0, entries, {"run_id": task.run.run_id})


def _staged(
    stage: Stage, task: DayTask, tables: Mapping[str, Sequence[Record]], context: RowContext
) -> list[FileEntry]:
    entries: list[FileEntry] = []
    for table, records in tables.items():
        data = split_by_day(table, encode(table, records, context), task.site.business_day).get(task.date)
        entries += [] if data is None else [stage.write(table, task.date, 0, data)]
    return entries


def _camera_alerts(task: DayTask) -> list[Record]:
    own = task.stored.records("alerts", [task.date], task.run.config_version)
    return [row for row in own if isinstance(row, Alert) and row.rule_id.startswith(CAMERA_RULES)]


def _assessed(stored: StoredRun, dates: Sequence[date], version: str) -> tuple[dict[Person, float], dict[Person, int]]:
    """Staff probability and group of everybody, from the run's own journeys."""
    staff: dict[Person, float] = {}
    groups: dict[Person, int] = {}
    own = cast("list[Journey]", stored.records("journeys", dates, version))
    for row in sorted(own, key=lambda row: row.version):
        if row.session_id is None or row.identity_id is None:
            continue
        who = (row.session_id, row.identity_id)
        staff[who] = row.staff_probability
        if row.group_id is not None:
            groups[who] = row.group_id
    return {who: value for who, value in staff.items() if not np.isnan(value)}, groups


def _calibration(site: Site, camera_id: str) -> FloorCalibration | None:
    floor = site.camera(camera_id).floor
    return None if floor is None else floor.calibration(_SOME_HW)


def _nobody(camera_id: str) -> SeenRows:
    none, pairs = np.zeros(0, np.int64), np.zeros((0, 2), np.float32)
    return SeenRows(
        camera_id, none, none, pairs, np.zeros((0, 2)), pairs, np.zeros(0, np.float32), np.zeros(0, np.bool_)
    )
