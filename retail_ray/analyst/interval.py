"""Intervals as people say them: days, months and moments of the store's own clock."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from retail_ray.core.errors import QueryError
from retail_ray.core.time import US_PER_MINUTE, BusinessDay, to_us
from retail_ray.lake.views import Lake

Moment = str | date | datetime
When = Moment | tuple[Moment, Moment] | None
"""A business day ("2026-03-02", a date), a month ("2026-03"), a pair of them (both included), or a pair of moments
("2026-03-02T10:30", a datetime; the second one excluded). Without timezone they are the store's. None: all on record.
"""

_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}")
_MONTH: Final = re.compile(r"\d{4}-\d{2}")
_HOW: Final = 'give a day "2026-03-02", a month "2026-03", or a pair of days or moments ("2026-03-02T10:30")'


def interval_us(lake: Lake, site_id: str, day: BusinessDay, when: When) -> tuple[int, int]:
    """[start, end) of event time. QueryError for what is no interval, is empty, or where nothing is on record."""
    if when is None:
        return _on_record(lake, site_id)
    if isinstance(when, tuple):
        if len(when) != 2:
            raise QueryError(f"an interval has two ends, found {len(when)}: {_HOW}")
        start_us, end_us = _span(when[0], day)[0], _span(when[1], day)[1]
    else:
        start_us, end_us = _span(when, day)
        if start_us == end_us:
            raise QueryError(f"{when!r} is a moment, not an interval: {_HOW}")
    if start_us >= end_us:
        raise QueryError(f"the interval {when!r} is empty: it ends before it begins")
    return start_us, end_us


def _on_record(lake: Lake, site_id: str) -> tuple[int, int]:
    row = lake.rows(
        "SELECT epoch_us(min(time)) AS first_us, epoch_us(max(time)) AS last_us FROM coverage WHERE site_id = $site",
        {"site": site_id},
    )[0]
    if row["first_us"] is None:
        raise QueryError(f"{lake.root}: nothing is on record for '{site_id}' yet; wait for the first epoch of a run")
    return row["first_us"], row["last_us"] + US_PER_MINUTE


def _span(moment: Moment, day: BusinessDay) -> tuple[int, int]:
    """Begin and end of a day or month; a moment is both."""
    if isinstance(moment, datetime):
        aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=ZoneInfo(day.timezone))
        return (to_us(aware),) * 2
    if isinstance(moment, date):
        return day.start_us(moment), day.end_us(moment)
    if not isinstance(moment, str):
        raise QueryError(f"{moment!r} is no time: {_HOW}")
    try:
        if _DAY.fullmatch(moment):
            return _span(date.fromisoformat(moment), day)
        if _MONTH.fullmatch(moment):
            first = date.fromisoformat(f"{moment}-01")
            following = (first + timedelta(days=31)).replace(day=1)
            return day.start_us(first), day.start_us(following)
        return _span(datetime.fromisoformat(moment), day)
    except ValueError as error:
        raise QueryError(f"{moment!r} is no time ({error}): {_HOW}") from error
