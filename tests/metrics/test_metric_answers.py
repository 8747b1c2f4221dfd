"""Every metric against a count in plain Python over the same lake, and against the other questions that ask for it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from retail_ray.core.errors import QueryError
from retail_ray.core.time import US_PER_MINUTE, US_PER_S, BusinessDay
from retail_ray.lake.headcount import headcount
from retail_ray.lake.journeys import journey_summary
from retail_ray.lake.metric_answers import MetricRow, ask
from retail_ray.lake.metric_types import TIME_GROUPS
from retail_ray.lake.metrics import METRICS, metric
from retail_ray.lake.queries import footfall, occupancy
from retail_ray.lake.questions import Question, bucket_starts, coverage
from retail_ray.lake.views import open_lake
from retail_ray.lake.visitors import unique_visitors
from tests.evaluation.stores import DURATION_S, START_US, perfect
from tests.metrics.conftest import Store
from tests.metrics.plain_counts import BRUTE, JOURNEYS, Rows, Values, dwell

HOUR_US = 60 * US_PER_MINUTE
PLACES = [
    ("line_in", "line", "line_id"), ("line_out", "camera", "camera_id"), ("footfall", "line", "line_id"),
    ("zone_visits", "zone", "zone_id"), ("zone_visits", "camera", "camera_id"), ("queue_length", "lane", "lane_id"),
    ("wait", "lane", "lane_id"), ("service", "lane", "lane_id"), ("abandonment", "lane", "lane_id"),
    ("coverage", "camera", "camera_id"),
]  # fmt: skip


def same(found: Values, wanted: Values) -> None:
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        assert found[name] == (None if value is None else pytest.approx(value, rel=1e-9, abs=1e-9)), name


def test_every_metric_has_a_count_of_its_own_here() -> None:
    """capture_rate has its own tests, unique_visitors is compared with its question below."""
    assert {*BRUTE, "capture_rate", "unique_visitors"} == {found.id for found in METRICS}
    assert len(METRICS) == len({found.id for found in METRICS})


@pytest.mark.parametrize("metric_id", BRUTE)
def test_total_and_hours_are_what_a_plain_count_gives(store: Store, metric_id: str) -> None:
    query, brute = BRUTE[metric_id]
    rows = store.rows(query)
    assert rows
    (total,) = ask(store.lake, store.question, metric_id)
    same(total.values, brute(rows))
    found = ask(store.lake, store.question, metric_id, grain="hour")
    starts = bucket_starts(store.question, "hour")
    assert [row.start_us for row in found] == starts
    for row, (start, end) in zip(found, pairwise([*starts, store.question.end_us]), strict=True):
        # The hour of the heat map that began before the interval is not in it.
        same(row.values, brute([one for one in rows if start <= one["at_us"] < end]))


@pytest.mark.parametrize(("metric_id", "by", "column"), PLACES)
def test_groups_are_what_a_plain_count_of_each_gives(store: Store, metric_id: str, by: Any, column: str) -> None:
    query, brute = BRUTE[metric_id]
    of_group: dict[str, Rows] = defaultdict(list)
    for row in store.rows(query):
        of_group[row[column]].append(row)
    found = ask(store.lake, store.question, metric_id, by=[by])
    assert [row.group for row in found] == [{column: name} for name in sorted(of_group)]
    for row in found:
        same(row.values, brute(of_group[str(row.group[column])]))


def test_dwell_by_zone_and_heat_by_square(store: Store) -> None:
    journeys = store.rows(JOURNEYS)
    for row in ask(store.lake, store.question, "dwell", by=["zone"]):
        zone = row.group["zone_id"]
        mine = [one | {"stays": [s for s in one["stays"] if s["zone_id"] == zone]} for one in journeys]
        same(row.values, dwell(mine))
    squares = ask(store.lake, store.question, "heat", by=["cell", "hour"])
    stored = store.rows("SELECT sum(presence_s) AS s FROM heat GROUP BY x0_m, y0_m, time")
    assert sorted(row.values["presence_s"] for row in squares) == pytest.approx(sorted(row["s"] for row in stored))


@pytest.mark.parametrize("metric_id", ["footfall", "zone_visits", "wait", "visits", "conversion", "dwell"])
def test_without_staff_their_rows_are_left_out(store: Store, metric_id: str) -> None:
    query, brute = BRUTE[metric_id]
    staff = {row["identity_id"] for row in store.rows("SELECT * FROM journeys WHERE staff_probability >= 0.5")}
    who = {
        (row["camera_id"], row["local_id"]): row["identity_id"] for row in store.rows("SELECT * FROM tracklet_identity")
    }
    rows = store.rows(query)
    kept = [
        row
        for row in rows
        if (row.get("identity_id") or who.get((row.get("camera_id"), row.get("local_id")))) not in staff
    ]
    assert staff
    if metric_id not in ("wait", "footfall"):  # staff neither queues nor leaves
        assert len(kept) < len(rows)
    (found,) = ask(store.lake, store.question, metric_id, staff="exclude")
    same(found.values, brute(kept))


def test_crossings_of_staff_are_left_out(tmp_path: Path) -> None:
    """Four people go in and out; person 4 is staff."""
    question = Question("shop", BusinessDay("UTC", time(0)), START_US, START_US + DURATION_S * US_PER_S)
    with open_lake(perfect().write(tmp_path)) as lake:
        assert value(ask(lake, question, "footfall"), "entries") == 4
        assert value(ask(lake, question, "footfall", staff="exclude"), "entries") == 3


def test_one_number_has_one_value_wherever_it_is_asked(store: Store) -> None:
    lake, question = store.lake, store.question
    for grain in ("minute", "hour", "day"):
        buckets = footfall(lake, question, grain).buckets  # type: ignore[arg-type]
        found = ask(lake, question, "footfall", grain=grain)  # type: ignore[arg-type]
        wanted = [
            (b.start_us, b.end_us, b.crossings.entries, b.crossings.exits, b.crossings.turned_back, b.interval_share)
            for b in buckets
        ]
        assert [(r.start_us, r.end_us, *r.values.values(), r.interval_share) for r in found] == wanted
    counted, summary = headcount(lake, question), journey_summary(lake, question)
    assert value(ask(lake, question, "visits"), "visits") == counted.visits == summary.journeys
    assert value(ask(lake, question, "visits"), "median_duration_s") == summary.median_duration_s
    assert value(ask(lake, question, "visits", staff="exclude"), "visits") == counted.visits_without_staff
    assert value(ask(lake, question, "groups"), "parties") == counted.parties
    assert value(ask(lake, question, "groups", staff="exclude"), "parties") == counted.parties_without_staff
    newest = occupancy(lake, question)
    assert newest is not None
    assert value(ask(lake, question, "occupancy"), "at_end") == newest.inside
    seen = coverage(lake, question)
    assert value(ask(lake, question, "coverage"), "share") == seen.share
    (people,) = unique_visitors(lake, question)
    (row,) = ask(lake, question, "unique_visitors")
    assert list(row.values.values()) == [people.visitors, people.people.expected, people.people.low, people.people.high]
    (fewer,) = ask(lake, question, "unique_visitors", by=["day"], staff="exclude")
    staff = store.rows("SELECT DISTINCT identity_id FROM journeys WHERE staff_probability >= 0.5")
    assert fewer.values["visitors"] == people.visitors - len(staff)
    assert fewer.group == {"day": "2026-03-02"}


def value(rows: Sequence[MetricRow], name: str) -> float | int | None:
    (row,) = rows
    return row.values[name]


def test_each_row_has_the_coverage_of_its_own_time_and_camera(store: Store) -> None:
    """The cameras began at noon: of a question from 11:30 on, the first half hour is empty."""
    early = replace(store.question, start_us=store.question.start_us - HOUR_US // 2)
    hours = ask(store.lake, early, "footfall", by=["hour"])
    assert [row.group["hour"] for row in hours] == [11, 12, 13]
    assert hours[0].interval_share == 0.0
    assert hours[0].values["entries"] == 0
    assert hours[1].interval_share == pytest.approx(1.0, abs=0.01)
    for row in ask(store.lake, early, "coverage", by=["camera"]):
        (camera,) = [one for one in coverage(store.lake, early).cameras if one.camera_id == row.group["camera_id"]]
        assert row.interval_share == camera.interval_share


def test_hours_of_several_days_come_together_and_weekdays_are_the_business_days(store: Store) -> None:
    """Two days: the same hour of both is one row, half of which was recorded; 3 o'clock belongs to the day before."""
    two_days = replace(store.question, end_us=store.question.start_us + 48 * HOUR_US)
    by_hour = {row.group["hour"]: row for row in ask(store.lake, two_days, "footfall", by=["hour"])}
    assert sorted(by_hour) == list(range(24))
    once = {row.group["hour"]: row for row in ask(store.lake, store.question, "footfall", by=["hour"])}
    assert by_hour[12].values == once[12].values
    assert by_hour[12].interval_share == pytest.approx((once[12].interval_share or 0) / 2, abs=1e-6)
    days = ask(store.lake, two_days, "visits", by=["weekday"])
    assert [row.group["weekday"] for row in days] == [1, 2, 3]
    night = replace(two_days, start_us=two_days.start_us + 15 * HOUR_US, end_us=two_days.start_us + 16 * HOUR_US)
    assert [row.group["day"] for row in ask(store.lake, night, "visits", by=["day", "hour"])] == ["2026-03-02"]


def test_additive_metrics_add_up_and_the_others_say_that_they_do_not(store: Store) -> None:
    assert not metric("visits").additive
    for found in METRICS:
        if not found.additive:
            continue
        (total,) = ask(store.lake, store.question, found.id)
        for by in found.groups:
            parts = ask(store.lake, store.question, found.id, by=[by])
            for name, whole in total.values.items():
                assert sum(row.values[name] or 0 for row in parts) == pytest.approx(whole), (found.id, by)


def test_every_allowed_way_to_ask_is_answered_and_every_other_refused_with_those_there_are(store: Store) -> None:
    for found in METRICS:
        if found.id == "capture_rate":
            continue
        for group in ("line", "zone", "lane", "camera", "cell", *TIME_GROUPS):
            if group in found.groups:
                assert ask(store.lake, store.question, found.id, by=[group])  # type: ignore[list-item]
            else:
                with pytest.raises(QueryError, match=f"cannot be grouped by '{group}', but by {found.groups[0]}"):
                    ask(store.lake, store.question, found.id, by=[group])  # type: ignore[list-item]
        for grain in ("minute", "hour", "day"):
            if grain not in found.grains:
                with pytest.raises(QueryError, match=f"has no grain '{grain}', but"):
                    ask(store.lake, store.question, found.id, grain=grain)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("metric_id", "how", "message"),
    [
        ("footfal", {}, "there is no metric 'footfal'; there are line_in"),
        ("footfall", {"by": ["hour"], "grain": "day"}, "give either a grain or one of hour, day, weekday"),
        ("footfall", {"by": ["line", "line"]}, "a group is named twice"),
        ("heat", {"staff": "exclude"}, "staff cannot be left out"),
        ("footfall", {"staff": "only"}, "staff is 'include' or 'exclude', found 'only'"),
        ("footfall", {"by": ["shelf"]}, "cannot be grouped by 'shelf', but by line, camera, hour"),
    ],
)
def test_refused(store: Store, metric_id: str, how: dict[str, Any], message: str) -> None:
    with pytest.raises(QueryError, match=message):
        ask(store.lake, store.question, metric_id, **how)


def test_where_nothing_happened_counts_are_zero_and_the_rest_is_unknown(store: Store) -> None:
    before = replace(store.question, start_us=store.question.start_us - 48 * HOUR_US, end_us=store.question.start_us)
    for found in METRICS:
        if found.id in ("capture_rate", "conversion"):
            continue
        for row in ask(store.lake, before, found.id):
            assert row.values == {value.name: value.empty for value in found.values}
            assert row.interval_share == 0.0
    assert ask(store.lake, before, "conversion") == []
