"""How long people stay in zones, to a tenth of a second: quantiles of the observed lengths, and survival estimates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from retail_ray.lake import rollup_kinds
from retail_ray.lake.questions import Question
from retail_ray.lake.views import Lake

_ROUNDING: Final = 1e-9
_LENGTHS: Final = """
SELECT zone_id, tenths, sum(stays)::BIGINT AS stays, sum(ended)::BIGINT AS ended
FROM parts WHERE list_contains($zones, zone_id) GROUP BY zone_id, tenths ORDER BY zone_id, tenths
"""
_PEOPLE: Final = """
SELECT zone_id, sum(people)::BIGINT AS people,
       len(list_distinct(flatten(list(coalesce(unknown, [])))))::BIGINT AS unknown
FROM parts WHERE list_contains($zones, zone_id) GROUP BY zone_id
"""


@dataclass(frozen=True, slots=True)
class ZoneSummary:
    """Stays in one zone. Medians and P90 are of the observed lengths: lower bounds as far as stays are censored.

    The survival estimates (Kaplan-Meier) allow for censoring; None where too many stays are cut off.
    """

    zone_id: str
    visits: int = 0
    censored: int = 0
    people: int = 0
    median_dwell_s: float | None = None
    p90_dwell_s: float | None = None
    survival_median_dwell_s: float | None = None
    survival_p90_dwell_s: float | None = None


def zone_summary(lake: Lake, question: Question, zone_ids: tuple[str, ...]) -> list[ZoneSummary]:
    """One summary per asked zone, in that order."""
    params = question.params | {"zones": list(zone_ids)}
    with lake.looking_once():
        lengths = lake.rollups.table(rollup_kinds.ZONE_LENGTHS, question, _LENGTHS, params)
        rows = lake.rollups.rows(rollup_kinds.ZONE_PEOPLE, question, _PEOPLE, params)
    people = {row["zone_id"]: row["people"] + row["unknown"] for row in rows}
    zones = np.array(lengths["zone_id"].to_pylist(), object)
    # Without a detour over `to_numpy`, which imports pandas.
    tenths, stays, ended = (np.from_dlpack(lengths[name].combine_chunks()) for name in ("tenths", "stays", "ended"))
    found = []
    for zone_id in zone_ids:
        mine = zones == zone_id
        found.append(_summary(zone_id, people.get(zone_id, 0), tenths[mine], stays[mine], ended[mine]))
    return found


def _summary(
    zone_id: str, people: int, tenths: NDArray[Any], stays: NDArray[np.int64], ended: NDArray[np.int64]
) -> ZoneSummary:
    """tenths: (N,) different lengths in rising order; stays, ended: (N,) how many had it, and how many not cut off."""
    if not len(tenths):
        return ZoneSummary(zone_id)
    still_inside = np.cumsum(stays[::-1])[::-1]
    share = np.cumprod(1 - ended / still_inside)
    return ZoneSummary(
        zone_id,
        visits=int(stays.sum()),
        censored=int((stays - ended).sum()),
        people=people,
        median_dwell_s=_quantile(tenths, stays, 0.5),
        p90_dwell_s=_quantile(tenths, stays, 0.9),
        survival_median_dwell_s=_survived_by(tenths, share, 0.5),
        survival_p90_dwell_s=_survived_by(tenths, share, 0.1),
    )


def _quantile(tenths: NDArray[Any], stays: NDArray[np.int64], share: float) -> float:
    """Between the two nearest of the sorted stays, as far as `share` lies between their places."""
    up_to = np.cumsum(stays)
    place = (int(up_to[-1]) - 1) * share
    ranks = int(place), -int(-place // 1)
    before, after = (int(tenths[np.searchsorted(up_to, rank, side="right")]) for rank in ranks)
    return (before + (after - before) * (place - int(place))) / 10


def _survived_by(tenths: NDArray[Any], share: NDArray[np.floating[Any]], wanted: float) -> float | None:
    """The shortest length after which at most this share is still there."""
    short = np.flatnonzero(share <= wanted + _ROUNDING)
    return int(tenths[short[0]]) / 10 if len(short) else None
