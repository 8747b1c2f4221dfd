"""Sums over facts, decisions of the gallery and opening hours, each against its definition."""

from __future__ import annotations

from datetime import UTC, datetime, time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retail_ray.analytics.occupancy import OccupancyMeter, OccupancySettings
from retail_ray.core.records import CoverageRow, LineCrossing, OccupancyRow
from retail_ray.core.retail_records import QueueMinute, QueueVisit
from retail_ray.core.ticks import Tick, Ticks
from retail_ray.core.time import US_PER_MINUTE, US_PER_S, BusinessDay, to_us
from retail_ray.lake.codecs import RowContext
from retail_ray.lake.epochs import Stage, publish
from retail_ray.lake.views import open_lake
from retail_ray.simulation.event_day import periods_of
from retail_ray.simulation.event_facts import Tracklets
from retail_ray.simulation.event_people import identify
from retail_ray.simulation.event_settings import AlertRules, EventSettings, IdentitySettings
from retail_ray.simulation.event_totals import alerts, coverage, heat_cells, occupancy, queue_minutes

MINUTES = [i * US_PER_MINUTE for i in range(6)]
NAN = float("nan")


@st.composite
def waits(draw: st.DrawFn) -> QueueVisit:
    """Whole seconds, so that stays touch each other and the minutes' edges often."""
    join, wait, service = draw(st.integers(0, 300)), draw(st.integers(0, 130)), draw(st.integers(0, 40))
    outcome = draw(st.sampled_from(["served", "abandoned", "censored"]))
    began = outcome == "served" or (outcome == "censored" and draw(st.booleans()))
    service_us = (join + wait) * US_PER_S if began else None
    leave = min(join + wait + (service if began else 0), 359)
    return QueueVisit("lane-1", "c", 1, None, None, join * US_PER_S, service_us, leave * US_PER_S, outcome)


@settings(max_examples=150, deadline=None)
@given(st.lists(waits(), max_size=8))
def test_minutes_of_a_lane_say_what_a_count_of_every_second_says(visits: list[QueueVisit]) -> None:
    spans = [(v.join_us, v.leave_us if v.service_us is None else v.service_us) for v in visits]
    visits = [visit for visit, span in zip(visits, spans, strict=True) if span[1] < 360 * US_PER_S]
    spans = [span for span in spans if span[1] < 360 * US_PER_S]
    rows = queue_minutes(visits, ["lane-1", "lane-2"], MINUTES)
    assert [(row.minute_us, row.lane_id) for row in rows[:3]] == [(0, "lane-1"), (0, "lane-2"), (60_000_000, "lane-1")]
    for row in rows[::2]:
        seconds = range(row.minute_us, row.minute_us + US_PER_MINUTE, US_PER_S)
        lengths = [sum(a <= second < b for a, b in spans) for second in seconds]
        assert row.queue_length_mean == pytest.approx(np.mean(lengths))
        assert row.queue_length_max == max(lengths)
        assert row.joined == sum(a in seconds for a, _ in spans)
        assert row.abandoned == sum(v.outcome == "abandoned" and v.leave_us in seconds for v in visits)
        assert row.service_rate_per_h == 60 * sum(v.outcome == "served" and v.leave_us in seconds for v in visits)
    assert {(row.queue_length_mean, row.queue_length_max, row.joined) for row in rows[1::2]} == {(0.0, 0, 0)}


crossings = st.builds(
    LineCrossing, st.just("door"), st.just("c"), st.integers(1, 9), st.integers(0, 6 * US_PER_MINUTE - 1),
    st.sampled_from(["in", "out"]), st.booleans(),
)  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(st.lists(crossings, max_size=12))
def test_occupancy_is_what_the_live_meter_says(found: list[LineCrossing]) -> None:
    meter = OccupancyMeter(OccupancySettings(BusinessDay("UTC", time(0))))
    rows: list[OccupancyRow] = []
    for minute in MINUTES:
        final = [row for row in found if minute <= row.time_us < minute + US_PER_MINUTE]
        rows += meter.update(Ticks(_quiet_tick(minute), US_PER_MINUTE), [final], ["c"])
    assert occupancy(found, MINUTES) == [*rows, *meter.finish([])]


def _quiet_tick(minute_us: int) -> Tick:
    """One frame of one camera without anybody."""
    no_rows: dict[str, Any] = {
        name: np.zeros(0, np.int64)
        for name in (
            "camera",
            "time_us",
            "local_id",
            "confidence",
            "foot_estimated",
            "embedding_row",
            "embedding_quality",
        )
    }
    no_places: dict[str, Any] = {
        name: np.zeros((0, 2)) for name in ("foot_px", "floor_xy_m", "embedding", "edge_px", "edge_xy_m")
    }
    return Tick(
        start_us=minute_us,
        end_us=minute_us + US_PER_MINUTE,
        frame_time_us=np.array([minute_us], np.int64),
        frame_camera=np.zeros(1, np.int32),
        floor_cov_m2=np.zeros((0, 2, 2)),
        **no_rows,
        **no_places,
    )


def lane(*lengths: float) -> list[QueueMinute]:
    return [
        QueueMinute("lane-1", i * US_PER_MINUTE, length, 9, 0, 0, 0, NAN, NAN, 0.0) for i, length in enumerate(lengths)
    ]


RULES = AlertRules(queue_length=(4.0, 2.0), for_minutes=2)


@pytest.mark.parametrize(
    ("lengths", "expected"),
    [
        ((5, 1, 5, 1, 5), []),  # never two minutes on end
        ((4, 4), [("raised", 2)]),  # the threshold itself counts
        ((5, 5, 3, 3, 5, 5), [("raised", 2)]),  # between both thresholds nothing changes, and nothing is raised twice
        ((5, 5, 1, 3, 1, 1, 5, 5), [("raised", 2), ("cleared", 6), ("raised", 8)]),
        ((5, 5, 2, 2), [("raised", 2)]),  # cleared below the lower threshold, not at it
        ((), []),
    ],
)
def test_an_alert_holds_until_the_queue_is_short_again(lengths: tuple[float, ...], expected: list[Any]) -> None:
    found = alerts(lane(*lengths), [], [], RULES)
    assert [(alert.state, alert.time_us // US_PER_MINUTE) for alert in found] == expected
    assert {alert.dedup_key for alert in found} <= {"queue-long:lane-1"}


def test_each_lane_and_camera_has_an_alert_of_its_own() -> None:
    other = [QueueMinute("lane-2", row.minute_us, *_rest(row)) for row in lane(5, 5)]
    silent = [CoverageRow("door", minute, 300, 0, 0, "missing") for minute in MINUTES[:2]]
    found = alerts([*lane(5, 5), *other], [], silent, RULES)
    assert [alert.dedup_key for alert in found] == ["camera-silent:door", "queue-long:lane-1", "queue-long:lane-2"]
    assert [(alert.camera_id, alert.lane_id) for alert in found] == [("door", None), (None, "lane-1"), (None, "lane-2")]


def _rest(row: QueueMinute) -> tuple[Any, ...]:
    return tuple(getattr(row, name) for name in QueueMinute.__slots__[2:])


def test_somebody_in_two_pictures_warms_the_floor_once() -> None:
    tick, who = np.array([0, 0, 0, 1, 1], np.int32), np.array([7, 7, 9, 7, 9])
    cells = np.array([[0, 0], [2, -1], [0, 0], [0, 0], [5, 5]], np.int32)
    found = {
        (c.x0_m, c.y0_m): (c.presence_s, c.people) for c in heat_cells(0, tick, who, cells, cell_m=0.5, frame_s=0.2)
    }
    assert found == {(0.0, 0.0): (0.5, 2), (1.0, -0.5): (0.1, 1), (2.5, 2.5): (0.2, 1)}
    assert heat_cells(0, tick[:0], who[:0], cells[:0], cell_m=0.5, frame_s=0.2) == []


def test_coverage_says_why_frames_are_missing() -> None:
    rows = coverage("c", MINUTES[:4], *(np.array(n) for n in ([300] * 4, [300, 290, 299, 0], [0, 10, 0, 0])))
    assert [row.reason for row in rows] == ["", "behind", "", "missing"]


def test_repaired_identities_resolve_in_the_lake_as_they_were_meant(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    n = 400
    first = np.sort(rng.integers(0, 3600, n)) * US_PER_S
    person = rng.integers(1, 30, n)
    order = np.lexsort((first, person))
    empty = np.zeros(n)
    cameras, numbers, frames = rng.integers(0, 2, n), np.arange(1, n + 1), np.full(n, 45)
    spans = (first[order], first[order] + 9 * US_PER_S)
    tracklets = Tracklets(("a", "b"), cameras, numbers, person[order], *spans, frames, empty, empty, empty)
    settings = IdentitySettings(fragments=0.1, late_merges=0.3, late_splits=0.3)
    known = identify(tracklets, settings, "s1", 0, rng)
    assert {event.kind for event in known.events} == {"session", "create", "assign", "merge", "split"}
    entries = Stage(tmp_path, RowContext("x", "r1", "c1"), "gallery", BusinessDay("UTC", time(0))).write_records(
        "identity_events", known.events, 0
    )
    publish(tmp_path, RowContext("x", "r1", "c1"), 0, entries)
    with open_lake(tmp_path) as lake:
        rows = lake.rows("FROM tracklet_identity")
    found = {(row["camera_id"], row["local_id"]): row["identity_id"] for row in rows}
    assert found == {tracklets.name(i): int(known.identity[i]) for i in range(n)}
    for number in np.unique(known.identity):
        assert len(np.unique(tracklets.person_id[known.identity == number])) == 1


def local(day: int, hour: float) -> int:
    """Rome, one hour ahead of UTC in winter."""
    return to_us(datetime(2026, 3, day, tzinfo=UTC)) + round((hour - 1) * 3600 * US_PER_S)


@pytest.mark.parametrize(
    ("start", "hours", "expected"),
    [
        ((2, 4), 24, [((2, 8), 13 * 3600 + 2400, False)]),  # one business day: opening until the last have gone
        ((2, 12), 1, [((2, 12), 3600, True)]),
        ((2, 22), 9, []),
        ((2, 20), 14, [((2, 20), 6000, True), ((3, 8), 7200, False)]),
        ((2, 4), 4, []),
    ],
)
def test_the_shop_is_open_by_local_time(start: tuple[int, int], hours: float, expected: list[Any]) -> None:
    found = periods_of(EventSettings(local(*start), hours))
    assert [(period.start_us, period.ticks / 5, period.starts_open) for period in found] == [
        (local(*at), seconds, starts_open) for at, seconds, starts_open in expected
    ]
    assert [period.first_tick for period in found] == [(period.start_us - local(*start)) // 200_000 for period in found]
