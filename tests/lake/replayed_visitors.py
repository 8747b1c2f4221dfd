"""Unique visitors by replaying every decision, one object after the other: what the arrays are compared with."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from typing import Any

from retail_ray.core.identity_map import IdentityMap, Link
from retail_ray.core.records import IdentityEvent
from retail_ray.core.time import US_PER_S
from retail_ray.lake.questions import Question
from retail_ray.lake.views import Lake
from retail_ray.lake.visitor_counts import MIN_PRESENCE_S, Decided, Visitors, people_range

NAN = float("nan")
_DAY = timedelta(days=1)


class Replay:
    """Everything in a lake, read once."""

    def __init__(self, lake: Lake) -> None:
        times = {
            "tracklets": "epoch_us(first_time) AS first_us, epoch_us(last_time) AS last_us",
            "identity_events": "epoch_us(time) AS time_us",
            "line_crossings": "epoch_us(time) AS time_us",
            "journeys": "epoch_us(enter_time) AS enter_us",
        }
        self._rows = {table: lake.rows(f"SELECT *, {some} FROM {table}") for table, some in times.items()}

    def visitors(self, question: Question, staff_from: float | None = None) -> list[Visitors]:
        tracks: dict[str, dict[tuple[str, int], tuple[int, int]]] = defaultdict(dict)
        for row in self._on_days("tracklets", question, after=0):
            if row["first_us"] < question.end_us and row["last_us"] >= question.start_us:
                tracks[row["run_id"]][row["camera_id"], row["local_id"]] = row["first_us"], row["last_us"]
        crossed = {(row["run_id"], row["camera_id"], row["local_id"])
            for row in self._on_days("line_crossings", question) if not row["turned_back"]}  # fmt: skip
        staff = {(row["run_id"], row["session_id"], row["identity_id"])
            for row in self._on_days("journeys", question)
            if staff_from is not None and (row["staff_probability"] or 0) >= staff_from}  # fmt: skip
        by_day: dict[date, list[tuple[bool, list[Link]]]] = defaultdict(list)
        by_run = defaultdict(list)
        for row in self._on_days("identity_events", question):
            by_run[row["run_id"]].append(_event(row))
        for run, events in by_run.items():
            known = IdentityMap()
            known.apply_all(events)
            for who, links in known.members.items():
                seen = _clipped(links.keys(), tracks[run], known.session_span_us(who[0]), question)
                if seen and (run, *who) not in staff:
                    begin, over = min(first for first, _ in seen.values()), max(last for _, last in seen.values())
                    long = (over - begin) / US_PER_S >= MIN_PRESENCE_S or any((run, *key) in crossed for key in seen)
                    by_day[question.day.date_of(begin)].append((long, [links[key] for key in seen]))
        return [_of_day(day, found) for day, found in sorted(by_day.items())]

    def _on_days(self, table: str, question: Question, after: int = 1) -> list[dict[str, Any]]:
        first, last = question.params["first_day"] - _DAY, question.params["last_day"] + after * _DAY
        return [row for row in self._rows[table] if first <= row["date"] <= last]


def _clipped(
    keys: Iterable[tuple[str, int]],
    tracks: Mapping[tuple[str, int], tuple[int, int]],
    span: tuple[int, int],
    question: Question,
) -> dict[tuple[str, int], tuple[int, int]]:
    start, end = max(span[0], question.start_us), min(span[1], question.end_us)
    found = {key: (max(tracks[key][0], start), min(tracks[key][1], end)) for key in keys if key in tracks}
    return {key: (first, last) for key, (first, last) in found.items() if first <= last and first < end}


def _of_day(day: date, found: list[tuple[bool, list[Link]]]) -> Visitors:
    kept = [links for long, links in found if long]
    links = [link for some in kept for link in some]
    joined = [link.p_same for link in links if not link.founder]
    people = people_range(len(kept), Decided.of(links))
    return Visitors(day, len(kept), len(found) - len(kept), people, len(joined), sum(map(math.isnan, joined)))


def _event(row: dict[str, Any]) -> IdentityEvent:
    names = ("time_us", "sequence", "kind", "session_id", "identity_id", "other_identity_id", "camera_id", "local_id")
    p_same = NAN if row["p_same"] is None else row["p_same"]
    return IdentityEvent(**{name: row[name] for name in names}, score=NAN, margin=NAN, reason="", p_same=p_same)
