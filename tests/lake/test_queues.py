"""Queue and heat questions over a small lake whose answers can be worked out by hand."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import time
from pathlib import Path

import pytest

from retail_ray.core.records import CoverageRow, IdentityEvent
from retail_ray.core.retail_records import HeatCell, Journey, QueueMinute, QueueOutcome, QueueVisit
from retail_ray.core.time import US_PER_MINUTE, US_PER_S, BusinessDay
from retail_ray.lake.codecs import Record, RowContext
from retail_ray.lake.epochs import Stage, publish
from retail_ray.lake.heat import heat
from retail_ray.lake.questions import Question
from retail_ray.lake.queues import LaneQueue, QueueWaits, queue_buckets, queues
from retail_ray.lake.views import Lake, open_lake

DAY = BusinessDay("UTC", time(0))
HOUR_US = 60 * US_PER_MINUTE
QUESTION = Question("shop", DAY, 0, 2 * HOUR_US, ("till",))


def visit(
    local_id: int, wait_s: float, service_s: float | None, outcome: QueueOutcome, lane: str = "one"
) -> QueueVisit:
    join_us = local_id * US_PER_MINUTE
    until_us = join_us + round(wait_s * US_PER_S)
    leave_us = until_us + round((service_s or 0.0) * US_PER_S)
    service_us = None if service_s is None else until_us
    return QueueVisit(lane, "till", local_id, None, None, join_us, service_us, leave_us, outcome)


# Kaplan-Meier by hand: 5 at risk; 10: 4/5; 20 censored; 30: 4/5 * 2/3 = 8/15; 40 abandoned; 50: 0.
VISITS = [
    visit(1, 10, 20, "served"),
    visit(2, 20, None, "censored"),
    visit(3, 30, 40, "served"),
    visit(4, 40, None, "abandoned"),
    visit(5, 50, 30, "served"),
    visit(6, 5, 5, "served", "two"),
]


def minute(number: int, mean: float, most: int, joined: int, lane: str = "one") -> QueueMinute:
    return QueueMinute(lane, number * US_PER_MINUTE, mean, most, joined, 0, 0, math.nan, 12.0, 0.0)


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[Lake]:
    staff = Journey("j", "s", 9, 0, HOUR_US, False, (), math.nan, None, None, None, 0.9)
    tables: dict[str, list[Record]] = {
        "queue_visits": list(VISITS),
        "queue_metrics": [minute(n, 0.5, 2, 1) for n in range(5)] + [minute(61, 2.0, 3, 4)],
        "heat": [
            HeatCell(0, 0.0, 0.0, 0.5, 100.0, 7),
            HeatCell(HOUR_US, 0.0, 0.0, 0.5, 50.0, 2),
            HeatCell(0, 0.5, 0.0, 0.5, 20.0, 1),
            HeatCell(3 * HOUR_US, 0.5, 0.5, 0.5, 99.0, 9),
            HeatCell(0, 0.0, 0.0, 1.0, 3.0, 1),
        ],
        "identity_events": [
            IdentityEvent(0, 0, "create", "s", 9, None, "till", 5, math.nan, math.nan, "new"),
        ],
        "journeys": [staff],
        "coverage": [CoverageRow("till", n * US_PER_MINUTE, 10, 10, 0, "") for n in range(60)],
    }
    context = RowContext("shop", "r", "c")
    stage = Stage(tmp_path, context, "site", DAY)
    publish(
        tmp_path, context, 0, [entry for name, rows in tables.items() for entry in stage.write_records(name, rows, 0)]
    )
    with open_lake(tmp_path) as opened:
        yield opened


def lane(lake: Lake, name: str = "one") -> LaneQueue:
    return queues(lake, QUESTION, (name,))[0]


def test_waits_hold_those_who_were_not_served_too(lake: Lake) -> None:
    waits = lane(lake).waits
    assert (waits.visits, waits.served, waits.abandoned, waits.censored) == (5, 3, 1, 1)
    assert (waits.median_wait_s, waits.p90_wait_s) == (50.0, 50.0)
    assert waits.served_median_wait_s == 30.0
    assert waits.mean_wait_s == 30.0
    assert waits.median_service_s == 30.0
    assert waits.abandonment_share == 0.25


def test_staff_is_left_out_beside_the_raw_numbers(lake: Lake) -> None:
    found = lane(lake)
    assert (found.waits.visits, found.without_staff.visits, found.without_staff.served) == (5, 4, 2)


def test_both_sides_of_littles_law(lake: Lake) -> None:
    little = lane(lake).little
    assert little is not None
    assert little.mean_length == pytest.approx((5 * 0.5 + 2.0) / 6)
    assert little.arrivals_times_wait == pytest.approx(5 / (6 * 60) * 30)


def test_lanes_are_told_apart_and_an_unknown_one_is_empty(lake: Lake) -> None:
    two, three = queues(lake, QUESTION, ("two", "three"))
    assert (two.waits.visits, two.minutes, two.length_mean) == (1, 0, None)
    assert three == LaneQueue("three", 0, None, None, QueueWaits(), QueueWaits(), None)
    assert three.waits.abandonment_share is None


def test_buckets_are_whole_and_say_their_coverage(lake: Lake) -> None:
    first, second = queue_buckets(lake, QUESTION, "one", "hour")
    assert (first.minutes, first.length_mean, first.length_max, first.joined) == (5, 0.5, 2, 5)
    assert (second.minutes, second.length_mean, second.joined) == (1, 2.0, 4)
    assert (first.interval_share, second.interval_share) == (1.0, 0.0)
    empty = queue_buckets(lake, QUESTION, "two", "hour")[0]
    assert (empty.minutes, empty.length_mean, empty.joined) == (0, None, 0)


def test_heat_is_one_grid_per_size_with_its_hotspots(lake: Lake) -> None:
    fine, coarse = heat(lake, QUESTION)
    assert (fine.cell_m, coarse.cell_m) == (0.5, 1.0)
    assert [(s.x0_m, s.presence_s, s.people) for s in fine.squares] == [(0.0, 150.0, 7), (0.5, 20.0, 1)]
    assert [(spot.x0_m, spot.presence_s) for spot in fine.hotspots] == [(0.0, 150.0)]


def test_squares_of_few_people_can_be_left_out(lake: Lake) -> None:
    (fine,) = [grid for grid in heat(lake, QUESTION, min_people=5) if grid.cell_m == 0.5]
    assert [(s.x0_m, fine.suppressed) for s in fine.squares] == [(0.0, 1)]


def test_an_hour_counts_where_the_interval_touches_it(lake: Lake) -> None:
    inside = Question("shop", DAY, 59 * US_PER_MINUTE, 60 * US_PER_MINUTE)
    assert heat(lake, inside)[0].squares[0].presence_s == 100.0
