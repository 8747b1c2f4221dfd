"""What a question to the lake is about: a site, an interval of event time, and how much of it was recorded."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from itertools import groupby, pairwise
from math import fsum
from operator import itemgetter
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo

from retail_ray.core.errors import QueryError
from retail_ray.core.time import US_PER_MINUTE, US_PER_S, BusinessDay, from_us, minute_of, to_us
from retail_ray.lake import rollup_kinds
from retail_ray.lake.views import Lake, SiteDays

Grain = Literal["minute", "hour", "day"]
MAX_BUCKETS: Final = 1500
EARLIEST_US: Final = 0
LATEST_US: Final = to_us(datetime(2200, 1, 1, tzinfo=UTC))


@dataclass(frozen=True, slots=True)
class Question:
    """Event time [start_us, end_us) of one site.

    cameras: those that should have recorded, for coverage; cameras with rows are added to them.
    camera_id: look at this camera alone.
    """

    site_id: str
    day: BusinessDay
    start_us: int
    end_us: int
    cameras: tuple[str, ...] = ()
    camera_id: str | None = None

    def __post_init__(self) -> None:
        if not self.start_us < self.end_us:
            raise QueryError(
                f"the interval is empty: it begins {from_us(self.start_us)} and ends {from_us(self.end_us)}"
            )
        if self.start_us < EARLIEST_US or self.end_us > LATEST_US:
            raise QueryError("the interval must lie between the years 1970 and 2200")

    @property
    def params(self) -> dict[str, Any]:
        """Named parameters that every query over this question takes."""
        return {
            "site": self.site_id,
            "start_us": self.start_us,
            "end_us": self.end_us,
            "first_day": self.day.date_of(self.start_us),
            "last_day": self.day.date_of(self.end_us - 1),
            "camera": self.camera_id,
        }

    def site_days(self, beside: int = 0) -> SiteDays:
        """The site and the business days of the interval, and so many before and behind them."""
        first, last = self.day.date_of(self.start_us), self.day.date_of(self.end_us - 1)
        count = (last - first).days + 1
        return self.site_id, [first + timedelta(days=number) for number in range(-beside, count + beside)]


@dataclass(frozen=True, slots=True)
class CameraCoverage:
    """Coverage of one camera within the asked interval; see Coverage."""

    camera_id: str
    expected_frames: int
    processed_frames: int
    dropped_frames: int
    share: float | None
    asked_minutes: int
    recorded_minutes: int
    interval_share: float
    reasons: tuple[str, ...]
    last_minute_us: int | None


@dataclass(frozen=True, slots=True)
class Coverage:
    """How much of the asked interval the answer rests on.

    share: processed / expected frames of the minutes on record; None where nothing is on record.
    interval_share: mean over all asked camera-minutes of the share analysed, minutes without record counting 0;
    None where no camera is known.
    """

    start_us: int
    end_us: int
    expected_frames: int
    processed_frames: int
    dropped_frames: int
    share: float | None
    asked_camera_minutes: int
    recorded_camera_minutes: int
    interval_share: float | None
    cameras: tuple[CameraCoverage, ...]


_COVERAGE: Final = """
SELECT camera_id, expected AS a_minute, sum(expected * minutes)::BIGINT AS expected,
       sum(processed)::BIGINT AS processed,
       sum(dropped)::BIGINT AS dropped, sum(minutes)::BIGINT AS minutes, sum(analysed)::BIGINT AS analysed,
       list_sort(list_distinct(flatten(list(reasons) FILTER (reasons IS NOT NULL)))) AS reasons,
       max(last_minute_us) AS last_minute_us
FROM parts GROUP BY camera_id, a_minute ORDER BY camera_id, a_minute
"""
_BUCKET_COVERAGE: Final = """
SELECT bucket.start_us, expected AS a_minute, sum(analysed)::BIGINT AS analysed
FROM parts ASOF JOIN (SELECT unnest($starts::BIGINT[]) AS start_us) bucket
  ON greatest(slot_us, $first_us) >= bucket.start_us
GROUP BY bucket.start_us, a_minute ORDER BY bucket.start_us, a_minute
"""


def coverage(lake: Lake, question: Question) -> Coverage:
    """Coverage of the asked interval, per camera and in all."""
    from_minute = _from_minute(question)
    rows = lake.rollups.rows(rollup_kinds.COVERAGE, from_minute, _COVERAGE, from_minute.params)
    asked = -(-(question.end_us - from_minute.start_us) // US_PER_MINUTE)
    by_camera = {name: list(some) for name, some in groupby(rows, itemgetter("camera_id"))}
    named = (question.camera_id,) if question.camera_id is not None else question.cameras
    names = dict.fromkeys((*named, *by_camera))
    cameras = tuple(_camera_coverage(name, by_camera.get(name), asked) for name in names)
    expected, processed = sum(c.expected_frames for c in cameras), sum(c.processed_frames for c in cameras)
    return Coverage(
        start_us=question.start_us,
        end_us=question.end_us,
        expected_frames=expected,
        processed_frames=processed,
        dropped_frames=sum(c.dropped_frames for c in cameras),
        share=processed / expected if expected else None,
        asked_camera_minutes=asked * len(cameras),
        recorded_camera_minutes=sum(c.recorded_minutes for c in cameras),
        interval_share=sum(c.interval_share for c in cameras) / len(cameras) if cameras else None,
        cameras=cameras,
    )


def bucket_shares(lake: Lake, question: Question, starts: list[int], cameras: int) -> list[float | None]:
    """interval_share of each bucket, for `cameras` cameras; None where no camera is known."""
    from_minute = _from_minute(question)
    first_us, aligned = from_minute.start_us, on_slots(starts)
    rows = lake.rollups.rows(
        rollup_kinds.coverage_slots() if aligned else rollup_kinds.coverage_slots(US_PER_MINUTE),
        from_minute,
        _BUCKET_COVERAGE,
        from_minute.params | {"first_us": first_us, "starts": [first_us, *starts[1:]]},
        read_all=not aligned,
    )
    by_start = {start_us: list(some) for start_us, some in groupby(rows, itemgetter("start_us"))}
    shares: list[float | None] = []
    for start, end in pairwise([first_us, *starts[1:], question.end_us]):
        asked = cameras * -(-(end - start) // US_PER_MINUTE)
        shares.append(round(_analysed_minutes(by_start.get(start, [])) / asked, 9) if asked else None)
    return shares


def on_slots(starts: list[int]) -> bool:
    """Whether buckets begin where slots of roll-ups do; the first may begin anywhere."""
    return all(start % rollup_kinds.SLOT_US == 0 for start in starts[1:])


def _from_minute(question: Question) -> Question:
    """The same question from the start of its first minute on: coverage is by whole minutes."""
    return replace(question, start_us=minute_of(question.start_us))


def _analysed_minutes(rows: list[dict[str, Any]]) -> float:
    """Minutes, each by the share of its frames that was analysed. The sum is of whole numbers but for one division."""
    return fsum(row["analysed"] / row["a_minute"] for row in rows if row["a_minute"])


def _camera_coverage(camera_id: str, rows: list[dict[str, Any]] | None, asked: int) -> CameraCoverage:
    if rows is None:
        return CameraCoverage(camera_id, 0, 0, 0, None, asked, 0, 0.0, (), None)
    expected, processed = sum(row["expected"] for row in rows), sum(row["processed"] for row in rows)
    return CameraCoverage(
        camera_id=camera_id,
        expected_frames=expected,
        processed_frames=processed,
        dropped_frames=sum(row["dropped"] for row in rows),
        share=processed / expected if expected else None,
        asked_minutes=asked,
        recorded_minutes=sum(row["minutes"] for row in rows),
        interval_share=round(_analysed_minutes(rows) / asked, 9),
        reasons=tuple(sorted({reason for row in rows for reason in row["reasons"] or ()})),
        last_minute_us=max((row["last_minute_us"] for row in rows if row["last_minute_us"] is not None), default=None),
    )


def bucket_starts(question: Question, grain: Grain) -> list[int]:
    """Starts of the minutes, local hours or business days that the interval touches; the first is cut to it."""
    starts, at = [], question.start_us
    while at < question.end_us:
        starts.append(at)
        if len(starts) > MAX_BUCKETS:
            raise QueryError(
                f"the interval has more than {MAX_BUCKETS} {grain}s: ask for a shorter one or a coarser grain"
            )
        at = _next_start(at, grain, question.day)
    return starts


def _next_start(at_us: int, grain: Grain, day: BusinessDay) -> int:
    if grain == "minute":
        return minute_of(at_us) + US_PER_MINUTE
    if grain == "hour":
        following = at_us + 60 * US_PER_MINUTE
        return _local_hour(following, day) if _local_hour(following, day) > at_us else following
    start = day.start_us(day.date_of(at_us) + timedelta(days=1))
    return start if start > at_us else at_us + 24 * 60 * US_PER_MINUTE


def _local_hour(time_us: int, day: BusinessDay) -> int:
    """Start of the local hour that holds `time_us`; zones are off UTC by whole minutes."""
    local = from_us(time_us).astimezone(ZoneInfo(day.timezone))
    return time_us - (local.minute * 60 + local.second) * US_PER_S - local.microsecond


def days_on_record(lake: Lake, site_id: str) -> list[date]:
    """Business days with analysed frames, oldest first."""
    found = lake.rollups.by_day(
        rollup_kinds.COVERAGE, site_id, "SELECT DISTINCT date FROM parts WHERE processed > 0 ORDER BY date"
    )
    return [row["date"] for row in found]


def latest_day(lake: Lake, site_id: str) -> date | None:
    """The newest business day with analysed frames."""
    days = days_on_record(lake, site_id)
    return days[-1] if days else None
