"""Checkout lanes as an analyst sees them: who came, how long they waited, and whether that hangs together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import pyarrow as pa

from retail_ray.lake.queues import LaneQueue

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


def lane_rows(lanes: Sequence[LaneQueue]) -> list[dict[str, Any]]:
    """One row per lane. arrivals_times_wait: None where no minute is on record."""
    return [
        {
            "lane_id": lane.lane_id,
            "joined": lane.waits.visits,
            "served": lane.waits.served,
            "abandoned": lane.waits.abandoned,
            "cut_off": lane.waits.censored,
            "median_wait_s": lane.waits.median_wait_s,
            "p90_wait_s": lane.waits.p90_wait_s,
            "mean_length": lane.length_mean,
            "arrivals_times_wait": None if lane.little is None else lane.little.arrivals_times_wait,
        }
        for lane in lanes
    ]
