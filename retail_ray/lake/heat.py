"""Heat: presence over the squares of the floor, and where it is strongest."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from retail_ray.core.hotspots import Hotspot, hotspots
from retail_ray.lake import rollup_kinds
from retail_ray.lake.questions import Question
from retail_ray.lake.views import Lake

_SQUARES: Final = """
SELECT cell_m, x0_m, y0_m, sum(presence_us)::BIGINT / 1e6 AS presence_s, max(people) AS people FROM parts
GROUP BY cell_m, x0_m, y0_m ORDER BY cell_m, y0_m, x0_m
"""
_US_PER_HOUR: Final = 3_600_000_000


@dataclass(frozen=True, slots=True)
class HeatSquare:
    """One square: lower corner, seconds of presence. people: the most in any of its hours."""

    x0_m: float
    y0_m: float
    presence_s: float
    people: int


@dataclass(frozen=True, slots=True)
class HeatGrid:
    """Squares of one size that anybody was in. suppressed: squares left out because too few people were."""

    cell_m: float
    squares: tuple[HeatSquare, ...]
    hotspots: tuple[Hotspot, ...]
    suppressed: int


def heat(lake: Lake, question: Question, min_people: int = 1, most_hotspots: int = 10) -> list[HeatGrid]:
    """Presence of every hour that the interval touches, one grid per size of square that the site has used.

    min_people: squares in which no hour had so many people are left out.
    """
    day_us = question.day.start_us(question.params["first_day"])
    hours = replace(question, start_us=max(question.start_us - _US_PER_HOUR + 1, day_us), camera_id=None)
    rows = lake.rollups.rows(rollup_kinds.HEAT, hours, _SQUARES, hours.params)
    grids: dict[float, list[HeatSquare]] = {}
    for row in rows:
        grids.setdefault(row.pop("cell_m"), []).append(HeatSquare(**row))
    return [_grid(cell_m, squares, min_people, most_hotspots) for cell_m, squares in grids.items()]


def _grid(cell_m: float, squares: list[HeatSquare], min_people: int, most_hotspots: int) -> HeatGrid:
    kept = tuple(square for square in squares if square.people >= min_people)
    presence_s = {(square.x0_m, square.y0_m): square.presence_s for square in kept}
    return HeatGrid(cell_m, kept, tuple(hotspots(presence_s, cell_m, most_hotspots)), len(squares) - len(kept))
