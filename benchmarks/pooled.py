"""Results of several simulated cases as one, with intervals.

Shares of boxes have Wilson's interval over all boxes. Everything else varies with the case: from `MIN_CASES` cases on
95 % by drawing cases anew; fewer cases give no such interval, only the lowest and the highest of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retail_ray.evaluation.measures import Statistic, bootstrap, wilson

MIN_CASES = 5
MEASURES = {
    "HOTA in cameras": "cameras.all.hota",
    "DetA in cameras": "cameras.all.det_a",
    "AssA in cameras": "cameras.all.ass_a",
    "id switches in cameras": "cameras.all.id_switches",
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
    "door accuracy, worst hour": "doors.all.worst_hour",
    "visitor error": "visitors.error",
    "occupancy error": "occupancy.change.mean_error",
    "dwell error, s": "dwell.all.error_s.median",
    "dwell error, P90, s": "dwell.all.error_s.p90",
    "stays found": "dwell.all.found",
    "stays right": "dwell.all.right",
    "queue length error, people": "queues.length.mean_error",
    "queue wait error, s": "queues.wait_error_s.median",
    "abandonment recall": "queues.abandonment.recall",
}
"""Label -> dotted name in an evaluation."""
LOSSES_OF = ("HOTA in cameras", "IDF1 over cameras", "IDF1 on the floor", "door F1", "stays found")
DETECTOR = "detector."
_SUMS = {"links.false_merges", "links.false_splits", "cameras.all.id_switches"}
"""Counted per case: a case weighs one, however much was counted."""

Weighted = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Values and weights by case; a case that has no value weighs nothing."""
Results = Sequence[Mapping[str, Any]]
"""Of each case: `appearance` and `variants`; a variant holds {"value", "n"} or {"not_measured"} by dotted name."""
Steps = Mapping[str, tuple[str | None, str]]
"""Stage -> the variants before and after it; None before the first: a perfect score."""


def pooled(results: Results, variants: Sequence[str], losses: Steps, gains: Steps) -> dict[str, Any]:
    """Means over cases weighted by what they were counted over, of every variant; detector figures of `everything`."""
    rng = np.random.default_rng(len(results))
    named = sorted({name for result in results for name in result["variants"]["everything"] if DETECTOR in name})
    return {
        "variants": {
            variant: {label: _entry(results, variant, name, rng) for label, name in MEASURES.items()}
            for variant in variants
        },
        "losses": _differences(results, losses, rng, 1.0),
        "gains": _differences(results, gains, rng, -1.0),
        "detector": {name.removeprefix(DETECTOR): _share(results, name) for name in named},
        "appearance": _appearance(results, rng),
    }


def _column(results: Results, variant: str, name: str) -> Weighted:
    found = [result["variants"].get(variant, {}).get(name, {}) for result in results]
    counted = [0 if entry.get("value") is None else entry["n"] for entry in found]
    weights = np.array([float(bool(n)) if name in _SUMS else n for n in counted], np.float64)
    return np.array([entry.get("value") or 0.0 for entry in found], np.float64), weights


def _entry(results: Results, variant: str, name: str, rng: np.random.Generator) -> dict[str, Any]:
    column = _column(results, variant, name)
    counted = column[1] > 0
    if not counted.any():
        return {"not_measured": _why(results, variant, name)}
    return _weighted_mean((column[0][counted], column[1][counted]), rng)


def _weighted_mean(column: Weighted, rng: np.random.Generator) -> dict[str, Any]:
    mean = partial(_mean, column)
    found = {"value": float(mean(np.arange(len(column[0])))), "n": int(column[1].sum())}
    return found | _spread(mean, len(column[0]), rng)


def _why(results: Results, variant: str, name: str) -> str:
    """The reason that the evaluation gave, also where it gave it for the whole section."""
    found = [result["variants"][variant] for result in results if variant in result["variants"]]
    if not found:
        return "this variant did not run"
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        for values in found:
            entry = values.get(".".join(parts[:length]), {})
            if "not_measured" in entry:
                return str(entry["not_measured"])
    return "nothing to count"


def _share(results: Results, name: str) -> dict[str, Any]:
    """Of all boxes of all cases."""
    values, counts = _column(results, "everything", name)
    n = round(float(counts.sum()))
    if n == 0:
        return {"not_measured": _why(results, "everything", name)}
    hits = round(float((values * counts).sum()))
    low, high = wilson(hits, n)
    return {"value": hits / n, "n": n, "cases": int((counts > 0).sum()), "low": low, "high": high}


def _differences(results: Results, steps: Steps, rng: np.random.Generator, sign: float) -> dict[str, Any]:
    def column(variant: str | None, name: str) -> Weighted:
        ones = np.ones(len(results))
        return (ones, ones) if variant is None else _column(results, variant, name)

    return {
        stage: {
            label: _difference(column(before, name), column(after, name), rng, sign)
            for label, name in MEASURES.items()
            if label in LOSSES_OF
        }
        for stage, (before, after) in steps.items()
    }


def _difference(before: Weighted, after: Weighted, rng: np.random.Generator, sign: float) -> dict[str, Any]:
    """sign × (before − after), of the same drawn cases on both sides."""
    counted = (before[1] > 0) & (after[1] > 0)
    if not counted.any():
        return {"not_measured": "no case has both"}
    sides = [(values[counted], weights[counted]) for values, weights in (before, after)]

    def apart(rows: NDArray[Any]) -> NDArray[np.float64]:
        return sign * (_mean(sides[0], rows) - _mean(sides[1], rows))

    n = int(counted.sum())
    return {"value": float(apart(np.arange(n)))} | _spread(apart, n, rng)


def _spread(statistic: Statistic, cases: int, rng: np.random.Generator) -> dict[str, Any]:
    """`low` and `high` of 95 % where there are cases enough, else `lowest` and `highest` of single cases."""
    if cases >= MIN_CASES:
        low, high = bootstrap(np.arange(cases, dtype=np.float64), rng, statistic)
        return {"cases": cases, "low": low, "high": high}
    if cases == 1:
        return {"cases": 1}
    single = statistic(np.arange(cases, dtype=np.float64)[:, None])
    return {"cases": cases, "lowest": float(single.min()), "highest": float(single.max())}


def _mean(column: Weighted, rows: NDArray[Any]) -> NDArray[np.float64]:
    values, weights = (side[rows.astype(np.int64)] for side in column)
    return np.asarray((values * weights).sum(axis=-1) / weights.sum(axis=-1))


def _appearance(results: Results, rng: np.random.Generator) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for kind in ("embedder", "colour histogram"):
        for score in ("auc", "rank_1"):
            values = np.array([v for r in results if (v := r["appearance"].get(kind, {}).get(score)) is not None])
            if len(values):
                made.setdefault(kind, {})[score] = _weighted_mean((values, np.ones(len(values))), rng)
    return made
