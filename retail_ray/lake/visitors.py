"""Unique visitors: how many different people there were, with what the recognition behind the number is worth.

Identities are people only as far as their links are right. The range allows for that: each link has a probability.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np
from numpy.typing import NDArray

from retail_ray.core.identity_map import IdentityMap, Link, TrackletKey
from retail_ray.core.records import IdentityEvent
from retail_ray.core.time import US_PER_S
from retail_ray.lake.questions import Question
from retail_ray.lake.views import Lake

MIN_PRESENCE_S: Final = 3.0
"""Who is seen for a shorter time, from first to last sight, and crosses no line, is no visitor."""

_CONFIDENCE: Final = 0.95
_NORMAL_95: Final = 1.959964
_EXACT_UP_TO: Final = 2000
_NAN: Final = float("nan")
_Seen = dict[TrackletKey, tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Range:
    """A number of people that is not known exactly: expected value, and 95 % interval of whole people."""

    expected: float
    low: int
    high: int


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
    spans, crossed = _spans(lake, question), _crossed(lake, question)
    staff = set() if staff_from is None else _staff(lake, question, staff_from)
    by_day: dict[date, list[_Identity]] = defaultdict(list)
    for run, known in _maps(lake, question, run_id).items():
        for who, links in sorted(known.members.items()):
            if (run, *who) in staff:
                continue
            within = known.session_span_us(who[0])
            seen = _clipped(
                spans.get(run, {}), links, (max(within[0], question.start_us), min(within[1], question.end_us))
            )
            if seen:
                long = _presence_s(seen) >= min_presence_s or any((run, *key) in crossed for key in seen)
                first_us = min(first_us for first_us, _ in seen.values())
                by_day[question.day.date_of(first_us)].append(_Identity(long, [links[key] for key in seen]))
    return [_of_day(day, identities) for day, identities in sorted(by_day.items())]


def people_range(identities: int, links: NDArray[np.float64], births: NDArray[np.float64]) -> Range:
    """How many people some identities are, where decisions are wrong independently of each other.

    links: p_same of the links, each of which hides one more person where it is wrong. births: p_same of the decisions
    that nobody known is this person, each of which counts somebody twice where it is wrong. Exact distribution
    (Poisson binomial) of up to 2000 decisions, normal approximation above. At least one person, if any identity.
    """
    hidden, double = 1 - links, 1 - births
    expected = identities + float(hidden.sum() - double.sum())
    if len(hidden) + len(double) > _EXACT_UP_TO:
        spread = _NORMAL_95 * float(np.sqrt((hidden * links).sum() + (double * births).sum()))
        low, high = int(np.floor(expected - spread)), int(np.ceil(expected + spread))
    else:
        more, fewer = _errors(hidden), _errors(double)
        chance = np.convolve(more, fewer[::-1])
        total = np.cumsum(chance)
        tail = (1 - _CONFIDENCE) / 2
        low, high = (int(np.searchsorted(total, share)) for share in (tail, 1 - tail))
        low, high = (identities - len(double) + number for number in (low, high))
    least = min(1, identities)
    return Range(max(expected, float(least)), max(low, least), max(high, least))


def _errors(wrong: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distribution of the number of wrong decisions, from the probability of each being wrong."""
    chance = np.ones(1)
    for p in wrong.tolist():
        chance = np.convolve(chance, [1 - p, p])
    return chance


@dataclass(frozen=True, slots=True)
class _Identity:
    """long: there long enough for a visitor. links: of the tracklets that the question asks about."""

    long: bool
    links: list[Link]


def _of_day(day: date, identities: list[_Identity]) -> Visitors:
    kept = [identity for identity in identities if identity.long]
    links = [link for identity in kept for link in identity.links]
    p_links = np.array([link.p_same for link in links if not link.founder], np.float64)
    p_births = np.array([link.p_same for link in links if link.founder], np.float64)
    assessed = np.isfinite(p_links)
    return Visitors(
        day,
        len(kept),
        len(identities) - len(kept),
        people_range(len(kept), p_links[assessed], p_births[np.isfinite(p_births)]),
        len(p_links),
        int((~assessed).sum()),
    )


def _clipped(spans: _Seen, links: Iterable[TrackletKey], within: tuple[int, int]) -> _Seen:
    """First and last sight of the tracklets within [start, end); those that lie outside are left out."""
    found = {key: (max(spans[key][0], within[0]), min(spans[key][1], within[1])) for key in links if key in spans}
    return {key: (first, last) for key, (first, last) in found.items() if first <= last and first < within[1]}


def _presence_s(seen: _Seen) -> float:
    return (max(last for _, last in seen.values()) - min(first for first, _ in seen.values())) / US_PER_S


def _spans(lake: Lake, question: Question) -> dict[str, _Seen]:
    """First and last sight of tracklets by run."""
    rows = lake.rows(
        """SELECT run_id, camera_id, local_id, epoch_us(first_time) AS first_us, epoch_us(last_time) AS last_us
        FROM tracklets
        WHERE site_id = $site AND date BETWEEN $first_day - 1 AND $last_day
          AND first_time < make_timestamptz($end_us) AND last_time >= make_timestamptz($start_us)""",
        {name: question.params[name] for name in ("site", "first_day", "last_day", "start_us", "end_us")},
    )
    found: dict[str, _Seen] = defaultdict(dict)
    for row in rows:
        found[row["run_id"]][row["camera_id"], row["local_id"]] = row["first_us"], row["last_us"]
    return found


def _crossed(lake: Lake, question: Question) -> set[tuple[str, str, int]]:
    rows = lake.rows(
        """SELECT DISTINCT run_id, camera_id, local_id FROM line_crossings
        WHERE site_id = $site AND date BETWEEN $first_day - 1 AND $last_day + 1 AND NOT turned_back""",
        {name: question.params[name] for name in ("site", "first_day", "last_day")},
    )
    return {(row["run_id"], row["camera_id"], row["local_id"]) for row in rows}


def _staff(lake: Lake, question: Question, staff_from: float) -> set[tuple[str, str, int]]:
    rows = lake.rows(
        """SELECT DISTINCT run_id, session_id, identity_id FROM journeys
        WHERE site_id = $site AND date BETWEEN $first_day - 1 AND $last_day + 1 AND staff_probability >= $staff_from""",
        {name: question.params[name] for name in ("site", "first_day", "last_day")} | {"staff_from": staff_from},
    )
    return {(row["run_id"], row["session_id"], row["identity_id"]) for row in rows}


def _maps(lake: Lake, question: Question, only_run: str | None) -> dict[str, IdentityMap]:
    rows = lake.rows(
        """SELECT run_id, epoch_us(time) AS time_us, sequence, kind, session_id, identity_id, other_identity_id,
               camera_id, local_id, p_same
        FROM identity_events
        WHERE site_id = $site AND date BETWEEN $first_day - 1 AND $last_day + 1
          AND ($run IS NULL OR run_id = $run) ORDER BY run_id, sequence""",
        {name: question.params[name] for name in ("site", "first_day", "last_day")} | {"run": only_run},
    )
    by_run: dict[str, list[IdentityEvent]] = defaultdict(list)
    for row in rows:
        p_same = _NAN if row["p_same"] is None else row["p_same"]
        named = {name: row[name] for name in row if name not in ("run_id", "p_same")}
        by_run[row["run_id"]].append(IdentityEvent(**named, score=_NAN, margin=_NAN, reason="", p_same=p_same))
    maps = {}
    for run_id, events in by_run.items():
        maps[run_id] = IdentityMap()
        maps[run_id].apply_all(events)
    return maps
