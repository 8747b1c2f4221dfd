"""The store's fixed surfaces as arrays that a ray can be cast against."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from retail_ray.simulation.render.light import CEILING_M, Lighting
from retail_ray.simulation.store import Decoy, StorePlan

POSTER_M: Final = (0.8, 0.35, 2.05)
MIRROR_M: Final = (0.7, 0.1, 2.0)
"""Width, lower and upper edge."""
HIGH_WALL_M: Final = 2.2
"""Higher walls reach the ceiling."""


class Surface(IntEnum):
    """What a ray meets. Boxes are in the order of `FixtureKind`."""

    SHELF = 0
    COUNTER = 1
    FREEZER = 2
    TABLE = 3
    PILLAR = 4
    BIN = 5
    WALL = 6
    POSTER = 7
    MIRROR = 8
    FLOOR = 9
    CEILING = 10
    OUTSIDE = 11


@dataclass(frozen=True, slots=True)
class Scene:
    """boxes: (B, 8) float64 x0, y0, z0, x1, y1, z1, surface, seed. panels: (P, 8) x0, y0, x1, y1, z0, z1, surface,
    seed: upright rectangles. shop, floor: x0, y0, x1, y1. prints: (N, h, w, 3) albedo of posters.
    """

    boxes: NDArray[np.float64]
    panels: NDArray[np.float64]
    shop: tuple[float, float, float, float]
    floor: tuple[float, float, float, float]
    ceiling_m: float
    lighting: Lighting
    prints: NDArray[np.float32]
    seed: int


def make_scene(plan: StorePlan, lighting: Lighting, prints: NDArray[np.float32]) -> Scene:
    """`prints` are hung up in the order of the posters."""
    seed = sum(ord(letter) * (i + 7) for i, letter in enumerate(plan.name)) % 9973
    boxes: list[tuple[float, ...]] = [
        (*fixture.area_m[:2], 0.0, *fixture.area_m[2:], fixture.height_m, Surface[fixture.kind.upper()], seed + i)
        for i, fixture in enumerate(plan.fixtures)
    ]
    highest = max([CEILING_M, *(camera.position_m[2] + 0.25 for camera in plan.cameras)])
    panels: list[tuple[float, ...]] = []
    for wall in plan.walls:
        top = highest if wall.height_m > HIGH_WALL_M else wall.height_m
        panels.append((*wall.start_m, *wall.end_m, 0.0, top, Surface.WALL, seed))
    posters = [decoy for decoy in plan.decoys if decoy.kind == "poster"]
    panels += [_panel(decoy, Surface.POSTER, POSTER_M, i) for i, decoy in enumerate(posters)]
    panels += [_panel(decoy, Surface.MIRROR, MIRROR_M, 0) for decoy in plan.decoys if decoy.kind == "mirror"]
    return Scene(
        boxes=np.array(boxes, np.float64).reshape(-1, 8),
        panels=np.array(panels, np.float64).reshape(-1, 8),
        shop=plan.shop_m,
        floor=plan.floor_m,
        ceiling_m=highest,
        lighting=lighting,
        prints=prints,
        seed=seed,
    )


def _panel(decoy: Decoy, surface: Surface, size_m: tuple[float, float, float], seed: int) -> tuple[float, ...]:
    """Centred on the decoy, a finger's breadth before it, facing its heading."""
    width_m, low_m, high_m = size_m
    facing = np.array([np.cos(decoy.heading_rad), np.sin(decoy.heading_rad)])
    along = np.array([-facing[1], facing[0]])
    centre = np.asarray(decoy.at_m) + 0.025 * facing
    start, end = centre - along * width_m / 2, centre + along * width_m / 2
    return (float(start[0]), float(start[1]), float(end[0]), float(end[1]), low_m, high_m, surface, seed)
