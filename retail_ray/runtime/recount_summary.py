"""What a recount changes: per line, zone and lane, before and after."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from retail_ray.core.records import LineCrossing, OccupancyRow, ZoneVisit
from retail_ray.core.retail_records import QueueVisit
from retail_ray.lake.codecs import Record


@dataclass(slots=True)
class Totals:
    """Sums of one version of the rows, over any number of days; `add` takes more of them.

    lines: (entries, exits, turned back). dwell_s: of every stay, by zone. peak: most people inside, None without rows.
    lanes: outcome of every stay, and waits_s of those whose wait was seen to its end.
    """

    lines: dict[str, list[int]] = field(default_factory=dict)
    dwell_s: dict[str, list[float]] = field(default_factory=dict)
    peak: int | None = None
    lanes: dict[str, list[str]] = field(default_factory=dict)
    waits_s: dict[str, list[float]] = field(default_factory=dict)

    def add(self, records: Iterable[Record]) -> None:
        for record in records:
            if isinstance(record, LineCrossing):
                place = 2 if record.turned_back else 0 if record.direction == "in" else 1
                self.lines.setdefault(record.line_id, [0, 0, 0])[place] += 1
            elif isinstance(record, ZoneVisit):
                self.dwell_s.setdefault(record.zone_id, []).append(record.dwell_s)
            elif isinstance(record, OccupancyRow):
                self.peak = max(record.inside, record.inside if self.peak is None else self.peak)
            elif isinstance(record, QueueVisit):
                self.lanes.setdefault(record.lane_id, []).append(record.outcome)
                if record.service_us is not None or record.outcome == "abandoned":
                    self.waits_s.setdefault(record.lane_id, []).append(record.wait_s)

    def merge(self, other: Totals) -> None:
        for line, counts in other.lines.items():
            self.lines[line] = [a + b for a, b in zip(self.lines.get(line, [0, 0, 0]), counts, strict=True)]
        for mine, theirs in ((self.dwell_s, other.dwell_s), (self.waits_s, other.waits_s)):
            for name, values in theirs.items():
                mine.setdefault(name, []).extend(values)
        for lane, outcomes in other.lanes.items():
            self.lanes.setdefault(lane, []).extend(outcomes)
        self.peak = max((peak for peak in (self.peak, other.peak) if peak is not None), default=None)


@dataclass(frozen=True, slots=True)
class Change:
    """One number before and after; None where there is no such number."""

    kind: str
    name: str
    measure: str
    old: float | None
    new: float | None

    @property
    def difference(self) -> float | None:
        return None if self.old is None or self.new is None else self.new - self.old


def changes(old: Totals, new: Totals) -> list[Change]:
    """Every number of both, lines first."""
    found = []
    before, after = _numbers(old), _numbers(new)
    for place in sorted({*before, *after}, key=lambda place: (_KINDS.index(place[0]), place[1])):
        numbers = before.get(place, {}), after.get(place, {})
        for measure in dict.fromkeys((*numbers[0], *numbers[1])):
            zero = None if measure in _OF_SOME else 0.0
            found.append(Change(*place, measure, *(of.get(measure, zero) for of in numbers)))
    return found


_KINDS = ("line", "zone", "site", "lane")
_OF_SOME = frozenset({"median dwell, s", "P90 dwell, s", "median wait, s", "P90 wait, s", "highest occupancy"})


def _numbers(totals: Totals) -> Mapping[tuple[str, str], dict[str, float]]:
    found: dict[tuple[str, str], dict[str, float]] = {}
    for line, counts in totals.lines.items():
        found["line", line] = dict(zip(("entries", "exits", "turned back"), map(float, counts), strict=True))
    for zone, dwell_s in totals.dwell_s.items():
        found["zone", zone] = {"stays": float(len(dwell_s)), **_quantiles("dwell", dwell_s)}
    if totals.peak is not None:
        found["site", "inside"] = {"highest occupancy": float(totals.peak)}
    for lane, outcomes in totals.lanes.items():
        counted = {f"{outcome}": float(outcomes.count(outcome)) for outcome in ("served", "abandoned", "censored")}
        found["lane", lane] = counted | _quantiles("wait", totals.waits_s.get(lane, ()))
    return found


def _quantiles(what: str, values_s: Sequence[float]) -> dict[str, float]:
    if not len(values_s):
        return {}
    median, high = np.quantile(np.asarray(values_s), (0.5, 0.9)).tolist()
    return {f"median {what}, s": round(median, 3), f"P90 {what}, s": round(high, 3)}
