"""What a metric is: its words, its SQL, and in which ways it may be asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from retail_ray.lake.questions import Grain

Group = Literal["line", "zone", "lane", "camera", "cell", "hour", "day", "weekday"]
Staff = Literal["include", "exclude"]
Basis = Literal["measured", "estimated", "inferred"]
SourceName = Literal[
    "crossings", "stays", "visits", "visit_dwells", "queue_visits", "queue_minutes", "occupancy", "door", "sales",
    "heat", "coverage",
]  # fmt: skip

ALL_GRAINS: Final[tuple[Grain, ...]] = ("minute", "hour", "day")
TIME_GROUPS: Final[tuple[Group, ...]] = ("hour", "day", "weekday")
COLUMNS_OF: Final[dict[Group, tuple[str, ...]]] = {
    "line": ("line_id",),
    "zone": ("zone_id",),
    "lane": ("lane_id",),
    "camera": ("camera_id",),
    "cell": ("x0_m", "y0_m", "cell_m"),
}
"""Columns of a source that a group is made of; times are cut, see metric_answers."""


@dataclass(frozen=True, slots=True)
class Value:
    """One number of a metric. sql: aggregate over the source's rows; empty where `survival` or Python gives it.
    empty: what it is where there is no row."""

    name: str
    sql: str
    unit: str
    meaning: str
    empty: int | None = None


@dataclass(frozen=True, slots=True)
class Survival:
    """Kaplan-Meier estimates of a length. shares: name of the value -> share that has ended."""

    length: str
    ended: str
    shares: dict[str, float]


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric of the registry.

    source: rows that it counts, see metric_sources; None where `lake/visitors.py` computes it. grains, groups: what it
    may be cut and grouped by. always: columns that part its rows in any case. default_grain: cut so where nothing else
    is asked. additive: values of buckets may be summed. version: raised whenever the same data would give other values.
    """

    id: str
    name: str
    formula: str
    tables: tuple[str, ...]
    source: SourceName | None
    values: tuple[Value, ...]
    basis: Basis
    additive: bool
    groups: tuple[Group, ...]
    grains: tuple[Grain, ...] = ALL_GRAINS
    staff: bool = True
    survival: Survival | None = None
    always: tuple[str, ...] = ()
    default_grain: Grain | None = None
    version: int = 1
