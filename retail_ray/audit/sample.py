"""Which seconds a person counts: a stratified random sample of each counting line's time.

Time is cut into clips of equal length. Clips with a counted crossing, clips with somebody in sight but none, and empty
ones are drawn apart, so that missed crossings have their chance too; each is spread over the day (systematic sampling
from a random start, Cochran, Sampling Techniques, 1977). A clip's weight is how many clips of its kind it stands for.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from retail_ray.analyst.interval import When
from retail_ray.analyst.opened import StoreLake
from retail_ray.analyst.store import CountingLine
from retail_ray.core.errors import QueryError
from retail_ray.core.time import US_PER_MINUTE, US_PER_S
from retail_ray.lake.questions import Question

Kind = Literal["crossing", "busy", "empty"]
KINDS: Final[tuple[Kind, ...]] = ("crossing", "busy", "empty")
SHARES: Final = {"crossing": 0.5, "busy": 0.4, "empty": 0.1}
"""How the clips of a line are divided among the kinds; what one kind cannot fill, the others get."""

ANALYSED: Final = 0.95
"""Clips in minutes of which less was analysed are left out: nobody could count them."""

Times = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Clip:
    """[start_us, start_us + clip_s) before one counting line, and what the person must not know of it: its kind,
    how many clips it stands for, and what the system counted."""

    clip_id: str
    line_id: str
    camera_id: str
    start_us: int
    kind: Kind
    weight: float
    entries: int
    exits: int


@dataclass(frozen=True, slots=True)
class _Asked:
    clips_per_line: int
    clip_s: float
    rng: np.random.Generator


def draw_clips(lake: StoreLake, when: When, *, clips_per_line: int, clip_s: float, seed: int) -> list[Clip]:
    """Clips of all counting lines in random order. QueryError where nothing can be drawn from."""
    if not lake.store.lines:
        raise QueryError(f"{lake.root}: the store has no counting line: there is nothing to audit")
    if clips_per_line < 1 or clip_s < 1:
        raise QueryError(f"at least 1 clip of 1 s is needed, found {clips_per_line} of {clip_s:g} s")
    rng, question = np.random.default_rng(seed), lake.question(when)
    asked = _Asked(clips_per_line, clip_s, rng)
    drawn = [clip for line in lake.store.lines for clip in _of_line(lake, line, question, asked)]
    if not drawn:
        raise QueryError(f"{lake.root}: no clip of {clip_s:g} s was analysed in this interval; ask for another one")
    order = rng.permutation(len(drawn))
    return [replace(drawn[place], clip_id=f"clip-{number:03d}") for number, place in enumerate(order.tolist(), start=1)]


def _of_line(lake: StoreLake, line: CountingLine, question: Question, asked: _Asked) -> list[Clip]:
    clip_us = round(asked.clip_s * US_PER_S)
    starts = np.arange(question.start_us, question.end_us - clip_us + 1, clip_us, dtype=np.int64)
    full = _times(lake, question, _FULL, camera=line.camera_id, least=ANALYSED)
    starts = starts[_analysed(full, starts, clip_us)]
    counted = {way: _times(lake, question, _CROSSED, line=line.id, way=way) for way in ("in", "out")}
    entries, exits = (_within(counted[way], starts, clip_us) for way in ("in", "out"))
    seen = _within(_times(lake, question, _SEEN, camera=line.camera_id), starts, clip_us) > 0
    crossed = entries + exits > 0
    places = {"crossing": crossed, "busy": seen & ~crossed, "empty": ~seen & ~crossed}
    clips = []
    for kind, number in _allotted({kind: int(places[kind].sum()) for kind in KINDS}, asked.clips_per_line).items():
        of_kind = np.flatnonzero(places[kind])
        for place in of_kind[_systematic(len(of_kind), number, asked.rng)].tolist():
            weight, counts = len(of_kind) / number, (int(entries[place]), int(exits[place]))
            clips.append(Clip("", line.id, line.camera_id, int(starts[place]), kind, weight, *counts))
    return clips


def _allotted(there: dict[Kind, int], wanted: int) -> dict[Kind, int]:
    """How many clips of each kind; never more than there are, and one of each kind at least."""
    given = {kind: min(there[kind], max(1, round(wanted * SHARES[kind]))) for kind in KINDS}
    for kind in KINDS:
        given[kind] += min(there[kind] - given[kind], max(0, wanted - sum(given.values())))
    return given


def _systematic(size: int, number: int, rng: np.random.Generator) -> NDArray[np.int64]:
    if not number:
        return np.zeros(0, np.int64)
    return ((rng.random() + np.arange(number)) * size / number).astype(np.int64)


_SPAN: Final = """site_id = $site AND date BETWEEN $first_day AND $last_day
    AND time >= make_timestamptz($start_us) AND time < make_timestamptz($end_us)"""
_CROSSED: Final = f"""SELECT epoch_us(time) AS time_us FROM line_crossings
    WHERE {_SPAN} AND line_id = $line AND direction = $way AND NOT turned_back ORDER BY time_us"""
_SEEN: Final = f"""SELECT DISTINCT epoch_us(time) AS time_us FROM detections
    WHERE {_SPAN} AND camera_id = $camera ORDER BY time_us"""
_FULL: Final = f"""SELECT epoch_us(time) AS time_us FROM coverage WHERE {_SPAN} AND camera_id = $camera
    GROUP BY time HAVING sum(processed_frames) >= $least * sum(expected_frames) ORDER BY time_us"""


def _times(lake: StoreLake, question: Question, query: str, **values: Any) -> Times:
    span = {name: value for name, value in question.params.items() if name != "camera"}
    return np.asarray(lake.sql(query, **span | values).table["time_us"].to_numpy(), np.int64)


def _within(times_us: Times, starts_us: Times, length_us: int) -> NDArray[np.int64]:
    """How many of the sorted times lie in each [start, start + length)."""
    return np.searchsorted(times_us, starts_us + length_us) - np.searchsorted(times_us, starts_us)


def _analysed(full_minutes_us: Times, starts_us: Times, length_us: int) -> NDArray[np.bool_]:
    """Whether all minutes that a clip touches are among the given ones."""
    inside = np.ones(len(starts_us), np.bool_)
    first, last = (times - times % US_PER_MINUTE for times in (starts_us, starts_us + length_us - 1))
    while (first <= last).any():
        inside &= np.isin(np.minimum(first, last), full_minutes_us)
        first = first + US_PER_MINUTE
    return inside
