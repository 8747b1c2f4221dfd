"""When a shop is open, in its own local time. Nothing here reads a clock."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from retail_ray.core.time import from_us, to_us

_LOOK_DAYS = 8


@dataclass(frozen=True, slots=True)
class OpenSpan:
    """Open on these weekdays (0 is Monday) from `opens` to `closes`; a `closes` not after `opens` is the next day's."""

    weekdays: tuple[int, ...]
    opens: time
    closes: time


@dataclass(frozen=True, slots=True)
class Opening:
    """Whether the shop is open in [since_us, until_us); a state that lasts longer than a week is cut."""

    is_open: bool
    since_us: int
    until_us: int


@dataclass(frozen=True, slots=True)
class OpeningHours:
    """Weekly hours in an IANA timezone; on the dates in `closed_on` no span begins."""

    timezone: str
    spans: tuple[OpenSpan, ...]
    closed_on: tuple[date, ...] = ()

    def at(self, time_us: int) -> Opening:
        """The state that holds at this instant; spans that touch are one."""
        today = from_us(time_us).astimezone(ZoneInfo(self.timezone)).date()
        closed_since_us = self._local_us(today - timedelta(days=_LOOK_DAYS), time(0))
        for opens_us, closes_us in _around(self, today):
            if time_us < opens_us:
                return Opening(is_open=False, since_us=closed_since_us, until_us=opens_us)
            if time_us < closes_us:
                return Opening(is_open=True, since_us=opens_us, until_us=closes_us)
            closed_since_us = closes_us
        horizon_us = self._local_us(today + timedelta(days=_LOOK_DAYS), time(0))
        return Opening(is_open=False, since_us=closed_since_us, until_us=horizon_us)

    def of_day(self, day: date) -> list[tuple[int, int]]:
        """(opens_us, closes_us) of the spans that begin on this local date."""
        if day in self.closed_on:
            return []
        spans = [span for span in self.spans if day.weekday() in span.weekdays]
        return [(self._local_us(day, span.opens), self._closes_us(day, span)) for span in spans]

    def _closes_us(self, day: date, span: OpenSpan) -> int:
        return self._local_us(day + timedelta(days=span.closes <= span.opens), span.closes)

    def _local_us(self, day: date, at: time) -> int:
        return to_us(datetime.combine(day, at, ZoneInfo(self.timezone)))


@lru_cache(maxsize=64)
def _around(hours: OpeningHours, today: date) -> tuple[tuple[int, int], ...]:
    """(opens_us, closes_us) of a week before and after, joined where they touch, oldest first."""
    spans: list[tuple[int, int]] = []
    days = [today + timedelta(days=offset) for offset in range(-_LOOK_DAYS, _LOOK_DAYS)]
    for opens_us, closes_us in sorted(span for day in days for span in hours.of_day(day)):
        if spans and opens_us <= spans[-1][1]:
            spans[-1] = spans[-1][0], max(spans[-1][1], closes_us)
        else:
            spans.append((opens_us, closes_us))
    return tuple(spans)
