"""All operators of one site, driven in event-time order by the watermarks of its cameras."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from retail_ray.analytics.alerts import AlertEngine, AlertRule, Event, Reading
from retail_ray.analytics.camera_readings import CameraReadings
from retail_ray.analytics.floor_operators import NOTHING_ON_FLOOR, FloorOperators, FloorRows, FloorSettings
from retail_ray.analytics.lines import LineCounter, LineSettings
from retail_ray.analytics.occupancy import OccupancyMeter, OccupancySettings
from retail_ray.analytics.sights import KEY_STEP, floor_sights
from retail_ray.analytics.zones import Zones, ZoneSettings
from retail_ray.core.errors import ConfigError, DataError
from retail_ray.core.event_time import CameraView, WatermarkBuffer, pack_state, unpack_state
from retail_ray.core.opening_hours import OpeningHours
from retail_ray.core.records import LineCrossing, OccupancyCorrection, OccupancyRow, ZoneVisit
from retail_ray.core.retail_records import Alert, HeatCell, QueueMinute, QueueVisit
from retail_ray.core.ticks import BufferCounts, Tick, Ticks
from retail_ray.core.time import US_PER_S
from retail_ray.core.types import Observations

_STATE_VERSION = 3
_SEEN_FOR_US = 2 * US_PER_S


@dataclass(frozen=True, slots=True)
class SiteRows:
    """What became final, in the order in which it did: each field is a table of the lake."""

    line_crossings: list[LineCrossing] = field(default_factory=list)
    zone_visits: list[ZoneVisit] = field(default_factory=list)
    occupancy: list[OccupancyRow] = field(default_factory=list)
    occupancy_corrections: list[OccupancyCorrection] = field(default_factory=list)
    alerts: list[Alert] = field(default_factory=list)
    queue_visits: list[QueueVisit] = field(default_factory=list)
    queue_metrics: list[QueueMinute] = field(default_factory=list)
    heat: list[HeatCell] = field(default_factory=list)

    def extend(self, other: SiteRows | FloorRows) -> None:
        for table in fields(other):
            getattr(self, table.name).extend(getattr(other, table.name))


@dataclass(frozen=True, slots=True)
class AlertSettings:
    """Rules of one site. analysis_fps: frames that each camera owes per second. open_alerts: left by an earlier run."""

    rules: tuple[AlertRule, ...] = ()
    hours: OpeningHours | None = None
    analysis_fps: Mapping[str, float] = field(default_factory=dict)
    open_alerts: tuple[Alert, ...] = ()


@dataclass(frozen=True, slots=True)
class SiteLive:
    """The site as of `worked_until_us`, for people who watch.

    entries_today, exits_today, inside: final crossings since the business day's start; correction: people added
    because more were seen than counted. zones: tracklets with an open stay. seen: tracklets per camera within 2 s.
    queues: people who wait in each lane.
    """

    worked_until_us: int
    inside: int
    entries_today: int
    exits_today: int
    correction: int
    zones: dict[str, int]
    seen: dict[str, int]
    counts: BufferCounts
    queues: dict[str, int] = field(default_factory=dict)


class SiteOperators:
    """All that is counted at one site; the same input gives the same rows in any order of arrival.

    ticks_at_once: most ticks worked together, which changes nothing but the time it takes.
    """

    def __init__(
        self,
        lines: Sequence[LineSettings],
        zones: Sequence[ZoneSettings],
        occupancy: OccupancySettings,
        cameras: Sequence[CameraView],
        *,
        tick_s: float = 0.5,
        alerts: AlertSettings | None = None,
        floor: FloorSettings = NOTHING_ON_FLOOR,
        ticks_at_once: int = 512,
    ) -> None:
        self._buffer = WatermarkBuffer(cameras, round(tick_s * US_PER_S))
        _check_names(lines, zones, occupancy, cameras)
        self._lines = [LineCounter(line) for line in sorted(lines, key=lambda line: line.line_id)]
        self._zones = Zones(zones)
        self._occupancy = OccupancyMeter(occupancy)
        self._floor = FloorOperators(floor)
        self._last_seen_us: dict[int, int] = {}
        settings = alerts or AlertSettings()
        self._alerts = AlertEngine(settings.rules, settings.hours)
        self._alerts.adopt(settings.open_alerts)
        self._at_once = ticks_at_once
        self._cameras = CameraReadings(cameras, settings.analysis_fps)

    @property
    def watermark_us(self) -> int:
        return self._buffer.watermark_us

    @property
    def worked_until_us(self) -> int:
        return self._buffer.worked_until_us

    def submit(self, observations: Observations) -> None:
        """Keep a message until every camera has passed it; DataError if it breaks the contract."""
        self._buffer.submit(observations)

    def end_camera(self, camera_id: str) -> None:
        self._buffer.end(camera_id)

    def advance(self, until_us: int) -> SiteRows:
        """Work all ticks that end at or before min(until_us, watermark_us)."""
        rows = SiteRows()
        for ticks in self._buffer.blocks(until_us, self._at_once, self._wake_us):
            self._work(ticks, rows)
        return rows

    def finish(self, until_us: int) -> SiteRows:
        """The data ends at `until_us`: every camera has ended, open stays are censored, open minutes written."""
        for camera_id in self._buffer.camera_ids:
            self._buffer.end(camera_id)
        rows = self.advance(self._buffer.ceil(until_us))
        crossings = [crossing for line in self._lines for crossing in line.finish()]
        rows.line_crossings.extend(crossings)
        rows.zone_visits.extend(self._zones.finish(self._buffer.camera_ids))
        rows.occupancy.extend(self._occupancy.finish(crossings))
        rows.occupancy_corrections.extend(self._occupancy.take_corrections())
        rows.alerts.extend(self._alerts.finish(self._buffer.worked_until_us))
        rows.extend(self._floor.finish())
        return rows

    def live(self) -> SiteLive:
        entries, exits, inside = self._occupancy.current()
        seen = dict.fromkeys(self._buffer.camera_ids, 0)
        for key in self._last_seen_us:
            seen[self._buffer.camera_ids[key // KEY_STEP]] += 1
        return SiteLive(
            self._buffer.worked_until_us,
            inside,
            entries,
            exits,
            self._occupancy.correction,
            self._zones.present(),
            seen,
            self._buffer.counts,
            self._floor.waiting(),
        )

    def state(self) -> bytes:
        """As of `worked_until_us`: submitted messages after it are not in it and must be told again."""
        return pack_state(
            (
                _STATE_VERSION,
                self._buffer.state(),
                [(line.settings.line_id, line.state()) for line in self._lines],
                (self._zones.zone_ids, self._zones.state()),
                self._occupancy.state(),
                self._floor.state(),
                [(divmod(key, KEY_STEP), time_us) for key, time_us in sorted(self._last_seen_us.items())],
                self._alerts.state(),
                self._cameras.state(),
            )
        )

    def restore(self, state: bytes) -> None:
        """Go on from `state()`; cameras that had ended must be ended again."""
        buffer, lines, zones, occupancy, floor, seen, alerts, cameras = _content(state)
        ours = [line.settings.line_id for line in self._lines], self._zones.zone_ids
        zone_ids, saved_zones = zones
        if ([name for name, _ in lines], zone_ids) != ours:
            raise DataError(
                f"the saved state has lines {[name for name, _ in lines]} and zones {zone_ids}, this site has "
                f"{ours[0]} and {ours[1]}: start without it or with the former site file"
            )
        self._buffer.restore(buffer)
        for line, (_, saved) in zip(self._lines, lines, strict=True):
            line.restore(saved)
        self._zones.restore(saved_zones)
        self._occupancy.restore(occupancy)
        self._floor.restore(floor)
        self._last_seen_us = {camera * KEY_STEP + local_id: time_us for (camera, local_id), time_us in seen}
        self._alerts.restore(alerts)
        self._cameras.restore(cameras)

    def _work(self, ticks: Ticks, rows: SiteRows) -> None:
        names = self._buffer.camera_ids
        of_lines = [line.update(ticks, names.index(line.settings.camera_id)) for line in self._lines]
        crossings = [[c for line in of_lines for c in line[tick]] for tick in range(len(ticks))]
        on_floor, watched = floor_sights(ticks), bool(self._alerts.rules)
        rows.zone_visits.extend(self._zones.update(ticks, on_floor, names, with_levels=watched))
        rows.line_crossings.extend(c for tick in crossings for c in tick)
        rows.occupancy.extend(self._occupancy.update(ticks, crossings, names))
        rows.occupancy_corrections.extend(self._occupancy.take_corrections())
        rows.extend(self._floor.update(ticks, on_floor, names, with_levels=watched))
        self._see(ticks.data)
        if watched:
            cameras = self._cameras.update(ticks, names, self._buffer.is_over)
            for tick, (end_us, of_cameras) in enumerate(zip(ticks.end_us.tolist(), cameras, strict=True)):
                readings = [*self._readings(tick, end_us), *of_cameras]
                rows.alerts.extend(self._alerts.update(end_us, readings, _events(crossings[tick])))

    def _see(self, data: Tick) -> None:
        horizon_us = data.end_us - _SEEN_FOR_US
        recent = slice(int(np.searchsorted(data.time_us, horizon_us)), None)
        keys = data.camera[recent].astype(np.int64) * KEY_STEP + data.local_id[recent]
        self._last_seen_us.update(zip(keys.tolist(), data.time_us[recent].tolist(), strict=True))
        self._last_seen_us = {key: time_us for key, time_us in self._last_seen_us.items() if time_us >= horizon_us}

    def _readings(self, tick: int, end_us: int) -> list[Reading]:
        """What alert rules can be about, as of the tick's end: an operator with a new metric adds its readings here."""
        readings = [Reading("occupancy", "", self._occupancy.levels[tick])]
        for line in self._lines:
            line_id = line.settings.line_id
            readings += [Reading("entries", line_id, 0.0), Reading("exits", line_id, 0.0)]
        for zone_id, (present, since_us) in self._zones.levels(tick).items():
            dwell_s = 0.0 if since_us is None else (end_us - since_us) / US_PER_S
            readings.append(Reading("zone_occupancy", zone_id, present))
            readings.append(Reading("dwell_s", zone_id, dwell_s, grows=since_us is not None))
        waiting, waits_s = self._floor.levels[tick] if self._floor.levels else ({}, {})
        readings += [Reading("queue_length", lane_id, length) for lane_id, length in waiting.items()]
        for lane_id, wait_s in waits_s.items():
            readings.append(Reading("wait_s", lane_id, wait_s, grows=waiting[lane_id] > 0))
        return readings

    def _wake_us(self) -> int | None:
        wakes = [self._occupancy.wake_us(), self._floor.wake_us(), self._zones.wake_us()]
        wakes += [line.wake_us() for line in self._lines]
        wakes.append(self._alerts.wake_us())
        if any(rule.metric == "coverage" for rule in self._alerts.rules):
            wakes.append(self._cameras.wake_us())
        return min((wake for wake in wakes if wake is not None), default=None)


def _events(crossings: Sequence[LineCrossing]) -> list[Event]:
    """What counted metrics count."""
    counted = [crossing for crossing in crossings if not crossing.turned_back]
    return [Event("entries" if c.direction == "in" else "exits", c.line_id, c.time_us) for c in counted]


def _content(state: bytes) -> tuple[Any, ...]:
    version, *content = unpack_state(state)
    if version != _STATE_VERSION:
        raise DataError(f"the saved state has version {version}, this program's is {_STATE_VERSION}: start without it")
    return tuple(content)


def _check_names(
    lines: Sequence[LineSettings],
    zones: Sequence[ZoneSettings],
    occupancy: OccupancySettings,
    cameras: Sequence[CameraView],
) -> None:
    """Every camera that is named exists and can do what it is named for; line and zone names are unique."""
    calibrated = {camera.camera_id: camera.calibrated for camera in cameras}
    named = [(f"line '{line.line_id}'", line.camera_id, line.space == "floor") for line in lines]
    named += [(f"zone '{zone.zone_id}'", zone.camera_id, False) for zone in zones if zone.camera_id is not None]
    named += [("occupancy: inside_cameras", camera_id, False) for camera_id in occupancy.inside_cameras]
    for place, camera_id, needs_floor in named:
        if camera_id not in calibrated:
            raise ConfigError(f"{place}: camera '{camera_id}' does not exist; known: {', '.join(sorted(calibrated))}")
        if needs_floor and not calibrated[camera_id]:
            raise ConfigError(
                f"{place}: it is drawn on the floor, but camera '{camera_id}' has no floor calibration: "
                "calibrate the camera or draw the line in its pixels"
            )
    for what, names in (("line", [line.line_id for line in lines]), ("zone", [zone.zone_id for zone in zones])):
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ConfigError(f"{what} names must differ, used twice: {', '.join(twice)}")
