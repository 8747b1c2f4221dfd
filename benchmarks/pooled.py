"""Results of several simulated cases as one, with intervals by drawing cases anew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retail_ray.evaluation.measures import Statistic, bootstrap

MEASURES = {
    "HOTA in cameras": "cameras.all.hota",
    "IDF1 in cameras": "cameras.all.idf1",
    "MOTA in cameras": "cameras.all.mota",
    "recall in cameras": "cameras.all.recall",
    "precision in cameras": "cameras.all.precision",
    "IDF1 over cameras": "across_cameras.idf1",
    "HOTA over cameras": "across_cameras.hota",
    "HOTA on the floor": "floor.hota",
    "IDF1 on the floor": "floor.idf1",
    "link precision": "links.across_cameras.precision",
    "link recall": "links.across_cameras.recall",
    "identities per person": "links.identities_per_person",
    "false merges": "links.false_merges",
    "false splits": "links.false_splits",
    "door precision": "doors.all.precision",
    "door recall": "doors.all.recall",
    "door F1": "doors.all.f1",
    "door accuracy": "doors.all.retail_accuracy",
    "visitor error": "visitors.error",
    "occupancy error": "occupancy.change.mean_error",
    "dwell error, s": "dwell.all.error_s.median",
    "dwell error, P90, s": "dwell.all.error_s.p90",
    "stays found": "dwell.all.found",
    "stays right": "dwell.all.right",
}
"""Label -> dotted name in an evaluation."""
LOSSES_OF = ("HOTA in cameras", "IDF1 over cameras", "IDF1 on the floor", "door F1", "stays found")
DETECTOR = "detector."
_SUMS = {"links.false_merges", "links.false_splits"}


Weighted = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Values and weights by case; a case that has no value weighs nothing."""


def pooled(
    results: Sequence[dict[str, Any]], variants: Sequence[str], steps: Mapping[str, tuple[str | None, str]]
) -> dict[str, Any]:
    """Means over cases weighted by what they were counted over, of every variant; detector figures of `everything`.

    steps: by stage, the variants before and after it; None before the first: a perfect score.
    """
    rng = np.random.default_rng(len(results))
    named = sorted({name for result in results for name in result["variants"]["everything"] if DETECTOR in name})
    return {
        "variants": {
            variant: {label: _entry(_column(results, variant, name), rng) for label, name in MEASURES.items()}
            for variant in variants
        },
        "losses": {
            stage: {
                label: _difference(_perfect(results, before, name), _column(results, after, name), rng)
                for label, name in MEASURES.items()
                if label in LOSSES_OF
            }
            for stage, (before, after) in steps.items()
        },
        "detector": {name.removeprefix(DETECTOR): _entry(_column(results, "everything", name), rng) for name in named},
        "appearance": _appearance(results, rng),
    }


def _column(results: Sequence[dict[str, Any]], variant: str, name: str) -> Weighted:
    found = [result["variants"][variant].get(name) or {"value": 0.0, "n": 0} for result in results]
    weights = np.array([float(bool(entry["n"])) if name in _SUMS else entry["n"] for entry in found], np.float64)
    return np.array([entry["value"] for entry in found], np.float64), weights


def _perfect(results: Sequence[dict[str, Any]], variant: str | None, name: str) -> Weighted:
    ones = np.ones(len(results))
    return (ones, ones) if variant is None else _column(results, variant, name)


def _entry(column: Weighted, rng: np.random.Generator) -> dict[str, Any] | None:
    counted = column[1] > 0
    if not counted.any():
        return None
    column = column[0][counted], column[1][counted]
    return {"value": float(_mean(column, np.arange(len(column[0])))), "n": int(column[1].sum())} | _interval(
        partial(_mean, column), len(column[0]), rng
    )


def _difference(before: Weighted, after: Weighted, rng: np.random.Generator) -> dict[str, Any] | None:
    """Of the same drawn cases on both sides."""
    counted = (before[1] > 0) & (after[1] > 0)
    if not counted.any():
        return None
    sides = [(values[counted], weights[counted]) for values, weights in (before, after)]

    def lost(rows: NDArray[Any]) -> NDArray[np.float64]:
        return _mean(sides[0], rows) - _mean(sides[1], rows)

    n = int(counted.sum())
    return {"value": float(lost(np.arange(n)))} | _interval(lost, n, rng)


def _interval(statistic: Statistic, cases: int, rng: np.random.Generator) -> dict[str, Any]:
    if cases < 2:
        return {"cases": cases}
    low, high = bootstrap(np.arange(cases, dtype=np.float64), rng, statistic)
    return {"cases": cases, "low": low, "high": high}


def _mean(column: Weighted, rows: NDArray[Any]) -> NDArray[np.float64]:
    values, weights = (side[rows.astype(np.int64)] for side in column)
    return np.asarray((values * weights).sum(axis=-1) / weights.sum(axis=-1))


def _appearance(results: Sequence[dict[str, Any]], rng: np.random.Generator) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for kind in ("embedder", "colour histogram"):
        for score in ("auc", "rank_1"):
            values = np.array([v for r in results if (v := r["appearance"].get(kind, {}).get(score)) is not None])
            if len(values):
                made.setdefault(kind, {})[score] = _entry((values, np.ones(len(values))), rng)
    return made
