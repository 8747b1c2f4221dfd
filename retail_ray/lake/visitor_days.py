"""Unique visitors of whole business days, kept; and whether the days one by one say what the whole interval says.

A day is kept under the names, sizes and times of all files that it rests on, as sums of facts are: in memory and, by
`retail-ray lake rollup`, in a file under `_rollups/`. Nothing else decides whether it holds.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from retail_ray.core.time import BusinessDay
from retail_ray.lake.files import check_name, lake_errors, write_atomically
from retail_ray.lake.rollup_files import digest
from retail_ray.lake.rollup_kinds import STAFF_FROM
from retail_ray.lake.rollups import Saved
from retail_ray.lake.session_days import Session, SessionDays, Span
from retail_ray.lake.visitor_counts import Counted, Counting, Range, Visitors, count_visitors

if TYPE_CHECKING:
    from retail_ray.lake.questions import Question
    from retail_ray.lake.views import Lake

KEPT_WAYS: Final = (Counting(), Counting(staff_from=STAFF_FROM))
"""With and without staff."""
_RULES: Final = f"2 {KEPT_WAYS!r}"
"""Goes into the digest of a kept day: the number is another one when visitors are counted in another way."""
_DAY: Final = timedelta(days=1)
_RESTS_ON: Final = {
    "tracklets": (-1, 0), "line_crossings": (-1, 0, 1), "identity_events": (-1, 0, 1), "journeys": (-1, 0, 1)
}  # fmt: skip
"""Tables, and the business days of their rows beside the day itself."""


@dataclass(frozen=True, slots=True)
class Part:
    """Visitors within [start_us, end_us) of one business day, in all KEPT_WAYS."""

    day: date
    start_us: int
    end_us: int
    counted: Counted

    def clipped(self, span: Span) -> tuple[int, int] | None:
        """What a session is about within the part; None where it is about another time."""
        within = max(self.start_us, span.start_us), min(self.end_us, span.end_us)
        return within if within[0] < within[1] else None


def one_by_one(
    parts: Sequence[Part], shortest_day_us: int, sessions: SessionDays, staff: Mapping[date, Collection[Session]]
) -> bool:
    """Whether the visitors of consecutive parts are those of the whole interval. staff: sessions with staff, by day.

    So it is where no tracklet is as long as a day, no session was seen in two parts, and each part has of every session
    what the whole interval has: nothing of its run, another time alone, or all its decisions, beginning and end.
    """
    if any(part.counted.longest_us >= shortest_day_us for part in parts):
        return False
    if any(count > 1 for count in Counter(who for part in parts for who in part.counted.seen).values()):
        return False
    first, last = parts[0].day - _DAY, parts[-1].day + _DAY
    by_run: dict[str, list[tuple[Session, Span]]] = defaultdict(list)
    for who, span in sessions.spans(first, last).items():
        by_run[who[0]].append((who, span))
    staff_days: dict[Session, set[date]] = defaultdict(set)
    for day in (day for day in staff if first <= day <= last):
        for who in staff[day]:
            staff_days[who].add(day)
    return all(_sees_all(part, by_run, staff_days, sessions) for part in parts)


def _sees_all(
    part: Part,
    by_run: Mapping[str, Sequence[tuple[Session, Span]]],
    staff_days: Mapping[Session, set[date]],
    sessions: SessionDays,
) -> bool:
    days = {part.day - _DAY, part.day, part.day + _DAY}
    known = sessions.spans(min(days), max(days))
    for who, span in (pair for run in part.counted.runs for pair in by_run.get(run, ())):
        within = part.clipped(span)
        if within is None:
            if who in part.counted.seen:
                return False
        elif not (span.days | staff_days.get(who, set())) <= days or part.clipped(known[who]) != within:
            return False
    return True


class VisitorDays:
    """The kept days of one open lake. Threads may ask at the same time."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._kept: dict[tuple[str, BusinessDay], dict[date, tuple[str, Counted]]] = {}

    def part(self, question: Question) -> Part:
        """Visitors of one whole business day."""
        day = question.params["first_day"]
        kept = self._of_site(question.site_id, question.day)
        rests_on = self._digest(question, day)
        if day not in kept or kept[day][0] != rests_on:
            kept[day] = rests_on, count_visitors(self._lake, question, None, KEPT_WAYS)
        return Part(day, question.start_us, question.end_us, kept[day][1])

    def save(self, questions: Sequence[Question]) -> Saved:
        """Count every one of these whole business days of one site that is not kept, and put all into a file."""
        if not questions:
            return Saved(0, 0, 0)
        site_id, day = questions[0].site_id, questions[0].day
        kept = self._of_site(site_id, day)
        before = dict(kept)
        for question in questions:
            with self._lake.looking_once():
                self.part(question)
        asked = {question.params["first_day"] for question in questions}
        content = {on.isoformat(): _as_json(*kept[on]) for on in sorted(asked)}
        path = _file(self._lake.root, site_id)
        data = json.dumps(content, separators=(",", ":")).encode()
        with lake_errors("write", path):
            write_atomically(path, data)
        return Saved(len(asked), sum(before.get(on) is not kept[on] for on in asked), len(data))

    def _of_site(self, site_id: str, day: BusinessDay) -> dict[date, tuple[str, Counted]]:
        if (site_id, day) not in self._kept:
            self._kept[site_id, day] = _read(_file(self._lake.root, site_id))
        return self._kept[site_id, day]

    def _digest(self, question: Question, day: date) -> str:
        site_id = question.site_id
        rests_on: list[Any] = [question.day]
        versions = self._lake.versions()
        for table, around in _RESTS_ON.items():
            files = self._lake.days(table, site_id)
            days = [day + offset * _DAY for offset in around]
            rests_on += [(table, on, files.get(on), versions.get((site_id, table, on), ())) for on in days]
        return digest(_RULES, tuple(rests_on))


def _file(root: Path, site_id: str) -> Path:
    return root / "_rollups" / check_name("site", site_id) / "unique_visitors.json"


def _as_json(rests_on: str, counted: Counted) -> dict[str, Any]:
    visitors = [[asdict(one) | {"day": one.day.isoformat()} for one in way] for way in counted.visitors]
    return {
        "digest": rests_on,
        "visitors": visitors,
        "seen": sorted(counted.seen),
        "runs": sorted(counted.runs),
        "longest_us": counted.longest_us,
    }


def _read(path: Path) -> dict[date, tuple[str, Counted]]:
    """The days in a file, with their digests; none where there is no file, or none that can be read."""
    try:
        content = json.loads(path.read_bytes())
        return {date.fromisoformat(day): (kept["digest"], _of_json(kept)) for day, kept in content.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _of_json(kept: Mapping[str, Any]) -> Counted:
    visitors = tuple(
        tuple(
            Visitors(**one | {"day": date.fromisoformat(one["day"]), "people": Range(**one["people"])}) for one in way
        )
        for way in kept["visitors"]
    )
    seen = frozenset((run, session) for run, session in kept["seen"])
    return Counted(visitors, seen, frozenset(kept["runs"]), kept["longest_us"])
