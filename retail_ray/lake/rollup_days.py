"""What is known of kept days: what they rest on, between which instants their rows lie, whose sessions they share."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from retail_ray.lake.rollup_files import StoredDay

NEVER_US: Final = 1 << 62
RestsOn = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Kept:
    """What is known of a kept day: what its sums rest on, low_us and high_us of all its rows, in which sessions they
    are, and between which instants no question misses all of them."""

    rests_on: RestsOn
    low_us: int
    high_us: int
    sessions: frozenset[str]
    from_us: int
    until_us: int

    def touches(self, start_us: int, end_us: int) -> bool:
        """Whether rows of the day may count in [start_us, end_us)."""
        return self.from_us < end_us and self.until_us >= start_us


def kept_of(rests_on: RestsOn, day: StoredDay) -> Kept:
    return Kept(rests_on, day.low_us, day.high_us, frozenset(day.sessions), day.from_us, day.until_us)


def spans_of(sums: pa.Table, days: Iterable[date]) -> dict[date, tuple[int, int, frozenset[str], int, int]]:
    """All but rests_on of each day, in the order of `Kept`; of days without rows, what suits every interval."""
    first, last = ("from_us", "until_us") if "from_us" in sums.column_names else ("low_us", "high_us")
    named = ["low_us", "high_us", first, last]
    found = (
        sums.select(["date", *dict.fromkeys(named)])
        .group_by("date")
        .aggregate([("low_us", "min"), ("high_us", "max"), (first, "min"), (last, "max")])
    )
    sessions: dict[date, set[str]] = defaultdict(set)
    with_sessions = sums.filter(pc.is_valid(sums["sessions"])).select(["date", "sessions"])
    for day, names in zip(with_sessions["date"].to_pylist(), with_sessions["sessions"].to_pylist(), strict=True):
        sessions[day].update(names)
    spans = {
        row["date"]: (row["low_us_min"], row["high_us_max"], row[f"{first}_min"], row[f"{last}_max"])
        for row in found.to_pylist()
    }
    nothing = (NEVER_US, -1, NEVER_US, -1)
    return {
        day: (low, high, frozenset(sessions[day]), begin, end)
        for day in days
        for low, high, begin, end in (spans.get(day, nothing),)
    }


def entangled(known: Mapping[date, Kept], *, by_minute: bool) -> set[date]:
    """Days that share a session, or an interval of time, with another one."""
    counts = Counter(session for kept in known.values() for session in kept.sessions)
    shared = {session for session, count in counts.items() if count > 1}
    found = {day for day, kept in known.items() if not shared.isdisjoint(kept.sessions)}
    if by_minute:
        for before, after in pairwise(sorted(known, key=low_first(known))):
            if known[after].low_us <= known[before].high_us:
                found |= {before, after}
    return found


def low_first(known: Mapping[date, Kept]) -> Callable[[date], int]:
    return lambda day: known[day].low_us
