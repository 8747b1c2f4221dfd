"""Checkout lanes on the floor: how far along a point is, in the strip or beside it, being served, at the cashier."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retail_ray.core.errors import GeometryError
from retail_ray.core.polygons import check_polygon, contains

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


@dataclass(frozen=True, slots=True)
class LanePlace:
    """A point as one lane sees it. along_m: from the tail, its length at the head and beyond. aside_m: from lane_m."""

    along_m: float
    aside_m: float
    in_service: bool
    at_cashier: bool


class Lane:
    """The geometry of one lane."""

    def __init__(self, settings: LaneSettings) -> None:
        self.settings = settings
        way = np.array(settings.lane_m, np.float64)
        self._start, self._step = way[:-1], np.diff(way, axis=0)
        self._long_m = np.hypot(*self._step.T)
        self._before_m = np.concatenate([[0.0], np.cumsum(self._long_m)])[:-1]
        self.length_m = float(self._long_m.sum())
        self._service = np.array(settings.service_m, np.float64)
        self._cashier = None if settings.cashier_m is None else np.array(settings.cashier_m, np.float64)

    def places(self, points_m: NDArray[np.float64]) -> list[LanePlace]:
        """Of (N, 2) floor points."""
        offset = points_m[:, None] - self._start
        share = np.clip((offset * self._step).sum(axis=-1) / self._long_m**2, 0.0, 1.0)
        aside_m = np.hypot(*np.moveaxis(offset - share[..., None] * self._step, -1, 0))
        nearest = np.argmin(aside_m, axis=1)
        along_m = self._before_m[nearest] + np.take_along_axis(share, nearest[:, None], 1)[:, 0] * self._long_m[nearest]
        at_cashier = np.zeros(len(points_m), np.bool_) if self._cashier is None else contains(self._cashier, points_m)
        columns = (along_m, aside_m.min(axis=1), contains(self._service, points_m), at_cashier)
        return [LanePlace(*row) for row in zip(*(column.tolist() for column in columns), strict=True)]

    def at_head(self, place: LanePlace) -> bool:
        """Whether somebody may join here with nobody else in the lane."""
        return place.in_service or place.along_m >= self.length_m - self.settings.max_spacing_m


def lane_of(places: Sequence[LanePlace], lanes: Sequence[Lane], former: int | None) -> int | None:
    """The one lane that a person is in: a service area first, then the nearest strip; at the border the former one."""
    best: tuple[bool, float, int] | None = None
    for index, (place, lane) in enumerate(zip(places, lanes, strict=True)):
        stays_m = 0.25 if index == former else 0.0
        if place.in_service or place.aside_m <= lane.settings.half_width_m + stays_m:
            rank = (not place.in_service, place.aside_m - stays_m, index)
            best = rank if best is None or rank < best else best
    return None if best is None else best[2]
