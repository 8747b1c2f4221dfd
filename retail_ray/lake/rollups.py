"""Sums per business day, kept so that a year is answered without reading it: exactly what the facts would say.

A roll-up is one SELECT over facts, grouped by business day. Kept days and freshly read ones come from the same text and
are added up by the same statement. A day is kept under the names, sizes and times of all files it rests on, and is used
where every one of its rows lies in the asked interval; all other days are read. Nothing else decides, so late files,
revisions, deletions and merged files need no notice.

Identities of a day come from the decisions of the sessions that decided anything on that day, the one before or the one
after. A session that reaches over several of the asked days is counted from the facts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from operator import is_
from threading import RLock
from typing import TYPE_CHECKING, Any, Final, TypeVar

import pyarrow as pa

from retail_ray.lake.identity_views import identities_on
from retail_ray.lake.kept_sums import KeptSums, listed
from retail_ray.lake.rollup_days import NEVER_US, Kept, RestsOn, entangled, kept_of, low_first, spans_of
from retail_ray.lake.rollup_files import StoredDay, digest, of_days, read_sums, rollup_file, write_sums
from retail_ray.lake.session_days import SessionDays

if TYPE_CHECKING:
    from retail_ray.lake.questions import Question
    from retail_ray.lake.views import Lake, SiteDays

DAYS_AT_ONCE: Final = 14
DAYS_RESOLVED_AT_ONCE: Final = 2
"""So many days are summed up by one statement, which bounds its memory and time; fewer where it resolves identities."""
_DAY: Final = timedelta(days=1)
_PARAMETER: Final = re.compile(r"\$(\w+)")
_SUMS: Final = "* EXCLUDE (low_us, high_us, sessions)"
"""What is kept of a roll-up's columns: the others decide about a whole day."""
_ABOUT_DAYS: Final = ("low_us", "high_us", "from_us", "until_us", "sessions")
"""Columns of sums that say which of them hold, and are not added up."""
_Row = TypeVar("_Row")


@dataclass(frozen=True, slots=True)
class Rollup:
    """One kind of sums.

    sql: a SELECT with the columns date, low_us and high_us (a question with start_us <= low_us and high_us < end_us
    has all rows of the group), sessions (list of text, names of identity sessions) and what is added up; where rows
    last, also from_us and until_us (a question that ends before or starts behind has none of them). In it
    `{where}` stands for the choice of rows, `{day}` for the business day or, where days are read together, nothing,
    and `{identities}` for the relation of tracklets to identities.
    table: whose files it rests on. within: SQL that holds for rows in the interval. earlier_days: how many business
    days before the interval may hold such rows. by_minute: rows of one minute belong together, whatever their day.
    monthly: see `KeptSums`.
    """

    name: str
    table: str
    within: str
    sql: str
    earlier_days: int = 0
    by_minute: bool = False
    monthly: str = ""

    @property
    def resolves(self) -> bool:
        return "{identities}" in self.sql

    def select(self, days: Iterable[date], within: str, day: str, decided: Iterable[date]) -> str:
        where = f"site_id = $site AND date IN ({listed(days)}) AND {within}"
        return self.sql.format(where=where, day=day, identities=f"({identities_on(listed(decided))})")


SESSIONS: Final = Rollup(
    "session_days",
    "identity_events",
    "true",
    """SELECT {day} AS date, run_id, session_id, min(epoch_us(time)) AS low_us, max(epoch_us(time)) AS high_us,
        NULL::VARCHAR[] AS sessions, min(sequence) FILTER (kind = 'session') AS sequence,
        epoch_us(arg_min(time, sequence) FILTER (kind = 'session')) AS start_us
    FROM identity_events WHERE {where} GROUP BY {day}, run_id, session_id""",
)
"""Which identity sessions decided something, and where they began."""


@dataclass(frozen=True, slots=True)
class Saved:
    """What a roll-up's file holds; summed_up: days that had to be read for it."""

    days: int
    summed_up: int
    bytes: int


@dataclass(frozen=True, slots=True)
class _Sure:
    """Days whose sums were found to hold for these listings, which are other objects when anything has changed."""

    rests_on: tuple[Any, ...]
    days: set[date] = field(default_factory=set)


class Rollups:
    """The kept days of one open lake, in memory. Threads may ask; one at a time is answered."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._lock = RLock()
        self._kept: dict[tuple[str, str], KeptSums] = {}
        self._sure: dict[tuple[str, str], _Sure] = {}
        self._sessions: dict[str, SessionDays] = {}

    def table(
        self, rollup: Rollup, question: Question, query: str, params: Mapping[str, Any], *, read_all: bool = False
    ) -> pa.Table:
        """Answer of `query`, which reads the roll-up's columns from `parts`. read_all: from the facts alone."""
        with self._lock, self._lake.looking_once():
            return self._lake.sql(*self._statement(rollup, question, query, params, read_all=read_all))

    def rows(
        self, rollup: Rollup, question: Question, query: str, params: Mapping[str, Any], *, read_all: bool = False
    ) -> list[dict[str, Any]]:
        """The same as plain values."""
        with self._lock, self._lake.looking_once():
            return self._lake.rows(*self._statement(rollup, question, query, params, read_all=read_all))

    def by_day(
        self,
        rollup: Rollup,
        site_id: str,
        query: str,
        within: tuple[date, date] | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> list[dict[str, Any]]:
        """Answer of `query` over `parts` of whole business days: of all, or from the first to the last of `within`."""
        with self._lock, self._lake.looking_once():
            days = [
                day for day in self._lake.days(rollup.table, site_id) if within is None or within[0] <= day <= within[1]
            ]
            if not days:
                return []
            self._up_to_date(rollup, site_id, days)
            parts = self._sums(rollup, site_id).of_days(days)
            return self._lake.rows(f"WITH parts AS ({parts}) {query}", params, (site_id, ()))

    def decided(self, site_id: str, days: Iterable[date]) -> tuple[date, ...]:
        """Business days whose identity decisions say who the tracklets of `days` are."""
        with self._lock, self._lake.looking_once():
            files = self._lake.days("identity_events", site_id)
            known = self._sessions.get(site_id)
            if known is None or known.files is not files:
                known = self._sessions[site_id] = SessionDays(files, self.by_day(SESSIONS, site_id, "FROM parts"))
            return known.around(days)

    def sessions(self, site_id: str, first: date, last: date) -> SessionDays:
        """The identity sessions that decided something between two business days, both counted in."""
        files = self._lake.days("identity_events", site_id)
        return SessionDays(files, self.by_day(SESSIONS, site_id, "FROM parts", (first, last)))

    def page(
        self,
        rollup: Rollup,
        question: Question,
        after_us: int | None,
        fetch: Callable[[Sequence[date]], list[_Row]],
        *,
        enough: int,
        time_us: Callable[[_Row], int],
    ) -> list[_Row]:
        """The first `enough` rows behind `after_us`, reading as few days as will do.

        fetch: rows of these days in order of time, at most `enough`. The roll-up's low_us and high_us are the earliest
        and latest time of a day.
        """
        with self._lock, self._lake.looking_once():
            asked = self._asked(rollup, question)
            known = self._up_to_date(rollup, question.site_id, asked)
        days = sorted(
            (
                day for day in asked
                if known[day].touches(question.start_us, question.end_us)
                and (after_us is None or known[day].high_us >= after_us)
            ),
            key=low_first(known),
        )  # fmt: skip
        count = 1
        while True:
            rows = fetch(days[:count])
            later_us = min((known[day].low_us for day in days[count:]), default=NEVER_US)
            if count >= len(days) or (len(rows) >= enough and time_us(rows[-1]) < later_us):
                return rows
            count *= 2

    def _statement(
        self, rollup: Rollup, question: Question, query: str, params: Mapping[str, Any], *, read_all: bool
    ) -> tuple[str, dict[str, Any], SiteDays]:
        """`query` with its `parts`, the parameters that it names, and the days that it reads from the facts."""
        kept, read = ([], self._asked(rollup, question)) if read_all else self._chosen(rollup, question)
        parts = [self._sums(rollup, question.site_id).added_up(kept)] if kept else []
        needed = self._needed(rollup, question, read)
        if read or not parts:
            facts = rollup.select(read, rollup.within, "NULL::DATE", needed)
            parts.append(f"SELECT {_SUMS} FROM ({facts})")
        text = f"WITH parts AS ({' UNION ALL BY NAME '.join(parts)}) {query}"
        return text, used(text, params), (question.site_id, {*read, *needed})

    def _sums(self, rollup: Rollup, site_id: str) -> KeptSums:
        """What is kept of a roll-up, at first what its file holds."""
        key = rollup.name, site_id
        if key not in self._kept:
            self._kept[key] = KeptSums(*key, rollup.monthly, self._lake.cursor)
            self._load(rollup, site_id)
        return self._kept[key]

    def _asked(self, rollup: Rollup, question: Question) -> list[date]:
        """The days that may hold rows of the interval."""
        first, last = question.params["first_day"] - rollup.earlier_days * _DAY, question.params["last_day"]
        return sorted(day for day in self._lake.days(rollup.table, question.site_id) if first <= day <= last)

    def _chosen(self, rollup: Rollup, question: Question) -> tuple[list[date], list[date]]:
        """The days that are taken as they are kept, and those that are read."""
        days = self._asked(rollup, question)
        if question.camera_id is not None:
            return [], days
        start_us, end_us = question.start_us, question.end_us
        known = self._up_to_date(rollup, question.site_id, days)
        known = {day: kept for day, kept in known.items() if rollup.by_minute or kept.touches(start_us, end_us)}
        days = list(known)
        apart = set(days) - entangled(known, by_minute=rollup.by_minute)
        whole = [
            day for day in days
            if day in apart and start_us <= known[day].low_us and known[day].high_us < end_us
        ]  # fmt: skip
        return whole, sorted(set(days) - set(whole))

    def _needed(self, rollup: Rollup, question: Question, days: Collection[date]) -> tuple[date, ...]:
        return self.decided(question.site_id, days) if rollup.resolves else ()

    def _up_to_date(self, rollup: Rollup, site_id: str, days: Collection[date]) -> dict[date, Kept]:
        """Sum up what is not kept, or kept for other files."""
        sums, sure = self._sums(rollup, site_id), self._looked_at(rollup, site_id)
        unsure = [day for day in days if day not in sure.days]
        files = self.rests_on(rollup, site_id, unsure) if unsure else {}
        stale = [day for day in unsure if day not in sums.known or sums.known[day].rests_on != files[day]]
        at_once = DAYS_RESOLVED_AT_ONCE if rollup.resolves else DAYS_AT_ONCE
        for start in range(0, len(stale), at_once):
            some = stale[start : start + at_once]
            decided = self.decided(site_id, some) if rollup.resolves else ()
            parts = rollup.select(some, "true", "date", decided)
            found = self._lake.sql(parts, {"site": site_id}, (site_id, {*some, *decided}))
            spans = spans_of(found, some)
            summed = found.drop_columns([name for name in _ABOUT_DAYS if name in found.column_names])
            sums.put(summed, {day: Kept(files[day], *spans[day]) for day in some})
        sure.days.update(unsure)
        return {day: sums.known[day] for day in days}

    def _looked_at(self, rollup: Rollup, site_id: str) -> _Sure:
        """The days that are known to hold, as long as the lake lists what it listed then."""
        key = rollup.name, site_id
        events = self._lake.days("identity_events", site_id) if rollup.resolves else None
        rests_on = self._lake.days(rollup.table, site_id), events, self._lake.versions()
        sure = self._sure.get(key)
        if sure is None or not all(map(is_, sure.rests_on, rests_on)):
            sure = self._sure[key] = _Sure(rests_on)
        return sure

    def _load(self, rollup: Rollup, site_id: str) -> None:
        """Keep what the roll-up's file holds, as far as it holds true."""
        stored = read_sums(rollup_file(self._lake.root, site_id, rollup.name))
        if stored is None:
            return
        sums, days = stored
        files = self.rests_on(rollup, site_id, days.keys() & self._lake.days(rollup.table, site_id).keys())
        holding = {
            day: kept_of(some, days[day]) for day, some in files.items() if digest(rollup.sql, some) == days[day].digest
        }
        if holding:  # the columns of a file of another program's sums may be others
            kept = sums if holding.keys() == days.keys() else of_days(sums, holding)
            self._kept[rollup.name, site_id].put(kept, holding)

    def save(self, rollup: Rollup, site_id: str) -> Saved:
        """Sum up every business day that is not kept, and put all into the roll-up's file."""
        with self._lock, self._lake.looking_once():
            kept = self._sums(rollup, site_id)
            days = sorted(self._lake.days(rollup.table, site_id))
            before = dict(kept.known)
            known = self._up_to_date(rollup, site_id, days)
            if not days:
                return Saved(0, 0, 0)
            sums = self._lake.sql(kept.of_days(days), of=(site_id, ()))
            stored = {
                day: StoredDay(
                    digest(rollup.sql, one.rests_on),
                    one.low_us,
                    one.high_us,
                    tuple(sorted(one.sessions)),
                    one.from_us,
                    one.until_us,
                )
                for day, one in known.items()
            }
            size = write_sums(rollup_file(self._lake.root, site_id, rollup.name), sums, stored)
            return Saved(len(days), sum(before.get(day) is not known[day] for day in days), size)

    def rests_on(self, rollup: Rollup, site_id: str, days: Collection[date]) -> dict[date, RestsOn]:
        """The files and counted versions that decide the sums of these days."""
        files = self._lake.days(rollup.table, site_id)
        versions = self._lake.versions()
        own = {day: (files[day], versions.get((site_id, rollup.table, day), ())) for day in days}
        if not rollup.resolves:
            return own
        events = self._lake.days("identity_events", site_id)
        return {day: (*own[day], *((on, events[on]) for on in self.decided(site_id, [day]))) for day in days}


def used(text: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the parameters that a statement names."""
    return {name: params[name] for name in set(_PARAMETER.findall(text))}
