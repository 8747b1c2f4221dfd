"""How bright a surface is: daylight outside the shop, nine ceiling lights inside, and the eye's tone curve."""

# ruff: noqa: PLR0917 - compiled loops take plain numbers and arrays

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from retail_ray.simulation.store import Rectangle, StorePlan

CEILING_M: Final = 3.0
TONE_STEPS: Final = 4096
TONE_RANGE: Final = 4.0


@dataclass(frozen=True, slots=True)
class Lighting:
    """lights_m: (9, 3) float64 places below the ceiling, three by three over the shop. strength: of each.

    Beyond `shop_m` (x0, y0, x1, y1) it is day.
    """

    lights_m: NDArray[np.float64]
    strength: float
    shop_m: Rectangle


def make_lighting(plan: StorePlan) -> Lighting:
    """So strong that a level surface in the middle of a shop of any size is lit alike."""
    x0, y0, x1, y1 = plan.shop_m
    across, along = np.meshgrid((1 / 6, 0.5, 5 / 6), (1 / 6, 0.5, 5 / 6))
    height = np.full(9, CEILING_M - 0.05)
    lights = np.stack([x0 + across.ravel() * (x1 - x0), y0 + along.ravel() * (y1 - y0), height], axis=1)
    strength = 0.34 * float(np.sqrt((x1 - x0) * (y1 - y0) / 9)) ** 0.75
    return Lighting(lights, strength, plan.shop_m)


def tone_curve() -> NDArray[np.uint8]:
    """(4096,) display values of linear light from 0 to TONE_RANGE."""
    linear = np.arange(TONE_STEPS) * (TONE_RANGE / TONE_STEPS)
    shown = 1 - np.exp(-1.05 * linear)
    return np.asarray(np.clip(shown, 0, 1) ** (1 / 2.2) * 255 + 0.5, np.uint8)


@njit(cache=True, nogil=True)
def irradiance(
    x: float, y: float, z: float, nx: float, ny: float, nz: float,
    lights: NDArray[np.float64], strength: float, shop: tuple[float, float, float, float],
) -> float:  # fmt: skip
    """Light on a surface at (x, y, z) with unit normal; about 1 on a level surface inside."""
    outside = max(shop[0] - x, x - shop[2], shop[1] - y, y - shop[3])
    total = 0.27 + 0.15 * nz
    for i in range(len(lights)):
        dx, dy, dz = lights[i, 0] - x, lights[i, 1] - y, lights[i, 2] - z
        distance2 = dx * dx + dy * dy + dz * dz + 0.3
        facing = (nx * dx + ny * dy + nz * dz) / np.sqrt(distance2)
        wrapped = (facing + 0.35) / 1.35
        if wrapped > 0:
            total += strength * wrapped / (0.6 + distance2 * 0.28)
    total *= 0.78 + 0.22 * min(max(z / 0.9, 0.0), 1.0)
    if outside > -1.0:
        share = min(max((outside + 1.0) / 2.0, 0.0), 1.0)
        total = total * (1 - share) + share * (1.15 + 0.45 * nz + 0.15 * nx)
    return total
