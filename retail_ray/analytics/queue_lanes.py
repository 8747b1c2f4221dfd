"""Checkout lanes on the floor: how far along a point is, in the strip or beside it, being served, at the cashier."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from retail_ray.analytics.areas import Polygons, Ways
from retail_ray.core.errors import GeometryError
from retail_ray.core.polygons import check_polygon

Corners = tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class LaneSettings:
    """One lane, floor metres; lane_m runs from tail to head (RETAIL: queue_length, wait, service, abandonment).

    half_width_m: the queue's strip on both sides of lane_m. A member was in the lane for min_stay_s with a median
    speed below max_speed_mps, within max_spacing_m of another member or, alone, of the head. A wait or service ends
    leave_after_s after the member has left; who is back within return_s had not left. Who left before
    abandoned_after_s of waiting has not given up: they stopped by, or kept somebody company.
    """

    lane_id: str
    lane_m: Corners
    service_m: Corners
    cashier_m: Corners | None = None
    half_width_m: float = 0.6
    min_stay_s: float = 5.0
    max_speed_mps: float = 0.4
    max_spacing_m: float = 1.5
    leave_after_s: float = 1.5
    return_s: float = 15.0
    abandoned_after_s: float = 20.0

    def __post_init__(self) -> None:
        place = f"queue '{self.lane_id}'"
        way = np.array(self.lane_m, np.float64)
        if way.ndim != 2 or len(way) < 2 or not np.isfinite(way).all() or not np.hypot(*np.diff(way, axis=0).T).all():
            raise GeometryError(f"{place}: lane_m needs at least two points, each apart from the one before it")
        check_polygon(np.array(self.service_m, np.float64), f"{place} service area")
        if self.cashier_m is not None:
            check_polygon(np.array(self.cashier_m, np.float64), f"{place} cashier's place")
        sizes = (self.half_width_m, self.min_stay_s, self.max_speed_mps, self.max_spacing_m, self.leave_after_s)
        if min(sizes) <= 0 or min(self.return_s, self.abandoned_after_s) < 0:
            raise GeometryError(f"{place}: its distances, times and speed must be positive, found {self}")


class LanePlace(NamedTuple):
    """A point as one lane sees it. along_m: from the tail, its length at the head and beyond. aside_m: from lane_m."""

    along_m: float
    aside_m: float
    in_service: bool
    at_cashier: bool


@dataclass(frozen=True, slots=True)
class LanePlaces:
    """(N, L) of each of N points as each of L lanes sees it; the fields are those of LanePlace."""

    along_m: NDArray[np.float64]
    aside_m: NDArray[np.float64]
    in_service: NDArray[np.bool_]
    at_cashier: NDArray[np.bool_]

    def of(self, rows: Sequence[int]) -> list[list[LanePlace]]:
        """Of some points, of each lane."""
        if not len(rows):
            return []
        columns = (self.along_m, self.aside_m, self.in_service, self.at_cashier)
        points = zip(*(column[rows].tolist() for column in columns), strict=True)
        return [list(map(LanePlace, *point)) for point in points]


class Lanes:
    """The geometry of all lanes of a site, sorted by name."""

    def __init__(self, lanes: Sequence[LaneSettings]) -> None:
        self.settings = sorted(lanes, key=lambda lane: lane.lane_id)
        self._ways = Ways([np.array(lane.lane_m, np.float64) for lane in self.settings])
        self.length_m = self._ways.length_m
        self._half_width_m = np.array([lane.half_width_m for lane in self.settings])
        self._with_cashier = [lane for lane, of in enumerate(self.settings) if of.cashier_m is not None]
        areas = [lane.service_m for lane in self.settings]
        areas += [lane.cashier_m for lane in self.settings if lane.cashier_m is not None]
        self._areas = Polygons([np.array(area, np.float64) for area in areas])

    def __len__(self) -> int:
        return len(self.settings)

    def places(self, points_m: NDArray[np.float64]) -> LanePlaces:
        """Of (N, 2) floor points."""
        along_m, aside_m = self._ways.along_and_aside(points_m)
        inside = self._areas.inside(points_m)
        at_cashier = np.zeros(along_m.shape, np.bool_)
        at_cashier[:, self._with_cashier] = inside[:, len(self) :]
        return LanePlaces(along_m, aside_m, inside[:, : len(self)], at_cashier)

    def touched(self, places: LanePlaces) -> NDArray[np.bool_]:
        """(N,) whether a point lies in a service area, at a cashier's place or in the strip of any lane."""
        in_strip = places.aside_m <= self._half_width_m
        return np.asarray((places.in_service | places.at_cashier | in_strip).any(axis=1))

    def at_head(self, lane: int, place: LanePlace) -> bool:
        """Whether somebody may join here with nobody else in the lane."""
        return place.in_service or place.along_m >= self.length_m[lane] - self.settings[lane].max_spacing_m


def lane_of(places: Sequence[LanePlace], lanes: Sequence[LaneSettings], former: int | None) -> int | None:
    """The one lane that a person is in: a service area first, then the nearest strip; at the border the former one."""
    best: tuple[bool, float, int] | None = None
    for index, (place, lane) in enumerate(zip(places, lanes, strict=True)):
        stays_m = 0.25 if index == former else 0.0
        if place.in_service or place.aside_m <= lane.half_width_m + stays_m:
            rank = (not place.in_service, place.aside_m - stays_m, index)
            best = rank if best is None or rank < best else best
    return None if best is None else best[2]
