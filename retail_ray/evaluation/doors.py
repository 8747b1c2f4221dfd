"""Door events against true crossings, one to one in time, per counting line and direction.

Retail accuracy is 1 - |error| / (true in + true out): it lets misses cancel false counts, so events stand beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from retail_ray.core.time import US_PER_S
from retail_ray.evaluation.box_matching import match_in_time
from retail_ray.evaluation.measures import Measure, Section, not_measured, share
from retail_ray.evaluation.scene import Ints, Scene
from retail_ray.lake.truth import Columns

TOLERANCE_US = 2 * US_PER_S
HOUR_US = 3600 * US_PER_S
DIRECTIONS = ("in", "out")


@dataclass(frozen=True, slots=True)
class Events:
    """Crossings of one line in one direction. true_us, found_us: int64; pairs: how many belong together."""

    line_id: str
    direction: str
    true_us: Ints
    found_us: Ints
    pairs: int


def doors(scene: Scene) -> Section:
    """All lines together and each alone; a line that the site did not count is not measured."""
    lines = sorted(set(scene.truth.tables["crossings"]["line_id"].tolist()) | _declared(scene))
    counted = [line for line in lines if line in _counted(scene)]
    events = {line: [_events(scene, line, direction) for direction in DIRECTIONS] for line in counted}
    begin_us = scene.truth.of.start_us
    every = [entry for line in counted for entry in events[line]]
    if not every:
        return {"f1": not_measured("the lake counts no line of the truth")}
    missing: dict[str, Section] = {
        line: {"f1": not_measured("the site does not count this line")} for line in lines if line not in events
    }
    alone = {line: of_events(entries, begin_us) for line, entries in events.items()}
    return {"all": of_events(every, begin_us), **alone, **missing}


def of_events(events: Sequence[Events], begin_us: int) -> Section:
    pairs = sum(entry.pairs for entry in events)
    true, found = sum(len(entry.true_us) for entry in events), sum(len(entry.found_us) for entry in events)
    f1 = Measure(2 * pairs / (true + found), true, "true crossings") if true + found else not_measured("nobody crossed")
    return {
        "precision": share(pairs, found, "counted crossings"),
        "recall": share(pairs, true, "true crossings"),
        "f1": f1,
        **{
            direction: {
                "true": _total(events, direction, "true_us"),
                "counted": _total(events, direction, "found_us"),
            }
            for direction in DIRECTIONS
        },
        "retail_accuracy": retail_accuracy(events),
        "worst_hour": worst_hour(events, begin_us),
    }


def retail_accuracy(events: Sequence[Events]) -> Measure:
    """Errors of each line and direction add up; below 0 where more is wrong than there is."""
    true = sum(len(entry.true_us) for entry in events)
    if not true:
        return not_measured("nobody crossed")
    wrong = sum(abs(len(entry.found_us) - len(entry.true_us)) for entry in events)
    return Measure(1 - wrong / true, true, "true crossings")


def worst_hour(events: Sequence[Events], begin_us: int) -> Measure:
    """The lowest retail accuracy of all hours with crossings, counted from the beginning of the truth."""
    hours = np.unique(np.concatenate([(entry.true_us - begin_us) // HOUR_US for entry in events]))
    if not len(hours):
        return not_measured("nobody crossed")
    of_hours = [retail_accuracy([_within(entry, begin_us + int(hour) * HOUR_US) for entry in events]) for hour in hours]
    worst = min(of_hours, key=lambda measure: measure.value or 0.0)
    return Measure(worst.value, len(hours), "hours with crossings")


def _total(events: Sequence[Events], direction: str, side: str) -> Measure:
    number = sum(len(getattr(entry, side)) for entry in events if entry.direction == direction)
    return Measure(float(number), number, "crossings")


def _within(events: Events, start_us: int) -> Events:
    def part(times_us: Ints) -> Ints:
        return times_us[(times_us >= start_us) & (times_us < start_us + HOUR_US)]

    return Events(events.line_id, events.direction, part(events.true_us), part(events.found_us), 0)


def _events(scene: Scene, line_id: str, direction: str) -> Events:
    true_us = _times(scene.truth.tables["crossings"], line_id, direction)
    found_us = _times(scene.rows.tables.get("line_crossings"), line_id, direction)
    pairs = len(match_in_time(true_us, found_us, TOLERANCE_US)[0])
    return Events(line_id, direction, true_us, found_us, pairs)


def _times(table: Columns | None, line_id: str, direction: str) -> Ints:
    if table is None:
        return np.zeros(0, np.int64)
    kept = (table["line_id"] == line_id) & (table["direction"] == direction) & ~table["turned_back"].astype(np.bool_)
    return np.sort(table["time_us"][kept].astype(np.int64))


def _declared(scene: Scene) -> set[str]:
    settings = scene.rows.settings
    return set() if settings is None else {line["id"] for line in settings["lines"]}


def _counted(scene: Scene) -> set[str]:
    table = scene.rows.tables.get("line_crossings")
    return _declared(scene) | (set() if table is None else set(table["line_id"].tolist()))
