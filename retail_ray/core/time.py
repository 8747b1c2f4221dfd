"""Event time: int64 microseconds UTC, epochs and business days. Nothing here reads a clock."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

US_PER_S = 1_000_000
US_PER_MINUTE = 60 * US_PER_S
_ORIGIN = datetime(1970, 1, 1, tzinfo=UTC)


def to_us(moment: datetime) -> int:
    """Microseconds UTC of an aware datetime."""
    return (moment - _ORIGIN) // timedelta(microseconds=1)


def from_us(time_us: int) -> datetime:
    return _ORIGIN + timedelta(microseconds=time_us)


def minute_of(time_us: int) -> int:
    """Start of the minute that holds `time_us`."""
    return time_us - time_us % US_PER_MINUTE


@dataclass(frozen=True, slots=True)
class BusinessDay:
    """A day of the shop: from `day_start` local time to the next one, in the site's timezone."""

    timezone: str
    day_start: time

    def date_of(self, time_us: int) -> date:
        # By instants: where clocks are put forward or back, local times repeat or do not exist.
        local = from_us(time_us).astimezone(ZoneInfo(self.timezone)).date()
        return local if time_us >= self.start_us(local) else local - timedelta(days=1)

    def start_us(self, day: date) -> int:
        return to_us(datetime.combine(day, self.day_start, ZoneInfo(self.timezone)))

    def end_us(self, day: date) -> int:
        return self.start_us(day + timedelta(days=1))
