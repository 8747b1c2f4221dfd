"""The identities of an interval with what was seen of them, as arrays, session by session.

A session's decisions are read where some tracklet of its run was seen in the interval and the session had begun and was
not over by then.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from retail_ray.core.errors import DataError
from retail_ray.core.identity_links import Assignments, Floats, Ints, Merges, resolve
from retail_ray.lake.kept_sums import listed
from retail_ray.lake.session_days import Session

if TYPE_CHECKING:
    from retail_ray.lake.questions import Question
    from retail_ray.lake.views import Lake

_ON_DAYS: Final = "site_id = $site AND date BETWEEN $first_day - 1 AND $last_day + 1"
_TRACKLETS: Final = f"""
SELECT run_id, camera_id, local_id, epoch_us(first_time) AS first_us, epoch_us(last_time) AS last_us,
       (run_id, camera_id, local_id) IN (
           SELECT (run_id, camera_id, local_id) FROM line_crossings WHERE {_ON_DAYS} AND NOT turned_back) AS crossed
FROM tracklets
WHERE site_id = $site AND date BETWEEN $first_day - 1 AND $last_day
  AND first_time < make_timestamptz($end_us) AND last_time >= make_timestamptz($start_us)
  AND ($run IS NULL OR run_id = $run)
"""
_DAY: Final = timedelta(days=1)
_DECISIONS: Final = """
SELECT run_id, session_id, sequence, kind = 'merge' AS merged, identity_id, other_identity_id, camera_id, local_id,
       p_same
FROM identity_events
WHERE site_id = $site AND date IN ({days}) AND kind <> 'session' ORDER BY run_id, sequence
"""


@dataclass(frozen=True, slots=True)
class SeenIdentities:
    """Who was seen of one session within an interval.

    identity: (K,) int64, ascending. first_us, last_us: (K,) int64, first and last sight. crossed: (K,) bool, over some
    line. link_of: (L,) int64, whose place in `identity` each seen tracklet belongs to; p_same: (L,) float64, NaN where
    unknown; founder: (L,) bool; p_new: (L,) float64; see `Link`.
    """

    session: Session
    identity: Ints
    first_us: Ints
    last_us: Ints
    crossed: NDArray[np.bool_]
    link_of: Ints
    p_same: Floats
    founder: NDArray[np.bool_]
    p_new: Floats


class SeenIn:
    """What was seen in an interval. runs: with tracklets. longest_us: of the tracklets, 0 without any."""

    def __init__(self, lake: Lake, question: Question, run_id: str | None = None) -> None:
        self._lake, self._question = lake, question
        params = {name: question.params[name] for name in ("site", "first_day", "last_day", "start_us", "end_us")}
        self._tracklets = lake.sql(_TRACKLETS, params | {"run": run_id}, question.site_days(beside=1))
        self.runs: frozenset[str] = frozenset(pc.unique(self._tracklets["run_id"]).to_pylist())
        lengths = pc.subtract(self._tracklets["last_us"], self._tracklets["first_us"])
        self.longest_us: int = pc.max(lengths).as_py() or 0

    def identities(self) -> Iterator[SeenIdentities]:
        """By session. DataError where a decision of a session comes twice."""
        first, last = self._question.params["first_day"] - _DAY, self._question.params["last_day"] + _DAY
        sessions = self._lake.rollups.sessions(self._question.site_id, first, last)
        by_days: dict[frozenset[date], list[tuple[Session, tuple[int, int]]]] = defaultdict(list)
        for session, span in sessions.spans(first, last).items():
            within = max(span.start_us, self._question.start_us), min(span.end_us, self._question.end_us)
            if session[0] in self.runs and within[0] < within[1]:
                by_days[span.days].append((session, within))
        for days, some in by_days.items():
            text = _DECISIONS.format(days=listed(sorted(days)))
            decided = _Decided(
                self._lake.sql(text, {"site": self._question.site_id}, (self._question.site_id, days)), self._tracklets
            )
            for session, within in some:
                found = decided.seen(session, within)
                if found is not None:
                    yield found


class _Decided:
    """Decisions and tracklets with numbers in place of names; a tracklet has the same number in both."""

    def __init__(self, decisions: pa.Table, tracklets: pa.Table) -> None:
        self._decisions = decisions
        self._merged = _flags(decisions["merged"])
        self._sequence = _ints(decisions["sequence"])
        self._identity, self._other = _ints(decisions["identity_id"]), _ints(decisions["other_identity_id"])
        self._p_same = decisions["p_same"].to_numpy()
        self._about_identity = _valid(decisions["identity_id"])
        self._about_tracklet = _valid(decisions["camera_id"]) & _valid(decisions["local_id"])
        self._names_other = _valid(decisions["other_identity_id"])
        self._key = _keys(decisions, tracklets)
        keys = self._key[len(decisions) :]
        self._order = np.argsort(keys, kind="stable")
        self._seen_key = keys[self._order]
        self._first_us, self._last_us = _ints(tracklets["first_us"]), _ints(tracklets["last_us"])
        self._crossed = _flags(tracklets["crossed"])

    def seen(self, session: Session, within: tuple[int, int]) -> SeenIdentities | None:
        """Of one session, clipped to [start, end); None where nobody was seen."""
        of_session = pc.and_(
            pc.equal(self._decisions["run_id"], session[0]), pc.equal(self._decisions["session_id"], session[1])
        )
        rows = np.flatnonzero(_flags(of_session))
        _refuse_twice(session, self._sequence[rows])
        rows = rows[self._about_identity[rows]]
        merges = rows[self._merged[rows] & self._names_other[rows]]
        given = rows[~self._merged[rows] & self._about_tracklet[rows]]
        links = resolve(
            Assignments(self._sequence[given], self._identity[given], self._key[given], self._p_same[given]),
            Merges(self._sequence[merges], self._identity[merges], self._other[merges], self._p_same[merges]),
        )
        tracklet = self._tracklet_of(self._key[given[links.row]])
        first_us = np.maximum(self._first_us[tracklet], within[0])
        last_us = np.minimum(self._last_us[tracklet], within[1])
        seen = np.flatnonzero((tracklet >= 0) & (first_us <= last_us) & (first_us < within[1]))
        if not len(seen):
            return None
        seen = seen[np.argsort(links.identity[seen], kind="stable")]
        identity, begin, link_of = np.unique(links.identity[seen], return_index=True, return_inverse=True)
        return SeenIdentities(
            session,
            identity,
            np.minimum.reduceat(first_us[seen], begin),
            np.maximum.reduceat(last_us[seen], begin),
            np.logical_or.reduceat(self._crossed[tracklet[seen]], begin),
            link_of,
            links.p_same[seen],
            links.founder[seen],
            links.p_new[seen],
        )

    def _tracklet_of(self, key: Ints) -> Ints:
        """Rows of the tracklets, -1 where none was read."""
        if not len(self._seen_key):
            return np.full(len(key), -1, np.int64)
        place = np.searchsorted(self._seen_key, key, side="right") - 1
        found: Ints = np.where(self._seen_key[place] == key, self._order[place], -1)
        return found


def _keys(decisions: pa.Table, tracklets: pa.Table) -> Ints:
    """(N + M,) int64: the number of the tracklet of each row, of both tables one behind the other."""
    both = pa.concat_tables([table.select(["run_id", "camera_id", "local_id"]) for table in (decisions, tracklets)])
    numbers = np.zeros(len(both), np.int64)
    for column in ("run_id", "camera_id"):
        names = pc.dictionary_encode(both[column].combine_chunks())
        numbers = numbers * (len(names.dictionary) + 1) + _ints(names.indices)
    local = _ints(both["local_id"])
    span = int(local.max(initial=0)) - int(local.min(initial=0)) + 1
    if span * (int(numbers.max(initial=0)) + 1) >= 1 << 62:
        local = np.unique(local, return_inverse=True)[1].astype(np.int64)
        span = len(local) + 1
    keys: Ints = numbers * span + (local - local.min(initial=0))
    return keys


def _refuse_twice(session: Session, sequence: Ints) -> None:
    twice = np.flatnonzero(sequence[1:] == sequence[:-1])
    if len(twice):
        raise DataError(
            f"run '{session[0]}': identity decision {sequence[twice[0]]} of session '{session[1]}' is there twice: "
            "remove the file that repeats it"
        )


def _ints(column: pa.ChunkedArray | pa.Array) -> Ints:
    found: Ints = pc.fill_null(column, 0).to_numpy(zero_copy_only=False).astype(np.int64, copy=False)
    return found


def _flags(column: pa.ChunkedArray | pa.Array) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = pc.fill_null(column, fill_value=False).to_numpy(zero_copy_only=False)
    return found


def _valid(column: pa.ChunkedArray) -> NDArray[np.bool_]:
    return _flags(pc.is_valid(column))
