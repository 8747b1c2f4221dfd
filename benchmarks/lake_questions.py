"""The questions of a dashboard, as functions of a lake and an interval; spans in days."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from benchmarks.year_lake import DAY, YearLake
from retail_ray.core.time import US_PER_S
from retail_ray.lake.alerts import alerts
from retail_ray.lake.dwell import zone_summary
from retail_ray.lake.headcount import headcount
from retail_ray.lake.heat import heat
from retail_ray.lake.journeys import journey_summary, journeys
from retail_ray.lake.queries import footfall, occupancy, stats, tracks, zone_visits
from retail_ray.lake.questions import Question, coverage, days_on_record
from retail_ray.lake.views import Lake
from retail_ray.lake.visitors import unique_visitors

PAGE: Final = 100
_OF_SITE: Final = """WHERE site_id = $site AND date BETWEEN $first_day AND $last_day
    AND time >= make_timestamptz($start_us) AND time < make_timestamptz($end_us)"""
_WAITS: Final = f"""SELECT lane_id, date_trunc('hour', time) AS hour, avg(queue_length_mean), max(queue_length_max),
    sum(served), sum(abandoned), avg(avg_wait_s) FROM queue_metrics {_OF_SITE} GROUP BY ALL ORDER BY ALL"""
_CURVE: Final = f"SELECT time, inside FROM occupancy {_OF_SITE} ORDER BY time"

Asked = Callable[[Lake, Question], Any]


@dataclass(frozen=True, slots=True)
class Dashboard:
    """One question over an interval of whole business days, or of `days` days cut off at odd times."""

    name: str
    days: int
    asked: Asked
    whole_days: bool = True

    def interval(self, lake: YearLake, number: int) -> Question:
        """The interval of repetition `number`: another place in the year each time, as far as there is room."""
        room = len(lake.days) - self.days + 1
        first = lake.days[number * 37 % room]
        start_us, end_us = DAY.start_us(first), DAY.start_us(first + timedelta(days=self.days))
        if not self.whole_days:
            start_us, end_us = start_us + (10_000 + number) * US_PER_S, end_us - (20_000 + number) * US_PER_S
        return Question(lake.site_id, DAY, start_us, end_us, lake.cameras)


def dashboards(lake: YearLake, span: int) -> list[Dashboard]:
    """All of them; `span`: the days of the longest interval, a year where there is one."""
    week, month = min(7, span), min(30, span)

    def by(grain: Any) -> Asked:
        return lambda opened, question: footfall(opened, question, grain)

    return [
        Dashboard("footfall by day", span, by("day")),
        Dashboard("footfall by day", month, by("day")),
        Dashboard("footfall by hour", week, by("hour")),
        Dashboard("footfall by hour", 1, by("hour")),
        Dashboard("stats", span, stats),
        Dashboard("stats", week, stats),
        Dashboard("stats", 1, stats),
        Dashboard("stats, cut off at odd times", week, stats, whole_days=False),
        Dashboard("zone dwell, all zones", span, lambda o, q: (zone_summary(o, q, lake.zones), coverage(o, q))),
        Dashboard("zone dwell, all zones", week, lambda o, q: (zone_summary(o, q, lake.zones), coverage(o, q))),
        Dashboard("zone dwell, all zones", 1, lambda o, q: (zone_summary(o, q, lake.zones), coverage(o, q))),
        Dashboard("headcount", span, headcount),
        Dashboard("unique visitors", 1, unique_visitors),
        Dashboard("journeys, first page and summary", span, _journeys),
        Dashboard("journeys, first page and summary", 1, _journeys),
        Dashboard("stays in a zone, first page", month, lambda o, q: zone_visits(o, q, lake.zones[0], PAGE)),
        Dashboard("tracklets, first page", 1, lambda o, q: tracks(o, q, PAGE)),
        Dashboard("coverage by camera", span, coverage),
        Dashboard("days on record", span, lambda o, q: days_on_record(o, q.site_id)),
        Dashboard("queues by hour", week, _sql(_WAITS)),
        Dashboard("heat", month, heat),
        Dashboard("occupancy, newest", 1, occupancy),
        Dashboard("occupancy by minute", 1, _sql(_CURVE)),
        Dashboard("alerts, newest page", span, lambda o, q: alerts(o, q, PAGE)),
    ]


def _journeys(opened: Lake, question: Question) -> Any:
    return journeys(opened, question, PAGE), journey_summary(opened, question), coverage(opened, question)


def _sql(query: str) -> Asked:
    return lambda opened, question: opened.rows(
        query, {name: value for name, value in question.params.items() if name != "camera"}
    )
