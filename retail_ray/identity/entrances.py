"""Where people come in: floor points that may begin a visit, and what it costs to begin one elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retail_ray.core.time import US_PER_S
from retail_ray.identity.evidence import Floats
from retail_ray.identity.settings import GallerySettings


@dataclass(frozen=True, slots=True)
class Entrance:
    """A counting line on the floor in metres, with a point inside."""

    start_m: tuple[float, float]
    end_m: tuple[float, float]
    inside_m: tuple[float, float]


def birth_cost(
    entrances: Sequence[Entrance], first: Floats, opened_us: int, first_us: NDArray[np.int64], settings: GallerySettings
) -> Floats:
    """(N,) nats against a new person at these first places (N, 6): 0 at or outside an entrance, where a session has
    just begun, and where the place is unknown; without any entrance half of it everywhere."""
    cost = np.full(len(first), settings.birth_cost if entrances else 0.5 * settings.birth_cost)
    cost[at_entrance(entrances, first, settings)] = 0.0
    cost[_at_opening(opened_us, first_us, settings)] = 0.0
    cost[~np.isfinite(first[:, 1])] = 0.0
    return cost


def enters(
    entrances: Sequence[Entrance], first: Floats, opened_us: int, first_us: NDArray[np.int64], settings: GallerySettings
) -> NDArray[np.bool_]:
    """(N,) whether a tracklet with this first place (N, 6) began at or outside an entrance, after the opening."""
    return at_entrance(entrances, first, settings) & ~_at_opening(opened_us, first_us, settings)


def at_entrance(entrances: Sequence[Entrance], places: Floats, settings: GallerySettings) -> NDArray[np.bool_]:
    """(N,) which of these places (N, 6) are at or outside an entrance."""
    found = np.zeros(len(places), np.bool_)
    for entrance in entrances:
        found |= _at(entrance, places[:, 1:3], settings.entrance_m)
    return found


def _at_opening(opened_us: int, first_us: NDArray[np.int64], settings: GallerySettings) -> NDArray[np.bool_]:
    return np.asarray(first_us - opened_us <= settings.opening_s * US_PER_S)


def _at(entrance: Entrance, xy_m: Floats, within_m: float) -> NDArray[np.bool_]:
    """Near the line, or anywhere on its outer side."""
    start, end, inside = (np.array(p) for p in (entrance.start_m, entrance.end_m, entrance.inside_m))
    along = end - start
    length = max(float(np.linalg.norm(along)), 1e-9)
    normal = np.array([-along[1], along[0]]) / length
    normal = normal * np.sign(float((inside - start) @ normal) or 1.0)
    depth_m = (xy_m - start) @ normal
    share = np.clip(((xy_m - start) @ along) / length**2, 0.0, 1.0)
    away_m = np.linalg.norm(xy_m - (start + share[:, None] * along), axis=1)
    return np.asarray((away_m <= within_m) | (depth_m < 0))
