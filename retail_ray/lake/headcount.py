"""Visitors of an interval from the journeys: raw and without staff side by side, as persons and as parties."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from retail_ray.lake.questions import Question
from retail_ray.lake.views import Lake

STAFF_FROM: Final = 0.5
"""From this staff probability on an identity is held for staff."""

_SQL: Final = """
WITH mine AS (
    SELECT journey_id, run_id, session_id, identity_id, group_id, staff_probability, date,
           coalesce(session_id || '/' || identity_id, journey_id) AS who
    FROM journeys
    WHERE site_id = $site AND date BETWEEN $first_day AND $last_day
      AND enter_time >= make_timestamptz($start_us) AND enter_time < make_timestamptz($end_us)
), judged AS (
    SELECT *, coalesce(max(staff_probability) OVER (PARTITION BY run_id, who), 0) >= $staff_from AS staff,
           coalesce('group ' || group_id, 'visit ' || journey_id) AS party
    FROM mine
)
SELECT count(*) AS visits, count(*) FILTER (NOT staff) AS visits_without_staff,
       count(DISTINCT (run_id, who)) AS people,
       count(DISTINCT (run_id, who)) FILTER (NOT staff) AS people_without_staff,
       count(DISTINCT (run_id, date, party)) AS parties,
       count(DISTINCT (run_id, date, party)) FILTER (NOT staff) AS parties_without_staff,
       count(*) FILTER (staff_probability IS NULL) AS unassessed
FROM judged
"""


@dataclass(frozen=True, slots=True)
class Headcount:
    """visits: journeys that began in the interval. people: identities, journeys where none is known. parties: groups,
    and each one alone. unassessed: journeys without a staff probability; they count as no staff.
    """

    visits: int
    visits_without_staff: int
    people: int
    people_without_staff: int
    parties: int
    parties_without_staff: int
    unassessed: int


def headcount(lake: Lake, question: Question, staff_from: float = STAFF_FROM) -> Headcount:
    """All zeros for an interval without journeys. The camera of the question plays no part: visits are the site's."""
    params = {name: value for name, value in question.params.items() if name != "camera"}
    return Headcount(**lake.rows(_SQL, params | {"staff_from": staff_from})[0])
