"""Identity sessions by the business days of their decisions: which days belong together, what each is about."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from retail_ray.core.identity_map import BEGINNING_US, END_US

Session = tuple[str, str]
"""(run_id, session_id)."""
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Span:
    """A session among the decisions of some business days: on which of them it decided, and what time it is about.

    It is about [start_us, end_us): until the next session of its run begins. The first of these days begins with the
    data, the last is open; a session whose beginning is not among the decisions is about all times.
    """

    days: frozenset[date]
    start_us: int
    end_us: int


@dataclass(frozen=True, slots=True)
class _Begun:
    """sequence, start_us: of the session's beginning, None where it is not among a day's decisions."""

    session: Session
    sequence: int | None
    start_us: int | None


class SessionDays:
    """The sessions of each business day's identity decisions. files: what it was made from.

    rows: date, run_id, session_id, sequence, start_us; one for each business day and session.
    """

    def __init__(self, files: Mapping[date, Any], rows: Iterable[Mapping[str, Any]]) -> None:
        self.files = files
        self._of_day: dict[date, list[_Begun]] = {day: [] for day in files}
        self._days: dict[Session, set[date]] = defaultdict(set)
        self._around: dict[date, frozenset[date]] = {}
        for row in rows:
            session = row["run_id"], row["session_id"]
            self._of_day[row["date"]].append(_Begun(session, row["sequence"], row["start_us"]))
            self._days[session].add(row["date"])

    def around(self, days: Iterable[date]) -> tuple[date, ...]:
        """Business days on which the sessions decided that did so on one of `days`, the one before or the one after."""
        found = set[date]()
        for day in days:
            if day not in self._around:
                near = {other for other in (day - _DAY, day, day + _DAY) if other in self._of_day}
                sessions = {begun.session for other in near for begun in self._of_day[other]}
                self._around[day] = frozenset(near.union(*(self._days[session] for session in sessions)))
            found |= self._around[day]
        return tuple(sorted(found))

    def spans(self, first: date, last: date) -> dict[Session, Span]:
        """The sessions that decided something between two business days, both counted in."""
        days: dict[Session, set[date]] = defaultdict(set)
        begun: dict[Session, tuple[int, int]] = {}
        for day in (first + number * _DAY for number in range((last - first).days + 1)):
            for row in self._of_day.get(day, ()):
                days[row.session].add(day)
                if row.sequence is not None and row.start_us is not None:
                    start = row.sequence, row.start_us
                    begun[row.session] = min(begun.get(row.session, start), start)
        times = _times(begun)
        return {who: Span(frozenset(some), *times.get(who, (BEGINNING_US, END_US))) for who, some in days.items()}


def _times(begun: Mapping[Session, tuple[int, int]]) -> dict[Session, tuple[int, int]]:
    """Of each session: from its own beginning to that of the next one of its run, in order of sequence."""
    of_run: dict[str, list[tuple[int, int, Session]]] = defaultdict(list)
    for session, (sequence, start_us) in begun.items():
        of_run[session[0]].append((sequence, start_us, session))
    found = {}
    for some in of_run.values():
        ordered = sorted(some)
        starts = [BEGINNING_US, *(start_us for _, start_us, _ in ordered[1:]), END_US]
        for place, (_, _, session) in enumerate(ordered):
            found[session] = starts[place], starts[place + 1]
    return found
