"""Exact crossings of the door lines, and which of them were a turn-back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from retail_ray.core.polygons import along, signed_distance
from retail_ray.simulation.legs import Legs
from retail_ray.simulation.store import Door

TURN_BACK_S = 2.0
"""Who crosses a line and comes back over it sooner than this has turned back: no entry and no exit."""


@dataclass(frozen=True, slots=True)
class Crossing:
    """`time_s` counts from the scenario's start."""

    line_id: str
    person_id: int
    time_s: float
    inwards: bool
    turned_back: bool = False


def crossings_of(doors: Iterable[Door], legs: Legs) -> list[Crossing]:
    """Every crossing of every door line, in order of time."""
    found = [crossing for door in doors for crossing in _over(door, legs)]
    found.sort(key=lambda crossing: (crossing.time_s, crossing.person_id))
    return _mark_turns(found)


def _over(door: Door, legs: Legs) -> list[Crossing]:
    start, end, inside = (np.array(point, np.float64) for point in (door.start_m, door.end_m, door.inside_m))
    side = np.sign(signed_distance(start, end, inside[None])[0])
    before, after = side * signed_distance(start, end, legs.a_m), side * signed_distance(start, end, legs.b_m)
    changes = np.flatnonzero((before >= 0.0) != (after >= 0.0))
    share = before[changes] / (before[changes] - after[changes])
    where = legs.a_m[changes] + share[:, None] * (legs.b_m[changes] - legs.a_m[changes])
    position = along(start, end, where)
    times = legs.start_s[changes] + share * legs.tick_s
    through = np.flatnonzero((position >= 0.0) & (position <= 1.0))
    return [
        Crossing(door.id, int(legs.person_id[changes[i]]), float(times[i]), bool(after[changes[i]] >= 0.0))
        for i in through
    ]


def _mark_turns(crossings: list[Crossing]) -> list[Crossing]:
    """Pair each crossing with the same person's next one over the same line, where that comes soon."""
    marked = list(crossings)
    open_at: dict[tuple[str, int], int] = {}
    for i, crossing in enumerate(crossings):
        key = (crossing.line_id, crossing.person_id)
        last = open_at.pop(key, None)
        if last is not None and crossing.time_s - crossings[last].time_s < TURN_BACK_S:
            for index in (last, i):
                marked[index] = replace(crossings[index], turned_back=True)
        else:
            open_at[key] = i
    return marked
