"""Random stores: size, shelves in rows, columns or islands, door, checkouts and cameras, each from one seed."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from retail_ray.core.errors import ConfigError, GeometryError
from retail_ray.simulation.layout_parts import (
    box,
    camera,
    decoy,
    floor_around,
    front_door,
    outer_walls,
    pavement_ends,
    till,
    zone,
)
from retail_ray.simulation.plan_checks import check_plan
from retail_ray.simulation.store import (
    Checkout,
    Decoy,
    Fixture,
    Point,
    Rectangle,
    StoreCamera,
    StorePlan,
    StoreZone,
)

_TRIES: Final = 50
_WALL_SHELF_M = 0.45
_AISLE_NAMES = ("drinks", "snacks", "household", "bakery", "dairy", "wine")


def random_layout(seed: int) -> StorePlan:
    """A store that passes check_plan, the same for the same seed; none of the ready ones."""
    if seed < 0:
        raise ConfigError(f"random layout: seed is {seed}; it must be 0 or more")
    fault: GeometryError | None = None
    for attempt in range(_TRIES):
        draft = _Draft(np.random.default_rng([7_919, seed, attempt]), f"random-{seed}")
        try:
            return check_plan(draft.plan())
        except GeometryError as error:
            fault = error
    raise GeometryError(f"random layout of seed {seed}: no valid store in {_TRIES} tries") from fault


@dataclass(slots=True)
class _Draft:
    """Draws with the door on the left; every second plan is mirrored afterwards."""

    rng: np.random.Generator
    name: str

    def plan(self) -> StorePlan:
        width, depth = self._between(8.5, 16.0), self._between(7.8, 13.0)
        shop = (0.0, 0.0, width, depth)
        left = self._between(0.7, 0.18 * width)
        opening = (left, left + self._between(1.8, 2.6))
        counter, checkout = self._till(opening[1], width)
        shelves, aisles = self._shelves(width, depth)
        walls = self._wall_shelves(width, depth)
        plan = StorePlan(
            name=self.name,
            floor_m=floor_around(shop),
            shop_m=shop,
            walls=outer_walls(shop, opening),
            fixtures=(counter, *shelves, *walls),
            doors=(front_door("door", *opening),),
            checkouts=(checkout,),
            zones=self._zones(opening, aisles),
            cameras=self._cameras(shop, opening, checkout),
            decoys=self._decoys(shop),
            pavement_ends_m=pavement_ends(shop),
        )
        return _mirrored(plan) if self.rng.random() < 0.5 else plan

    def _between(self, low: float, high: float) -> float:
        return round(float(self.rng.uniform(low, max(low, high))), 2)

    def _till(self, door_end: float, width: float) -> tuple[Fixture, Checkout]:
        """A counter along the front wall, its queue running back to the right and then up."""
        start = door_end + self._between(1.3, 1.9)
        end = min(start + self._between(2.2, 2.9), width - 1.6)
        front, back = 0.95, self._between(1.45, 1.6)
        y = round(back + 0.48, 2)
        served = round(start + 0.55, 2)
        corner = round(min(end + 1.0, width - 0.75), 2)
        lane: tuple[Point, ...] = ((corner, round(y + self._between(1.4, 1.8), 2)), (corner, y), (served + 0.9, y))
        return box("counter", 1.0, start, front, end, back), till("lane-1", lane, (served, y), (served, 0.45))

    def _shelves(self, width: float, depth: float) -> tuple[list[Fixture], list[Rectangle]]:
        """Fixtures of the middle of the shop, and the aisles between them."""
        area = (1.9, self._between(4.0, 4.3), width - self._between(2.1, 2.5), depth - 2.0)
        style = int(self.rng.integers(3))
        if style == 0:
            return self._rows(area)
        return self._columns(area) if style == 1 else self._islands(area)

    def _rows(self, area: Rectangle) -> tuple[list[Fixture], list[Rectangle]]:
        x0, y, x1, y1 = area
        shelves: list[Fixture] = []
        aisles: list[Rectangle] = []
        while y + 0.6 < y1:
            thick, gap = self._between(0.6, 0.85), self._between(1.35, 1.8)
            height = self._between(1.35, 1.6) if not shelves else self._between(1.5, 2.0)
            shelves += [box("shelf", height, a, y, b, round(y + thick, 2)) for a, b in self._split(x0, x1)]
            aisles.append((x0, y + thick + 0.05, x1, y + thick + gap - 0.05))
            y = round(y + thick + gap, 2)
        return shelves, aisles

    def _columns(self, area: Rectangle) -> tuple[list[Fixture], list[Rectangle]]:
        x, y0, x1, y1 = area
        shelves: list[Fixture] = []
        aisles: list[Rectangle] = []
        while x + 0.6 < x1:
            thick, gap = self._between(0.6, 0.85), self._between(1.4, 1.9)
            height = self._between(1.5, 2.0)
            shelves += [box("shelf", height, x, a, round(x + thick, 2), b) for a, b in self._split(y0, y1)]
            aisles.append((x + thick + 0.05, y0, x + thick + gap - 0.05, y1))
            x = round(x + thick + gap, 2)
        return shelves, aisles

    def _islands(self, area: Rectangle) -> tuple[list[Fixture], list[Rectangle]]:
        x0, y0, x1, y1 = area
        wide, deep, gap = self._between(1.2, 1.7), self._between(0.8, 1.2), self._between(1.4, 1.8)
        lefts = np.arange(x0, x1 - wide, wide + gap)
        fronts = np.arange(y0, y1 + 0.5 - deep, deep + gap)
        places = [(round(float(x), 2), round(float(y), 2)) for y, x in itertools.product(fronts, lefts)]
        kinds = [("table", 0.85) if self.rng.random() < 0.6 else ("shelf", 1.4) for _ in places]
        boxes = [
            Fixture("table" if kind == "table" else "shelf", (x, y, round(x + wide, 2), round(y + deep, 2)), height)
            for (x, y), (kind, height) in zip(places, kinds, strict=True)
        ]
        return boxes, [(x - 0.6, y - 0.7, x + wide + 0.6, y - 0.05) for x, y in places]

    def _split(self, low: float, high: float) -> list[tuple[float, float]]:
        """One long shelf, or two with a way through."""
        low, high = round(low, 2), round(high, 2)
        if high - low < 5.2 or self.rng.random() < 0.4:
            return [(low, high)]
        middle = self._between(low + 1.8, high - 3.1)
        return [(low, middle), (round(middle + 1.3, 2), high)]

    def _wall_shelves(self, width: float, depth: float) -> list[Fixture]:
        back = box("shelf", 2.0, 0.9, depth - _WALL_SHELF_M - 0.05, width - 0.9, depth - 0.05)
        left = box("shelf", 1.8, 0.05, 3.0, 0.05 + _WALL_SHELF_M, depth - 1.4)
        right = box("freezer", 1.9, width - 0.65, 4.9, width - 0.05, depth - 1.4)
        return [back, *(shelf for shelf in (left, right) if self.rng.random() < 0.8)]

    def _zones(self, opening: tuple[float, float], aisles: list[Rectangle]) -> tuple[StoreZone, ...]:
        entrance = zone("entrance", "entrance", max(0.2, opening[0] - 0.4), 0.15, opening[1] + 0.4, 2.1)
        chosen = self.rng.permutation(len(aisles))[:4]
        named = [
            zone(name, "promotion" if k == 0 else "aisle", *(round(value, 2) for value in aisles[int(i)]))
            for k, (i, name) in enumerate(zip(chosen, _AISLE_NAMES, strict=False))
        ]
        return (entrance, *named)

    def _cameras(self, shop: Rectangle, opening: tuple[float, float], checkout: Checkout) -> tuple[StoreCamera, ...]:
        width, depth = shop[2], shop[3]
        middle = sum(opening) / 2
        x, y = checkout.served_at_m
        cameras = [
            self._camera("door", (middle + self._between(-0.3, 0.5), self._between(4.3, 5.0)), (middle, 0.0), 28.0),
            self._camera("till", (width - 0.3, self._between(4.2, 4.8)), (x + 0.4, y - 0.3), 27.0),
            self._camera("back-left", (0.3, depth - 0.3), (0.5 * width, 0.42 * depth), 25.0),
            self._camera("front-right", (width - 0.3, 0.3), (0.42 * width, 0.55 * depth), 25.0),
        ]
        if width * depth > 110.0:
            cameras.append(self._camera("back-right", (width - 0.3, depth - 0.3), (0.5 * width, 0.5 * depth), 25.0))
        if width * depth > 160.0:
            cameras.append(self._camera("front-left", (0.3, 2.6), (0.5 * width, 0.7 * depth), 25.0))
        return tuple(cameras)

    def _camera(self, camera_id: str, at_m: Point, towards_m: Point, down_deg: float) -> StoreCamera:
        position = (round(at_m[0], 2), round(at_m[1], 2), self._between(2.7, 3.1))
        return camera(camera_id, position, towards_m, self._between(78.0, 92.0), down_deg + self._between(0.0, 5.0))

    def _decoys(self, shop: Rectangle) -> tuple[Decoy, ...]:
        width, depth = shop[2], shop[3]
        choice = (
            decoy("poster", 0.03, self._between(1.2, 2.8), 0.0),
            decoy("poster", width - 0.03, self._between(2.6, 3.8), 180.0),
            decoy("mirror", 0.03, 2.2, 0.0),
            decoy("mannequin", width - 0.45, 0.5, 135.0),
            decoy("mannequin", 0.4, depth - 0.5, 315.0),
            decoy("trolley", 0.45, 2.4, 90.0),
        )
        return tuple(thing for thing in choice if self.rng.random() < 0.45)


def _mirrored(plan: StorePlan) -> StorePlan:
    """The plan with left and right exchanged."""
    width = plan.shop_m[2]

    def point(place: Point) -> Point:
        return (round(width - place[0], 4), place[1])

    def points(places: tuple[Point, ...]) -> tuple[Point, ...]:
        return tuple(point(place) for place in places)

    def area(one: Rectangle) -> Rectangle:
        return (round(width - one[2], 4), one[1], round(width - one[0], 4), one[3])

    return replace(
        plan,
        walls=tuple(replace(wall, start_m=point(wall.start_m), end_m=point(wall.end_m)) for wall in plan.walls),
        fixtures=tuple(replace(fixture, area_m=area(fixture.area_m)) for fixture in plan.fixtures),
        doors=tuple(
            replace(d, start_m=point(d.end_m), end_m=point(d.start_m), inside_m=point(d.inside_m)) for d in plan.doors
        ),
        checkouts=tuple(
            replace(
                one,
                lane_m=points(one.lane_m),
                service_m=points(one.service_m),
                served_at_m=point(one.served_at_m),
                cashier_at_m=point(one.cashier_at_m),
            )
            for one in plan.checkouts
        ),
        zones=tuple(replace(one, corners_m=points(one.corners_m)) for one in plan.zones),
        cameras=tuple(_mirrored_camera(one, width) for one in plan.cameras),
        decoys=tuple(replace(d, at_m=point(d.at_m), heading_rad=np.pi - d.heading_rad) for d in plan.decoys),
        pavement_ends_m=points(plan.pavement_ends_m),
    )


def _mirrored_camera(one: StoreCamera, width: float) -> StoreCamera:
    (x, y, z), (look_x, look_y, look_z) = one.position_m, one.look_at_m
    return replace(one, position_m=(width - x, y, z), look_at_m=(width - look_x, look_y, look_z))
