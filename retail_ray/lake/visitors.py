"""Unique visitors: how many different people there were on a business day."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from datetime import date, time, timedelta

from retail_ray.core.time import BusinessDay
from retail_ray.lake.questions import Question
from retail_ray.lake.rollup_kinds import STAFF
from retail_ray.lake.rollups import Saved
from retail_ray.lake.session_days import Session
from retail_ray.lake.views import Lake
from retail_ray.lake.visitor_counts import MIN_PRESENCE_S, Counting, Visitors, count_visitors
from retail_ray.lake.visitor_days import KEPT_WAYS, Part, one_by_one


def unique_visitors(
    lake: Lake,
    question: Question,
    min_presence_s: float = MIN_PRESENCE_S,
    *,
    run_id: str | None = None,
    staff_from: float | None = None,
) -> list[Visitors]:
    """Visitors of each business day with tracklets in the interval, oldest first.

    staff_from: leave out identities whose staff probability reaches it; None: count everybody.
    A person who is there on two days counts on both; so does one who is there before and behind a reset on demand.
    """
    way = Counting(min_presence_s, run_id, staff_from)
    with lake.looking_once():
        if way in KEPT_WAYS:
            found = _of_days(lake, question)
            if found is not None:
                return found[KEPT_WAYS.index(way)]
        return list(count_visitors(lake, question, run_id, [way]).visitors[0])


def _of_days(lake: Lake, question: Question) -> list[list[Visitors]] | None:
    """The visitors of each business day by itself, in all KEPT_WAYS; None where they do not say what the facts say."""
    questions = _by_day(question)
    if len(questions) == 1 and not _whole(question):
        return None
    parts = [_part(lake, some) for some in questions]
    if len(parts) > 1 and not _one_by_one(lake, question, parts):
        return None
    return [[one for part in parts for one in part.counted.visitors[way]] for way in range(len(KEPT_WAYS))]


def _one_by_one(lake: Lake, question: Question, parts: list[Part]) -> bool:
    shortest_us = min(question.day.end_us(part.day) - question.day.start_us(part.day) for part in parts)
    around = parts[0].day - timedelta(days=1), parts[-1].day + timedelta(days=1)
    staff: dict[date, set[Session]] = defaultdict(set)
    query = "SELECT DISTINCT date, run_id, session_id FROM parts"
    for row in lake.rollups.by_day(STAFF, question.site_id, query, around):
        staff[row["date"]].add((row["run_id"], row["session_id"]))
    return one_by_one(parts, shortest_us, lake.rollups.sessions(question.site_id, *around), staff)


def _by_day(question: Question) -> list[Question]:
    """The question cut where business days begin."""
    first, last = question.params["first_day"], question.params["last_day"]
    days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    return [
        replace(
            question,
            start_us=max(question.start_us, question.day.start_us(day)),
            end_us=min(question.end_us, question.day.end_us(day)),
        )
        for day in days
    ]


def _part(lake: Lake, question: Question) -> Part:
    day = question.params["first_day"]
    if not _whole(question):
        return Part(day, question.start_us, question.end_us, count_visitors(lake, question, None, KEPT_WAYS))
    return lake.visitor_days.part(question)


def save_visitor_days(lake: Lake, site_id: str) -> Saved:
    """Count the visitors of every business day that are not kept, and put all into a file."""
    site = lake.rows(
        "SELECT timezone, day_start FROM sites WHERE site_id = $site ORDER BY time DESC LIMIT 1", {"site": site_id}
    )
    if not site:
        return Saved(0, 0, 0)
    day = BusinessDay(site[0]["timezone"], time.fromisoformat(site[0]["day_start"]))
    days = sorted(lake.days("tracklets", site_id))
    return lake.visitor_days.save([Question(site_id, day, day.start_us(on), day.end_us(on)) for on in days])


def _whole(question: Question) -> bool:
    """Whether the question is about one whole business day."""
    day = question.params["first_day"]
    return (question.start_us, question.end_us) == (question.day.start_us(day), question.day.end_us(day))
