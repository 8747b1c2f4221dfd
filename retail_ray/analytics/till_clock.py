"""Transactions of tills and services seen by cameras: how far their clocks differ, and which belong together.

The offset is where more differences of till time and service end pile up than chance allows. It is found per lane
where a lane has enough transactions, else over all lanes, and refused where no pile stands out or two do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from retail_ray.core.time import US_PER_S

Times = NDArray[np.float64]
ANY_LANE: Final = -1

_REACH_S: Final = 8.0
_NEAR_S: Final = 30.0
_AROUND_S: Final = 300.0
_LEAST_Z: Final = 6.0
_LEAST_SHARE: Final = 0.3
_RIVAL_SHARE: Final = 0.6
_REFINE_S: Final = 20.0
_TOLERANCE_S: Final = 20.0
_SPEAKS_FOR_ITSELF: Final = 20
"""A lane with so many transactions has its own clock; one with fewer takes the offset of all lanes together."""


@dataclass(frozen=True, slots=True)
class ClockSettings:
    """max_offset_s: clocks that differ by more are refused. tolerance_s: how far from its service's end a transaction
    may lie, offset allowed for."""

    max_offset_s: float = 600.0
    tolerance_s: float = _TOLERANCE_S


@dataclass(frozen=True, slots=True)
class Offset:
    """Till's clock minus the cameras' clock at the end of a service. uncertainty_s: standard error. matched: pairs
    that it rests on."""

    offset_s: float
    uncertainty_s: float
    matched: int


@dataclass(frozen=True, slots=True)
class NoOffset:
    """Why no offset can be told."""

    why: str


@dataclass(frozen=True, slots=True)
class Paid:
    """Transactions or ends of service. time_us: (N,) int64. lane: (N,) int64 number of the lane, ANY_LANE: unknown."""

    time_us: NDArray[np.int64]
    lane: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.time_us)

    def of(self, chosen: NDArray[np.bool_]) -> Paid:
        return Paid(self.time_us[chosen], self.lane[chosen])


@dataclass(frozen=True, slots=True)
class Joined:
    """Of each transaction: visit (N,) int64 index of the service or -1; offset_s, uncertainty_s (N,) NaN where none
    was found. refused: lane number -> why it has no offset."""

    visit: NDArray[np.int64]
    offset_s: Times
    uncertainty_s: Times
    refused: dict[int, str]


def join(transactions: Paid, services: Paid, settings: ClockSettings | None = None) -> Joined:
    """Each transaction with at most one service of its lane, and each service with at most one transaction."""
    settings = settings or ClockSettings()
    n, refused = len(transactions), dict[int, str]()
    offset_s, uncertainty_s = np.full(n, np.nan), np.full(n, np.nan)
    together = estimate_offset(transactions, services, settings)
    for lane in np.unique(transactions.lane).tolist():
        mine = transactions.lane == lane
        own = estimate_offset(transactions.of(mine), services, settings)
        found = own if isinstance(own, Offset) or mine.sum() >= _SPEAKS_FOR_ITSELF else together
        if isinstance(found, NoOffset):
            refused[lane] = found.why
        else:
            offset_s[mine], uncertainty_s[mine] = found.offset_s, found.uncertainty_s
    visit = _pairs(transactions, services, offset_s, settings.tolerance_s)
    return Joined(visit, offset_s, uncertainty_s, refused)


def estimate_offset(transactions: Paid, services: Paid, settings: ClockSettings) -> Offset | NoOffset:
    """The offset at which clearly more transactions meet a service's end than around it and anywhere else."""
    if not len(transactions) or not len(services):
        return NoOffset("there are no transactions" if not len(transactions) else "the cameras saw nobody served")
    reach_s = settings.max_offset_s + _AROUND_S
    apart_s = np.sort(_differences(transactions, services, reach_s))
    grid_s = np.arange(-settings.max_offset_s, settings.max_offset_s + 1)
    count = _within(apart_s, grid_s, _REACH_S)
    # Where clocks agree by chance as well as by right, the middle of the pile is the best place.
    best_s = float(np.median(grid_s[count == count.max()])) if count.max() else 0.0
    peak = int(count.max())
    near = np.abs(grid_s - best_s)
    beside_s = np.arange(-_AROUND_S, _AROUND_S + 1)
    beside = _within(apart_s, best_s + beside_s[np.abs(beside_s) > _NEAR_S], _REACH_S)
    chance = float(np.median(beside))
    excess = peak - chance
    rival = float(count[near > _NEAR_S].max(initial=0)) - chance
    told = f"{peak} of {len(transactions)} transactions meet a service's end at the best offset, {best_s:+.0f} s"
    if excess < _LEAST_Z * np.sqrt(max(chance, 1.0)) or excess < _LEAST_SHARE * len(transactions):
        return NoOffset(
            f"no offset within {settings.max_offset_s:.0f} s stands out: {told}, {chance:.0f} by chance; "
            "check the timezone and the clock of the file, and that the tills belong to these lanes"
        )
    if rival > _RIVAL_SHARE * excess:
        return NoOffset(f"two offsets fit as well: {told}, and {rival + chance:.0f} at another one")
    return _refined(apart_s, best_s)


def _refined(apart_s: Times, best_s: float) -> Offset:
    """The middle of the pile, and its standard error (of a median: 1.253 sigma / sqrt(n))."""
    for _ in range(3):
        pile = apart_s[np.abs(apart_s - best_s) <= _REFINE_S]
        best_s = float(np.median(pile))
    sigma_s = 1.4826 * float(np.median(np.abs(pile - best_s)))
    return Offset(best_s, max(1.253 * sigma_s / np.sqrt(len(pile)), 0.1), len(pile))


def _differences(transactions: Paid, services: Paid, most_s: float) -> Times:
    """Till time minus service end of all pairs of one lane that are not further apart."""
    parts = [np.empty(0)]
    for lane in np.unique(transactions.lane).tolist():
        mine = transactions.time_us[transactions.lane == lane]
        theirs = services.time_us if lane == ANY_LANE else services.time_us[services.lane == lane]
        apart_s = (mine[:, None] - theirs[None, :]).ravel() / US_PER_S
        parts.append(apart_s[np.abs(apart_s) <= most_s])
    return np.concatenate(parts)


def _within(ordered_s: Times, around_s: Times, reach_s: float) -> NDArray[np.int64]:
    """How many of the values lie within reach of each place."""
    return np.searchsorted(ordered_s, around_s + reach_s, "right") - np.searchsorted(ordered_s, around_s - reach_s)


def _pairs(transactions: Paid, services: Paid, offset_s: Times, tolerance_s: float) -> NDArray[np.int64]:
    """One-to-one, with the most pairs within the tolerance and the least distance in all (Hungarian)."""
    visit = np.full(len(transactions), -1, np.int64)
    known = np.flatnonzero(np.isfinite(offset_s))
    if not len(known) or not len(services):
        return visit
    expected_us = transactions.time_us[known] - np.round(offset_s[known] * US_PER_S).astype(np.int64)
    apart_s = np.abs(expected_us[:, None] - services.time_us[None, :]) / US_PER_S
    lane = transactions.lane[known]
    possible = (apart_s <= tolerance_s) & ((lane == ANY_LANE)[:, None] | (lane[:, None] == services.lane[None, :]))
    # A pair is worth more than all distances together, so no near pair costs another one its partner.
    worth = np.where(possible, len(known) * tolerance_s + tolerance_s - apart_s, 0.0)
    rows, columns = linear_sum_assignment(worth, maximize=True)
    kept = possible[rows, columns]
    visit[known[rows[kept]]] = columns[kept]
    return visit
