"""Journeys: the named questions about visits of people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from operator import itemgetter
from typing import Any, Final

from retail_ray.core.retail_records import JourneyStay
from retail_ray.lake import rollup_kinds
from retail_ray.lake.conversion_views import journey_conversions
from retail_ray.lake.identity_views import identities_within
from retail_ray.lake.kept_sums import listed
from retail_ray.lake.queries import RowKey
from retail_ray.lake.questions import Question
from retail_ray.lake.rollups import used
from retail_ray.lake.views import Lake

_MINE: Final = """site_id = $site AND date IN ({days})
      AND enter_time >= make_timestamptz($start_us) AND enter_time < make_timestamptz($end_us)
      AND ($zone IS NULL OR list_contains([stay.zone_id FOR stay IN stays], $zone))
      AND ($min_duration_s IS NULL OR duration_s >= $min_duration_s)
      AND ($censored IS NULL OR censored = $censored)"""


@dataclass(frozen=True, slots=True)
class JourneyFilter:
    """zone_id: visits with a stay there. censored: only those cut off, or only whole ones. None: all of them."""

    zone_id: str | None = None
    min_duration_s: float | None = None
    censored: bool | None = None


ALL_JOURNEYS: Final = JourneyFilter()


@dataclass(frozen=True, slots=True)
class FoundJourney:
    """One visit as the lake has it; see Journey. p_same, staff_probability: None where not assessed."""

    journey_id: str
    run_id: str
    session_id: str | None
    identity_id: int | None
    enter_us: int
    exit_us: int
    duration_s: float
    censored: bool
    p_same: float | None
    converted: bool | None
    conversion_source: str | None
    group_id: int | None
    staff_probability: float | None
    stays: tuple[JourneyStay, ...]

    @property
    def key(self) -> RowKey:
        return self.enter_us, self.journey_id, self.run_id, 0


@dataclass(frozen=True, slots=True)
class JourneySummary:
    """Visits that begin in the interval. median_duration_s: of the observed lengths, so a lower bound as far as visits
    are censored; whole_median_duration_s: of those with entry and exit."""

    journeys: int
    censored: int
    median_duration_s: float | None
    whole_median_duration_s: float | None


_SUMMARY: Final = """SELECT count(*) AS journeys, count(*) FILTER (censored) AS censored,
    quantile_cont(duration_s, 0.5) AS median_duration_s,
    quantile_cont(duration_s, 0.5) FILTER (NOT censored) AS whole_median_duration_s
FROM"""


def journey_summary(lake: Lake, question: Question, wanted: JourneyFilter = ALL_JOURNEYS) -> JourneySummary:
    params = _params(question, wanted)
    if wanted == ALL_JOURNEYS:
        rows = lake.rollups.rows(rollup_kinds.JOURNEY_LENGTHS, _without_camera(question), f"{_SUMMARY} parts", params)
        return JourneySummary(**rows[0])
    days = [day for day in lake.days("journeys", question.site_id) if params["first_day"] <= day <= params["last_day"]]
    text = f"{_SUMMARY} journeys WHERE {_MINE.format(days=listed(days))}"
    return JourneySummary(**lake.rows(text, used(text, params), (question.site_id, days))[0])


def journeys(
    lake: Lake, question: Question, limit: int, after: RowKey | None = None, wanted: JourneyFilter = ALL_JOURNEYS
) -> tuple[list[FoundJourney], RowKey | None]:
    """Visits in order of entering, at most `limit`, behind `after`; and the key to go on from, if there are more."""
    place = dict(zip(("after_us", "after_journey", "after_run"), after or (None,) * 3, strict=False))
    params = _params(question, wanted) | place | {"rows": limit + 1}

    def fetch(days: Sequence[date]) -> list[dict[str, Any]]:
        text = f"""SELECT journey_id, run_id, session_id, identity_id, epoch_us(enter_time) AS enter_us,
               epoch_us(exit_time) AS exit_us, duration_s, censored, p_same, converted, conversion_source, group_id,
               staff_probability, [stay.zone_id FOR stay IN stays] AS zones,
               [epoch_us(stay.enter_time) FOR stay IN stays] AS enters_us,
               [epoch_us(stay.exit_time) FOR stay IN stays] AS exits_us
        FROM journeys WHERE {_MINE.format(days=listed(days))}
          AND ($after_us IS NULL
               OR (epoch_us(enter_time), journey_id, run_id) > ($after_us, $after_journey, $after_run))
        ORDER BY enter_us, journey_id, run_id LIMIT $rows"""
        return lake.rows(text, used(text, params), (question.site_id, days))

    rows = lake.rollups.page(
        rollup_kinds.JOURNEY_BEGINS,
        question,
        None if after is None else after[0],
        fetch,
        enough=limit + 1,
        time_us=itemgetter("enter_us"),
    )
    found = [_found(row) for row in _with_conversions(lake, question, rows[:limit])]
    return found, found[-1].key if len(rows) > limit else None


def _with_conversions(lake: Lake, question: Question, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The visits with what is known now of sales and services."""
    dates = {question.day.date_of(row["enter_us"]) for row in rows}
    around = {day + timedelta(days=offset) for day in dates for offset in (-1, 0, 1)}
    if all(row["converted"] is not None for row in rows) and around.isdisjoint(
        lake.days("conversions", question.site_id)
    ):
        return rows  # what the visits' rows say holds where no sale was joined
    within = f"site_id = $site AND date IN ({listed(sorted(around))})"
    text = f"""WITH identified AS ({identities_within(within)}), bought AS ({journey_conversions(within, "identified")})
        SELECT run_id, journey_id, converted, conversion_source FROM bought WHERE list_contains($ids, journey_id)"""
    known = {
        (row.pop("run_id"), row.pop("journey_id")): row
        for row in lake.rows(
            text,
            {"site": question.site_id, "ids": [row["journey_id"] for row in rows]},
            (question.site_id, around),
        )
    }
    return [row | known.get((row["run_id"], row["journey_id"]), {}) for row in rows]


def _found(row: dict[str, Any]) -> FoundJourney:
    parts = zip(row.pop("zones"), row.pop("enters_us"), row.pop("exits_us"), strict=True)
    return FoundJourney(**row, stays=tuple(JourneyStay(*part) for part in parts))


def _without_camera(question: Question) -> Question:
    """Visits are the site's: the camera of the question plays no part."""
    return replace(question, camera_id=None)


def _params(question: Question, wanted: JourneyFilter) -> dict[str, Any]:
    asked = {name: value for name, value in question.params.items() if name != "camera"}
    return asked | {
        "zone": wanted.zone_id,
        "min_duration_s": wanted.min_duration_s,
        "censored": wanted.censored,
    }
