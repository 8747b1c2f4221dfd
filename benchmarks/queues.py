"""Queues and heat against exact truth, on simulated stores without video: `python -m benchmarks.queues`.

Floor points of every camera come from the truth: as they are, as trackers would give them, and, as a control, with
lanes drawn in the wrong place. Writes benchmarks/results/queues.json.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.environment import RESULTS, describe
from benchmarks.queue_cases import CONDITIONS, START_US, Case, cases, messages
from retail_ray.analytics.floor_operators import FloorSettings
from retail_ray.analytics.heat import HeatSettings
from retail_ray.analytics.occupancy import OccupancySettings
from retail_ray.analytics.site import SiteOperators, SiteRows
from retail_ray.core.event_time import FOREVER_US, CameraView
from retail_ray.core.retail_records import HeatCell
from retail_ray.core.time import US_PER_MINUTE, US_PER_S, BusinessDay
from retail_ray.evaluation.evaluation import SEED
from retail_ray.evaluation.queues import QueueVisits, matched
from retail_ray.lake.scored_rows import NOBODY

CELL_M = 0.5
STORES, MINUTES = 6, 20.0


@dataclass(frozen=True, slots=True)
class Score:
    """One store. length_error: (M,) of lane-minutes. pairs: rows of both that belong together."""

    length_error: NDArray[np.float64]
    true: QueueVisits
    found: QueueVisits
    pairs: tuple[NDArray[np.int64], NDArray[np.int64]]
    heat_correlation: float
    little: tuple[float, float]


def analysed(case: Case) -> SiteRows:
    """What the site's operators make of a store's floor points."""
    operators = SiteOperators(
        [],
        [],
        OccupancySettings(BusinessDay("UTC", time(0))),
        [CameraView(sights.camera_id, calibrated=True, start_us=START_US) for sights in case.sights],
        floor=FloorSettings(case.lanes, HeatSettings("UTC", CELL_M)),
    )
    rows = SiteRows()
    for message in messages(case):
        operators.submit(message)
        rows.extend(operators.advance(FOREVER_US))
    rows.extend(operators.finish(case.end_us))
    return rows


def scored(case: Case, rows: SiteRows) -> Score:
    """`case`: as its cameras saw it truly; presence outside their sight is not held against the heat."""
    true, found = _true_visits(case), _found_visits(rows)
    minutes = np.array([row.minute_us for row in rows.queue_metrics])
    lanes = np.array([row.lane_id for row in rows.queue_metrics], np.object_)
    lengths = np.array([row.queue_length_mean for row in rows.queue_metrics])
    wait_s = (found.waited_us - found.join_us) / US_PER_S
    arrivals_per_s = len(found) * US_PER_S / (case.end_us - START_US)
    return Score(
        np.abs(lengths - _true_lengths(true, lanes, minutes, case.end_us)),
        true,
        found,
        matched(true, found),
        heat_correlation(true_heat(case), rows.heat),
        (float(lengths.mean() * len(set(lanes))), float(arrivals_per_s * wait_s.mean()) if len(wait_s) else 0.0),
    )


def pooled(scores: Sequence[Score]) -> dict[str, Any]:
    """All stores of one condition together."""
    errors = np.concatenate([score.length_error for score in scores])
    served = [(s.true.outcome == "served", s.found.outcome == "served") for s in scores]
    waits_s = [_waits_s([s.true for s in scores], [t for t, _ in served]),
               _waits_s([s.found for s in scores], [f for _, f in served])]  # fmt: skip
    medians = [float(np.median(some)) if len(some) else 0.0 for some in waits_s]
    gave_up = [_gave_up(score) for score in scores]
    both, true, found = (sum(counts) for counts in zip(*gave_up, strict=True))
    return {
        "stores": len(scores),
        "lane_minutes": len(errors),
        "length_mae": round(float(errors.mean()), 3),
        "true_visits": sum(len(s.true) for s in scores),
        "visits_found": sum(len(s.pairs[0]) for s in scores),
        "visits_in_lake": sum(len(s.found) for s in scores),
        "wait_median_true_s": round(medians[0], 1),
        "wait_median_found_s": round(medians[1], 1),
        "wait_median_error": round(abs(medians[1] - medians[0]) / medians[0], 3),
        "wait_error_median_s": round(float(np.median(np.concatenate([_wait_errors_s(s) for s in scores]))), 2)
        if sum(len(s.pairs[0]) for s in scores)
        else None,
        "abandoned_true": true,
        "abandoned_found": found,
        "abandonment_precision": round(both / found, 3) if found else None,
        "abandonment_recall": round(both / true, 3) if true else None,
        "heat_correlation_mean": round(float(np.mean([s.heat_correlation for s in scores])), 4),
        "heat_correlation_lowest": round(float(np.min([s.heat_correlation for s in scores])), 4),
        "little_length": [round(s.little[0], 2) for s in scores],
        "little_arrivals_times_wait": [round(s.little[1], 2) for s in scores],
    }


def true_heat(seen: Case) -> dict[tuple[int, int], float]:
    """Seconds per square, of every position that some camera saw, once."""
    rows = np.concatenate([np.column_stack([s.time_us, s.local_id, s.xy_m * 1e6]) for s in seen.sights])
    rows = np.unique(rows, axis=0)
    step_s = float(np.median(np.diff(np.unique(rows[:, 0])))) / US_PER_S
    squares, counts = np.unique(np.floor(rows[:, 2:] / 1e6 / CELL_M).astype(np.int64), axis=0, return_counts=True)
    return {(x, y): count * step_s for (x, y), count in zip(squares.tolist(), counts.tolist(), strict=True)}


def heat_correlation(true: Mapping[tuple[int, int], float], found: Sequence[HeatCell]) -> float:
    """Pearson's, over all squares with presence in either."""
    ours: dict[tuple[int, int], float] = {}
    for row in found:
        square = (round(row.x0_m / row.cell_m), round(row.y0_m / row.cell_m))
        ours[square] = ours.get(square, 0.0) + row.presence_s
    squares = sorted({*true, *ours})
    pair = [[side.get(square, 0.0) for square in squares] for side in (true, ours)]
    return float(np.asarray(np.corrcoef(pair))[0, 1])


def _true_visits(case: Case) -> QueueVisits:
    table = case.truth["queue_visits"]
    left_us = np.where(table["leave_us"] < 0, case.end_us, table["leave_us"])
    return QueueVisits(
        table["lane_id"].astype(np.object_),
        table["person_id"].astype(np.int64),
        table["join_us"],
        np.where(table["service_us"] < 0, left_us, table["service_us"]),
        left_us,
        table["outcome"].astype(np.object_),
    )


def _found_visits(rows: SiteRows) -> QueueVisits:
    visits = rows.queue_visits
    waited_us = [visit.leave_us if visit.service_us is None else visit.service_us for visit in visits]
    return QueueVisits(
        np.array([visit.lane_id for visit in visits], np.object_),
        np.full(len(visits), NOBODY, np.int64),
        np.array([visit.join_us for visit in visits], np.int64),
        np.array(waited_us, np.int64),
        np.array([visit.leave_us for visit in visits], np.int64),
        np.array([visit.outcome for visit in visits], np.object_),
    )


def _true_lengths(
    true: QueueVisits, lanes: NDArray[np.object_], minutes: NDArray[np.int64], end_us: int
) -> NDArray[np.float64]:
    ends = np.minimum(minutes + US_PER_MINUTE, end_us)
    since = np.maximum(true.join_us[None], minutes[:, None])
    until = np.minimum(true.waited_us[None], ends[:, None])
    waiting = np.clip(until - since, 0, None) * (true.lane_id[None] == lanes[:, None])
    return np.asarray(waiting.sum(axis=1) / (ends - minutes), np.float64)


def _waits_s(sides: Sequence[QueueVisits], kept: Sequence[NDArray[np.bool_]]) -> NDArray[np.float64]:
    parts = [(side.waited_us - side.join_us)[mask] / US_PER_S for side, mask in zip(sides, kept, strict=True)]
    return np.asarray(np.concatenate(parts), np.float64)


def _wait_errors_s(score: Score) -> NDArray[np.float64]:
    """Of visits that were served in truth and in the lake."""
    mine, theirs = score.pairs
    both = (score.true.outcome[mine] == "served") & (score.found.outcome[theirs] == "served")
    true_us = (score.true.waited_us - score.true.join_us)[mine[both]]
    found_us = (score.found.waited_us - score.found.join_us)[theirs[both]]
    return np.asarray(np.abs(found_us - true_us) / US_PER_S, np.float64)


def _gave_up(score: Score) -> tuple[int, int, int]:
    """(in both, in truth, in the lake)"""
    mine, theirs = score.pairs
    true, found = score.true.outcome == "abandoned", score.found.outcome == "abandoned"
    return int((true[mine] & found[theirs]).sum()), int(true.sum()), int(found.sum())


def measured(stores: int, minutes: float) -> dict[str, Any]:
    """Every condition on every store."""
    scores: dict[str, list[Score]] = {name: [] for name in CONDITIONS}
    for case in cases(stores, minutes):
        for name, change in CONDITIONS.items():
            rows = analysed(change(case, np.random.default_rng([SEED, case.seed])))
            scores[name].append(scored(case, rows))
    return {"minutes": minutes, "cell_m": CELL_M, "conditions": {name: pooled(some) for name, some in scores.items()}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stores", type=int, default=STORES)
    parser.add_argument("--minutes", type=float, default=MINUTES)
    arguments = parser.parse_args()
    measured_on = describe()
    report = measured(arguments.stores, arguments.minutes)
    text = json.dumps(report | {"measured_on": measured_on}, indent=1) + "\n"
    (RESULTS / "queues.json").write_text(text, encoding="utf-8")
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
