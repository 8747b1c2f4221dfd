"""Refuses floor plans in which nobody could shop: every message names the layout, the thing, and what is wrong."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from itertools import combinations, pairwise

import numpy as np
from numpy.typing import NDArray

from retail_ray.core.errors import ConfigError, GeometryError
from retail_ray.core.polygons import check_polygon, contains
from retail_ray.simulation.navigation import BODY_RADIUS_M, CELL_M, Ground, flow_field, ground_cells_near, ground_of
from retail_ray.simulation.store import Checkout, Door, Point, Rectangle, StoreCamera, StorePlan, Wall

_TOUCH_M = 0.01
_LANE_ROOM_M = 0.2
_DOOR_M = 0.8
_LARGEST_FLOOR_M = 200.0


def check_plan(plan: StorePlan) -> StorePlan:
    """The plan itself when people can come in, shop and pay in it; else GeometryError or ConfigError."""
    _check_parts(plan)
    _check_rectangles(plan)
    _check_cameras(plan)
    ground = ground_of(plan)
    reachable = _reachable(plan, ground)
    _check_doors(plan, ground, reachable)
    _check_bypass(plan)
    for checkout in plan.checkouts:
        _check_checkout(plan, checkout, ground, reachable)
    _check_zones(plan, ground, reachable)
    return plan


def _fault(plan: StorePlan, what: str) -> GeometryError:
    return GeometryError(f"layout '{plan.name}': {what}")


def _check_parts(plan: StorePlan) -> None:
    if not plan.name:
        raise ConfigError("layout: it needs a name")
    if not plan.doors:
        raise ConfigError(f"layout '{plan.name}': it has no door; give at least one")
    if len(plan.pavement_ends_m) < 2:
        raise ConfigError(f"layout '{plan.name}': pavement_ends_m needs at least two places where people come from")
    parts = {"door": plan.doors, "checkout": plan.checkouts, "zone": plan.zones, "camera": plan.cameras}
    for kind, things in parts.items():
        ids = Counter(thing.id for thing in things)  # type: ignore[attr-defined]
        twice = [name for name, count in ids.items() if count > 1 or not name]
        if twice:
            raise ConfigError(f"layout '{plan.name}': {kind} id '{twice[0]}' is empty or stands twice; ids are unique")


def _check_rectangles(plan: StorePlan) -> None:
    areas = {"floor_m": plan.floor_m, "shop_m": plan.shop_m}
    areas |= {f"fixture {i} ({f.kind})": f.area_m for i, f in enumerate(plan.fixtures, start=1)}
    for name, area in areas.items():
        if not all(map(math.isfinite, area)) or area[0] >= area[2] or area[1] >= area[3]:
            raise _fault(plan, f"{name}: {area} is no rectangle x0, y0, x1, y1 with x0 < x1 and y0 < y1")
    if max(plan.floor_m[2] - plan.floor_m[0], plan.floor_m[3] - plan.floor_m[1]) > _LARGEST_FLOOR_M:
        raise _fault(plan, f"floor_m: {plan.floor_m} is larger than {_LARGEST_FLOOR_M:g} m")
    if not _within(plan.shop_m, plan.floor_m):
        raise _fault(plan, f"shop_m {plan.shop_m} must lie within floor_m {plan.floor_m}")
    for number, fixture in enumerate(plan.fixtures, start=1):
        if not _within(fixture.area_m, plan.shop_m) or not 0.0 < fixture.height_m < 10.0:
            raise _fault(plan, f"fixture {number} ({fixture.kind}) at {fixture.area_m} does not stand in the shop")
    for (i, a), (j, b) in combinations(enumerate(plan.fixtures, start=1), 2):
        if _overlap(a.area_m, b.area_m):
            raise _fault(plan, f"fixture {i} ({a.kind}) and fixture {j} ({b.kind}) stand in each other")


def _within(inner: Rectangle, outer: Rectangle) -> bool:
    low = inner[0] >= outer[0] - _TOUCH_M and inner[1] >= outer[1] - _TOUCH_M
    return low and inner[2] <= outer[2] + _TOUCH_M and inner[3] <= outer[3] + _TOUCH_M


def _overlap(a: Rectangle, b: Rectangle) -> bool:
    return min(a[2], b[2]) - max(a[0], b[0]) > _TOUCH_M and min(a[3], b[3]) - max(a[1], b[1]) > _TOUCH_M


def _check_cameras(plan: StorePlan) -> None:
    for camera in plan.cameras:
        _check_camera(plan, camera)


def _check_camera(plan: StorePlan, camera: StoreCamera) -> None:
    x, y, z = camera.position_m
    x0, y0, x1, y1 = plan.shop_m
    ceiling = max((wall.height_m for wall in plan.walls), default=3.0)
    if not (x0 < x < x1 and y0 < y < y1 and 0.0 < z <= ceiling):
        raise _fault(plan, f"camera '{camera.id}' at {camera.position_m} hangs outside the shop (up to {ceiling:g} m)")
    for fixture in plan.fixtures:
        a, b, c, d = fixture.area_m
        if a <= x <= c and b <= y <= d and z <= fixture.height_m:
            raise _fault(plan, f"camera '{camera.id}' at {camera.position_m} is inside a {fixture.kind}")
    if not 10.0 <= camera.horizontal_fov_deg <= 150.0:
        raise _fault(plan, f"camera '{camera.id}': horizontal_fov_deg {camera.horizontal_fov_deg} is not 10 to 150")
    camera.rotation()


def _reachable(plan: StorePlan, ground: Ground) -> NDArray[np.bool_]:
    x0, y0, x1, y1 = plan.shop_m
    for end in plan.pavement_ends_m:
        if x0 <= end[0] <= x1 and y0 <= end[1] <= y1:
            raise _fault(plan, f"pavement end {end} lies inside the shop")
        if not _within((*end, *end), plan.floor_m) or ground.clearance_at(end) < BODY_RADIUS_M:
            raise _fault(plan, f"pavement end {end} is off the floor or inside something")
    reachable = np.isfinite(flow_field(ground, plan.pavement_ends_m[0])[1])
    for end in plan.pavement_ends_m[1:]:
        if not _gets_to(ground, reachable, end):
            raise _fault(plan, f"nobody can walk from pavement end {plan.pavement_ends_m[0]} to {end}")
    return reachable


def _gets_to(ground: Ground, reachable: NDArray[np.bool_], place_m: Point) -> bool:
    return any(reachable[cell] for cell in ground_cells_near(ground, place_m))


def _check_doors(plan: StorePlan, ground: Ground, reachable: NDArray[np.bool_]) -> None:
    for door in plan.doors:
        if math.dist(door.start_m, door.end_m) < _DOOR_M:
            raise _fault(plan, f"door '{door.id}' is narrower than {_DOOR_M} m")
        for side, place in zip(("inside", "outside"), _beside(plan, door), strict=True):
            if ground.clearance_at(place) < BODY_RADIUS_M or not _gets_to(ground, reachable, place):
                raise _fault(plan, f"door '{door.id}' cannot be reached: its {side} at {_text(place)} is blocked")


def _beside(plan: StorePlan, door: Door) -> tuple[Point, Point]:
    """0.8 m inside and outside of the middle of the line."""
    (ax, ay), (bx, by) = door.start_m, door.end_m
    length = math.dist(door.start_m, door.end_m)
    normal = (-(by - ay) / length, (bx - ax) / length)
    side = normal[0] * (door.inside_m[0] - ax) + normal[1] * (door.inside_m[1] - ay)
    if abs(side) < 0.05:
        raise _fault(plan, f"door '{door.id}': inside_m {door.inside_m} lies on its line")
    away = math.copysign(0.8, side)
    x, y = (ax + bx) / 2, (ay + by) / 2
    return (x + away * normal[0], y + away * normal[1]), (x - away * normal[0], y - away * normal[1])


def _check_bypass(plan: StorePlan) -> None:
    """With the doors shut nobody may get into the shop, or visitors would not cross a counting line."""
    shut = replace(plan, walls=(*plan.walls, *(Wall(door.start_m, door.end_m) for door in plan.doors)))
    ground = ground_of(shut)
    reachable = np.isfinite(flow_field(ground, plan.pavement_ends_m[0])[1])
    x0, y0, x1, y1 = plan.shop_m
    inside = reachable & _cells_in(ground, ((x0, y0), (x1, y0), (x1, y1), (x0, y1)), margin_m=0.5)
    beyond = [_text(place) for door in plan.doors if _gets_to(ground, reachable, place := _beside(plan, door)[0])]
    if beyond or bool(inside.any()):
        where = beyond[0] if beyond else _text(_centre(ground, int(np.flatnonzero(inside)[0])))
        raise _fault(plan, f"the shop can be entered beside its doors: {where} is reached without crossing a door line")


def _check_checkout(plan: StorePlan, checkout: Checkout, ground: Ground, reachable: NDArray[np.bool_]) -> None:
    name = f"checkout '{checkout.id}'"
    if len(checkout.lane_m) < 1:
        raise ConfigError(f"layout '{plan.name}': {name}: lane_m needs at least one place")
    corners = check_polygon(np.array(checkout.service_m, np.float64), f"layout '{plan.name}': {name}: service_m")
    if not contains(corners, np.array([checkout.served_at_m]))[0]:
        raise _fault(plan, f"{name}: served_at_m {checkout.served_at_m} lies outside service_m")
    places = {"served_at_m": checkout.served_at_m, "cashier_at_m": checkout.cashier_at_m}
    places |= {f"lane_m {i}": place for i, place in enumerate(checkout.lane_m, start=1)}
    for key, place in places.items():
        if ground.clearance_at(place) < BODY_RADIUS_M:
            raise _fault(plan, f"{name}: {key} {place} is inside or too close to a fixture or wall")
        if not _gets_to(ground, reachable, place):
            raise _fault(plan, f"{name}: {key} {place} cannot be reached from the entrance")
    way = (*checkout.lane_m, checkout.served_at_m)
    for place in _along(way):
        if ground.clearance_at(place) < _LANE_ROOM_M:
            raise _fault(plan, f"{name}: its lane runs through a fixture or wall at {_text(place)}")


def _along(way: tuple[Point, ...]) -> Iterable[Point]:
    for a, b in pairwise(way):
        for share in np.linspace(0.0, 1.0, max(2, math.ceil(math.dist(a, b) / 0.1))):
            yield a[0] + float(share) * (b[0] - a[0]), a[1] + float(share) * (b[1] - a[1])


def _check_zones(plan: StorePlan, ground: Ground, reachable: NDArray[np.bool_]) -> None:
    for zone in plan.zones:
        check_polygon(np.array(zone.corners_m, np.float64), f"layout '{plan.name}': zone '{zone.id}'")
        if not (reachable & _cells_in(ground, zone.corners_m)).any():
            raise _fault(plan, f"zone '{zone.id}' has no place that anybody can walk to")


def _cells_in(ground: Ground, corners_m: tuple[Point, ...], margin_m: float = 0.0) -> NDArray[np.bool_]:
    """(cells,) whether the centre lies in the polygon, and this far from its bounding box's sides."""
    rows, columns = np.indices(ground.cost.shape)
    x = (ground.origin_m[0] + (columns + 0.5) * CELL_M).ravel()
    y = (ground.origin_m[1] + (rows + 0.5) * CELL_M).ravel()
    corners = np.array(corners_m, np.float64)
    inner = (x > corners[:, 0].min() + margin_m) & (x < corners[:, 0].max() - margin_m)
    inner &= (y > corners[:, 1].min() + margin_m) & (y < corners[:, 1].max() - margin_m)
    return np.asarray(inner & contains(corners, np.stack([x, y], axis=1)))


def _centre(ground: Ground, cell: int) -> Point:
    row, column = divmod(cell, ground.cost.shape[1])
    return ground.origin_m[0] + (column + 0.5) * CELL_M, ground.origin_m[1] + (row + 0.5) * CELL_M


def _text(place_m: Point) -> str:
    return f"({place_m[0]:.2f}, {place_m[1]:.2f})"
