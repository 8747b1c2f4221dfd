"""Visitors of an interval from the journeys: raw and without staff side by side, as persons and as parties."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

from retail_ray.lake import rollup_kinds
from retail_ray.lake.questions import Question
from retail_ray.lake.rollup_kinds import STAFF_FROM
from retail_ray.lake.views import Lake


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
    of_site = replace(question, camera_id=None)
    sums = ", ".join(f"coalesce(sum({field.name}), 0)::BIGINT AS {field.name}" for field in fields(Headcount))
    rollup, usual = rollup_kinds.headcount(staff_from), staff_from == STAFF_FROM
    found = lake.rollups.rows(rollup, of_site, f"SELECT {sums} FROM parts", of_site.params, read_all=not usual)
    return Headcount(**found[0])
