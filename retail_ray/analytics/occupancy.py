"""People inside, per minute: final line crossings summed since the business day's start, kept plausible.

Occupancy never falls below the people that one inside camera sees at once, nor below zero: what is missing is
added as a correction and stays added until the day's reset. Some time after closing nobody but those seen is left:
what the count has more is taken off. Every correction is told.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from retail_ray.core.opening_hours import OpeningHours
from retail_ray.core.records import (
    CorrectionReason,
    LineCrossing,
    OccupancyCorrection,
    OccupancyRow,
    OccupancyStart,
)
from retail_ray.core.ticks import Ticks
from retail_ray.core.time import US_PER_MINUTE, US_PER_S, BusinessDay, minute_of

_SETTLE_US = 10 * US_PER_S


@dataclass(frozen=True, slots=True)
class OccupancySettings:
    """day: when counting starts anew. inside_cameras: those that see nothing but the inside of the shop.

    hours, reset_after_close_s: so long after closing, while still closed, the count is set to the people seen inside.
    start: what earlier runs counted of the day in which this one begins.
    """

    day: BusinessDay
    inside_cameras: tuple[str, ...] = ()
    hours: OpeningHours | None = None
    reset_after_close_s: float = 1800.0
    start: OccupancyStart | None = None


@dataclass(slots=True)
class _Minute:
    """What is known of one minute: crossings in it, and the most people one inside camera saw in its last frame."""

    entries: int = 0
    exits: int = 0
    covered: bool = False
    seen: dict[int, tuple[int, int]] = field(default_factory=dict)


@dataclass(slots=True)
class OccupancyMeter:
    """Writes one row per minute in which any frame was analysed, 10 s of event time after its end.

    A crossing that becomes final later than that (somebody stood on the line for long) counts from the next row
    on. Turn-backs do not count. levels: people inside at the end of each tick of the last update.
    """

    settings: OccupancySettings
    entries: int = 0
    exits: int = 0
    correction: int = 0
    levels: list[int] = field(default_factory=list)
    _day_end_us: int | None = None
    _reset_us: int | None = None
    _minutes: dict[int, _Minute] = field(default_factory=dict)
    _corrections: list[OccupancyCorrection] = field(default_factory=list)

    def __post_init__(self) -> None:
        start, day = self.settings.start, self.settings.day
        if start is not None:
            self.entries, self.exits, self.correction = start.entries, start.exits, start.correction
            self._day_end_us = day.end_us(day.date_of(start.time_us))
            self._reset_us = start.time_us

    @property
    def inside(self) -> int:
        return self.entries - self.exits + self.correction

    def current(self) -> tuple[int, int, int]:
        """(entries, exits, inside) of today with the crossings of minutes that are not written yet."""
        entries = self.entries + sum(minute.entries for minute in self._minutes.values())
        exits = self.exits + sum(minute.exits for minute in self._minutes.values())
        return entries, exits, max(0, entries - exits + self.correction)

    def take_corrections(self) -> list[OccupancyCorrection]:
        """Those made since the last call, in order."""
        made, self._corrections = self._corrections, []
        return made

    def update(
        self, ticks: Ticks, crossings: Sequence[Sequence[LineCrossing]], camera_ids: Sequence[str]
    ) -> list[OccupancyRow]:
        """Take in ticks and the crossings that became final in each; give out settled minutes."""
        rows: list[OccupancyRow] = []
        self.levels = []
        looks = [self._looks(ticks, camera_ids.index(camera_id)) for camera_id in self.settings.inside_cameras]
        minutes = ticks.frame_minutes()
        for tick, end_us in enumerate(ticks.end_us.tolist()):
            self._add(crossings[tick])
            for minute_us in minutes[tick]:
                self._minute(minute_us).covered = True
            for camera, last_us, people in (seen[tick] for seen in looks if tick in seen):
                self._minute(minute_of(last_us)).seen[camera] = (last_us, people)
            rows += self._write(end_us - _SETTLE_US)
            self.levels.append(self.current()[2])
        return rows

    def wake_us(self) -> int | None:
        """When the oldest open minute is settled."""
        oldest_us = min(self._minutes, default=None)
        return None if oldest_us is None else oldest_us + US_PER_MINUTE + _SETTLE_US

    def finish(self, crossings: Sequence[LineCrossing]) -> list[OccupancyRow]:
        """The data ends: `crossings` are the last ones; every open minute is written."""
        self._add(crossings)
        last_us = max(self._minutes, default=0)
        return self._write(last_us + US_PER_MINUTE)

    def state(self) -> Any:
        minutes = [
            (minute_us, m.entries, m.exits, m.covered, sorted(m.seen.items()))
            for minute_us, m in sorted(self._minutes.items())
        ]
        return self.entries, self.exits, self.correction, self._day_end_us, self._reset_us, minutes

    def restore(self, state: Any) -> None:
        self.entries, self.exits, self.correction, self._day_end_us, self._reset_us, minutes = state
        self._minutes = {
            minute_us: _Minute(entries, exits, covered, dict(seen))
            for minute_us, entries, exits, covered, seen in minutes
        }

    def _add(self, crossings: Sequence[LineCrossing]) -> None:
        for crossing in crossings:
            if crossing.turned_back:
                continue
            minute = self._minute(minute_of(crossing.time_us))
            if crossing.direction == "in":
                minute.entries += 1
            else:
                minute.exits += 1

    def _minute(self, minute_us: int) -> _Minute:
        return self._minutes.setdefault(minute_us, _Minute())

    def _looks(self, ticks: Ticks, camera: int) -> dict[int, tuple[int, int, int]]:
        """Number of a tick -> (camera, time of its last frame in it, people whom that shows)."""
        data = ticks.data
        frames_us, rows_us = data.frame_time_us[data.frame_camera == camera], data.time_us[data.camera == camera]
        people = np.searchsorted(rows_us, frames_us, "right") - np.searchsorted(rows_us, frames_us)
        columns = ticks.number(frames_us).tolist(), frames_us.tolist(), people.tolist()
        return {tick: (camera, last_us, shown) for tick, last_us, shown in zip(*columns, strict=True)}

    def _write(self, until_us: int) -> list[OccupancyRow]:
        rows = []
        for minute_us in sorted(self._minutes):
            if minute_us + US_PER_MINUTE > until_us:
                break
            minute = self._minutes.pop(minute_us)
            seen = max((people for _, people in minute.seen.values()), default=0)
            self._reset_if_new_day(minute_us)
            self._reset_if_closed(minute_us, seen)
            self.entries += minute.entries
            self.exits += minute.exits
            self._correct(minute_us, "below_zero", max(0, self.inside))
            self._correct(minute_us, "seen_inside", max(seen, self.inside))
            if minute.covered:
                rows.append(OccupancyRow(minute_us, self.entries, self.exits, self.inside))
        return rows

    def _correct(self, minute_us: int, reason: CorrectionReason, after: int) -> None:
        before = self.inside
        if after != before:
            self.correction += after - before
            self._corrections.append(OccupancyCorrection(minute_us, reason, before, after))

    def _reset_if_closed(self, minute_us: int, seen: int) -> None:
        """Once for each closure, in the first minute that is known behind its reset, be that after opening again."""
        if self._reset_us is None:
            self._reset_us = minute_us
        due_us = self._reset_due_us(minute_us)
        if due_us is not None and due_us > self._reset_us:
            self._reset_us = due_us
            self._correct(minute_us, "closed", min(seen, self.inside))

    def _reset_due_us(self, minute_us: int) -> int | None:
        """The newest reset at or before this minute; None where there is none, as in a short closure."""
        hours = self.settings.hours
        if hours is None:
            return None
        now = hours.at(minute_us)
        closed = now if not now.is_open else hours.at(now.since_us - 1)
        due_us = closed.since_us + round(self.settings.reset_after_close_s * US_PER_S)
        return due_us if due_us <= minute_us and due_us < closed.until_us else None

    def _reset_if_new_day(self, minute_us: int) -> None:
        if self._day_end_us is not None and minute_us < self._day_end_us:
            return
        self._correct(minute_us, "day_start", 0)
        self.entries = self.exits = self.correction = 0
        day = self.settings.day
        self._day_end_us = day.end_us(day.date_of(minute_us))
