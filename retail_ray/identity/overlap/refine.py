"""From a first guess to a camera: match sights with tracks, fit all of its numbers, and again with a smaller gate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from retail_ray.core.foot_tracks import FootTracks
from retail_ray.identity.overlap.pinhole import PERSON_M, TALL_M, Pinhole, Vector, people_heights
from retail_ray.identity.overlap.together import Rows, Together

GATES_M: Final = (1.5, 1.0, 0.7, 0.6)
_LEAST_PAIR_S: Final = 1.0
_FOOT_SHARE: Final = 0.04
_HEAD_SHARE: Final = 0.3
_LEAST_SIGMA_PX: Final = 2.0


@dataclass(frozen=True, slots=True)
class Freedom:
    """How far each of a camera's 8 numbers may go from the guess: prior standard deviations, 0 where it is known.

    Order as in Pinhole.changed. roll_rad: how far from upright a camera hangs.
    """

    prior: Vector
    roll_rad: float = 0.06

    @staticmethod
    def unknown_camera() -> Freedom:
        return Freedom(np.array([0.35, 0.12, 0.6, 0.6, 0.6, 3.0, 3.0, 3.0]))

    @staticmethod
    def known_lens() -> Freedom:
        return Freedom(np.array([0.0, 0.0, 0.3, 0.3, 0.3, 1.5, 1.5, 1.5]), roll_rad=0.3)


@dataclass(frozen=True, slots=True)
class Matches:
    """M sights with the place where the reference saw the same person. Rows of sights, (M, 2) metres, track pairs."""

    row: Rows
    floor_m: NDArray[np.float64]
    pair: Rows

    def __len__(self) -> int:
        return len(self.row)


def match(camera: Pinhole, sights: FootTracks, together: Together, gate_m: float) -> Matches:
    """One reference track for a sight and one sight for a track at an instant, of tracks that keep together.

    People whose height is not that of people are left out: their feet are hidden.
    """
    mapped = camera.calibration().to_floor(sights.foot_px)
    tall = people_heights(camera, sights.foot_px, sights.head_px)
    mapped[~((tall > TALL_M[0]) & (tall < TALL_M[1]))] = np.nan
    apart = np.hypot(*(mapped[together.row] - together.floor_m).T)
    apart = np.where(np.isfinite(apart), apart, 1e6)
    typical = np.full(together.pairs, np.inf)
    order = np.argsort(together.pair, kind="stable")
    ends = np.cumsum(np.bincount(together.pair, minlength=together.pairs))
    for number, group in enumerate(np.split(order, ends[:-1])):
        if len(group) * together.step_s >= _LEAST_PAIR_S:
            typical[number] = np.median(apart[group])
    kept = np.flatnonzero((typical[together.pair] <= gate_m) & (apart <= 2 * gate_m))
    ranked = kept[np.lexsort((apart[kept], typical[together.pair[kept]]))]
    _, first = np.unique(together.row[ranked], return_index=True)
    ranked = ranked[np.sort(first)]
    instant = np.stack([together.track[ranked], sights.time_us[together.row[ranked]]], axis=1)
    _, first = np.unique(instant, axis=0, return_index=True)
    chosen = np.sort(ranked[first])
    return Matches(together.row[chosen], together.floor_m[chosen], together.pair[chosen])


def fit(camera: Pinhole, sights: FootTracks, matches: Matches, freedom: Freedom) -> Pinhole:
    """The camera under which the matched places project onto the feet, robustly; people are about PERSON_M tall."""
    free = np.flatnonzero(freedom.prior > 0)
    foot, head = sights.foot_px[matches.row], sights.head_px[matches.row]
    sigma = np.maximum(sights.height_px[matches.row] * _FOOT_SHARE, _LEAST_SIGMA_PX)[:, None]
    head_sigma = np.maximum(sights.height_px[matches.row] * _HEAD_SHARE, 2 * _LEAST_SIGMA_PX)
    on_floor = np.column_stack([matches.floor_m, np.zeros(len(matches))])
    at_head = on_floor + np.array([0, 0, PERSON_M])

    def residuals(values: Vector) -> Vector:
        change = np.zeros(8)
        change[free] = values
        tried = camera.changed(change)
        feet = ((tried.project(on_floor) - foot) / sigma).ravel()
        heads = (tried.project(at_head)[:, 1] - head[:, 1]) / head_sigma
        # Sights of one walk err alike: the prior must not drown in their number.
        prior = values / freedom.prior[free] * 3
        roll = tried.rotation[0, 2] / freedom.roll_rad * 3
        return np.concatenate([_soft(feet), _soft(heads), prior, [roll]])

    scale = np.array([0.1, 0.05, 0.1, 0.1, 0.1, 0.5, 0.5, 0.5])[free]
    found = least_squares(residuals, np.zeros(len(free)), x_scale=scale, max_nfev=40)
    change = np.zeros(8)
    change[free] = found.x
    return camera.changed(change)


def refine(camera: Pinhole, sights: FootTracks, together: Together, freedom: Freedom) -> tuple[Pinhole, Matches]:
    """Match and fit in turn. The prior stays at the camera given. Few matches end it early."""
    now = camera
    matches = match(now, sights, together, GATES_M[0])
    for gate_m in GATES_M:
        if len(matches) < 8:
            break
        now = fit(now, sights, matches, freedom)
        matches = match(now, sights, together, gate_m)
    return now, matches


def _soft(residuals: Vector) -> Vector:
    """Pseudo-Huber at 2 sigma: its squares grow linearly beyond."""
    squared = (residuals / 2.0) ** 2
    return np.asarray(np.sign(residuals) * 2.0 * np.sqrt(2 * (np.sqrt(1 + squared) - 1)))
