from __future__ import annotations

from collections.abc import Sequence
from datetime import time

import numpy as np

from retail_ray.analytics.occupancy import OccupancyMeter, OccupancySettings
from retail_ray.core.event_time import CameraView, Tick, WatermarkBuffer
from retail_ray.core.records import LineCrossing, OccupancyRow
from retail_ray.core.time import BusinessDay
from tests.support.scenes import S, message, walk

MINUTE = 60 * S
NOON_IST = OccupancySettings(BusinessDay("Asia/Kolkata", time(12)))
NOON_US = round(6.5 * 3600) * S  # 12:00 in Kolkata is 06:30 UTC


def crossing(time_us: int, direction: str = "in", turned_back: bool = False) -> LineCrossing:
    return LineCrossing("door", "cam", 1, time_us, direction, turned_back)


def ticks(people: Sequence[tuple[int, float, float]], begin_s: float, end_s: float) -> list[Tick]:
    """Half-second ticks of one camera at 2 fps; people are (local id, from, to) in seconds."""
    buffer = WatermarkBuffer([CameraView("cam", True)], S)
    rows = [row for who, low, high in people for row in walk(who, lambda _: (0, 0), low, high, fps=2)]
    frames = np.arange(round(begin_s * 2), round(end_s * 2)) * (S // 2)
    buffer.submit(message("cam", rows, 0, frames_us=frames.tolist()))
    buffer.end("cam")
    return list(buffer.ticks(10**15))


def work(meter: OccupancyMeter, all_ticks: list[Tick], crossings: Sequence[LineCrossing]) -> list[OccupancyRow]:
    rows = []
    for tick in all_ticks:
        now = [c for c in crossings if tick.start_us <= c.time_us < tick.end_us]
        rows += meter.update(tick, now, ["cam"])
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
    for tick in ticks([], 0, 180):
        late = [crossing(59 * S)] if tick.start_us == 65 * S else []
        too_late = [crossing(58 * S)] if tick.start_us == 100 * S else []
        rows += meter.update(tick, late + too_late, ["cam"])
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
