"""How tall the person of each tracklet is, and whether its feet are in sight: a belief over both, kept while it lives.

A box implies a body height. Where the feet are in sight this is the person's own; where a shelf or another person hides
the legs it is anything below. So a body height that stays the same on the way is the person's, and one that changes
is an obstacle's. Someone who stands still behind a counter gives no new evidence, however many frames show it.

The belief is a table of chances, (2, len(HEIGHTS_M)): feet in sight or not, by height. Bayes' rule takes each frame in;
the feet come into sight and go with a rate per second (a hidden Markov model), which gives the answer its hysteresis.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retail_ray.core.body import ADULT_M, ADULT_SIGMA_M
from retail_ray.core.errors import DataError
from retail_ray.core.time import US_PER_S

Floats = NDArray[np.float64]

STATE_FORMAT = 1
HEIGHTS_M = np.arange(0.95, 2.06, 0.05)
CHILD_M, CHILD_SIGMA_M, CHILD_SHARE = 1.25, 0.15, 0.05
# Below are children, or adults whose legs are hidden.
ADULT_FROM_M = 1.5
# How often feet come into sight or go, per second.
CHANGES_PER_S = 1.0
# What counts as a new look at a person: the first, and way, in steps beyond the trembling of boxes.
FIRST_LOOK, LOOKS_PER_M = 0.3, 2.0
STEP_M = 0.4
# Density (1/m) of heights that fit nothing, as of raised arms or of a trolley in the box.
STRAY_DENSITY = 0.01


@dataclass(frozen=True, slots=True)
class Stature:
    """What is believed of N people in one frame.

    in_sight: (N,) chance that the lower edge is at the feet. height_m, sigma_m: (2, N) mean and standard deviation of
    the person's height if they are in sight, and if they are not. adult: (N,) chance that they are in sight and the
    person is an adult. since_s: (N,) time since the tracklet's last frame.
    """

    in_sight: Floats
    height_m: Floats
    sigma_m: Floats
    adult: Floats
    since_s: Floats

    @staticmethod
    def of_all(parts: Sequence[Stature]) -> Stature:
        """The people of several frames, one frame after the other."""
        return Stature(
            np.concatenate([part.in_sight for part in parts]),
            np.concatenate([part.height_m for part in parts], axis=1),
            np.concatenate([part.sigma_m for part in parts], axis=1),
            np.concatenate([part.adult for part in parts]),
            np.concatenate([part.since_s for part in parts]),
        )


@dataclass(slots=True)
class _Belief:
    """One tracklet. at_m: where its head was at the last new look, as if it were ADULT_M high."""

    time_us: int
    at_m: tuple[float, float]
    chances: Floats


class StatureBook:
    """Beliefs of one camera's open tracklets."""

    def __init__(self) -> None:
        self._known: dict[int, _Belief] = {}

    def look(
        self,
        local_ids: Sequence[int],
        time_us: int,
        implied_m: tuple[Floats, Floats],
        odds: Floats,
        at_m: Floats,
    ) -> Stature:
        """Take one frame in.

        implied_m: (N,) body height of each box and its standard deviation, NaN where it implies none.
        odds: (N,) how many times likelier than not feet are in sight, whatever the height says.
        at_m: (N, 2) floor position by the head, only for how far a person has gone.
        """
        n = len(local_ids)
        before, elapsed_s, looks = np.empty((n, *_PRIOR.shape)), np.zeros(n), np.empty(n)
        for i, (local_id, x_m, y_m) in enumerate(zip(local_ids, *at_m.T.tolist(), strict=True)):
            known = self._known.get(local_id)
            if known is None:
                known, looks[i] = _Belief(time_us, (x_m, y_m), _PRIOR), FIRST_LOOK
                self._known[local_id] = known
            else:
                elapsed_s[i] = (time_us - known.time_us) / US_PER_S
                looks[i] = LOOKS_PER_M * _way_m(known, x_m, y_m)
            before[i], known.time_us = known.chances, time_us
        changed = 0.5 - 0.5 * np.exp(-2 * CHANGES_PER_S * elapsed_s)[:, None, None]
        before += changed * (before[:, ::-1] - before)
        likelihood = _likelihood(*implied_m)
        likelihood[:, 0] *= odds[:, None]
        chances = _normalised(before * likelihood)
        kept = _normalised(before * likelihood ** np.minimum(looks, 1.0)[:, None, None])
        for local_id, belief in zip(local_ids, kept, strict=True):
            self._known[local_id].chances = belief
        return _summary(chances, elapsed_s)

    def forget(self, local_ids: Iterable[int]) -> None:
        """These tracklets have ended."""
        for local_id in local_ids:
            self._known.pop(local_id, None)

    def state(self) -> dict[str, Any]:
        """Plain numbers only."""
        known = {i: (belief.time_us, belief.at_m, belief.chances.tolist()) for i, belief in self._known.items()}
        return {"format": STATE_FORMAT, "known": known}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Raises DataError when the state was written by another version."""
        if state.get("format") != STATE_FORMAT:
            raise DataError(f"stature state has format {state.get('format')!r}, need {STATE_FORMAT}")
        self._known = {i: _Belief(us, at_m, np.array(chances)) for i, (us, at_m, chances) in state["known"].items()}


def _prior() -> Floats:
    adults = np.exp(-0.5 * ((HEIGHTS_M - ADULT_M) / ADULT_SIGMA_M) ** 2) / ADULT_SIGMA_M
    children = np.exp(-0.5 * ((HEIGHTS_M - CHILD_M) / CHILD_SIGMA_M) ** 2) / CHILD_SIGMA_M
    heights = (1 - CHILD_SHARE) * adults + CHILD_SHARE * children
    return np.tile(heights / heights.sum() / 2, (2, 1))


def _way_m(known: _Belief, x_m: float, y_m: float) -> float:
    """Metres gone since the last new look, 0 while they are less than a step; notes where it was."""
    way_m = math.hypot(x_m - known.at_m[0], y_m - known.at_m[1])
    if way_m >= STEP_M or math.isnan(known.at_m[0]):
        known.at_m = (x_m, y_m)
    return way_m if way_m >= STEP_M else 0.0


def _likelihood(implied_m: Floats, sigma_m: Floats) -> Floats:
    """(N, 2, heights) densities of implied heights; 1 everywhere where there is none."""
    known = np.isfinite(implied_m) & np.isfinite(sigma_m)
    seen_m, sigma_m = np.where(known, implied_m, ADULT_M)[:, None], np.where(known, sigma_m, 1.0)[:, None]
    away = (seen_m - HEIGHTS_M) / sigma_m
    density = np.empty((len(seen_m), 2, len(HEIGHTS_M)))
    density[:, 0] = np.exp(-0.5 * away**2) / (sigma_m * math.sqrt(2 * math.pi))
    # Any part of the body is as likely as any other to stick out above an obstacle; a logistic edge at the whole.
    density[:, 1] = (seen_m > 0) / HEIGHTS_M / (1 + np.exp(np.clip(1.7 * away, -50, 50)))
    return np.where(known[:, None, None], density + STRAY_DENSITY, 1.0)


def _normalised(chances: Floats) -> Floats:
    return np.asarray(chances / chances.sum(axis=(1, 2), keepdims=True))


def _summary(chances: Floats, since_s: Floats) -> Stature:
    in_sight = chances.sum(axis=2)
    heights = chances / np.maximum(in_sight, 1e-12)[:, :, None]
    mean_m = heights @ HEIGHTS_M
    variance = np.maximum(heights @ HEIGHTS_M**2 - mean_m**2, 0.0)
    adult = chances[:, 0, HEIGHTS_M >= ADULT_FROM_M].sum(axis=1)
    return Stature(in_sight[:, 0], mean_m.T, np.sqrt(variance).T, adult, since_s)


_PRIOR = _prior()
