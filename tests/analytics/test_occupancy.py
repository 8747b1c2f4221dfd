from __future__ import annotations

from collections.abc import Sequence
from datetime import time

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from retail_ray.analytics.occupancy import OccupancyMeter, OccupancySettings
from retail_ray.core.event_time import CameraView, WatermarkBuffer
from retail_ray.core.opening_hours import OpeningHours, OpenSpan
from retail_ray.core.records import LineCrossing, OccupancyRow
from retail_ray.core.ticks import Ticks
from retail_ray.core.time import BusinessDay
from tests.support.scenes import S, message, walk

MINUTE = 60 * S
NOON_IST = OccupancySettings(BusinessDay("Asia/Kolkata", time(12)))
NOON_US = round(6.5 * 3600) * S  # 12:00 in Kolkata is 06:30 UTC


def crossing(time_us: int, direction: str = "in", turned_back: bool = False) -> LineCrossing:
    return LineCrossing("door", "cam", 1, time_us, direction, turned_back)


def ticks(people: Sequence[tuple[int, float, float]], begin_s: float, end_s: float, at_once: int = 7) -> list[Ticks]:
    """Ticks of a second of one camera at 2 fps; people are (local id, from, to) in seconds."""
    buffer = WatermarkBuffer([CameraView("cam", True)], S)
    rows = [row for who, low, high in people for row in walk(who, lambda _: (0, 0), low, high, fps=2)]
    frames = np.arange(round(begin_s * 2), round(end_s * 2)) * (S // 2)
    buffer.submit(message("cam", rows, 0, frames_us=frames.tolist()))
    buffer.end("cam")
    return list(buffer.blocks(10**15, at_once))


def work(meter: OccupancyMeter, blocks: list[Ticks], crossings: Sequence[LineCrossing]) -> list[OccupancyRow]:
    rows = []
    for block in blocks:
        now = [[c for c in crossings if end_us - S <= c.time_us < end_us] for end_us in block.end_us.tolist()]
        rows += meter.update(block, now, ["cam"])
    return rows + meter.finish([])


def test_rows_sum_from_the_day_start_and_turn_backs_do_not_count() -> None:
    crossings = [
        crossing(10 * S), crossing(20 * S), crossing(30 * S, turned_back=True), crossing(31 * S, "out", True),
        crossing(70 * S, "out"), crossing(130 * S),
    ]  # fmt: skip
    rows = work(OccupancyMeter(NOON_IST), ticks([], 0, 180), crossings)
    assert [(r.minute_us // MINUTE, r.entries, r.exits, r.inside) for r in rows] == [
        (0, 2, 0, 2),
        (1, 2, 1, 1),
        (2, 3, 1, 2),
    ]


def test_a_crossing_that_became_final_late_counts_in_its_own_minute_or_from_the_next_row_on() -> None:
    meter = OccupancyMeter(NOON_IST)
    rows = []
    for tick in ticks([], 0, 180, at_once=1):
        late = [crossing(59 * S)] if tick.data.start_us == 65 * S else []
        too_late = [crossing(58 * S)] if tick.data.start_us == 100 * S else []
        rows += meter.update(tick, [late + too_late], ["cam"])
    rows += meter.finish([])
    assert [(r.entries, r.inside) for r in rows] == [(1, 1), (2, 2), (2, 2)]


def test_the_business_day_starts_at_zero_at_noon_in_kolkata() -> None:
    begin_s = NOON_US / S - 120
    crossings = [crossing(NOON_US - 90 * S), crossing(NOON_US - 30 * S), crossing(NOON_US + 10 * S)]
    rows = work(OccupancyMeter(NOON_IST), ticks([], begin_s, begin_s + 180), crossings)
    assert [(r.minute_us - NOON_US, r.entries, r.inside) for r in rows] == [
        (-2 * MINUTE, 1, 1),
        (-MINUTE, 2, 2),
        (0, 1, 1),
    ]


def test_more_exits_than_entries_are_corrected_and_the_correction_is_told() -> None:
    meter = OccupancyMeter(NOON_IST)
    rows = work(meter, ticks([], 0, 120), [crossing(5 * S, "out"), crossing(6 * S, "out"), crossing(70 * S)])
    assert [(r.entries, r.exits, r.inside) for r in rows] == [(0, 2, 0), (1, 2, 1)]
    assert meter.correction == 2


def test_people_seen_inside_at_once_are_the_least_there_can_be() -> None:
    """Three were in before the data began; one of them leaves unseen by the line while two are still seen."""
    settings = OccupancySettings(NOON_IST.day, inside_cameras=("cam",))
    meter = OccupancyMeter(settings)
    rows = work(meter, ticks([(1, 0, 200), (2, 0, 200), (3, 0, 80)], 0, 180), [crossing(10 * S)])
    assert [(r.entries, r.inside) for r in rows] == [(1, 3), (1, 3), (1, 3)]
    assert meter.correction == 2
    # Without a camera that sees only the inside, nothing is assumed.
    blind = work(OccupancyMeter(NOON_IST), ticks([(1, 0, 200)], 0, 60), [])
    assert [r.inside for r in blind[:1]] == [0]


def test_minutes_without_an_analysed_frame_have_no_row_but_keep_their_crossings() -> None:
    with_hole = ticks([], 0, 50) + ticks([], 190, 230)
    rows = work(OccupancyMeter(NOON_IST), with_hole, [crossing(20 * S)])
    assert [(r.minute_us // MINUTE, r.inside) for r in rows] == [(0, 1), (3, 1)]


WEEK = OpeningHours("UTC", (OpenSpan(tuple(range(7)), time(9), time(20)),))
NINE_US = 9 * 60 * MINUTE  # of 1970-01-01, UTC
UTC_DAY = BusinessDay("UTC", time(4))


def closed_shop(**changes: object) -> OccupancyMeter:
    return OccupancyMeter(OccupancySettings(UTC_DAY, **{"hours": WEEK} | changes))  # type: ignore[arg-type]


def pieces(*spans_min: tuple[float, float]) -> list[Ticks]:
    """Ticks of frames without people, in minutes after nine o'clock."""
    return [tick for low, high in spans_min for tick in ticks([], NINE_US / S + low * 60, NINE_US / S + high * 60)]


def told(meter: OccupancyMeter) -> list[tuple[float, str, int, int]]:
    """Corrections as (minute after nine, reason, before, after)."""
    return [((c.time_us - NINE_US) / MINUTE, c.reason, c.before, c.after) for c in meter.take_corrections()]


def test_what_is_left_over_after_closing_is_taken_off_once_and_logged() -> None:
    meter = closed_shop(reset_after_close_s=600.0)
    crossings = [crossing(NINE_US + MINUTE), crossing(NINE_US + 2 * MINUTE)]  # nobody is seen to leave
    crossings.append(crossing(NINE_US + 690 * MINUTE))  # the cleaner, at half past eight in the evening
    rows = work(meter, pieces((0, 3), (655, 700)), crossings)
    inside = {(row.minute_us - NINE_US) // MINUTE: row.inside for row in rows}
    assert (inside[2], inside[669], inside[670], inside[689], inside[690]) == (2, 2, 0, 0, 1)
    assert told(meter) == [(670, "closed", 2, 0)]
    assert all(
        row.entries - row.exits == 2 for row in rows if NINE_US + 5 * MINUTE < row.minute_us < NINE_US + 690 * MINUTE
    )
    # Negative control: without opening hours they stay inside.
    blind = OccupancyMeter(OccupancySettings(UTC_DAY))
    assert work(blind, pieces((0, 3), (655, 700)), crossings)[-1].inside == 3


def test_a_closure_without_video_resets_before_the_first_entry_of_the_next_morning() -> None:
    meter = OccupancyMeter(OccupancySettings(BusinessDay("UTC", time(12)), hours=WEEK))  # one day holds both
    crossings = [crossing(NINE_US + 200 * MINUTE), crossing(NINE_US + 24 * 60 * MINUTE + 10 * S)]
    rows = work(meter, pieces((200, 203), (1440, 1442)), crossings)
    assert [row.inside for row in rows] == [1, 1, 1, 1, 1]
    assert told(meter) == [(1440, "closed", 1, 0)]


def test_people_who_are_seen_after_closing_stay() -> None:
    meter = closed_shop(inside_cameras=("cam",), reset_after_close_s=60.0)
    begin_s = NINE_US / S + 659 * 60
    seen = ticks([(1, begin_s, begin_s + 400)], begin_s, begin_s + 360)
    rows = work(meter, seen, [crossing(NINE_US + 659 * MINUTE + n * S) for n in (1, 2, 3)])
    assert [row.inside for row in rows] == [3, 3, 1, 1, 1, 1]
    assert told(meter) == [(661, "closed", 3, 1)]


def test_a_break_shorter_than_the_wait_resets_nothing() -> None:
    lunch = OpeningHours(
        "UTC", (OpenSpan(tuple(range(7)), time(9), time(12)), OpenSpan(tuple(range(7)), time(12, 20), time(20)))
    )
    meter = closed_shop(hours=lunch)
    rows = work(meter, pieces((170, 230)), [crossing(NINE_US + 171 * MINUTE)])
    assert rows[-1].inside == 1
    assert told(meter) == []


def test_every_correction_is_told_and_accounts_for_the_rows() -> None:
    meter = OccupancyMeter(OccupancySettings(NOON_IST.day, inside_cameras=("cam",)))
    begin_s = NOON_US / S - 240
    crossings = [crossing(NOON_US - 230 * S, "out"), crossing(NOON_US - 100 * S), crossing(NOON_US - 90 * S)]
    rows = work(meter, ticks([(1, begin_s + 60, begin_s + 120)], begin_s, begin_s + 360), crossings)
    assert [((c.time_us - NOON_US) // MINUTE, c.reason, c.before, c.after) for c in meter.take_corrections()] == [
        (-4, "below_zero", -1, 0), (-3, "seen_inside", 0, 1), (0, "day_start", 3, 0),
    ]  # fmt: skip
    assert [(row.entries, row.exits, row.inside) for row in rows] == [
        (0, 1, 0), (0, 1, 1), (2, 1, 3), (2, 1, 3), (0, 0, 0), (0, 0, 0),
    ]  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1500), st.sampled_from(["in", "out"])), max_size=30), st.integers(0, 100))
def test_never_negative_and_the_rows_are_crossings_plus_corrections(moves: list[tuple[int, str]], cut: int) -> None:
    """Over a day and a night, with a restart anywhere."""
    crossings = [crossing(NINE_US + minute * MINUTE, way) for minute, way in sorted(moves)]
    frames = pieces(*((minute, minute + 0.1) for minute in range(0, 1500, 60)))
    meter, rows, corrections = closed_shop(), [], []
    for index, block in enumerate(frames):
        since_us, end_us = frames[index - 1].data.end_us if index else 0, block.data.end_us
        if index == cut:
            state, meter = meter.state(), closed_shop()
            meter.restore(state)
        final = [c for c in crossings if since_us <= c.time_us < end_us]
        rows += meter.update(block, [*[[]] * (len(block) - 1), final], ["cam"])
        corrections += meter.take_corrections()
        assert meter.current()[2] >= 0
    rows += meter.finish([])
    corrections += meter.take_corrections()
    assert all(row.inside >= 0 for row in rows)
    for row in rows:
        day_us = UTC_DAY.start_us(UTC_DAY.date_of(row.minute_us))
        since = [
            c.after - c.before for c in corrections if day_us <= c.time_us <= row.minute_us and c.reason != "day_start"
        ]
        assert row.inside == row.entries - row.exits + sum(since)
