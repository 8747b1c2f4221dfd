"""Exact stays in a polygon: from one crossing of its border to the next."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retail_ray.core.polygons import contains
from retail_ray.simulation.legs import Floats, Legs


@dataclass(frozen=True, slots=True)
class Stays:
    """(N,) person, enter and leave in seconds, ordered by person and time."""

    person_id: NDArray[np.int32]
    enter_s: Floats
    leave_s: Floats


def stays_in(corners: Floats, legs: Legs) -> Stays:
    """Each leg is cut where it meets the border; a piece belongs to the polygon when its middle does."""
    low, high = corners.min(axis=0), corners.max(axis=0)
    lowest, highest = np.minimum(legs.a_m, legs.b_m), np.maximum(legs.a_m, legs.b_m)
    near = legs.at(np.flatnonzero(((highest >= low) & (lowest <= high)).all(axis=1)))
    leg, share = _pieces(corners, near)
    ends = np.append(leg[1:] != leg[:-1], True)[: len(leg)]
    until = np.where(ends, 1.0, np.append(share[1:], 1.0)[: len(share)])
    middle = near.a_m[leg] + ((share + until) / 2)[:, None] * (near.b_m[leg] - near.a_m[leg])
    kept = contains(corners, middle) & (until > share)
    enter_s, leave_s = near.start_s[leg] + share * near.tick_s, near.start_s[leg] + until * near.tick_s
    return _joined(near.person_id[leg][kept], enter_s[kept], leave_s[kept])


def _pieces(corners: Floats, legs: Legs) -> tuple[NDArray[np.int64], Floats]:
    """Index of the leg and share of it at which each piece begins, in order."""
    way = legs.b_m - legs.a_m
    count = len(legs.person_id)
    leg, share = [np.arange(count)], [np.zeros(count)]
    for start, end in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        edge, offset = end - start, start - legs.a_m
        turn = way[:, 0] * edge[1] - way[:, 1] * edge[0]
        meets = np.flatnonzero(turn != 0.0)
        on_leg = (offset[meets, 0] * edge[1] - offset[meets, 1] * edge[0]) / turn[meets]
        on_edge = (offset[meets, 0] * way[meets, 1] - offset[meets, 1] * way[meets, 0]) / turn[meets]
        hit = (on_leg > 0.0) & (on_leg < 1.0) & (on_edge >= 0.0) & (on_edge <= 1.0)
        leg.append(meets[hit])
        share.append(on_leg[hit])
    legs_all, shares = np.concatenate(leg), np.concatenate(share)
    order = np.lexsort((shares, legs_all))
    return legs_all[order], shares[order]


def _joined(person: NDArray[np.int32], since: Floats, until: Floats) -> Stays:
    """Pieces that follow on each other become one stay."""
    if len(person) == 0:
        return Stays(person, since, until)
    breaks = (person[1:] != person[:-1]) | (np.abs(since[1:] - until[:-1]) > 1e-7)
    first = np.concatenate([[0], np.flatnonzero(breaks) + 1])
    last = np.concatenate([first[1:] - 1, [len(person) - 1]])
    return Stays(person[first], since[first], until[last])
