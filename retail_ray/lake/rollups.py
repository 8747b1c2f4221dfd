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
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from threading import RLock
from typing import TYPE_CHECKING, Any, Final, TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from retail_ray.lake.files import check_name
from retail_ray.lake.identity_views import identities_on
from retail_ray.lake.rollup_files import StoredDay, digest, of_days, read_sums, rollup_file, write_sums

if TYPE_CHECKING:
    from retail_ray.lake.questions import Question
    from retail_ray.lake.views import Lake

DAYS_AT_ONCE: Final = 14
DAYS_RESOLVED_AT_ONCE: Final = 2
"""So many days are summed up by one statement, which bounds its memory and time; fewer where it resolves identities."""
_DAY: Final = timedelta(days=1)
_PARAMETER: Final = re.compile(r"\$(\w+)")
_NEVER_US: Final = 1 << 62
_SUMS: Final = "* EXCLUDE (low_us, high_us, sessions)"
"""What is kept of a roll-up's columns: the others decide about a whole day."""
_RestsOn = tuple[Any, ...]
_Row = TypeVar("_Row")


@dataclass(frozen=True, slots=True)
class Rollup:
    """One kind of sums.

    sql: a SELECT with the columns date, low_us and high_us (a question with start_us <= low_us and high_us < end_us
    has all rows of the group), sessions (list of text, names of identity sessions) and what is added up. In it
    `{where}` stands for the choice of rows, `{day}` for the business day or, where days are read together, nothing,
    and `{identities}` for the relation of tracklets to identities.
    table: whose files it rests on. within: SQL that holds for rows in the interval. earlier_days: how many business
    days before the interval may hold such rows. by_minute: rows of one minute belong together, whatever their day.
    """

    name: str
    table: str
    within: str
    sql: str
    earlier_days: int = 0
    by_minute: bool = False

    @property
    def resolves(self) -> bool:
        return "{identities}" in self.sql

    def select(self, days: Iterable[date], within: str, day: str, decided: Iterable[date]) -> str:
        where = f"site_id = $site AND date IN ({listed(days)}) AND {within}"
        return self.sql.format(where=where, day=day, identities=f"({identities_on(listed(decided))})")


@dataclass(frozen=True, slots=True)
class Kept:
    """What is known of a kept day: what its sums rest on, between which instants its rows lie, in which sessions."""

    rests_on: _RestsOn
    low_us: int
    high_us: int
    sessions: frozenset[str]


@dataclass(frozen=True, slots=True)
class Saved:
    """What a roll-up's file holds; summed_up: days that had to be read for it."""

    days: int
    summed_up: int
    bytes: int


class Rollups:
    """The kept days of one open lake, in memory. Threads may ask; one at a time is answered."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._lock = RLock()
        self._kept: dict[tuple[str, str], dict[date, Kept]] = defaultdict(dict)
        self._sessions: dict[str, _SessionDays] = {}
        self._loaded: set[tuple[str, str]] = set()

    def table(
        self, rollup: Rollup, question: Question, query: str, params: Mapping[str, Any], *, read_all: bool = False
    ) -> pa.Table:
        """Answer of `query`, which reads the roll-up's columns from `parts`. read_all: from the facts alone."""
        with self._lock, self._lake.looking_once():
            kept, read = ([], self._asked(rollup, question)) if read_all else self._chosen(rollup, question)
            parts = [f"FROM {_table(rollup, question.site_id)} WHERE date IN ({listed(kept)})"] if kept else []
            if read or not parts:
                facts = rollup.select(read, rollup.within, "NULL::DATE", self._needed(rollup, question, read))
                parts.append(f"SELECT {_SUMS} FROM ({facts})")
            text = f"WITH parts AS ({' UNION ALL BY NAME '.join(parts)}) {query}"
            return self._lake.sql(text, used(text, params))

    def rows(
        self, rollup: Rollup, question: Question, query: str, params: Mapping[str, Any], *, read_all: bool = False
    ) -> list[dict[str, Any]]:
        """The same as plain values."""
        found: list[dict[str, Any]] = self.table(rollup, question, query, params, read_all=read_all).to_pylist()
        return found

    def by_day(self, rollup: Rollup, site_id: str, query: str) -> list[dict[str, Any]]:
        """Answer of `query` over `parts` of all business days there are, each whole."""
        with self._lock, self._lake.looking_once():
            days = list(self._lake.days(rollup.table, site_id))
            self._up_to_date(rollup, site_id, days)
            if not days:
                return []
            return self._lake.rows(
                f"WITH parts AS (FROM {_table(rollup, site_id)} WHERE date IN ({listed(days)})) {query}"
            )

    def decided(self, site_id: str, days: Iterable[date]) -> tuple[date, ...]:
        """Business days whose identity decisions say who the tracklets of `days` are."""
        with self._lock, self._lake.looking_once():
            files = self._lake.days("identity_events", site_id)
            known = self._sessions.get(site_id)
            if known is None or known.files is not files:
                known = self._sessions[site_id] = self._indexed(site_id, files, known)
            return known.around(days)

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
        days = sorted((day for day in asked if after_us is None or known[day].high_us >= after_us), key=_low(known))
        count = 1
        while True:
            rows = fetch(days[:count])
            later_us = min((known[day].low_us for day in days[count:]), default=_NEVER_US)
            if count >= len(days) or (len(rows) >= enough and time_us(rows[-1]) < later_us):
                return rows
            count *= 2

    def _put(self, rollup: Rollup, site_id: str, sums: pa.Table, days: Mapping[date, Kept]) -> None:
        """Keep the sums of some days in place of what was kept of them."""
        name = _table(rollup, site_id)
        with self._lake.cursor() as cursor:
            cursor.register("sums", sums)
            cursor.execute("CREATE SCHEMA IF NOT EXISTS rollups")
            cursor.execute(f"CREATE TABLE IF NOT EXISTS {name} AS SELECT * FROM sums LIMIT 0")
            cursor.execute("BEGIN")
            cursor.execute(f"DELETE FROM {name} WHERE date IN ({listed(days)})")
            cursor.execute(f"INSERT INTO {name} BY NAME SELECT * FROM sums")
            cursor.execute("COMMIT")
            cursor.unregister("sums")
        self._kept[rollup.name, site_id].update(days)

    def _asked(self, rollup: Rollup, question: Question) -> list[date]:
        """The days that may hold rows of the interval."""
        first, last = question.params["first_day"] - rollup.earlier_days * _DAY, question.params["last_day"]
        return sorted(day for day in self._lake.days(rollup.table, question.site_id) if first <= day <= last)

    def _chosen(self, rollup: Rollup, question: Question) -> tuple[list[date], list[date]]:
        """The days that are taken as they are kept, and those that are read."""
        days = self._asked(rollup, question)
        if question.camera_id is not None:
            return [], days
        known = self._up_to_date(rollup, question.site_id, days)
        apart = set(days) - _entangled(known, by_minute=rollup.by_minute)
        whole = [
            day for day in days
            if day in apart and question.start_us <= known[day].low_us and known[day].high_us < question.end_us
        ]  # fmt: skip
        return whole, sorted(set(days) - set(whole))

    def _needed(self, rollup: Rollup, question: Question, days: Collection[date]) -> tuple[date, ...]:
        return self.decided(question.site_id, days) if rollup.resolves else ()

    def _up_to_date(self, rollup: Rollup, site_id: str, days: Collection[date]) -> dict[date, Kept]:
        """Sum up what is not kept, or kept for other files."""
        files = self.rests_on(rollup, site_id, days)
        kept = self._kept[rollup.name, site_id]
        self._load(rollup, site_id)
        stale = [day for day in days if day not in kept or kept[day].rests_on != files[day]]
        at_once = DAYS_RESOLVED_AT_ONCE if rollup.resolves else DAYS_AT_ONCE
        for start in range(0, len(stale), at_once):
            some = stale[start : start + at_once]
            decided = self.decided(site_id, some) if rollup.resolves else ()
            parts = rollup.select(some, "true", "date", decided)
            sums = self._lake.sql(parts, {"site": site_id})
            spans = _spans(sums, some)
            days_kept = {day: Kept(files[day], *spans[day]) for day in some}
            self._put(rollup, site_id, sums.drop_columns(["low_us", "high_us", "sessions"]), days_kept)
        return {day: kept[day] for day in days}

    def _load(self, rollup: Rollup, site_id: str) -> None:
        """What files keep of the roll-up, once, as far as it holds."""
        if (rollup.name, site_id) in self._loaded:
            return
        self._loaded.add((rollup.name, site_id))
        stored = read_sums(rollup_file(self._lake.root, site_id, rollup.name))
        if stored is None:
            return
        sums, days = stored
        files = self.rests_on(rollup, site_id, days.keys() & self._lake.days(rollup.table, site_id).keys())
        holding = {
            day: Kept(some, days[day].low_us, days[day].high_us, frozenset(days[day].sessions))
            for day, some in files.items()
            if digest(rollup.sql, some) == days[day].digest
        }
        self._put(rollup, site_id, of_days(sums, holding), holding)

    def save(self, rollup: Rollup, site_id: str) -> Saved:
        """Sum up every business day that is not kept, and put all into the roll-up's file."""
        with self._lock, self._lake.looking_once():
            self._load(rollup, site_id)
            days = sorted(self._lake.days(rollup.table, site_id))
            before = dict(self._kept[rollup.name, site_id])
            known = self._up_to_date(rollup, site_id, days)
            if not days:
                return Saved(0, 0, 0)
            sums = self._lake.sql(f"FROM {_table(rollup, site_id)} WHERE date IN ({listed(days)})")
            stored = {
                day: StoredDay(
                    digest(rollup.sql, kept.rests_on), kept.low_us, kept.high_us, tuple(sorted(kept.sessions))
                )
                for day, kept in known.items()
            }
            size = write_sums(rollup_file(self._lake.root, site_id, rollup.name), sums, stored)
            return Saved(len(days), sum(before.get(day) is not known[day] for day in days), size)

    def rests_on(self, rollup: Rollup, site_id: str, days: Collection[date]) -> dict[date, _RestsOn]:
        """The files and counted versions that decide the sums of these days."""
        files = self._lake.days(rollup.table, site_id)
        own = {day: (files[day], self._lake.versions_on(rollup.table, site_id, day)) for day in days}
        if not rollup.resolves:
            return own
        events = self._lake.days("identity_events", site_id)
        return {day: (*own[day], *((on, events[on]) for on in self.decided(site_id, [day]))) for day in days}

    def _indexed(self, site_id: str, files: Mapping[date, Any], known: _SessionDays | None) -> _SessionDays:
        """Which sessions decided something on which business day; only new days are read."""
        before = known.of_day if known is not None else {}
        of_day = {day: found for day, found in before.items() if files.get(day) is found[0]}
        fresh = sorted(set(files) - set(of_day))
        rows = self._lake.rows(
            f"""SELECT date, list(DISTINCT run_id || '/' || session_id) AS sessions FROM identity_events
            WHERE site_id = $site AND date IN ({listed(fresh)}) GROUP BY date""",
            {"site": site_id},
        )
        named = {row["date"]: frozenset(row["sessions"]) for row in rows}
        return _SessionDays(files, of_day | {day: (files[day], named.get(day, frozenset())) for day in fresh})


class _SessionDays:
    """The sessions of each business day's identity decisions. files: what it was made from."""

    def __init__(self, files: Mapping[date, Any], of_day: dict[date, tuple[Any, frozenset[str]]]) -> None:
        self.files = files
        self.of_day = of_day
        self._days: dict[str, set[date]] = defaultdict(set)
        self._around: dict[date, frozenset[date]] = {}
        for day, (_, sessions) in of_day.items():
            for session in sessions:
                self._days[session].add(day)

    def around(self, days: Iterable[date]) -> tuple[date, ...]:
        found = set[date]()
        for day in days:
            if day not in self._around:
                near = {other for other in (day - _DAY, day, day + _DAY) if other in self.of_day}
                sessions = frozenset[str]().union(*(self.of_day[other][1] for other in near))
                self._around[day] = frozenset(near.union(*(self._days[session] for session in sessions)))
            found |= self._around[day]
        return tuple(sorted(found))


def listed(days: Iterable[date]) -> str:
    """Business days as SQL, for IN."""
    return ", ".join(f"DATE '{day.isoformat()}'" for day in days) or "NULL::DATE"


def used(text: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the parameters that a statement names."""
    return {name: params[name] for name in set(_PARAMETER.findall(text))}


def _table(rollup: Rollup, site_id: str) -> str:
    return f'rollups."{rollup.name} {check_name("site", site_id)}"'


def _spans(sums: pa.Table, days: Iterable[date]) -> dict[date, tuple[int, int, frozenset[str]]]:
    """Earliest low_us, latest high_us and all sessions of each day; of days without rows, what suits every interval."""
    found = (
        sums.select(["date", "low_us", "high_us"]).group_by("date").aggregate([("low_us", "min"), ("high_us", "max")])
    )
    sessions: dict[date, set[str]] = defaultdict(set)
    named = sums.filter(pc.is_valid(sums["sessions"])).select(["date", "sessions"])
    for day, names in zip(named["date"].to_pylist(), named["sessions"].to_pylist(), strict=True):
        sessions[day].update(names)
    spans = {row["date"]: (row["low_us_min"], row["high_us_max"]) for row in found.to_pylist()}
    return {day: (*spans.get(day, (_NEVER_US, -1)), frozenset(sessions[day])) for day in days}


def _entangled(known: Mapping[date, Kept], *, by_minute: bool) -> set[date]:
    """Days that share a session, or an interval of time, with another one."""
    counts = Counter(session for kept in known.values() for session in kept.sessions)
    shared = {session for session, count in counts.items() if count > 1}
    found = {day for day, kept in known.items() if not shared.isdisjoint(kept.sessions)}
    if by_minute:
        for before, after in pairwise(sorted(known, key=_low(known))):
            if known[after].low_us <= known[before].high_us:
                found |= {before, after}
    return found


def _low(known: Mapping[date, Kept]) -> Callable[[date], int]:
    return lambda day: known[day].low_us
