"""Fitting of the default weights of staff and groups: logistic regression with weights of 0 or more."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks.people_cases import People
from retail_ray.analytics.groups import GroupSettings, companions, pair_features
from retail_ray.analytics.staff import PARTS, signal_parts, staff_signals

Floats = NDArray[np.float64]

_ROUNDS = 30_000
_RATE = 0.1
_RIDGE = 1e-3


def fitted_staff(stores: Sequence[People], minutes: Sequence[int]) -> dict[str, float]:
    """Bias and weights over all stores and observation lengths; uniforms play no part."""
    features, truth = [], []
    for people in (whole.until(m * 60) for whole in stores for m in minutes):
        signals = staff_signals(people.paths, people.crossings, people.identities, people.areas)
        seen = people.seen()
        features.append(np.stack(list(signal_parts(signals).values())[:-1], axis=1)[seen])
        truth.append(people.staff[people.person[seen]])
    weights = _logistic(np.concatenate(features), np.concatenate(truth).astype(np.float64))
    return dict(zip(("bias", *PARTS), np.round(weights, 2).tolist(), strict=False))


def fitted_groups(stores: Sequence[People]) -> dict[str, float]:
    settings = GroupSettings()
    features, truth = [], []
    for people in stores:
        pairs = companions(people.paths, people.crossings, settings)
        evidence = (pairs.together_s, pairs.near_s, pairs.walking_s, pairs.still_s)
        kept = pairs.together_s >= settings.least_together_s
        features.append(pair_features(*evidence, settings.still_limit_s)[kept])
        first, second = people.person[pairs.first], people.person[pairs.second]
        same = (people.group[first] == people.group[second]) & (people.group[first] >= 0)
        truth.append(same[kept])
    weights = _logistic(np.concatenate(features), np.concatenate(truth).astype(np.float64))
    return dict(zip(("bias", "near", "walking", "still"), np.round(weights, 2).tolist(), strict=True))


def _logistic(features: Floats, truth: Floats) -> Floats:
    """Bias and weights by projected gradient descent with a small ridge."""
    rows = np.column_stack([np.ones(len(features)), features])
    weights = np.zeros(rows.shape[1])
    for _ in range(_ROUNDS):
        error = 1 / (1 + np.exp(-rows @ weights)) - truth
        weights -= _RATE * (rows.T @ error / len(rows) + _RIDGE * np.append(0.0, weights[1:]))
        weights[1:] = np.maximum(weights[1:], 0.0)
    return weights
