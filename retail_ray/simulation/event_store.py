"""Stores for lakes without video: a superstore with sixteen views, and more views for the smaller ready layouts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from retail_ray.core.errors import ConfigError
from retail_ray.simulation.layout_files import RANDOM, plan_by_name
from retail_ray.simulation.layout_parts import (
    area,
    box,
    camera,
    decoy,
    floor_around,
    front_door,
    outer_walls,
    pavement_ends,
    zone,
)
from retail_ray.simulation.layouts import ready_layouts
from retail_ray.simulation.store import Checkout, StoreCamera, StorePlan, StoreZone

_AISLES: Final = ("bread", "pasta", "tins", "snacks", "drinks", "household", "care")
_SHELF_X_M: Final = tuple(8.0 + 3.2 * i for i in range(len(_AISLES) + 1))
_LANE_X_M: Final = tuple(12.0 + 3.6 * i for i in range(5))
_CEILING_M: Final = 3.1
_MOST_CAMERAS: Final = 64


def event_layouts() -> dict[str, StorePlan]:
    """Every store that a lake can be simulated for, by name."""
    return {superstore().name: superstore()} | ready_layouts()


def plan_with_cameras(layout: str, cameras: int) -> StorePlan:
    """A layout with this many cameras: its first ones, or all and further ones under the ceiling.

    layout: a name of `event_layouts`, `random:<seed>`, or a plan file. ConfigError where it is unknown or the number
    is not between 1 and 64; GeometryError where the plan cannot be.
    """
    if not 1 <= cameras <= _MOST_CAMERAS:
        raise ConfigError(f"a store has 1 to {_MOST_CAMERAS} simulated cameras, found {cameras}")
    plan = _plan(layout)
    missing = cameras - len(plan.cameras)
    if missing <= 0:
        return replace(plan, cameras=plan.cameras[:cameras])
    return replace(plan, cameras=(*plan.cameras, *_ceiling_cameras(plan, missing)))


def superstore() -> StorePlan:
    """36 x 24 m: seven aisles, produce, frozen goods, five lanes and one door, seen by sixteen cameras."""
    shop = (0.0, 0.0, 36.0, 24.0)
    return StorePlan(
        name="superstore",
        floor_m=floor_around(shop),
        shop_m=shop,
        walls=outer_walls(shop, (3.0, 6.0)),
        fixtures=(
            *(box("shelf", 1.9, x - 0.5, 11.0, x + 0.5, 19.6) for x in _SHELF_X_M),
            *(box("counter", 1.0, x + 0.6, 2.6, x + 1.1, 4.6) for x in _LANE_X_M),
            box("table", 0.9, 2.2, 8.0, 3.8, 11.0),
            box("table", 0.9, 2.2, 13.5, 3.8, 16.5),
            box("shelf", 1.6, 0.05, 7.0, 0.6, 19.0),
            box("freezer", 1.2, 7.0, 23.2, 31.0, 23.95),
            box("shelf", 2.0, 1.0, 23.3, 6.0, 23.95),
            box("bin", 0.9, 15.0, 9.4, 16.2, 10.0),
            box("bin", 0.9, 23.0, 9.4, 24.2, 10.0),
        ),
        doors=(front_door("door", 3.0, 6.0),),
        checkouts=tuple(_lane(f"lane-{i + 1}", x) for i, x in enumerate(_LANE_X_M)),
        zones=(
            zone("entrance", "entrance", 2.0, 0.15, 7.0, 3.0),
            zone("produce", "aisle", 0.7, 6.5, 5.6, 18.5),
            *(_aisle(i, name) for i, name in enumerate(_AISLES)),
            zone("frozen", "aisle", 7.0, 20.6, 31.0, 23.1),
            zone("promotion", "promotion", 14.0, 8.6, 25.2, 10.7),
            zone("staff", "staff", 32.4, 12.0, 35.8, 23.0, name="Staff only"),
        ),
        cameras=(
            camera("door", (4.5, 6.2, _CEILING_M), (4.5, 0.0), 80, 27),
            *_till_cameras(),
            *(_aisle_camera(i, name) for i, name in enumerate(_AISLES)),
            camera("produce-front", (5.6, 5.4, _CEILING_M), (2.4, 12.0), 78, 24),
            camera("produce-back", (5.8, 21.5, _CEILING_M), (2.6, 14.0), 78, 24),
            camera("frozen-west", (5.6, 20.2, _CEILING_M), (17.0, 22.4), 74, 21),
            camera("frozen-east", (32.0, 20.2, _CEILING_M), (20.0, 22.4), 74, 21),
            camera("promotion", (20.0, 4.6, _CEILING_M), (19.6, 10.2), 88, 27),
        ),
        decoys=(decoy("poster", 35.97, 6.0, 180), decoy("mannequin", 33.0, 7.0, 120), decoy("trolley", 8.2, 0.6, 90)),
        pavement_ends_m=pavement_ends(shop),
    )


def _plan(layout: str) -> StorePlan:
    layouts = event_layouts()
    if layout in layouts:
        return layouts[layout]
    if layout.startswith(RANDOM) or Path(layout).suffix:
        return plan_by_name(layout)
    raise ConfigError(
        f"layout '{layout}': no such layout; use {', '.join(layouts)}, random:<seed>, or a .yaml or .json file"
    )


def _lane(lane_id: str, x_m: float) -> Checkout:
    served = (x_m, 3.4)
    service = area(x_m - 0.55, 2.8, x_m + 0.55, 4.0)
    return Checkout(lane_id, ((x_m, 8.0), (x_m, 4.3)), service, served, (x_m + 1.6, 3.4))


def _aisle(place: int, name: str) -> StoreZone:
    return zone(name, "aisle", _SHELF_X_M[place] + 0.55, 11.0, _SHELF_X_M[place + 1] - 0.55, 19.6)


def _aisle_camera(place: int, name: str) -> StoreCamera:
    """Looks along an aisle; every second one from the other end."""
    x, from_back = (_SHELF_X_M[place] + _SHELF_X_M[place + 1]) / 2, place % 2 == 0
    return camera(name, (x, 21.2 if from_back else 9.2, _CEILING_M), (x, 14.0 if from_back else 16.4), 62, 25)


def _till_cameras() -> tuple[StoreCamera, ...]:
    return tuple(
        camera(f"tills-{i + 1}", (x, 9.6, _CEILING_M), (x, 3.0), 84, 27) for i, x in enumerate((13.5, 19.5, 26))
    )


def _ceiling_cameras(plan: StorePlan, count: int) -> list[StoreCamera]:
    """An even grid over the shop, each camera looking towards the shop's middle line from its side."""
    x0, y0, x1, y1 = plan.shop_m
    columns = int(np.ceil(np.sqrt(count * (x1 - x0) / (y1 - y0))))
    rows = int(np.ceil(count / columns))
    taken = {known.id for known in plan.cameras}
    cameras = []
    for place in range(count):
        row, column = divmod(place, columns)
        x = x0 + (column + 0.5) / columns * (x1 - x0)
        y = y0 + (row + 0.5) / rows * (y1 - y0)
        side = 1.0 if row < rows / 2 else -1.0
        name = next(f"ceiling-{n}" for n in range(place + 1, 1000) if f"ceiling-{n}" not in taken)
        taken.add(name)
        cameras.append(camera(name, (x, y, 3.0), (x, y + side * 2.5), 86, 32))
    return cameras
