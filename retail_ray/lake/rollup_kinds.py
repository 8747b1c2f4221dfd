"""The roll-ups that there are: what each adds up, and over which rows."""

from __future__ import annotations

from typing import Final

from retail_ray.lake.rollups import SESSIONS, Rollup

SLOT_US: Final = 900_000_000
"""Kept sums by time are by quarter of an hour: every timezone is off UTC by whole quarters."""

STAFF_FROM: Final = 0.5
"""From this staff probability on an identity is held for staff."""

_OF_CAMERA: Final = "AND ($camera IS NULL OR camera_id = $camera)"
_IN_INTERVAL: Final = "{time} >= make_timestamptz($start_us) AND {time} < make_timestamptz($end_us)"
_EVENTS: Final = f"{_IN_INTERVAL.format(time='time')} {_OF_CAMERA}"
_STAYS: Final = f"{_IN_INTERVAL.format(time='enter_time')} {_OF_CAMERA}"
_VISITS: Final = _IN_INTERVAL.format(time="enter_time")
_TRACKS: Final = f"""first_time < make_timestamptz($end_us) AND last_time >= make_timestamptz($start_us) {_OF_CAMERA}"""
_NO_SESSIONS: Final = "NULL::VARCHAR[] AS sessions"
_SESSIONS: Final = "list(DISTINCT run_id || '/' || session_id) FILTER (session_id IS NOT NULL) AS sessions"
_SPAN: Final = "min(epoch_us({time})) AS low_us, max(epoch_us({time})) AS high_us"
_MINUTES: Final = """(
    SELECT {day} AS date, camera_id, time, sum(expected_frames)::BIGINT AS expected,
           sum(processed_frames)::BIGINT AS processed, sum(dropped_frames)::BIGINT AS dropped,
           list(reason) FILTER (reason <> '') AS reasons
    FROM coverage WHERE {where} GROUP BY ALL)"""

COVERAGE: Final = Rollup(
    "coverage_days",
    "coverage",
    _EVENTS,
    f"""SELECT date, camera_id, expected, {_SPAN.format(time="time")}, {_NO_SESSIONS}, count(*) AS minutes,
        sum(least(processed, expected))::BIGINT AS analysed, sum(processed)::BIGINT AS processed,
        sum(dropped)::BIGINT AS dropped, list_distinct(flatten(list(reasons))) AS reasons,
        epoch_us(max(time) FILTER (processed > 0)) AS last_minute_us
    FROM {_MINUTES} GROUP BY date, camera_id, expected""",
    by_minute=True,
)
"""By camera and number of expected frames a minute, which keeps the shares of the minutes whole numbers."""

HEAT: Final = Rollup(
    "heat_days",
    "heat",
    _IN_INTERVAL.format(time="time"),
    f"""SELECT {{day}} AS date, cell_m, x0_m, y0_m, {_SPAN.format(time="time")}, {_NO_SESSIONS},
        sum(round(presence_s * 1e6)::BIGINT)::BIGINT AS presence_us, max(people) AS people
    FROM heat WHERE {{where}} GROUP BY {{day}}, cell_m, x0_m, y0_m""",
    monthly="cell_m, x0_m, y0_m, sum(presence_us)::BIGINT AS presence_us, max(people) AS people",
)
"""Presence of squares in whole microseconds, whose sum is the same in every order."""

JOURNEY_LENGTHS: Final = Rollup(
    "journey_lengths",
    "journeys",
    _VISITS,
    f"""SELECT {{day}} AS date, epoch_us(enter_time) AS low_us, epoch_us(enter_time) AS high_us, {_NO_SESSIONS},
        duration_s, censored
    FROM journeys WHERE {{where}}""",
)

TRACKLETS: Final = Rollup(
    "tracklet_days",
    "tracklets",
    _TRACKS,
    f"""SELECT {{day}} AS date, min(epoch_us(last_time)) AS low_us, max(epoch_us(first_time)) AS high_us,
        min(epoch_us(first_time)) AS from_us, max(epoch_us(last_time)) AS until_us, {_SESSIONS},
        count(*) AS tracklets, count(*) FILTER (identity_id IS NULL) AS unidentified,
        count(DISTINCT identity_id) AS identities
    FROM tracklets LEFT JOIN {{identities}} USING (site_id, run_id, camera_id, local_id)
    WHERE {{where}} GROUP BY {{day}}, run_id, session_id""",
    earlier_days=1,
)

ZONE_LENGTHS: Final = Rollup(
    "zone_lengths",
    "zone_visits",
    _STAYS,
    f"""SELECT {{day}} AS date, zone_id, round(dwell_s * 10)::INTEGER AS tenths, {_SPAN.format(time="enter_time")},
        {_NO_SESSIONS}, count(*)::INTEGER AS stays,
        count(*) FILTER (NOT censored)::INTEGER AS ended
    FROM zone_visits WHERE {{where}} GROUP BY {{day}}, zone_id, tenths""",
    monthly="zone_id, tenths, sum(stays)::INTEGER AS stays, sum(ended)::INTEGER AS ended",
)
"""Lengths of stays to a tenth of a second."""

ZONE_PEOPLE: Final = Rollup(
    "zone_people",
    "zone_visits",
    _STAYS,
    f"""SELECT {{day}} AS date, zone_id, {_SPAN.format(time="enter_time")}, {_SESSIONS},
        count(DISTINCT identity_id) AS people,
        list(DISTINCT run_id || '/' || camera_id || '/' || local_id) FILTER (identity_id IS NULL) AS unknown
    FROM zone_visits LEFT JOIN {{identities}} USING (site_id, run_id, camera_id, local_id)
    WHERE {{where}} GROUP BY {{day}}, zone_id, run_id, session_id""",
)


def crossings(slot_us: int = SLOT_US) -> Rollup:
    """Crossings by line and slot of time."""
    return Rollup(
        "crossing_slots",
        "line_crossings",
        _EVENTS,
        f"""SELECT {{day}} AS date, line_id, epoch_us(time) - epoch_us(time) % {slot_us} AS slot_us,
            {_SPAN.format(time="time")}, {_NO_SESSIONS},
            count(*) FILTER (direction = 'in' AND NOT turned_back) AS entries,
            count(*) FILTER (direction = 'out' AND NOT turned_back) AS exits,
            count(*) FILTER (turned_back) AS turned_back
        FROM line_crossings WHERE {{where}} GROUP BY {{day}}, line_id, slot_us""",
    )


def coverage_slots(slot_us: int = SLOT_US) -> Rollup:
    """Analysed minutes by slot of time and number of expected frames a minute."""
    return Rollup(
        "coverage_slots",
        "coverage",
        _EVENTS,
        f"""SELECT date, epoch_us(time) - epoch_us(time) % {slot_us} AS slot_us, expected, {_SPAN.format(time="time")},
            {_NO_SESSIONS}, sum(least(processed, expected))::BIGINT AS analysed
        FROM {_MINUTES} GROUP BY date, slot_us, expected""",
        by_minute=True,
    )


def begins(table: str, time: str, within: str) -> Rollup:
    """How many rows begin, and when the earliest and latest of a day do, to page through them."""
    earlier, span = 0, _SPAN.format(time=time)
    if table == "tracklets":
        earlier, span = 1, f"{span}, min(epoch_us(first_time)) AS from_us, max(epoch_us(last_time)) AS until_us"
    sql = f"""SELECT {{day}} AS date, {span}, {_NO_SESSIONS}, count(*) AS beginnings
        FROM {table} WHERE {{where}} GROUP BY {{day}}"""
    return Rollup(f"{table}_begins", table, within, sql, earlier)


def headcount(staff_from: float) -> Rollup:
    """Visits, people and parties by run; from `staff_from` on a person is held for staff."""
    return Rollup(
        "headcount",
        "journeys",
        _VISITS,
        f"""SELECT {{day}} AS date, {_SPAN.format(time="enter_time")}, {_SESSIONS},
            count(*) AS visits, count(*) FILTER (NOT staff) AS visits_without_staff,
            count(DISTINCT who) AS people, count(DISTINCT who) FILTER (NOT staff) AS people_without_staff,
            count(DISTINCT (date, party)) AS parties, count(DISTINCT (date, party)) FILTER (NOT staff)
                AS parties_without_staff,
            count(*) FILTER (staff_probability IS NULL) AS unassessed
        FROM (
            SELECT *, coalesce(max(staff_probability) OVER (PARTITION BY run_id, who), 0) >= {staff_from!r} AS staff,
                   coalesce('group ' || group_id, 'visit ' || journey_id) AS party
            FROM (
                SELECT date, run_id, session_id, journey_id, group_id, staff_probability, enter_time,
                       coalesce(session_id || '/' || identity_id, journey_id) AS who
                FROM journeys WHERE {{where}}
            )
        ) GROUP BY {{day}}, run_id""",
    )


STAFF: Final = Rollup(
    "staff_days",
    "journeys",
    _VISITS,
    f"""SELECT {{day}} AS date, run_id, session_id, identity_id, {_SPAN.format(time="enter_time")}, {_NO_SESSIONS}
    FROM journeys WHERE {{where}} AND staff_probability >= {STAFF_FROM!r} AND identity_id IS NOT NULL
    GROUP BY {{day}}, run_id, session_id, identity_id""",
)
"""Identities that are held for staff."""

ALERTS: Final = Rollup(
    "alert_changes",
    "alerts",
    "true",
    f"""SELECT {{day}} AS date, epoch_us(time) AS low_us, epoch_us(time) AS high_us, {_NO_SESSIONS}, time, run_id,
        rule_id, state, severity, dedup_key, zone_id, lane_id, camera_id, value, threshold, message
    FROM alerts WHERE {{where}}""",
)
"""Every change: they are few, and a year of them lies in as many files as it has days."""

TRACKLET_BEGINS: Final = begins("tracklets", "first_time", _TRACKS)
STAY_BEGINS: Final = begins("zone_visits", "enter_time", _STAYS)
JOURNEY_BEGINS: Final = begins("journeys", "enter_time", _VISITS)


def kinds() -> list[Rollup]:
    """All that answers use."""
    return [
        COVERAGE, coverage_slots(), crossings(), TRACKLETS, TRACKLET_BEGINS, ZONE_LENGTHS, ZONE_PEOPLE, STAY_BEGINS,
        JOURNEY_LENGTHS, JOURNEY_BEGINS, headcount(STAFF_FROM), SESSIONS, STAFF, ALERTS,
        HEAT,
    ]  # fmt: skip
