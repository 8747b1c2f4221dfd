"""Query parameters: what is allowed, and their reading into questions. Times are the site's own."""

from __future__ import annotations

import base64
import binascii
import json
from datetime import date, datetime
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field

from retail_ray.api.problems import invalid, printable
from retail_ray.api.site import SiteInfo
from retail_ray.core.time import to_us
from retail_ray.lake.queries import RowKey
from retail_ray.lake.questions import EARLIEST_US, LATEST_US

_TIME = (
    "ISO 8601 instant (2026-03-01T10:00:00+05:30; without offset: the site's local time) "
    "or a business day of the site (2026-03-01)"
)
_From = Annotated[
    str | None,
    Field(alias="from", max_length=40, description=f"Begin, included: {_TIME}.", examples=["2026-03-01"]),
]
_To = Annotated[
    str | None,
    Field(max_length=40, description=f"End, excluded: {_TIME}; a day is included whole.", examples=["2026-03-01"]),
]
_Limit = Annotated[int, Field(ge=1, le=1000, description="Rows per answer.")]
_Cursor = Annotated[str | None, Field(max_length=500, description="`next_cursor` of the answer before.")]


class IntervalQuery(BaseModel):
    """The asked interval. Without both ends: the newest business day on record, or today up to now."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)
    from_: _From = None
    to: _To = None


class FootfallQuery(IntervalQuery):
    """Interval, bucket and counting line."""

    by: Literal["minute", "hour", "day"] = Field("hour", description="Length of the buckets, in local time.")
    line: str | None = Field(None, max_length=200, description="One counting line; all of them without it.")


class PageQuery(IntervalQuery):
    """Interval and page."""

    limit: _Limit = 100
    cursor: _Cursor = None


class TracksQuery(PageQuery):
    """Interval, page and camera."""

    camera: str | None = Field(None, max_length=200, description="One camera; all of them without it.")


class JourneysQuery(PageQuery):
    """Interval, page and which journeys."""

    zone: str | None = Field(None, max_length=200, description="Journeys with a stay in this zone.")
    min_duration_s: float | None = Field(None, ge=0, le=1e6, description="Journeys at least so long, seconds.")
    censored: bool | None = Field(
        None, description="`false`: only journeys with entry and exit; `true`: only those cut off."
    )


def interval_us(query: IntervalQuery, site: SiteInfo, default: tuple[int, int]) -> tuple[int, int]:
    """[start, end) in event time. A single end is completed to its business day."""
    start = None if query.from_ is None else read_time("from", query.from_, site, end_of_day=False)
    end = None if query.to is None else read_time("to", query.to, site, end_of_day=True)
    if start is None and end is None:
        return default
    if start is None:
        start = max(EARLIEST_US, site.day.start_us(site.day.date_of((end or 0) - 1)))
    if end is None:
        end = min(LATEST_US, site.day.end_us(site.day.date_of(start)))
    if start >= end:
        raise invalid("from", f"the interval is empty: it begins {site.local(start)} and ends {site.local(end)}")
    return start, end


def read_time(field: str, text: str, site: SiteInfo, *, end_of_day: bool) -> int:
    """Event time of an ISO 8601 instant, or the start or end of a business day."""
    hint = "write 2026-03-01 or 2026-03-01T10:00:00+05:30 (in an address, '+' is %2B)"
    try:
        time_us = _read_time(text, site, end_of_day=end_of_day)
    except (ValueError, OverflowError) as error:
        raise invalid(field, f"'{printable(text)}' is no time: {hint}") from error
    if not EARLIEST_US <= time_us <= LATEST_US:
        raise invalid(field, f"'{printable(text)}' is not between the years 1970 and 2200")
    return time_us


def _read_time(text: str, site: SiteInfo, *, end_of_day: bool) -> int:
    if len(text) == len("2026-03-01"):
        day = date.fromisoformat(text)
        return site.day.end_us(day) if end_of_day else site.day.start_us(day)
    moment = datetime.fromisoformat(text)
    return to_us(moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(site.timezone)))


def write_cursor(key: RowKey | None) -> str | None:
    """The opaque form in which a place in a listing travels."""
    return None if key is None else base64.urlsafe_b64encode(json.dumps(key).encode()).decode()


def read_cursor(text: str | None) -> RowKey | None:
    """422 where the cursor is not one of ours."""
    if text is None:
        return None
    try:
        key: Any = json.loads(base64.b64decode(text.encode("ascii"), altchars=b"-_", validate=True))
        time_us, camera_id, run_id, local_id = key
    except (ValueError, TypeError, binascii.Error, RecursionError) as error:
        raise invalid("cursor", "not a cursor of an earlier answer; leave it out to begin anew") from error
    numbers = all(type(number) is int and abs(number) < 1 << 62 for number in (time_us, local_id))
    if not numbers or not isinstance(camera_id, str) or not isinstance(run_id, str):
        raise invalid("cursor", "not a cursor of an earlier answer; leave it out to begin anew")
    return time_us, camera_id, run_id, local_id
