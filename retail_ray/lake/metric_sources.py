"""The rows that metrics count, as SQL: each has `at_us`, the instant that puts it into a bucket."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from retail_ray.lake.conversion_views import journey_conversions
from retail_ray.lake.identity_views import identities_within
from retail_ray.lake.metric_types import SourceName

PASSAGE_GAP_S: Final = 60
"""Sights of one person in front of the door that lie no further apart are one passage."""

DOOR_S: Final = 10
"""A passage with a crossing of that person so near is a way in or out, and nobody who passed on."""

_IN_SITE: Final = """site_id = $site AND date BETWEEN $first_day AND $last_day
      AND {time} >= make_timestamptz($start_us) AND {time} < make_timestamptz($end_us)"""
_IN_INTERVAL: Final = f"{_IN_SITE} AND ($camera IS NULL OR camera_id = $camera)"
_RESOLVED: Final = "LEFT JOIN identified USING (site_id, run_id, camera_id, local_id)"
_AROUND: Final = "site_id = $site AND date BETWEEN $first_day - 1 AND $last_day + 1"
_WHO: Final = "coalesce(session_id || '/' || identity_id, camera_id || '#' || local_id)"

IDENTIFIED: Final = f"identified AS ({identities_within(_AROUND)})"
"""Identities of the tracklets of these days; the view tracklet_identity would resolve all days."""

_STAFF: Final = f"""staff_people AS (
    SELECT DISTINCT run_id, session_id, identity_id FROM journeys
    WHERE {_AROUND} AND staff_probability >= $staff_from AND identity_id IS NOT NULL
)"""
_NO_STAFF: Final = "ANTI JOIN staff_people USING (run_id, session_id, identity_id)"

_QUEUERS: Final = """(
            SELECT q.* EXCLUDE (session_id, identity_id), coalesce(q.session_id, i.session_id) AS session_id,
                   coalesce(q.identity_id, i.identity_id) AS identity_id
            FROM queue_visits q LEFT JOIN identified i USING (site_id, run_id, camera_id, local_id))"""

OUTSIDE: Final = """outside AS (
    SELECT DISTINCT config_version, json_extract_string(zone, '$.id') AS zone_id
    FROM (SELECT config_version, unnest(json_extract(settings_json, '$.zones[*]')) AS zone
          FROM sites WHERE site_id = $site)
    WHERE json_extract_string(zone, '$.kind') = 'outside'
)"""
"""Zones in front of doors, by the settings that each row was written under."""


_VISITS: Final = (
    """judged AS (
    SELECT *, coalesce(max(staff_probability) OVER (PARTITION BY run_id, who), 0) >= $staff_from AS staff,
           coalesce('group ' || group_id, 'visit ' || journey_id) AS party
    FROM (SELECT *, coalesce(session_id || '/' || identity_id, journey_id) AS who
          FROM journeys WHERE """
    + _IN_SITE.format(time="enter_time")
    + "))"
)
"""A row per visit, with who is held for staff and who came together."""


@dataclass(frozen=True, slots=True)
class Source:
    """tables: common table expressions before `rows`. of_people: staff is known by identities, else by visits.

    Marks in both: {people} joins identities where staff is left out, {resolved} in any case, {queue_visits} is
    that table, {only_visitors} leaves out visits of staff.
    """

    rows: str
    tables: tuple[str, ...] = ()
    of_people: bool = False

    def parts(self, *, without_staff: bool) -> tuple[list[str], str]:
        """Common table expressions and rows, with or without staff."""
        visitors = f"{_RESOLVED} {_NO_STAFF}"
        fill = {
            "{people}": visitors if without_staff else "",
            "{resolved}": visitors if without_staff else _RESOLVED,
            "{queue_visits}": f"{_QUEUERS} {_NO_STAFF}" if without_staff else "queue_visits",
            "{only_visitors}": "WHERE NOT staff" if without_staff else "",
        }
        tables, rows = [*self.tables], self.rows
        if without_staff and self.of_people:
            tables = [_STAFF, *([] if IDENTIFIED in tables else [IDENTIFIED]), *tables]
        for mark, text in fill.items():
            tables = [table.replace(mark, text) for table in tables]
            rows = rows.replace(mark, text)
        return tables, rows


_DOOR_TABLES: Final = (
    IDENTIFIED,
    OUTSIDE,
    f"""crossed AS (
    SELECT epoch_us(time) AS at_us, run_id, {_WHO} AS who, direction
    FROM line_crossings {{resolved}}
    WHERE {_AROUND} AND NOT turned_back AND config_version IN (SELECT config_version FROM outside)
)""",
    f"""stood AS (
    SELECT epoch_us(enter_time) AS enter_us, epoch_us(exit_time) AS exit_us, run_id, {_WHO} AS who
    FROM zone_visits SEMI JOIN outside USING (config_version, zone_id) {{resolved}}
    WHERE {_AROUND}
)""",
    """ordered AS (
    SELECT *, max(exit_us) OVER (PARTITION BY run_id, who ORDER BY enter_us, exit_us
                                 ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before_us
    FROM stood
)""",
    f"""numbered AS (
    SELECT *, count(*) FILTER (before_us IS NULL OR enter_us > before_us + {PASSAGE_GAP_S} * 1000000)
              OVER (PARTITION BY run_id, who ORDER BY enter_us, exit_us) AS passage
    FROM ordered
)""",
    """passages AS (
    SELECT run_id, who, min(enter_us) AS at_us, max(exit_us) AS until_us FROM numbered GROUP BY run_id, who, passage
)""",
    f"""passed_on AS (
    SELECT at_us FROM passages p WHERE NOT EXISTS (
        SELECT 1 FROM crossed c WHERE c.run_id = p.run_id AND c.who = p.who
          AND c.at_us >= p.at_us - {DOOR_S} * 1000000 AND c.at_us <= p.until_us + {DOOR_S} * 1000000)
)""",
)
_SALES_TABLES: Final = (
    IDENTIFIED,
    f"bought AS ({journey_conversions(_AROUND, 'identified')})",
    _VISITS,
    "sold_days AS (SELECT DISTINCT date FROM conversions WHERE site_id = $site)",
    """visited AS (
    SELECT epoch_us(enter_time) AS at_us, true AS is_visit, converted_now AS fulfilled,
           CASE WHEN sold_days.date IS NOT NULL THEN 'pos' WHEN converted_now IS NOT NULL THEN 'zone_inferred'
                ELSE 'unknown' END AS conversion_source, staff
    FROM judged
    LEFT JOIN (SELECT site_id, run_id, journey_id, date, converted AS converted_now FROM bought)
        USING (site_id, run_id, journey_id, date)
    LEFT JOIN sold_days USING (date)
)""",
)

SOURCES: Final[dict[SourceName, Source]] = {
    "crossings": Source(
        f"""SELECT epoch_us(time) AS at_us, line_id, camera_id, direction, turned_back
        FROM line_crossings {{people}} WHERE {_IN_INTERVAL.format(time="time")}""",
        of_people=True,
    ),
    "stays": Source(
        f"""SELECT epoch_us(enter_time) AS at_us, zone_id, camera_id, dwell_s, censored
        FROM zone_visits ANTI JOIN outside USING (config_version, zone_id) {{people}}
        WHERE {_IN_INTERVAL.format(time="enter_time")}""",
        (OUTSIDE,),
        of_people=True,
    ),
    "visits": Source(
        "SELECT epoch_us(enter_time) AS at_us, * FROM judged {only_visitors}",
        (_VISITS,),
    ),
    "visit_dwells": Source(
        """SELECT epoch_us(enter_time) AS at_us, zone_id, sum(stay.dwell_s) AS dwell_s, count(*) AS stays,
               bool_or(censored AND (stay.enter_time <= enter_time + INTERVAL 1 SECOND
                                     OR stay.exit_time >= exit_time - INTERVAL 1 SECOND)) AS cut
        FROM (SELECT *, stay.zone_id AS zone_id
              FROM (SELECT run_id, journey_id, enter_time, exit_time, censored, unnest(stays) AS stay
                    FROM judged {only_visitors}))
        GROUP BY run_id, journey_id, enter_time, zone_id""",
        (_VISITS,),
    ),
    "queue_visits": Source(
        f"""SELECT epoch_us(join_time) AS at_us, lane_id, wait_s, service_s, outcome,
               service_time IS NOT NULL AS service_began
        FROM {{queue_visits}} WHERE {_IN_INTERVAL.format(time="join_time")}""",
        of_people=True,
    ),
    "queue_minutes": Source(
        f"""SELECT epoch_us(time) AS at_us, lane_id, queue_length_mean, queue_length_max
        FROM queue_metrics WHERE {_IN_SITE.format(time="time")}"""
    ),
    "occupancy": Source(
        f"""SELECT epoch_us(time) AS at_us, run_id, inside FROM occupancy WHERE {_IN_SITE.format(time="time")}"""
    ),
    "door": Source(
        """SELECT at_us, entered FROM (
            SELECT at_us, true AS entered FROM crossed WHERE direction = 'in'
            UNION ALL SELECT at_us, false AS entered FROM passed_on)
        WHERE at_us >= $start_us AND at_us < $end_us""",
        _DOOR_TABLES,
        of_people=True,
    ),
    "sales": Source(
        f"""SELECT at_us, is_visit, fulfilled, conversion_source FROM visited {{only_visitors}}
        UNION ALL
        SELECT epoch_us(time) AS at_us, false, join_time IS NOT NULL, 'pos' FROM conversions
        WHERE {_IN_SITE.format(time="time")}""",
        _SALES_TABLES,
    ),
    "heat": Source(
        f"""SELECT epoch_us(time) AS at_us, x0_m, y0_m, cell_m, presence_s
        FROM heat WHERE {_IN_SITE.format(time="time")}"""
    ),
    "coverage": Source(
        f"""SELECT epoch_us(time) AS at_us, camera_id, expected_frames, processed_frames, dropped_frames
        FROM coverage WHERE {_IN_INTERVAL.format(time="time")}"""
    ),
}
