"""First guesses: how the floor as one camera believes it lies on the floor of the site, from pairs of tracks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from retail_ray.core.homography import Points
from retail_ray.identity.overlap.together import Rows, Together

GATE_M: Final = 0.8
LEAST_PAIR_S: Final = 2.0
_LEAST_WAY_M: Final = 0.7
_COMBINED: Final = 200
_MOST_SINGLE: Final = 300
_SCALES: Final = (0.7, 1.4)


@dataclass(frozen=True, slots=True)
class Similarity:
    """x_site = scale * turn(x_own) + shift."""

    scale: float
    turn_rad: float
    shift_m: NDArray[np.float64]

    def apply(self, points_m: Points) -> Points:
        c, s = np.cos(self.turn_rad), np.sin(self.turn_rad)
        return np.asarray(self.scale * points_m @ np.array([[c, s], [-s, c]]) + self.shift_m)


def similarity(own_m: Points, site_m: Points) -> Similarity | None:
    """Least squares over (N, 2) pairs, without mirroring (Umeyama 1991 in the plane); None without extent."""
    own_mean, site_mean = own_m.mean(axis=0), site_m.mean(axis=0)
    a, b = own_m - own_mean, site_m - site_mean
    power = float((a * a).sum())
    if power < 1e-6:
        return None
    real, imaginary = float((a * b).sum()) / power, float((a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).sum()) / power
    scale, turn = float(np.hypot(real, imaginary)), float(np.arctan2(imaginary, real))
    found = Similarity(scale, turn, np.zeros(2))
    return Similarity(scale, turn, site_mean - found.apply(own_mean[None])[0])


def agreement(mapped_m: Points, together: Together, expected: NDArray[np.bool_], gate_m: float = GATE_M) -> float:
    """Seconds of sights that lie where the reference sees somebody, weighed a little by their
    share of those that should.

    mapped_m: (rows, 2) the sights on the site's floor. expected: (rows,) whether the reference looks there.
    """
    apart = np.hypot(*(mapped_m[together.row] - together.floor_m).T)
    apart = np.where(np.isfinite(apart), apart, np.inf)
    nearest = np.full(together.rows, np.inf)
    np.minimum.at(nearest, together.row, apart)
    hits = float(np.clip(1 - (nearest / gate_m) ** 2, 0, None).sum()) * together.step_s
    owed = float((expected | (nearest < gate_m)).sum()) * together.step_s
    return float(hits * (hits / owed) ** 0.25) if owed > 0 else 0.0


def similarities(own_m: Points, together: Together) -> Iterator[Similarity]:
    """Candidates from single pairs of tracks that walk, and from two pairs at a time; the likely ones first."""
    pairs = _usable(own_m, together)
    single = []
    for rows in pairs:
        found = similarity(own_m[together.row[rows]], together.floor_m[rows])
        way_m = _way_m(own_m[together.row[rows]])
        if found is None or way_m < _LEAST_WAY_M or not _SCALES[0] < found.scale < _SCALES[1]:
            continue
        rest_m = float(np.sqrt(np.mean((found.apply(own_m[together.row[rows]]) - together.floor_m[rows]) ** 2)))
        linked = bool(together.same_person[rows].all())
        single.append((not linked, rest_m / way_m, found))
    for _, _, found in sorted(single, key=lambda s: s[:2])[:_MOST_SINGLE]:
        yield found
    rng = np.random.default_rng(0)
    for _ in range(_COMBINED if len(pairs) > 1 else 0):
        i, j = rng.choice(len(pairs), 2, replace=False)
        rows = np.concatenate([pairs[i], pairs[j]])
        both = similarity(own_m[together.row[rows]], together.floor_m[rows])
        if both is not None and _SCALES[0] < both.scale < _SCALES[1]:
            yield both


def _usable(own_m: Points, together: Together) -> list[Rows]:
    """Rows of each pair of tracks that were seen together long enough."""
    order = np.argsort(together.pair, kind="stable")
    ends = np.cumsum(np.bincount(together.pair, minlength=together.pairs))
    groups = [group for group in np.split(order, ends[:-1]) if len(group) * together.step_s >= LEAST_PAIR_S]
    return [group for group in groups if np.isfinite(own_m[together.row[group]]).all()]


def _way_m(points_m: Points) -> float:
    return float(np.hypot(*(points_m.max(axis=0) - points_m.min(axis=0))))
