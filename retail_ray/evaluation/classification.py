"""How good probabilities of two classes are: Brier score, area under the ROC curve, precision and recall."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from retail_ray.evaluation.measures import Measure, Section, estimated, middle, not_measured, share

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

_ROUNDS = 1000


def classification(probability: Floats, positive: Flags, of: str, rng: np.random.Generator, accept: float) -> Section:
    """(N,) probabilities in [0, 1] against (N,) true classes; `accept` and above counts as positive."""
    said = probability >= accept
    right = int((said & positive).sum())
    return {
        "brier": estimated((probability - positive) ** 2, of, rng),
        "auc": roc_auc(probability, positive, of, rng),
        "precision": share(right, int(said.sum()), f"{of} held for positive"),
        "recall": share(right, int(positive.sum()), f"positive {of}"),
    }


def roc_auc(probability: Floats, positive: Flags, of: str, rng: np.random.Generator) -> Measure:
    """Probability that a positive one ranks above a negative one, ties half; the interval draws both classes anew."""
    high, low = probability[positive], probability[~positive]
    if not len(high) or not len(low):
        return not_measured(f"there are no {'positive' if not len(high) else 'negative'} {of}")
    drawn = np.array([_auc(rng.choice(high, len(high)), rng.choice(low, len(low))) for _ in range(_ROUNDS)], np.float64)
    return Measure(_auc(high, low), len(probability), of, *middle(drawn))


def _auc(high: Floats, low: Floats) -> float:
    """Mann-Whitney U over the number of pairs."""
    order = np.sort(low)
    below = np.searchsorted(order, high, "left") + np.searchsorted(order, high, "right")
    return float(below.mean() / 2 / len(low))


def f1(right: int, found: int, true: int, of: str) -> Measure:
    """Harmonic mean of precision and recall of sets."""
    if not found + true:
        return not_measured(f"there are no {of}")
    return Measure(2 * right / (found + true), found + true, of)
