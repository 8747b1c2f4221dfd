"""How many different people some identities are, with what the recognition behind the number is worth.

Identities are people only as far as their links are right. The range allows for that: each link has a probability.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from retail_ray.core.identity_map import Link
from retail_ray.core.time import US_PER_S
from retail_ray.lake.seen_identities import SeenIdentities, SeenIn
from retail_ray.lake.session_days import Session

if TYPE_CHECKING:
    from retail_ray.lake.questions import Question
    from retail_ray.lake.views import Lake

MIN_PRESENCE_S: Final = 3.0
"""Who is seen for a shorter time, from first to last sight, and crosses no line, is no visitor."""

_NORMAL_95: Final = 1.959964
_WIDER: Final = 1.5
"""Decisions about one person go wrong together. Chosen on development stores: see docs/identity.md."""
_NEWCOMERS: Final = 0.7
"""The first tracklet of a person is linked to somebody else so often, of how often any tracklet is: births cost less at
entrances. Counted on the same stores."""


@dataclass(frozen=True, slots=True)
class Range:
    """A number of people that is not known exactly: expected value, and 95 % interval of whole people."""

    expected: float
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Decided:
    """Decisions behind some identities, one for each tracklet. p_same: (L,), NaN where unknown. founder: (L,) bool.
    p_new: (L,), NaN but for founders of absorbed identities. See `Link`."""

    p_same: NDArray[np.float64]
    founder: NDArray[np.bool_]
    p_new: NDArray[np.float64]

    @staticmethod
    def of(links: Iterable[Link]) -> Decided:
        columns = [(link.p_same, link.founder, link.p_new) for link in links]
        p_same, founder, p_new = zip(*columns, strict=True) if columns else ((), (), ())
        return Decided(np.array(p_same, np.float64), np.array(founder, np.bool_), np.array(p_new, np.float64))


@dataclass(frozen=True, slots=True)
class Visitors:
    """Different people of one business day.

    visitors: identities that were there long enough; too_short: those that were not. people: how many people they
    are. links: decisions that the number rests on; unassessed_links: those without probability, taken as right.
    """

    day: date
    visitors: int
    too_short: int
    people: Range
    links: int
    unassessed_links: int


@dataclass(frozen=True, slots=True)
class Counting:
    """How visitors are counted. run_id: of one run alone. staff_from: without identities whose staff probability
    reaches it; None: everybody."""

    min_presence_s: float = MIN_PRESENCE_S
    run_id: str | None = None
    staff_from: float | None = None


@dataclass(frozen=True, slots=True)
class Counted:
    """Visitors of an interval in some ways of counting, oldest day first; and which facts they rest on.

    seen: sessions with an identity that was seen. runs: with tracklets. longest_us: of the tracklets, 0 without any.
    """

    visitors: tuple[tuple[Visitors, ...], ...]
    seen: frozenset[Session]
    runs: frozenset[str]
    longest_us: int


def count_visitors(lake: Lake, question: Question, run_id: str | None, ways: Sequence[Counting]) -> Counted:
    """From the facts; all `ways` are about `run_id`."""
    days, seen = _Days(question), set[Session]()
    staff = [{} if way.staff_from is None else _staff(lake, question, way.staff_from) for way in ways]
    counts: list[dict[date, list[_Counts]]] = [defaultdict(list) for _ in ways]
    interval = SeenIn(lake, question, run_id)
    for found in interval.identities():
        seen.add(found.session)
        for way, of_staff, by_day in zip(ways, staff, counts, strict=True):
            for day, some in days.counted(found, way.min_presence_s, of_staff.get(found.session, set())):
                by_day[day].append(some)
    visitors = tuple(tuple(_of_day(day, some) for day, some in sorted(by_day.items())) for by_day in counts)
    return Counted(visitors, frozenset(seen), interval.runs, interval.longest_us)


def people_range(identities: int, decided: Decided) -> Range:
    """How many people some identities are, by the probabilities of the decisions that made them.

    A wrong birth counts somebody twice. A wrong join hides the absorbed identity, if that was somebody new. The
    tracklet of another wrong link is somebody else's: mostly that is somebody who is counted elsewhere, and that it is
    somebody who is counted nowhere is nearly as likely as that a tracklet is the first of a person. Decisions without
    probability are taken as right. 95 % interval by the normal approximation. At least one person, if any identity.
    """
    known = np.isfinite(decided.p_same)
    joined = np.isfinite(decided.p_new)
    wrong = 1 - decided.p_same
    double = np.sort(wrong[known & decided.founder])
    covered = np.sort((wrong * decided.p_new)[known & joined])
    strayed = np.sort(wrong[known & ~decided.founder & ~joined])
    tracklets = max(1, identities + int((~decided.founder).sum()))
    expected = float((identities - double.sum() + covered.sum()) / (1 - _NEWCOMERS * strayed.sum() / tracklets))
    hidden = np.concatenate([covered, _NEWCOMERS * strayed * expected / tracklets])
    variance = float((hidden * (1 - hidden)).sum() + (double * (1 - double)).sum())
    spread = _NORMAL_95 * _WIDER * math.sqrt(variance)
    least = min(1, identities)
    low, high = math.floor(expected - spread), math.ceil(expected + spread)
    return Range(max(expected, float(least)), max(low, least), max(high, least))


@dataclass(frozen=True, slots=True)
class _Counts:
    """Identities of one session and day: how many were there long enough, how many were not, and why the former are
    people."""

    visitors: int
    too_short: int
    decided: Decided


class _Days:
    """The business days of a question."""

    def __init__(self, question: Question) -> None:
        first, last = question.params["first_day"], question.params["last_day"]
        self._days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
        self._starts = np.array([question.day.start_us(day) for day in self._days], np.int64)

    def counted(self, seen: SeenIdentities, min_presence_s: float, staff: set[int]) -> Iterator[tuple[date, _Counts]]:
        """An identity counts on the day on which it is first seen."""
        long = ((seen.last_us - seen.first_us) / US_PER_S >= min_presence_s) | seen.crossed
        others = ~np.isin(seen.identity, np.array(sorted(staff), np.int64))
        of_identity = np.searchsorted(self._starts, seen.first_us, side="right") - 1
        for place in np.unique(of_identity[others]).tolist():
            today = others & (of_identity == place)
            kept = (today & long)[seen.link_of]
            visitors = int((today & long).sum())
            decided = Decided(seen.p_same[kept], seen.founder[kept], seen.p_new[kept])
            yield self._days[place], _Counts(visitors, int(today.sum()) - visitors, decided)


def _of_day(day: date, counted: list[_Counts]) -> Visitors:
    decided = Decided(
        np.concatenate([some.decided.p_same for some in counted]),
        np.concatenate([some.decided.founder for some in counted]),
        np.concatenate([some.decided.p_new for some in counted]),
    )
    visitors = sum(some.visitors for some in counted)
    links = decided.p_same[~decided.founder]
    return Visitors(
        day,
        visitors,
        sum(some.too_short for some in counted),
        people_range(visitors, decided),
        len(links),
        int(np.isnan(links).sum()),
    )


def _staff(lake: Lake, question: Question, staff_from: float) -> dict[Session, set[int]]:
    rows = lake.rows(
        """SELECT DISTINCT run_id, session_id, identity_id FROM journeys
        WHERE site_id = $site AND date BETWEEN $first_day - 1 AND $last_day + 1 AND staff_probability >= $staff_from
          AND identity_id IS NOT NULL""",
        {name: question.params[name] for name in ("site", "first_day", "last_day")} | {"staff_from": staff_from},
        question.site_days(beside=1),
    )
    found: dict[Session, set[int]] = defaultdict(set)
    for row in rows:
        found[row["run_id"], row["session_id"]].add(row["identity_id"])
    return found
