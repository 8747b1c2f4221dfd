"""Everybody on the floor as the lanes see them: asked once for many ticks."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from retail_ray.analytics.floor_people import FloorTicks
from retail_ray.analytics.queue_lanes import Lanes
from retail_ray.analytics.sights import KEY_STEP


class FloorSample(NamedTuple):
    """One row of SAMPLE; track: (place of the camera among the sorted names, local id)."""

    person: int
    time_us: int
    x_m: float
    y_m: float
    track: tuple[int, int]
    alone: bool


class Crowd:
    """Everybody in some ticks as the lanes see them; a row is one person in one tick.

    touched: in a service area, at a cashier's place or in the strip of any lane.
    """

    def __init__(self, lanes: Lanes, people: FloorTicks, reach_m: float) -> None:
        samples = people.samples
        self.people, self._begins = people, people.begins.tolist()
        self.person, self.time_us = samples["person"].tolist(), samples["time_us"].tolist()
        self.places = lanes.places(np.column_stack([samples["x_m"], samples["y_m"]]))
        self._to_head_m = (lanes.length_m - self.places.along_m).min(axis=1, initial=np.inf).tolist()
        self.touched = lanes.touched(self.places).tolist()
        self.near = np.any(self.places.in_service | (self.places.aside_m <= reach_m), axis=1).tolist()

    def rows(self, tick: int) -> range:
        return range(self._begins[tick], self._begins[tick + 1])

    def rank(self, row: int) -> tuple[float, int]:
        return self._to_head_m[row], self.person[row]

    def samples(self, rows: list[int]) -> list[FloorSample]:
        found = self.people.samples[rows].tolist() if rows else []
        return [
            FloorSample(person, time_us, x_m, y_m, divmod(track, KEY_STEP), alone)
            for person, time_us, track, x_m, y_m, alone in found
        ]
