"""Seconds of presence per square of the floor and local hour (RETAIL: heat), from followed people."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from retail_ray.analytics.floor_people import FloorTicks
from retail_ray.analytics.heat_steps import NOBODY, WALKER, steps
from retail_ray.core.errors import ConfigError
from retail_ray.core.retail_records import HeatCell
from retail_ray.core.time import US_PER_MINUTE, US_PER_S, from_us

_HOUR_US: Final = 60 * US_PER_MINUTE
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


class HeatMeter:
    """Counts one hour at a time; its rows come out when nobody's gap can reach back into it.

    _person, _walkers: people's numbers in order, and where each was last. _been: squares that count a walker in an hour
    already, by (walker, hour). _hours: (microseconds of presence, people) of each square, by hour.
    """

    def __init__(self, settings: HeatSettings) -> None:
        self.settings = settings
        self._person, self._walkers = np.zeros(0, np.int64), np.zeros(0, WALKER)
        self._next = 0
        self._been: dict[tuple[int, int], set[Square]] = {}
        self._hours: dict[int, dict[Square, tuple[int, int]]] = {}

    def update(self, people: FloorTicks) -> list[HeatCell]:
        """Take in the people of some ticks; give out the hours that are final."""
        self._spend(self._steps(people))
        self._forget([person for gone in people.gone for person in gone])
        return self._write(int(people.end_us[-1]) - self._settles_after_us)

    def wake_us(self) -> int | None:
        """When the oldest open hour is final."""
        oldest_us = min(self._hours, default=None)
        return None if oldest_us is None else oldest_us + _HOUR_US + self._settles_after_us

    def finish(self) -> list[HeatCell]:
        """The data ends: every open hour is written."""
        return self._write(None)

    def state(self) -> Any:
        been = [(key, sorted(squares)) for key, squares in sorted(self._been.items())]
        hours = [(hour_us, sorted(cells.items())) for hour_us, cells in sorted(self._hours.items())]
        return self._person.tolist(), self._walkers.tolist(), self._next, been, hours

    def restore(self, state: Any) -> None:
        person, walkers, self._next, been, hours = state
        self._person, self._walkers = np.array(person, np.int64), np.array(walkers, WALKER)
        self._been = {key: set(squares) for key, squares in been}
        self._hours = {hour_us: dict(cells) for hour_us, cells in hours}

    @property
    def _settles_after_us(self) -> int:
        return round(self.settings.max_gap_s * US_PER_S) + US_PER_S

    def _steps(self, people: FloorTicks) -> NDArray[Any]:
        merged = np.array([pair for pairs in people.merged for pair in pairs], np.int64).reshape(-1, 2)
        begins = np.cumsum([0, *map(len, people.merged)])
        person = np.unique(np.concatenate([self._person, people.samples["person"], merged.ravel()]))
        walkers = np.zeros(len(person), WALKER)
        walkers["number"] = NOBODY
        walkers[np.searchsorted(person, self._person)] = self._walkers
        self._person, self._walkers = person, walkers
        found: NDArray[Any]
        found, self._next = steps(
            people.samples, people.begins, np.searchsorted(person, people.samples["person"]),
            np.searchsorted(person, merged), begins, walkers, self._next, self.settings.max_gap_s * US_PER_S,
            self.settings.walk_gap_s * US_PER_S,
        )  # fmt: skip
        return found

    def _spend(self, found: NDArray[Any]) -> None:
        """The time of a step within a square and an hour is spent there, else half of it at each end."""
        span_us = found["until_us"] - found["from_us"]
        before, now = self._square(found["from_x_m"], found["from_y_m"]), self._square(found["x_m"], found["y_m"])
        from_hour_us, hour_us = _hours(self.settings.timezone, found["from_us"], found["until_us"] - 1)
        stays = (before == now).all(axis=1) & (from_hour_us == hour_us)
        half_us = np.where(stays, span_us, span_us // 2)
        first = np.column_stack([from_hour_us, before, found["walker"], half_us])
        second = np.column_stack([hour_us, now, found["walker"], span_us - half_us])[~stays]
        for hour, column, row, walker, sum_us in _summed(np.concatenate([first, second])):
            been = self._been.setdefault((walker, hour), set())
            cells = self._hours.setdefault(hour, {})
            presence_us, people = cells.get((column, row), (0, 0))
            cells[column, row] = (presence_us + sum_us, people + ((column, row) not in been))
            been.add((column, row))

    def _square(self, x_m: NDArray[np.float64], y_m: NDArray[np.float64]) -> NDArray[np.int64]:
        return np.floor(np.column_stack([x_m, y_m]) / self.settings.cell_m).astype(np.int64)

    def _forget(self, gone: Sequence[int]) -> None:
        """Nobody goes on from those who are gone, nor back into a former hour."""
        kept = (self._walkers["number"] != NOBODY) & ~np.isin(self._person, gone)
        self._person, self._walkers = self._person[kept], self._walkers[kept]
        walkers = dict(zip(self._walkers["number"].tolist(), self._walkers["time_us"].tolist(), strict=True))
        self._been = {
            key: squares
            for key, squares in self._been.items()
            if key[0] in walkers and key[1] + _HOUR_US >= walkers[key[0]]
        }

    def _write(self, until_us: int | None) -> list[HeatCell]:
        cell_m, rows = self.settings.cell_m, []
        for hour_us in sorted(self._hours):
            if until_us is not None and hour_us + _HOUR_US > until_us:
                break
            rows += [
                HeatCell(hour_us, column * cell_m, row * cell_m, cell_m, presence_us / US_PER_S, people)
                for (column, row), (presence_us, people) in sorted(self._hours.pop(hour_us).items())
            ]
        return rows


def _summed(spent: NDArray[np.int64]) -> list[list[int]]:
    """(N, 5) rows of hour, column, row, walker, span; the spans of equal places and walkers added up."""
    spent = spent[np.lexsort(spent[:, 3::-1].T)]
    new = np.ones(len(spent), np.bool_)
    new[1:] = (spent[1:, :4] != spent[:-1, :4]).any(axis=1)
    first = np.flatnonzero(new)
    sums = spent[first]
    if len(first):
        sums[:, 4] = np.add.reduceat(spent[:, 4], first)
    found: list[list[int]] = sums.tolist()
    return found


def _hours(timezone: str, *times_us: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Beginnings of the local hours of all times. An hour that the clocks cut short or repeat in part runs on whole."""
    ordered = np.unique(np.concatenate(times_us))
    starts_us: list[int] = []
    at = 0
    while at < len(ordered):
        local = from_us(int(ordered[at])).astimezone(ZoneInfo(timezone))
        starts_us.append(int(ordered[at]) - (local.minute * 60 + local.second) * US_PER_S - local.microsecond)
        at = int(np.searchsorted(ordered, starts_us[-1] + _HOUR_US))
    starts = np.array(starts_us, np.int64)
    return [starts[np.searchsorted(starts, of, "right") - 1] for of in times_us]
