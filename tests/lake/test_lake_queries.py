from __future__ import annotations

import math
from collections import Counter
from datetime import UTC, date, datetime, time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retail_ray.core.errors import QueryError
from retail_ray.core.records import (
    CoverageRow,
    IdentityEvent,
    LineCrossing,
    OccupancyRow,
    TrackletRow,
    ZoneVisit,
)
from retail_ray.core.time import BusinessDay, to_us
from retail_ray.lake.codecs import Record, RowContext
from retail_ray.lake.dwell import zone_summary
from retail_ray.lake.epochs import Stage, publish
from retail_ray.lake.queries import Crossings, footfall, occupancy, stats, tracks, zone_visits
from retail_ray.lake.questions import Question, bucket_starts, coverage, days_on_record, latest_day
from retail_ray.lake.views import Lake, open_lake

KOLKATA = BusinessDay("Asia/Kolkata", time(12))
BERLIN = BusinessDay("Europe/Berlin", time(6))
MINUTE_US, HOUR_US = 60_000_000, 3_600_000_000
START_US = to_us(datetime(2026, 3, 1, 6, 30, tzinfo=UTC))  # 12:00 in Kolkata
NAN = float("nan")


def fill(root: Path, epoch: int = 0, day: BusinessDay = KOLKATA, **tables: list[Record]) -> None:
    context = RowContext("shop-1", "r1", "c1")
    stage = Stage(root, context, "site", day)
    publish(
        root, context, epoch, [e for table, rows in tables.items() for e in stage.write_records(table, rows, epoch)]
    )


def ask(start: int = START_US, end: int = START_US + 24 * HOUR_US, **options: object) -> Question:
    return Question("shop-1", KOLKATA, start, end, **options)  # type: ignore[arg-type]


def test_an_empty_lake_answers_with_zeros_and_says_so(tmp_path: Path) -> None:
    with open_lake(tmp_path) as lake:
        found = stats(lake, ask(cameras=("door", "aisle")))
        assert (found.crossings, found.tracklets, found.zone_visits, found.occupancy) == (Crossings(), 0, 0, None)
        assert (found.coverage.share, found.coverage.interval_share) == (None, 0.0)
        assert (found.coverage.asked_camera_minutes, found.coverage.recorded_camera_minutes) == (2880, 0)
        assert coverage(lake, ask()).interval_share is None
        assert len(footfall(lake, ask()).buckets) == 24
        assert zone_summary(lake, ask(), ("till",))[0].visits == 0
        assert zone_visits(lake, ask(), "till", 10) == tracks(lake, ask(), 10) == ([], None)
        assert latest_day(lake, "shop-1") is None


@settings(max_examples=25, deadline=None)
@given(
    events=st.lists(
        st.tuples(
            st.integers(-90, 3 * 24 * 60),
            st.sampled_from(["main", "back"]),
            st.sampled_from(["in", "out"]),
            st.booleans(),
        ),
        max_size=40,
    ),
    interval=st.tuples(st.integers(0, 2000), st.integers(1, 2000)),
    by=st.sampled_from(["hour", "day"]),
    line=st.sampled_from([None, "main"]),
)
def test_footfall_counts_each_crossing_once(
    tmp_path_factory: pytest.TempPathFactory, events: list[tuple[int, str, str, bool]], interval: tuple[int, int],
    by: str, line: str | None,
) -> None:  # fmt: skip
    root = tmp_path_factory.mktemp("lake")
    rows = [
        LineCrossing(name, "door", i, START_US + minute * MINUTE_US + 30_000_000, way, back)  # type: ignore[arg-type]
        for i, (minute, name, way, back) in enumerate(events)
    ]
    fill(root, line_crossings=list(rows))
    question = ask(START_US + interval[0] * MINUTE_US, START_US + sum(interval) * MINUTE_US + 17)
    with open_lake(root) as lake:
        found = footfall(lake, question, by, line)  # type: ignore[arg-type]
    counted = [
        row for row in rows if question.start_us <= row.time_us < question.end_us and line in (None, row.line_id)
    ]

    def crossings(some: list[LineCrossing]) -> Crossings:
        kinds = Counter("back" if row.turned_back else row.direction for row in some)
        return Crossings(kinds["in"], kinds["out"], kinds["back"])

    assert found.total == crossings(counted)
    for bucket in found.buckets:
        assert bucket.crossings == crossings([r for r in counted if bucket.start_us <= r.time_us < bucket.end_us])
    edges = [bucket.start_us for bucket in found.buckets] + [found.buckets[-1].end_us]
    assert edges[0] == question.start_us
    assert edges[-1] == question.end_us
    assert edges == sorted(set(edges))
    assert {row.line_id: row.total for row in found.lines} == {
        name: crossings([r for r in counted if r.line_id == name]) for name in {r.line_id for r in counted}
    }


def test_hours_and_days_follow_the_shops_clocks() -> None:
    """The night in which Berlin's clocks go forward has 23 hours; Kolkata's hours begin at half past, in UTC."""
    start = BERLIN.start_us(date(2026, 3, 28))
    question = Question("shop-1", BERLIN, start, BERLIN.end_us(date(2026, 3, 28)))
    hours = bucket_starts(question, "hour")
    assert len(hours) == 23
    assert {(time_us - start) % HOUR_US for time_us in hours} == {0}
    assert len(bucket_starts(Question("s", BERLIN, start, BERLIN.end_us(date(2026, 3, 30))), "day")) == 3
    assert bucket_starts(ask(START_US + 5, START_US + HOUR_US + 1), "hour") == [START_US + 5, START_US + HOUR_US]
    assert len(bucket_starts(ask(), "minute")) == 1440
    with pytest.raises(QueryError, match="more than 1500 minutes"):
        bucket_starts(ask(end=START_US + 48 * HOUR_US), "minute")


def test_coverage_of_half_a_day_says_half(tmp_path: Path) -> None:
    whole = [CoverageRow("door", START_US + i * MINUTE_US, 600, 600, 0, "") for i in range(720)]
    split = [CoverageRow("aisle", START_US, 300, 300, 0, ""), CoverageRow("aisle", START_US, 300, 150, 150, "overload")]
    elsewhen = [CoverageRow("door", START_US - MINUTE_US, 600, 600, 0, "")]
    fill(tmp_path, coverage=[*whole, *split, *elsewhen])
    with open_lake(tmp_path) as lake:
        found = coverage(lake, ask(cameras=("door", "till")))
        by_camera = {camera.camera_id: camera for camera in found.cameras}
        assert list(by_camera) == ["door", "till", "aisle"]
        assert (by_camera["door"].share, by_camera["door"].interval_share) == (1.0, 0.5)
        assert by_camera["door"].last_minute_us == START_US + 719 * MINUTE_US
        assert (by_camera["till"].share, by_camera["till"].interval_share) == (None, 0.0)
        aisle = by_camera["aisle"]
        assert (aisle.share, aisle.recorded_minutes, aisle.reasons) == (0.75, 1, ("overload",))
        assert found.interval_share == pytest.approx((720 + 0.75) / (3 * 1440))
        assert found.share == pytest.approx((720 * 600 + 450) / (720 * 600 + 600))
        assert coverage(lake, ask(camera_id="aisle")).cameras == (aisle,)
        shares = [bucket.interval_share for bucket in footfall(lake, ask(cameras=("door", "till", "aisle"))).buckets]
        assert shares[0] == pytest.approx((60 + 0.75) / 180)
        assert shares[1] == pytest.approx(1 / 3)
        assert shares[12:] == [0.0] * 12
        inside = coverage(lake, ask(START_US + 30_000_000, START_US + 90_000_000, camera_id="door"))
        assert (inside.asked_camera_minutes, inside.interval_share) == (2, 1.0)
        assert days_on_record(lake, "shop-1") == [date(2026, 2, 28), date(2026, 3, 1)]


def survival_quantile(stays: list[tuple[float, bool]], left: float) -> float | None:
    """Kaplan-Meier by its definition: the first length at which at most `left` of the stays go on."""
    share = 1.0
    for length in sorted({length for length, _ in stays}):
        at_risk = sum(1 for other, _ in stays if other >= length)
        ended = sum(1 for other, censored in stays if other == length and not censored)
        share *= 1 - ended / at_risk
        if share <= left + 1e-9:
            return length
    return None


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(5, 30), st.booleans()), min_size=1, max_size=15))
def test_dwell_is_estimated_with_cut_off_stays(
    tmp_path_factory: pytest.TempPathFactory, stays: list[tuple[int, bool]]
) -> None:
    root = tmp_path_factory.mktemp("lake")
    rows: list[Record] = [
        ZoneVisit("till", "door", i, START_US, START_US + length * 1_000_000, float(length), 0.0, censored)
        for i, (length, censored) in enumerate(stays)
    ]
    fill(root, zone_visits=[*rows, ZoneVisit("other", "door", 99, START_US, START_US + HOUR_US, 1.0, 0.0, False)])
    with open_lake(root) as lake:
        till, nobody = zone_summary(lake, ask(), ("till", "nobody"))
    lengths = sorted(float(length) for length, _ in stays)
    middle = (lengths[(len(lengths) - 1) // 2] + lengths[len(lengths) // 2]) / 2
    assert till.median_dwell_s == pytest.approx(middle)
    assert (till.visits, till.censored) == (len(stays), sum(censored for _, censored in stays))
    exact = [(float(length), censored) for length, censored in stays]
    assert till.survival_median_dwell_s == survival_quantile(exact, 0.5)
    assert till.survival_p90_dwell_s == survival_quantile(exact, 0.1)
    assert (nobody.visits, nobody.median_dwell_s) == (0, None)


@pytest.fixture
def busy(tmp_path: Path) -> Lake:
    """Five tracklets; 1 and 2 are one person, 4 and 5 have no identity."""
    tracklets: list[Record] = [
        TrackletRow("door" if i % 2 else "aisle", i, START_US + i * MINUTE_US, START_US + (i + 2) * MINUTE_US, 9, 0.5,
                    NAN, 1, NAN)
        for i in range(1, 6)
    ]  # fmt: skip
    cameras = {i: "door" if i % 2 else "aisle" for i in range(1, 6)}
    events: list[Record] = [
        IdentityEvent(START_US, i, "create", "s1", i, None, cameras[i], i, NAN, NAN, "") for i in (1, 2, 3)
    ]
    events.append(IdentityEvent(START_US, 9, "merge", "s1", 1, 2, None, None, NAN, NAN, ""))
    visits: list[Record] = [
        ZoneVisit(
            "till", cameras[i], i, START_US + minute * MINUTE_US, START_US + (minute + 1) * MINUTE_US, 60.0, 0.0, False
        )
        for i, minute in ((1, 1), (2, 2), (3, 2), (4, 2), (1, 30), (4, 5))
    ]
    inside: list[Record] = [OccupancyRow(START_US + i * MINUTE_US, i, 0, i) for i in range(5)]
    fill(tmp_path, tracklets=tracklets, identity_events=events, zone_visits=visits, occupancy=inside)
    return open_lake(tmp_path)


def test_people_are_counted_once_through_their_identity(busy: Lake) -> None:
    found = stats(busy, ask())
    assert (found.tracklets, found.identities, found.unidentified_tracklets, found.zone_visits) == (5, 2, 2, 6)
    summary = zone_summary(busy, ask(), ("till",))[0]
    assert (summary.visits, summary.people) == (6, 3)
    assert found.occupancy == occupancy(busy, ask())
    assert found.occupancy is not None
    assert found.occupancy.inside == 4
    earlier = occupancy(busy, ask(end=START_US + 2 * MINUTE_US))
    assert earlier is not None
    assert earlier.inside == 1


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
def test_pages_give_every_row_once_in_order(busy: Lake, limit: int) -> None:
    for listing in (
        lambda key: zone_visits(busy, ask(), "till", limit, key),
        lambda key: tracks(busy, ask(), limit, key),
    ):
        rows, key = listing(None)
        while key is not None:
            more, key = listing(key)
            assert 0 < len(more) <= limit
            rows += more
        keys = [row.key for row in rows]
        assert keys == sorted(set(keys))
        assert len(keys) in (5, 6)


def test_tracks_of_an_interval_are_those_that_touch_it(busy: Lake) -> None:
    found, _ = tracks(busy, ask(START_US + 5 * MINUTE_US, START_US + 6 * MINUTE_US), 10)
    assert [(track.local_id, track.identity_id) for track in found] == [(3, 3), (4, None), (5, None)]
    assert all(track.path_m is None for track in found)
    door, _ = tracks(busy, ask(camera_id="door"), 10)
    assert [track.local_id for track in door] == [1, 3, 5]
    assert [track.identity_id for track in tracks(busy, ask(), 10)[0]] == [1, 1, 3, None, None]
    assert math.isclose(door[0].mean_confidence, 0.5)


def test_impossible_intervals_are_refused() -> None:
    with pytest.raises(QueryError, match="the interval is empty"):
        ask(end=START_US)
    with pytest.raises(QueryError, match="between the years 1970 and 2200"):
        ask(start=-1)
