"""What a question to the lake is about: a site, an interval of event time, and how much of it was recorded."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo

from retail_ray.core.errors import QueryError
from retail_ray.core.time import US_PER_MINUTE, US_PER_S, BusinessDay, from_us, minute_of, to_us
from retail_ray.lake.views import Lake

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


_MINUTES: Final = """
WITH minutes AS (
    SELECT camera_id, time, sum(expected_frames) AS expected, sum(processed_frames) AS processed,
           sum(dropped_frames) AS dropped, list(DISTINCT reason) FILTER (reason <> '') AS reasons,
           CASE WHEN sum(expected_frames) > 0
                THEN least(1, sum(processed_frames) / sum(expected_frames)) ELSE 0 END AS analysed
    FROM coverage
    WHERE site_id = $site AND date BETWEEN $first_day AND $last_day
      AND time >= make_timestamptz($start_us) AND time < make_timestamptz($end_us)
      AND ($camera IS NULL OR camera_id = $camera)
    GROUP BY camera_id, time
)"""
_COVERAGE: Final = f"""{_MINUTES}
SELECT camera_id, sum(expected)::BIGINT AS expected, sum(processed)::BIGINT AS processed,
       sum(dropped)::BIGINT AS dropped, count(*) AS minutes, sum(analysed) AS analysed_minutes,
       list_sort(list_distinct(flatten(list(reasons) FILTER (reasons IS NOT NULL)))) AS reasons,
       epoch_us(max(time) FILTER (processed > 0)) AS last_minute_us
FROM minutes GROUP BY camera_id ORDER BY camera_id
"""
_BUCKET_COVERAGE: Final = f"""{_MINUTES}
SELECT bucket.start_us, sum(analysed) AS analysed_minutes
FROM minutes ASOF JOIN (SELECT unnest($starts::BIGINT[]) AS start_us) bucket ON epoch_us(time) >= bucket.start_us
GROUP BY bucket.start_us
"""


def coverage(lake: Lake, question: Question) -> Coverage:
    """Coverage of the asked interval, per camera and in all."""
    first_minute = minute_of(question.start_us)
    rows = lake.rows(_COVERAGE, question.params | {"start_us": first_minute})
    asked = -(-(question.end_us - first_minute) // US_PER_MINUTE)
    by_camera = {row["camera_id"]: row for row in rows}
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
    first_minute = minute_of(question.start_us)
    rows = lake.rows(
        _BUCKET_COVERAGE, question.params | {"start_us": first_minute, "starts": [first_minute, *starts[1:]]}
    )
    analysed = {row["start_us"]: row["analysed_minutes"] for row in rows}
    shares: list[float | None] = []
    for start, end in pairwise([first_minute, *starts[1:], question.end_us]):
        asked = cameras * -(-(end - start) // US_PER_MINUTE)
        shares.append(round(analysed.get(start, 0.0) / asked, 9) if asked else None)
    return shares


def _camera_coverage(camera_id: str, row: dict[str, Any] | None, asked: int) -> CameraCoverage:
    if row is None:
        return CameraCoverage(camera_id, 0, 0, 0, None, asked, 0, 0.0, (), None)
    return CameraCoverage(
        camera_id=camera_id,
        expected_frames=row["expected"],
        processed_frames=row["processed"],
        dropped_frames=row["dropped"],
        share=row["processed"] / row["expected"] if row["expected"] else None,
        asked_minutes=asked,
        recorded_minutes=row["minutes"],
        interval_share=round(row["analysed_minutes"] / asked, 9),
        reasons=tuple(row["reasons"] or ()),
        last_minute_us=row["last_minute_us"],
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
    found = lake.rows(
        "SELECT DISTINCT date FROM coverage WHERE site_id = $site AND processed_frames > 0 ORDER BY date",
        {"site": site_id},
    )
    return [row["date"] for row in found]


def latest_day(lake: Lake, site_id: str) -> date | None:
    """The newest business day with analysed frames."""
    days = days_on_record(lake, site_id)
    return days[-1] if days else None
