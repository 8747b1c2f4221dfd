"""Places with a meaning: shelf spots, doorways, zone borders, waiting spots; all of them can be walked to."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from retail_ray.core.polygons import contains
from retail_ray.simulation.navigation import Ground, flow_field, ground_cells_near
from retail_ray.simulation.store import Checkout, Door, Fixture, Point, StorePlan

SPOT_AWAY_M = 0.40
_SPOT_STEP_M = 0.7
_SPOT_CLEARANCE_M = 0.30
_FROM_LANES_M = 0.75
_FROM_DOORS_M = 1.3
_CLOSE_BY_M = 2.5
_FROM_CASHIERS_M = 0.9
SLOT_STEP_M = 0.8
DOOR_SHARES = (0.3, 0.5, 0.7)
_SHOPPED = ("shelf", "freezer", "table", "bin")


@dataclass(frozen=True, slots=True)
class Spot:
    """Where somebody stands, and what they look at."""

    at_m: Point
    look_at_m: Point


@dataclass(frozen=True, slots=True)
class Doorway:
    """The ways through one door: for each of a few lateral places one outside, one inside, and one that passes by."""

    door: Door
    outside_m: tuple[Point, ...]
    inside_m: tuple[Point, ...]
    passing_m: tuple[Point, ...]


@dataclass(slots=True)
class Places:
    """`reachable` says of each cell whether people get there from the pavement; `popularity` sums to 1."""

    plan: StorePlan
    ground: Ground
    reachable: NDArray[np.bool_]
    doorways: tuple[Doorway, ...] = ()
    spots: tuple[Spot, ...] = ()
    popularity: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    borders: tuple[tuple[Spot, Spot], ...] = ()
    staff_spots: tuple[Spot, ...] = ()
    nearest: tuple[tuple[int, ...], ...] = ()
    taken: set[int] = field(default_factory=set)

    def can_reach(self, place_m: Point) -> bool:
        """Whether people get to this place from the pavement."""
        return any(self.reachable[cell] for cell in ground_cells_near(self.ground, place_m))

    def take(self, spot: int) -> int | None:
        """Reserve a spot, or the nearest free one close by; None where all are taken."""
        for other in self.nearest[spot]:
            if self._free(other):
                self.taken.add(other)
                return other
        return None

    def release(self, spot: int) -> None:
        self.taken.discard(spot)

    def waiting_spots(self, checkout: Checkout) -> tuple[Point, ...]:
        """Places beside a checkout, off every lane, where company waits for who pays."""
        ring = [(r, k * math.tau / 12) for r in (1.5, 2.1, 2.7) for k in range(12)]
        x, y = checkout.served_at_m
        around = [(x + r * math.cos(angle), y + r * math.sin(angle)) for r, angle in ring]
        inside = self.doorways[0].inside_m[1]
        good = [p for p in around if self._open_floor(p, 0.4) and _lane_distance(self.plan, p) > 0.85]
        good = [p for p in good if _door_distance(self.plan, p) > _FROM_DOORS_M]
        return tuple(sorted(good, key=lambda p: math.dist(p, inside))[:4])

    def _free(self, spot: int) -> bool:
        here = self.spots[spot].at_m
        return all(math.dist(self.spots[other].at_m, here) > 0.62 for other in self.taken)

    def _open_floor(self, place_m: Point, clearance_m: float) -> bool:
        x0, y0, x1, y1 = self.plan.shop_m
        inside = x0 < place_m[0] < x1 and y0 < place_m[1] < y1
        if not inside or self.ground.clearance_at(place_m) < clearance_m:
            return False
        row, column = self.ground.cell(place_m)
        return bool(self.reachable[row * self.ground.cost.shape[1] + column])


def places_of(plan: StorePlan, ground: Ground) -> Places:
    """Everything that the scripts need to know about a store."""
    way = flow_field(ground, plan.pavement_ends_m[0])[1]
    places = Places(plan, ground, np.isfinite(way))
    places.doorways = tuple(_doorway(door, ground) for door in plan.doors)
    places.spots = tuple(_shelf_spots(plan, places))
    places.nearest = tuple(_close_by(places.spots, spot) for spot in places.spots)
    places.popularity = _popularity(plan, places.spots)
    places.borders = tuple(_borders(plan, places))
    places.staff_spots = tuple(_staff_spots(plan, places))
    return places


def slots_of(checkout: Checkout) -> tuple[Point, ...]:
    """Where the queue's members stand, head first, along the lane."""
    way = np.array(checkout.lane_m[::-1], np.float64)
    lengths = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(way, axis=0).T))])
    along = np.arange(0.0, lengths[-1] + 1e-6, SLOT_STEP_M)
    x, y = np.interp(along, lengths, way[:, 0]), np.interp(along, lengths, way[:, 1])
    return tuple((float(a), float(b)) for a, b in zip(x, y, strict=True))


def _doorway(door: Door, ground: Ground) -> Doorway:
    start, end, inside = (np.array(p, np.float64) for p in (door.start_m, door.end_m, door.inside_m))
    along = end - start
    normal = np.array([-along[1], along[0]]) / np.hypot(*along)
    normal = normal if normal @ (inside - start) > 0 else -normal
    lateral = [start + share * along for share in DOOR_SHARES]

    def row(away_m: float) -> tuple[Point, ...]:
        points = [(float(p[0]), float(p[1])) for p in (q + away_m * normal for q in lateral)]
        return tuple(p if ground.clearance_at(p) > 0.27 else points[1] for p in points)

    return Doorway(door, row(-0.9), row(1.0), row(-1.0 if ground.clearance_at(row(-1.0)[1]) > 0 else -0.7))


def _shelf_spots(plan: StorePlan, places: Places) -> Iterable[Spot]:
    for fixture in plan.fixtures:
        if fixture.kind in _SHOPPED:
            for spot in _around(fixture):
                if _is_good_spot(plan, places, spot):
                    yield spot


def _around(fixture: Fixture) -> Iterable[Spot]:
    x0, y0, x1, y1 = fixture.area_m
    for along in _steps(x0, x1):
        yield Spot((along, y0 - SPOT_AWAY_M), (along, y0))
        yield Spot((along, y1 + SPOT_AWAY_M), (along, y1))
    for along in _steps(y0, y1):
        yield Spot((x0 - SPOT_AWAY_M, along), (x0, along))
        yield Spot((x1 + SPOT_AWAY_M, along), (x1, along))


def _steps(low: float, high: float) -> Sequence[float]:
    count = max(1, int((high - low) / _SPOT_STEP_M))
    return [low + (high - low) * (k + 0.5) / count for k in range(count)]


def _is_good_spot(plan: StorePlan, places: Places, spot: Spot) -> bool:
    return (
        places._open_floor(spot.at_m, _SPOT_CLEARANCE_M)
        and _lane_distance(plan, spot.at_m) > _FROM_LANES_M
        and _door_distance(plan, spot.at_m) > _FROM_DOORS_M
        and not _in_zone(plan, spot.at_m, "staff")
    )


def _close_by(spots: Sequence[Spot], spot: Spot) -> tuple[int, ...]:
    """The numbers of the eight nearest spots within 2.5 m, nearest first; the first is the spot itself."""
    away = [(math.dist(other.at_m, spot.at_m), number) for number, other in enumerate(spots)]
    return tuple(number for distance, number in sorted(away)[:8] if distance < _CLOSE_BY_M)


def _popularity(plan: StorePlan, spots: Sequence[Spot]) -> NDArray[np.float64]:
    """Some products sell better than others, and those on promotion best; fixed for each store."""
    seed = [ord(letter) for letter in plan.name]
    weights = np.random.default_rng(seed).lognormal(0.0, 0.6, len(spots))
    promoted = np.array([_in_zone(plan, spot.at_m, "promotion") for spot in spots], np.bool_)
    weights[promoted] *= 2.5
    return np.asarray(weights / weights.sum()) if len(spots) else weights


def _borders(plan: StorePlan, places: Places) -> Iterable[tuple[Spot, Spot]]:
    """Pairs of places on both sides of a zone's border, 0.7 m apart."""
    for zone in plan.zones:
        if zone.kind in ("staff", "entrance", "service"):
            continue
        corners = np.array(zone.corners_m)
        for a, b in zip(corners, np.roll(corners, -1, axis=0), strict=True):
            normal = np.array([b[1] - a[1], a[0] - b[0]]) / np.hypot(*(b - a))
            for share in (0.25, 0.5, 0.75):
                on = a + share * (b - a)
                pair = [(float(p[0]), float(p[1])) for p in (on + 0.35 * normal, on - 0.35 * normal)]
                if all(places._open_floor(p, 0.3) and _lane_distance(plan, p) > _FROM_LANES_M for p in pair):
                    yield Spot(pair[0], pair[1]), Spot(pair[1], pair[0])


def _staff_spots(plan: StorePlan, places: Places) -> Iterable[Spot]:
    x0, y0, x1, y1 = plan.shop_m
    grid = [(float(x), float(y)) for y in np.arange(y0 + 0.2, y1, 0.6) for x in np.arange(x0 + 0.2, x1, 0.6)]
    for place in grid:
        from_cashiers = min((math.dist(place, one.cashier_at_m) for one in plan.checkouts), default=math.inf)
        if _in_zone(plan, place, "staff") and places._open_floor(place, 0.28) and from_cashiers > _FROM_CASHIERS_M:
            yield Spot(place, (place[0] + 1.0, place[1]))


def _in_zone(plan: StorePlan, place_m: Point, kind: str) -> bool:
    point = np.array([place_m], np.float64)
    return any(bool(contains(np.array(z.corners_m, np.float64), point)[0]) for z in plan.zones if z.kind == kind)


def _lane_distance(plan: StorePlan, place_m: Point) -> float:
    ways = [(*checkout.lane_m, checkout.served_at_m) for checkout in plan.checkouts]
    pieces = [_away(place_m, a, b) for way in ways for a, b in pairwise(way)]
    return min(pieces, default=math.inf)


def _door_distance(plan: StorePlan, place_m: Point) -> float:
    return min(_away(place_m, door.start_m, door.end_m) for door in plan.doors)


def _away(place_m: Point, start_m: Point, end_m: Point) -> float:
    dx, dy = end_m[0] - start_m[0], end_m[1] - start_m[1]
    share = ((place_m[0] - start_m[0]) * dx + (place_m[1] - start_m[1]) * dy) / (dx * dx + dy * dy + 1e-12)
    share = min(max(share, 0.0), 1.0)
    return math.dist(place_m, (start_m[0] + share * dx, start_m[1] + share * dy))
