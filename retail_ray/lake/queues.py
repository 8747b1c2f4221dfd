"""Queues: how long lanes were, how long people waited, who gave up, and whether these numbers agree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from retail_ray.lake.identity_views import identities_within
from retail_ray.lake.questions import Grain, Question, bucket_shares, bucket_starts, coverage
from retail_ray.lake.rollup_kinds import STAFF_FROM
from retail_ray.lake.survival import survival_tables
from retail_ray.lake.views import Lake

_AROUND: Final = "site_id = $site AND date BETWEEN $first_day - 1 AND $last_day + 1"
_VISITS: Final = f"""
WITH staff AS (
    SELECT DISTINCT run_id, session_id, identity_id FROM journeys
    WHERE site_id = $site AND date BETWEEN $first_day AND $last_day AND staff_probability >= $staff_from
), joined AS (
    SELECT * FROM queue_visits
    WHERE site_id = $site AND date BETWEEN $first_day AND $last_day
      AND join_time >= make_timestamptz($start_us) AND join_time < make_timestamptz($end_us)
), identified AS ({identities_within(_AROUND, "joined")}), visits AS (
    SELECT lane_id, wait_s, service_s, service_time IS NOT NULL AS begun, outcome,
           coalesce(visit.session_id, of.session_id) AS session, coalesce(visit.identity_id, of.identity_id) AS identity
    FROM joined visit LEFT JOIN identified of USING (site_id, run_id, camera_id, local_id)
    WHERE ($with_staff OR NOT EXISTS (
          SELECT 1 FROM staff WHERE staff.run_id = visit.run_id AND staff.session_id = session
          AND staff.identity_id = identity))
)"""
_SHARES: Final = {"median_wait_s": 0.5, "p90_wait_s": 0.9}
_SUMMARY: Final = f"""{_VISITS}, {survival_tables("visits", ["lane_id"], "wait_s", "begun", _SHARES)}
SELECT lane_id, count(*) AS visits, count(*) FILTER (outcome = 'served') AS served,
       count(*) FILTER (outcome = 'abandoned') AS abandoned, count(*) FILTER (outcome = 'censored') AS censored,
       any_value(median_wait_s) AS median_wait_s, any_value(p90_wait_s) AS p90_wait_s,
       quantile_cont(wait_s, 0.5) FILTER (begun) AS served_median_wait_s,
       avg(wait_s) AS mean_wait_s, quantile_cont(service_s, 0.5) FILTER (outcome = 'served') AS median_service_s
FROM visits LEFT JOIN estimates USING (lane_id) GROUP BY lane_id
"""
_IN_INTERVAL: Final = """site_id = $site AND date BETWEEN $first_day AND $last_day
      AND time >= make_timestamptz($start_us) AND time < make_timestamptz($end_us)"""
_LENGTHS: Final = f"""
SELECT lane_id, count(*) AS minutes, avg(queue_length_mean) AS length_mean, max(queue_length_max) AS length_max,
       sum(joined)::BIGINT AS joined
FROM queue_metrics WHERE {_IN_INTERVAL} GROUP BY lane_id
"""
_BUCKETS: Final = f"""
SELECT bucket.start_us, count(*) AS minutes, avg(queue_length_mean) AS length_mean, max(queue_length_max) AS length_max,
       sum(joined)::BIGINT AS joined, sum(served)::BIGINT AS served, sum(abandoned)::BIGINT AS abandoned,
       max(max_wait_s) AS max_wait_s
FROM queue_metrics ASOF JOIN (SELECT unnest($starts::BIGINT[]) AS start_us) bucket ON epoch_us(time) >= bucket.start_us
WHERE {_IN_INTERVAL} AND lane_id = $lane GROUP BY bucket.start_us
"""


@dataclass(frozen=True, slots=True)
class QueueWaits:
    """Visits that joined in the interval. Waits in seconds, None where nothing tells.

    median_wait_s, p90_wait_s: Kaplan-Meier estimates of the time until the service begins; who gave up, was lost, or
    still waits had waited at least so long. None too where fewer than that share were served. served_median_wait_s:
    of those whose service began. mean_wait_s: over all, to service or to leaving. abandonment_share: abandoned ones
    among those that were served or abandoned.
    """

    visits: int = 0
    served: int = 0
    abandoned: int = 0
    censored: int = 0
    median_wait_s: float | None = None
    p90_wait_s: float | None = None
    served_median_wait_s: float | None = None
    mean_wait_s: float | None = None
    median_service_s: float | None = None

    @property
    def abandonment_share(self) -> float | None:
        known = self.served + self.abandoned
        return self.abandoned / known if known else None


@dataclass(frozen=True, slots=True)
class LittlesLaw:
    """L = lambda W (Little 1961), both sides measured for themselves: the mean length from the minutes, arrivals and
    waits from the visits. They part where visits reach beyond the interval, or where rows are missing.
    """

    mean_length: float
    arrivals_per_s: float
    mean_wait_s: float

    @property
    def arrivals_times_wait(self) -> float:
        return self.arrivals_per_s * self.mean_wait_s


@dataclass(frozen=True, slots=True)
class LaneQueue:
    """One lane over the interval. minutes: with rows. length_mean, length_max: people waiting, None without minutes.

    without_staff: the same visits without people whose journeys say that they are staff.
    """

    lane_id: str
    minutes: int
    length_mean: float | None
    length_max: int | None
    waits: QueueWaits
    without_staff: QueueWaits
    little: LittlesLaw | None


@dataclass(frozen=True, slots=True)
class QueueBucket:
    """One lane in [start_us, end_us); lengths over its minutes with rows, None without."""

    start_us: int
    end_us: int
    minutes: int
    length_mean: float | None
    length_max: int | None
    joined: int
    served: int
    abandoned: int
    max_wait_s: float | None
    interval_share: float | None


def queues(
    lake: Lake, question: Question, lane_ids: tuple[str, ...], staff_from: float = STAFF_FROM
) -> list[LaneQueue]:
    """One answer per asked lane, in that order. A queue is the site's: the camera of the question plays no part."""
    params = _params(question)
    lengths = {row["lane_id"]: row for row in lake.rows(_LENGTHS, params, question.site_days())}
    raw, without_staff = (
        {
            row.pop("lane_id"): QueueWaits(**row)
            for row in lake.rows(
                _SUMMARY, params | {"staff_from": staff_from, "with_staff": with_staff}, question.site_days(beside=1)
            )
        }
        for with_staff in (True, False)
    )
    return [
        _lane(lane_id, lengths.get(lane_id), raw.get(lane_id, QueueWaits()), without_staff.get(lane_id, QueueWaits()))
        for lane_id in lane_ids
    ]


def queue_buckets(lake: Lake, question: Question, lane_id: str, by: Grain) -> list[QueueBucket]:
    """Every minute, local hour or business day of the interval, also those without rows."""
    starts = bucket_starts(question, by)
    rows = lake.rows(_BUCKETS, _params(question) | {"starts": starts, "lane": lane_id}, question.site_days())
    found = {row.pop("start_us"): row for row in rows}
    shares = bucket_shares(lake, question, starts, len(coverage(lake, question).cameras))
    nothing = {"minutes": 0, "length_mean": None, "length_max": None, "max_wait_s": None}
    nothing |= {"joined": 0, "served": 0, "abandoned": 0}
    ends = [*starts[1:], question.end_us]
    return [
        QueueBucket(start_us=start, end_us=end, interval_share=share, **found.get(start, nothing))
        for start, end, share in zip(starts, ends, shares, strict=True)
    ]


def _lane(lane_id: str, lengths: dict[str, Any] | None, raw: QueueWaits, without_staff: QueueWaits) -> LaneQueue:
    if lengths is None:
        return LaneQueue(lane_id, 0, None, None, raw, without_staff, None)
    minutes, mean = lengths["minutes"], lengths["length_mean"]
    wait_s = raw.mean_wait_s
    little = None if wait_s is None else LittlesLaw(mean, raw.visits / (60.0 * minutes), wait_s)
    return LaneQueue(lane_id, minutes, mean, lengths["length_max"], raw, without_staff, little)


def _params(question: Question) -> dict[str, Any]:
    return {name: value for name, value in question.params.items() if name != "camera"}
