"""Checkout lanes as an analyst sees them: who came, how long they waited, and whether that hangs together."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pyarrow as pa

from retail_ray.analyst.survival import survival
from retail_ray.core.time import US_PER_S
from retail_ray.lake.questions import Question

LANE_COLUMNS: Final = {
    "lane_id": pa.string(), "joined": pa.int64(), "served": pa.int64(), "abandoned": pa.int64(),
    "cut_off": pa.int64(), "median_wait_s": pa.float64(), "p90_wait_s": pa.float64(),
    "mean_length": pa.float64(), "arrivals_times_wait": pa.float64(),
}  # fmt: skip
LANE_NOTES: Final = (
    "median_wait_s and p90_wait_s are Kaplan-Meier estimates: who gave up or was lost had waited at least so long.",
    "By Little's law mean_length and arrivals_times_wait agree: far apart, something is missing in one of them.",
)
LANE_ESTIMATES: Final = frozenset({"median_wait_s", "p90_wait_s"})


def lane_rows(visits: pa.Table, minutes: pa.Table, question: Question, lane_ids: list[str]) -> list[dict[str, Any]]:
    """One row per lane. visits, minutes: rows of queue_visits and queue_metrics of the interval.

    mean_length is over the minutes on record; arrivals_times_wait is the time waited, as far as it was seen, per time
    of the same minutes, or of the interval where no minute is on record.
    """
    lanes = np.array(visits["lane_id"].to_pylist(), object)
    outcomes = np.array(visits["outcome"].to_pylist(), object)
    wait_s = visits["wait_s"].to_numpy()
    begun = np.array(visits["service_time"].is_valid())
    minute_lanes = np.array(minutes["lane_id"].to_pylist(), object)
    lengths = minutes["queue_length_mean"].to_numpy()
    rows = []
    for lane_id in lane_ids:
        mine, on_record = lanes == lane_id, lengths[minute_lanes == lane_id]
        counts = {name: int((outcomes[mine] == name).sum()) for name in ("served", "abandoned", "censored")}
        curve = survival(wait_s[mine], begun[mine])
        span_s = 60 * len(on_record) or (question.end_us - question.start_us) / US_PER_S
        rows.append(
            {
                "lane_id": lane_id,
                "joined": int(mine.sum()),
                "served": counts["served"],
                "abandoned": counts["abandoned"],
                "cut_off": counts["censored"],
                "median_wait_s": curve.quantile_s(0.5),
                "p90_wait_s": curve.quantile_s(0.9),
                "mean_length": float(on_record.mean()) if len(on_record) else None,
                "arrivals_times_wait": float(wait_s[mine].sum()) / span_s,
            }
        )
    return rows
