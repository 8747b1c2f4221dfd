"""A lake without video: what cameras, gallery and operators would have written over a simulated store, with its truth.

Everything follows from one crowd: boxes from its people, tracklets from the boxes, facts from true happenings as far
as tracklets saw them, and all sums from the facts. The same settings and seed give the same bytes.
"""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from retail_ray.core.records import CoverageRow, LineCrossing, OccupancyRow, TrackletRow
from retail_ray.core.retail_records import HeatCell, QueueVisit
from retail_ray.core.time import US_PER_MINUTE, US_PER_S, BusinessDay, from_us, minute_of
from retail_ray.lake.codecs import RowContext, SiteRow
from retail_ray.lake.epochs import recover
from retail_ray.lake.runs import CameraSpan, RunRecord, begin_run, exclusive, finish_run
from retail_ray.lake.truth import TruthOf, write_truth
from retail_ray.simulation.event_day import Period, periods_of, play, true_tables, without_clashes
from retail_ray.simulation.event_facts import (
    Columns,
    Tracklets,
    line_crossings,
    queue_visits,
    tracklet_rows,
    tracklets_of,
    zone_visits,
)
from retail_ray.simulation.event_people import Identities, Seen, identify, journeys
from retail_ray.simulation.event_settings import EventSettings
from retail_ray.simulation.event_sightings import CameraTracklets, analysed_ticks, sightings_of, track
from retail_ray.simulation.event_totals import alerts, coverage, heat_cells, occupancy, queue_minutes
from retail_ray.simulation.event_writer import COORDINATOR, GALLERY, SITE, EpochWriter
from retail_ray.simulation.scenario import Scenario
from retail_ray.simulation.store import StoreCamera, StorePlan

_HOUR_US: Final = 3600 * US_PER_S


@dataclass(frozen=True, slots=True)
class SiteOfLake:
    """The site as its configuration describes it. line_cameras: which camera counts each line."""

    site_id: str
    run_id: str
    config_version: str
    settings_json: str
    day: BusinessDay
    line_cameras: dict[str, str]


@dataclass(frozen=True, slots=True)
class WrittenLake:
    """How much was written, rows and bytes by table."""

    rows: dict[str, int]
    file_bytes: dict[str, int]
    people: int
    missed_crossings: int


def write_lake(
    plan: StorePlan,
    settings: EventSettings,
    site: SiteOfLake,
    *,
    seed: int,
    lake: Path,
    truth: Path,
    command: str,
    on_progress: Callable[[str], None] = lambda _: None,
) -> WrittenLake:
    """Simulate and commit everything as one complete run."""
    spans = tuple(CameraSpan(camera.id, settings.start_us, settings.end_us) for camera in plan.cameras)
    record = RunRecord(site.run_id, site.site_id, site.config_version, command, spans, settings.start_us)
    context = RowContext(site.site_id, site.run_id, site.config_version)
    store = _Store(plan, settings, site, seed, EpochWriter(lake, context, site.day, settings))
    with exclusive(lake, site.site_id):
        begin_run(lake, record)
        recover(lake, site.run_id)
        for period in periods_of(settings):
            on_progress(f"crowd of {from_us(period.start_us):%Y-%m-%d}")
            store.add_period(period, on_progress)
        on_progress("sums and commits")
        store.add_sums()
        rows, sizes = store.writer.publish()
        finish_run(lake, site.run_id, settings.end_us)
    described = {"events": asdict(settings), "missed_crossings": store.missed_crossings}
    of = TruthOf(site.site_id, plan.name, seed, settings.start_us, settings.end_us, described)
    write_truth(truth, of, _joined(store.truth))
    return WrittenLake(rows, sizes, store.people, store.missed_crossings)


@dataclass(frozen=True, slots=True)
class _Watched:
    """What stays in memory of one camera's period: its tracklets, and (N,) tick, local id and (N, 2) cell of the boxes
    that count for heat."""

    tracklets: CameraTracklets
    tick: NDArray[np.int32]
    local_id: NDArray[np.int64]
    cell_xy: NDArray[np.int32]


@dataclass(slots=True)
class _Store:
    """One store through all its periods. tracklets: how many each camera has given out so far."""

    plan: StorePlan
    settings: EventSettings
    site: SiteOfLake
    seed: int
    writer: EpochWriter
    analysed: dict[str, tuple[NDArray[np.bool_], NDArray[np.bool_]]] = field(init=False)
    truth: list[dict[str, Columns]] = field(default_factory=list)
    crossings: list[LineCrossing] = field(default_factory=list)
    waits: list[QueueVisit] = field(default_factory=list)
    tracklets: Counter[str] = field(default_factory=Counter)
    decisions: int = 0
    people: int = 0
    groups: int = 0
    missed_crossings: int = 0

    def __post_init__(self) -> None:
        frames = -(-(self.settings.end_us - self.settings.start_us) // self.settings.frame_us)
        self.analysed = {
            camera.id: analysed_ticks(frames, self.settings, np.random.default_rng([self.seed, 0, number]))
            for number, camera in enumerate(self.plan.cameras)
        }

    def add_period(self, period: Period, on_progress: Callable[[str], None]) -> None:
        """Simulate one opening of the shop, and stage what cameras, gallery and site report of it."""
        scenario = play(self.plan, self.settings, period, self.seed)
        with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
            true = pool.submit(true_tables, scenario, self.settings, period)
            waiting = [
                pool.submit(self._watch, period, scenario, camera, number)
                for number, camera in enumerate(self.plan.cameras)
            ]
            watched = {}
            for camera, future in zip(self.plan.cameras, waiting, strict=True):
                watched[camera.id] = future.result()
                on_progress(f"camera {camera.id}")
            happened = true.result()
        self._add_facts(period, watched, happened)
        self.truth.append(without_clashes(happened, self.people, self.groups))
        self.people += len(scenario.crowd.people)
        self.groups += int(happened["groups"]["group_id"].max(initial=0))
        self.tracklets.update({name: len(part.tracklets) for name, part in watched.items()})

    def add_sums(self) -> None:
        """What is counted over all periods, also while the shop is closed."""
        settings, stage = self.settings, self.writer.stage
        minutes_us = list(range(minute_of(settings.start_us), settings.end_us, US_PER_MINUTE))
        inside, frames = self._occupancy(minutes_us), self._coverage(minutes_us)
        queues = queue_minutes(self.waits, [checkout.id for checkout in self.plan.checkouts], minutes_us)
        stage(SITE, "occupancy", inside)
        stage(SITE, "queue_metrics", queues)
        stage(SITE, "alerts", alerts(queues, inside, frames, settings.alerts))
        for camera in self.plan.cameras:
            stage(camera.id, "coverage", [row for row in frames if row.camera_id == camera.id])
        day, site_id = self.site.day, self.site.site_id
        began = day.day_start.isoformat()
        stage(COORDINATOR, "sites", [SiteRow(settings.start_us, site_id, day.timezone, began, self.site.settings_json)])

    def _watch(self, period: Period, scenario: Scenario, camera: StoreCamera, number: int) -> _Watched:
        """Everything that one camera reports of a period; its boxes are staged here, to free their memory."""
        rng = np.random.default_rng([self.seed, 1 + period.number, number])
        analysed = self.analysed[camera.id][0][period.first_tick : period.first_tick + period.ticks]
        seen = sightings_of(self.plan, camera, scenario.crowd, analysed, settings=self.settings, rng=rng)
        local_id, tracklets = track(seen, self.settings, rng)
        stored_id = np.where(local_id > 0, local_id + self.tracklets[camera.id], local_id)
        self.writer.stage_detections(camera.id, seen, stored_id, period.first_tick)
        warm = (local_id > 0) & np.isfinite(seen.floor_xy_m[:, 0])
        cells = np.floor(seen.floor_xy_m[warm] / self.settings.heat_cell_m).astype(np.int32)
        return _Watched(tracklets, seen.tick[warm], local_id[warm], cells)

    def _add_facts(self, period: Period, watched: dict[str, _Watched], happened: dict[str, Columns]) -> None:
        settings, stage = self.settings, self.writer.stage
        rng = np.random.default_rng([self.seed, 1 + period.number, len(watched)])
        parts = {name: part.tracklets for name, part in watched.items()}
        tracklets = tracklets_of(parts, self.tracklets, period.start_us, settings.frame_us)
        session_id = f"{self.site.site_id}-{self.site.day.date_of(period.start_us):%Y%m%d}"
        known = identify(tracklets, settings.identity, session_id, period.start_us, rng, first_sequence=self.decisions)
        self.decisions += len(known.events)
        crossings = line_crossings(happened["crossings"], self.site.line_cameras, tracklets)
        zones = zone_visits(happened["zone_stays"], tracklets)
        waits = queue_visits(happened["queue_visits"], tracklets, session_id, known.identity)
        seen = Seen(tracklets, crossings, zones, waits)
        self.crossings += crossings
        self.waits += waits
        self.missed_crossings += len(happened["crossings"]["time_us"]) - len(crossings)
        for camera_id, rows in _by_camera(tracklet_rows(tracklets)).items():
            stage(camera_id, "tracklets", rows)
        stage(GALLERY, "identity_events", known.events)
        stage(SITE, "line_crossings", crossings)
        stage(SITE, "zone_visits", zones)
        stage(SITE, "queue_visits", waits)
        stage(SITE, "journeys", journeys(seen, known, happened, settings.identity.gap_s, rng))
        stage(SITE, "heat", self._heat(period, watched, tracklets, known))

    def _heat(
        self, period: Period, watched: dict[str, _Watched], tracklets: Tracklets, known: Identities
    ) -> list[HeatCell]:
        """Hour by hour: the local hours that the period touches."""
        settings, cells = self.settings, list[HeatCell]()
        who = {}
        for number, name in enumerate(watched):
            own = tracklets.camera == number
            who[name] = np.zeros(len(watched[name].tracklets) + 1, np.int64)
            who[name][tracklets.local_id[own] - self.tracklets[name]] = known.identity[own]
        hour_us = _local_hour(period.start_us, settings.timezone)
        while hour_us < period.start_us + period.ticks * settings.frame_us:
            limits = -(-(np.array([hour_us, hour_us + _HOUR_US]) - period.start_us) // settings.frame_us)
            rows = {name: slice(*np.searchsorted(part.tick, limits).tolist()) for name, part in watched.items()}
            seen = (
                np.concatenate([part.tick[rows[name]] for name, part in watched.items()]),
                np.concatenate([who[name][part.local_id[rows[name]]] for name, part in watched.items()]),
                np.concatenate([part.cell_xy[rows[name]] for name, part in watched.items()]),
            )
            cells += heat_cells(hour_us, *seen, cell_m=settings.heat_cell_m, frame_s=1 / settings.fps)
            hour_us += _HOUR_US
        return cells

    def _occupancy(self, minutes_us: list[int]) -> list[OccupancyRow]:
        date_of = self.site.day.date_of
        minutes: dict[date, list[int]] = defaultdict(list)
        crossings: dict[date, list[LineCrossing]] = defaultdict(list)
        for minute_us in minutes_us:
            minutes[date_of(minute_us)].append(minute_us)
        for row in self.crossings:
            crossings[date_of(row.time_us)].append(row)
        return [row for day, of_day in minutes.items() for row in occupancy(crossings[day], of_day)]

    def _coverage(self, minutes_us: list[int]) -> list[CoverageRow]:
        rows = []
        for camera in self.plan.cameras:
            analysed, dropped = self.analysed[camera.id]
            tick_us = self.settings.start_us + np.arange(len(analysed)) * self.settings.frame_us
            minute = (tick_us - minutes_us[0]) // US_PER_MINUTE
            expected, *counts = (
                np.bincount(at, minlength=len(minutes_us)) for at in (minute, minute[analysed], minute[dropped])
            )
            rows += coverage(camera.id, minutes_us, expected, *counts)
        return rows


def _by_camera(rows: list[TrackletRow]) -> dict[str, list[TrackletRow]]:
    found: dict[str, list[TrackletRow]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: (row.last_us, row.local_id)):
        found[row.camera_id].append(row)
    return found


def _local_hour(time_us: int, timezone: str) -> int:
    local = from_us(time_us).astimezone(ZoneInfo(timezone))
    return time_us - (local.minute * 60 + local.second) * US_PER_S - local.microsecond


def _joined(truth: list[dict[str, Columns]]) -> dict[str, Columns]:
    """The tables of all periods one after the other; none where the shop never opened."""
    return {
        name: {column: np.concatenate([part[name][column] for part in truth]) for column in columns}
        for name, columns in (truth[0] if truth else {}).items()
    }
