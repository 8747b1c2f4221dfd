from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retail_ray.core.time import BusinessDay, from_us, minute_of, to_us

ZONES = ["Asia/Kolkata", "UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"]


@given(st.integers(-(10**15), 4 * 10**15))
def test_microseconds_survive_the_calendar(time_us: int) -> None:
    assert to_us(from_us(time_us)) == time_us
    assert minute_of(time_us) <= time_us < minute_of(time_us) + 60_000_000


@settings(max_examples=300)
@given(
    st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1)),
    st.sampled_from(ZONES),
    st.times(),
)
def test_every_instant_lies_in_its_business_day(moment: datetime, zone: str, start: time) -> None:
    day, time_us = BusinessDay(zone, start), to_us(moment.replace(tzinfo=UTC))
    found = day.date_of(time_us)
    assert day.start_us(found) <= time_us < day.end_us(found)
    assert day.end_us(found) == day.start_us(found + timedelta(days=1))


@pytest.mark.parametrize(
    ("zone", "start", "moment", "expected"),
    [
        ("Asia/Kolkata", time(12), datetime(2026, 3, 5, 6, 29, 59, tzinfo=UTC), date(2026, 3, 4)),
        ("Asia/Kolkata", time(12), datetime(2026, 3, 5, 6, 30, tzinfo=UTC), date(2026, 3, 5)),
        # 02:30 does not exist on this day in Berlin, and exists twice on the other
        ("Europe/Berlin", time(2, 30), datetime(2026, 3, 29, 1, 10, tzinfo=UTC), date(2026, 3, 28)),
        ("Europe/Berlin", time(2, 30), datetime(2026, 10, 25, 1, 10, tzinfo=UTC), date(2026, 10, 25)),
    ],
)
def test_day_starts(zone: str, start: time, moment: datetime, expected: date) -> None:
    assert BusinessDay(zone, start).date_of(to_us(moment)) == expected
