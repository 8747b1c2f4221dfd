"""Small pieces from which the ready layouts and the random ones are put together."""

from __future__ import annotations

import math

from retail_ray.simulation.store import (
    Checkout,
    Decoy,
    DecoyKind,
    Door,
    Fixture,
    FixtureKind,
    Point,
    Rectangle,
    StoreCamera,
    StoreZone,
    Wall,
    ZoneKind,
)

PAVEMENT_M = 4.0
SIDE_M = 2.5
WALL_HEIGHT_M = 3.2
_LENSES = ((-0.10, 0.02), (-0.07, 0.01), (-0.13, 0.03), (-0.05, 0.005), (-0.09, 0.015), (-0.12, 0.025))


def floor_around(shop_m: Rectangle) -> Rectangle:
    """The shop, the pavement before its front wall (its y0), and what lies right and left of it."""
    x0, y0, x1, y1 = shop_m
    return (x0 - SIDE_M, y0 - PAVEMENT_M, x1 + SIDE_M, y1)


def pavement_ends(shop_m: Rectangle) -> tuple[Point, ...]:
    """Four places at the floor's edges: a near and a far one on each side."""
    x0, y0, x1, _ = floor_around(shop_m)
    middle = y0 + PAVEMENT_M
    return tuple((x, middle - away) for x in (x0 + 0.1, x1 - 0.1) for away in (1.1, 2.3, 3.3))


def outer_walls(shop_m: Rectangle, *openings_m: tuple[float, float]) -> tuple[Wall, ...]:
    """Four walls, the front one (y0) with openings from x to x."""
    x0, y0, x1, y1 = shop_m
    corners = [x0, *(x for opening in sorted(openings_m) for x in opening), x1]
    front = [Wall((a, y0), (b, y0), WALL_HEIGHT_M) for a, b in zip(corners[::2], corners[1::2], strict=True)]
    sides = [((x1, y0), (x1, y1)), ((x1, y1), (x0, y1)), ((x0, y1), (x0, y0))]
    return (*front, *(Wall(start, end, WALL_HEIGHT_M) for start, end in sides))


def front_door(door_id: str, from_x_m: float, to_x_m: float, y_m: float = 0.0) -> Door:
    """A counting line across an opening of the front wall."""
    return Door(door_id, (from_x_m, y_m), (to_x_m, y_m), ((from_x_m + to_x_m) / 2, y_m + 1.0))


def box(kind: FixtureKind, height_m: float, *area_m: float) -> Fixture:
    x0, y0, x1, y1 = area_m
    return Fixture(kind, (x0, y0, x1, y1), height_m)


def zone(zone_id: str, kind: ZoneKind, *area_m: float, name: str = "") -> StoreZone:
    """A rectangular zone; its name is made from its id where none is given."""
    x0, y0, x1, y1 = area_m
    title = name or zone_id.replace("-", " ").capitalize()
    return StoreZone(zone_id, title, kind, ((x0, y0), (x1, y0), (x1, y1), (x0, y1)))


def area(x0: float, y0: float, x1: float, y1: float) -> tuple[Point, ...]:
    return ((x0, y0), (x1, y0), (x1, y1), (x0, y1))


def till(lane_id: str, lane_m: tuple[Point, ...], served_at_m: Point, cashier_at_m: Point) -> Checkout:
    """A checkout whose service area is the 1.2 m square about the place where customers are served."""
    x, y = served_at_m
    return Checkout(lane_id, lane_m, area(x - 0.6, y - 0.6, x + 0.6, y + 0.6), served_at_m, cashier_at_m)


def camera(
    camera_id: str, position_m: tuple[float, float, float], towards_m: Point, fov_deg: float, down_deg: float
) -> StoreCamera:
    """A camera that looks over the floor point `towards_m`, `down_deg` below the horizon."""
    x, y, z = position_m
    away = math.dist((x, y), towards_m)
    scale = z / math.tan(math.radians(down_deg)) / away
    look_at = (x + (towards_m[0] - x) * scale, y + (towards_m[1] - y) * scale, 0.0)
    k1, k2 = _LENSES[int(fov_deg * 7 + z * 10) % len(_LENSES)]
    return StoreCamera(camera_id, position_m, look_at, float(fov_deg), (k1, k2, 0.0, 0.0, 0.0))


def decoy(kind: DecoyKind, x_m: float, y_m: float, heading_deg: float = 0.0) -> Decoy:
    return Decoy(kind, (x_m, y_m), math.radians(heading_deg))
