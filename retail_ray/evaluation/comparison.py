"""What a run counted beside what was true: the numbers a retailer reads, before any score."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from retail_ray.evaluation.dwell import MIN_DWELL_US, Stay, found_stays, true_stays
from retail_ray.evaluation.scene import Scene
from retail_ray.evaluation.visitors import people_seen
from retail_ray.lake.truth import Columns


@dataclass(frozen=True, slots=True)
class Compared:
    """One number as the lake has it and as it was; None where there is nothing to take it of."""

    what: str
    unit: str
    counted: float | None
    true: float | None


def compare(scene: Scene) -> list[Compared]:
    """Entries and exits by line, different people, and stays of 5 s or more by zone."""
    return [*_lines(scene), _people(scene), *_zones(scene)]


def _lines(scene: Scene) -> Iterator[Compared]:
    true, found = scene.truth.tables["crossings"], scene.rows.tables.get("line_crossings")
    for line in sorted(set(true["line_id"].tolist())):
        for direction, what in (("in", "entries"), ("out", "exits")):
            counted = 0 if found is None else _crossings(found, line, direction)
            yield Compared(f"{what}, line {line}", "events", counted, _crossings(true, line, direction))


def _crossings(table: Columns, line_id: str, direction: str) -> int:
    kept = (table["line_id"] == line_id) & (table["direction"] == direction)
    return int((kept & ~table["turned_back"].astype(np.bool_)).sum())


def _people(scene: Scene) -> Compared:
    return Compared("different people", "people", len(np.unique(scene.identity)), len(people_seen(scene)))


def _zones(scene: Scene) -> Iterator[Compared]:
    true, found = true_stays(scene), [stay for stay in found_stays(scene) if _long(stay)]
    for zone in sorted({stay.zone_id for stay in true} | {stay.zone_id for stay in found}):
        counted_s, true_s = ([stay.dwell_s for stay in stays if stay.zone_id == zone] for stays in (found, true))
        yield Compared(f"stays, zone {zone}", "stays", len(counted_s), len(true_s))
        yield Compared(f"median stay, zone {zone}", "s", _median(counted_s), _median(true_s))


def _long(stay: Stay) -> bool:
    return stay.exit_us - stay.enter_us >= MIN_DWELL_US


def _median(values: Sequence[float]) -> float | None:
    return median(values) if values else None
