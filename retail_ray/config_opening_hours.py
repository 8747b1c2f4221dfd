"""`opening_hours` and `occupancy` of `site.yaml`."""

from __future__ import annotations

from datetime import date, time
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from retail_ray.config_base import Identifier, Section
from retail_ray.core.opening_hours import OpeningHours, OpenSpan

_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def quoted_time(value: object) -> object:
    """YAML reads 12:00 without quotes as the number 720."""
    if isinstance(value, str | time):
        return value
    raise ValueError('write the time in quotes, e.g. "12:00"')


LocalTime = Annotated[time, BeforeValidator(quoted_time)]


class OpenDays(Section):
    """The hours of some weekdays."""

    days: list[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]] = Field(
        min_length=1, description="weekdays on which it opens then"
    )
    opens: LocalTime = Field(description='local time, in quotes: "09:00"')
    closes: LocalTime = Field(description='local time, in quotes: "20:00"; not after `opens`: on the next day')


class OpeningWeek(Section):
    """When the shop is open, in the site's timezone; two entries of one day are two spans."""

    week: list[OpenDays] = Field(min_length=1, description="hours of the weekdays; closed where none is given")
    closed_on: list[date] = Field(default=[], description="dates on which the shop does not open, e.g. 2026-12-25")

    def hours(self, timezone: str) -> OpeningHours:
        spans = [OpenSpan(tuple(map(_WEEKDAYS.index, entry.days)), entry.opens, entry.closes) for entry in self.week]
        return OpeningHours(timezone, tuple(spans), tuple(self.closed_on))


class Occupancy(Section):
    """How the count of people inside is kept true."""

    inside_cameras: list[Identifier] = Field(
        default=[], description="cameras that see nothing but the inside: so many people at once are the least inside"
    )
    reset_after_close_s: float = Field(
        default=1800.0,
        ge=0,
        description="so long after closing, while still closed, whoever no inside camera sees is taken off, seconds",
    )
