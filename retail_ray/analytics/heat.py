"""Seconds of presence per square of the floor and local hour (RETAIL: heat), from followed people."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

from retail_ray.analytics.floor_people import FloorTick
from retail_ray.core.errors import ConfigError
from retail_ray.core.retail_records import HeatCell
from retail_ray.core.time import US_PER_MINUTE, US_PER_S, from_us

_SEEN_STEP_US = US_PER_S
_STOOD_M = 1.0
Square = tuple[int, int]
"""Column and row of a square: its lower corner is at (column, row) x cell_m."""


@dataclass(frozen=True, slots=True)
class HeatSettings:
    """timezone: IANA name, whose hours are counted. max_gap_s: a person unseen for longer is not counted meanwhile;
    for less only, if it can have been spent where they were: less than 1 m away, or on a straight way of 2 s at most.
    """

    timezone: str
    cell_m: float = 0.5
    max_gap_s: float = 10.0
    walk_gap_s: float = 2.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.cell_m) and self.cell_m > 0 and self.max_gap_s >= 0 and self.walk_gap_s >= 0):
            raise ConfigError(f"heat: cell_m is {self.cell_m} and must be positive, its gaps must not be negative")


@dataclass(slots=True)
class _Walker:
    """Where a person was last; squares: those that count them in this hour already."""

    time_us: int
    x_m: float
    y_m: float
    hour_us: int
    squares: set[Square]


@dataclass(slots=True)
class HeatMeter:
    """Counts one hour at a time; its rows come out when nobody's gap can reach back into it."""

    settings: HeatSettings
    _walkers: dict[int, _Walker] = field(default_factory=dict)
    _hours: dict[int, dict[Square, tuple[int, int]]] = field(default_factory=dict)
    _hour: tuple[int, int] = (0, 0)

    def update(self, people: FloorTick, now_us: int) -> list[HeatCell]:
        """Take in the people of one tick; give out the hours that are final."""
        for gone, stays in people.merged:
            walker = self._walkers.pop(gone, None)
            if walker is not None:
                self._walkers.setdefault(stays, walker)
        for gone in people.gone:
            self._walkers.pop(gone, None)
        for sample in people.samples:
            if sample.alone:
                self._step(sample.person, sample.time_us, sample.x_m, sample.y_m)
        return self._write(now_us - self._settles_after_us)

    def wake_us(self) -> int | None:
        """When the oldest open hour is final."""
        oldest_us = min(self._hours, default=None)
        return None if oldest_us is None else self._hour_end_us(oldest_us) + self._settles_after_us

    def finish(self) -> list[HeatCell]:
        """The data ends: every open hour is written."""
        return self._write(None)

    def state(self) -> Any:
        walkers = [
            (person, w.time_us, w.x_m, w.y_m, w.hour_us, sorted(w.squares)) for person, w in self._walkers.items()
        ]
        return walkers, [(hour_us, sorted(cells.items())) for hour_us, cells in sorted(self._hours.items())]

    def restore(self, state: Any) -> None:
        walkers, hours = state
        self._walkers = {
            person: _Walker(time_us, x_m, y_m, hour_us, set(squares))
            for person, time_us, x_m, y_m, hour_us, squares in walkers
        }
        self._hours = {hour_us: dict(cells) for hour_us, cells in hours}

    @property
    def _settles_after_us(self) -> int:
        return round(self.settings.max_gap_s * US_PER_S) + US_PER_S

    def _step(self, person: int, time_us: int, x_m: float, y_m: float) -> None:
        walker = self._walkers.get(person)
        if walker is None:
            self._walkers[person] = _Walker(time_us, x_m, y_m, self._hour_of(time_us), set())
            return
        if self._was_there(walker, time_us, x_m, y_m):
            span_us = time_us - walker.time_us
            before, now = self._square(walker.x_m, walker.y_m), self._square(x_m, y_m)
            hour_us = self._hour_of(walker.time_us)
            if before == now and time_us <= self._hour_end_us(hour_us):
                self._spend(walker, hour_us, now, span_us)
            else:
                self._spend(walker, hour_us, before, span_us // 2)
                self._spend(walker, self._hour_of(time_us - 1), now, span_us - span_us // 2)
        walker.time_us, walker.x_m, walker.y_m = time_us, x_m, y_m

    def _was_there(self, walker: _Walker, time_us: int, x_m: float, y_m: float) -> bool:
        """Whether the time since the last sight was spent at its two ends."""
        gap_us = time_us - walker.time_us
        if gap_us <= _SEEN_STEP_US:
            return gap_us > 0
        limit_s = self.settings.max_gap_s
        if math.hypot(x_m - walker.x_m, y_m - walker.y_m) > _STOOD_M:
            limit_s = min(limit_s, self.settings.walk_gap_s)
        return gap_us <= limit_s * US_PER_S

    def _square(self, x_m: float, y_m: float) -> Square:
        cell_m = self.settings.cell_m
        return math.floor(x_m / cell_m), math.floor(y_m / cell_m)

    def _spend(self, walker: _Walker, hour_us: int, square: Square, span_us: int) -> None:
        if hour_us != walker.hour_us:
            walker.hour_us, walker.squares = hour_us, set()
        cells = self._hours.setdefault(hour_us, {})
        presence_us, people = cells.get(square, (0, 0))
        cells[square] = (presence_us + span_us, people + (square not in walker.squares))
        walker.squares.add(square)

    def _hour_of(self, time_us: int) -> int:
        start_us, end_us = self._hour
        if not start_us <= time_us < end_us:
            local = from_us(time_us).astimezone(ZoneInfo(self.settings.timezone))
            start_us = time_us - (local.minute * 60 + local.second) * US_PER_S - local.microsecond
            self._hour = (start_us, self._hour_end_us(start_us))
        return start_us

    def _hour_end_us(self, hour_us: int) -> int:
        return hour_us + 60 * US_PER_MINUTE

    def _write(self, until_us: int | None) -> list[HeatCell]:
        cell_m, rows = self.settings.cell_m, []
        for hour_us in sorted(self._hours):
            if until_us is not None and self._hour_end_us(hour_us) > until_us:
                break
            rows += [
                HeatCell(hour_us, column * cell_m, row * cell_m, cell_m, presence_us / US_PER_S, people)
                for (column, row), (presence_us, people) in sorted(self._hours.pop(hour_us).items())
            ]
        return rows
