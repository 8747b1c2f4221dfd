"""Opening hours: midnight, touching spans, holidays, and the nights on which clocks change."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retail_ray.core.opening_hours import OpeningHours, OpenSpan
from retail_ray.core.time import from_us, to_us

ROME = ZoneInfo("Europe/Rome")
WEEK = OpeningHours(
    "Europe/Rome",
    (
        OpenSpan((0, 1, 2, 3, 4), time(9), time(13)),
        OpenSpan((0, 1, 2, 3, 4), time(13), time(20)),
        OpenSpan((5,), time(18), time(2)),
        OpenSpan((6,), time(0), time(0)),
    ),
    closed_on=(date(2026, 12, 25),),
)


def at(text: str) -> int:
    return to_us(datetime.fromisoformat(text).replace(tzinfo=ROME))


@pytest.mark.parametrize(
    ("instant", "is_open", "since", "until"),
    [
        ("2026-03-04T08:59:59", False, "2026-03-03T20:00", "2026-03-04T09:00"),
        ("2026-03-04T09:00", True, "2026-03-04T09:00", "2026-03-04T20:00"),  # two spans that touch are one
        ("2026-03-04T20:00", False, "2026-03-04T20:00", "2026-03-05T09:00"),
        ("2026-03-08T01:00", True, "2026-03-07T18:00", "2026-03-09T00:00"),  # over midnight, into the whole Sunday
        ("2026-12-25T12:00", False, "2026-12-24T20:00", "2026-12-26T18:00"),  # a holiday on a Friday
        ("2026-03-29T12:00", True, "2026-03-28T18:00", "2026-03-30T00:00"),  # a Sunday of 23 hours
    ],
)
def test_the_state_and_how_long_it_lasts(instant: str, is_open: bool, since: str, until: str) -> None:
    found = WEEK.at(at(instant))
    assert (found.is_open, found.since_us, found.until_us) == (is_open, at(since), at(until))


@given(st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1)))
def test_the_state_is_that_of_the_local_clock(moment: datetime) -> None:
    time_us = to_us(moment.replace(tzinfo=UTC))
    local = from_us(time_us).astimezone(ROME)
    yesterday = local.date() - timedelta(days=1)
    late = yesterday.weekday() == 5 and local.time() < time(2)
    day = {5: local.time() >= time(18), 6: True}.get(local.weekday(), time(9) <= local.time() < time(20))
    found = WEEK.at(time_us)
    assert found.is_open == ((day and local.date() != date(2026, 12, 25)) or late)
    assert found.since_us <= time_us < found.until_us
    assert WEEK.at(found.until_us).is_open != found.is_open


def test_a_long_closure_is_closed_all_the_while() -> None:
    august = OpeningHours("UTC", WEEK.spans, tuple(date(2026, 8, 1) + timedelta(days=n) for n in range(31)))
    time_us = to_us(datetime(2026, 8, 2, 12, tzinfo=UTC))
    for _ in range(3):
        found = august.at(time_us)
        assert not found.is_open
        time_us = found.until_us
