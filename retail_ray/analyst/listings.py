"""Rows of the lake as they lie there, and the few sums that need no formula. `{span}` bounds what is asked about."""

from __future__ import annotations

from typing import Any, Final

import pyarrow as pa

from retail_ray.lake.questions import Question
from retail_ray.lake.views import Lake

_SPAN: Final = """site_id = $site AND date BETWEEN $first_day AND $last_day
  AND {time} >= make_timestamptz($start_us) AND {time} < make_timestamptz($end_us)"""

VISITS: Final = """(SELECT * EXCLUDE (converted, conversion_source) FROM journeys)
  LEFT JOIN journey_conversions USING (site_id, run_id, journey_id, date)"""
STAYS: Final = """SELECT zone_id, enter_time, exit_time, dwell_s, observed_s, bridged_s, censored, camera_id,
    local_id, session_id, identity_id
  FROM zone_visits LEFT JOIN tracklet_identity USING (site_id, run_id, camera_id, local_id)
  WHERE {span:enter_time} AND ($zone IS NULL OR zone_id = $zone) ORDER BY enter_time, camera_id, local_id"""
JOURNEYS: Final = (
    """SELECT journey_id, enter_time, exit_time, duration_s, censored,
    [stay.zone_id FOR stay IN stays] AS zones, [stay.dwell_s FOR stay IN stays] AS dwells_s,
    p_same, converted, conversion_source, group_id, staff_probability
  FROM """
    + VISITS
    + """ WHERE {span:enter_time} AND ($zone IS NULL OR list_contains([s.zone_id FOR s IN stays], $zone))
  ORDER BY enter_time, journey_id"""
)
CONVERSION: Final = (
    """SELECT conversion_source AS source, count(*) AS visits,
    count(*) FILTER (converted) AS converted, count(*) FILTER (converted IS NULL) AS unknown,
    avg(converted::INTEGER) AS share
  FROM """
    + VISITS
    + """ WHERE {span:enter_time} AND coalesce(staff_probability, 0) < $staff_from
  GROUP BY source ORDER BY source"""
)
QUEUE_VISITS: Final = """SELECT lane_id, join_time, service_time, leave_time, wait_s, service_s, outcome
  FROM queue_visits WHERE {span:join_time} AND ($lane IS NULL OR lane_id = $lane) ORDER BY join_time, lane_id"""
QUEUE_MINUTES: Final = """SELECT lane_id, time, queue_length_mean, queue_length_max, joined, served, abandoned,
    avg_wait_s, max_wait_s
  FROM queue_metrics WHERE {span:time} AND ($lane IS NULL OR lane_id = $lane) ORDER BY time, lane_id"""
HEAT: Final = """SELECT x0_m, y0_m, cell_m, sum(presence_s) AS presence_s
  FROM heat WHERE {span:time} GROUP BY ALL ORDER BY x0_m, y0_m"""
OCCUPANCY: Final = "SELECT time, inside, entries, exits FROM occupancy WHERE {span:time} ORDER BY time"
ALERTS: Final = """SELECT time, rule_id, state, severity, zone_id, lane_id, camera_id, value, threshold, message
  FROM alerts WHERE {span:time} ORDER BY time, rule_id, dedup_key"""


class _Spans:
    """`{span:enter_time}` in a query: the column `enter_time` lies in the interval."""

    def __format__(self, column: str) -> str:
        return _SPAN.format(time=column)


def listing(lake: Lake, question: Question, query: str, **values: Any) -> pa.Table:
    """The answer as Arrow; instants in UTC. The question's camera plays no part."""
    asked = {name: value for name, value in question.params.items() if name != "camera"}
    return lake.sql(query.format(span=_Spans()), asked | values)
