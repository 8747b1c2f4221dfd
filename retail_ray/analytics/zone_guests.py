"""What zones remember of tracklets, and how it changes with each sight: compiled loops.

Inside for some time is an entry, outside for some time an exit; the border's crossing in between is stamped.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
from numba import types
from numpy.typing import NDArray

from retail_ray.analytics.compiled import INTS, POINTS, array_of, compiled, part

NEVER_US: Final = -(2**62)
FOREVER_US: Final = 2**62
_MAX_SPEED_M_S = 3.0
_JUMP_SLACK_M = 1.0

GUEST: Final = np.dtype(
    [(name, np.int64) for name in ("time_us", "border_us", "enter_us")]
    + [(name, np.int64) for name in ("observed_us", "bridged_us", "outside_us", "outside_bridged_us")]
    + [("x", np.float64), ("y", np.float64)]
    + [(name, np.bool_) for name in ("known", "inside", "starts_inside")],
    align=True,
)
"""One tracklet and one zone. known: false for everybody who is outside and has no open stay.

time_us, x, y, inside: the last observation. border_us: the last crossing of the border, in the direction of `inside`,
or the first observation. enter_us: start of the open stay, NEVER_US where there is none. observed_us, bridged_us: time
inside since border_us (not yet entered) or since the stay's start. outside_us, outside_bridged_us: of an excursion from
an open stay, which joins the stay if the guest comes back.
"""

RULES: Final = np.dtype(
    [(name, np.int64) for name in ("corners", "max_gap_us")]
    + [(name, np.float64) for name in ("enter_after_us", "leave_after_us", "min_dwell_us", "observed_step_us")]
    + [("on_floor", np.bool_)],
    align=True,
)
"""Of one zone; corners: how many of its edges count."""

SEEN: Final = np.dtype([("time_us", np.int64), ("x", np.float64), ("y", np.float64)], align=True)
"""A tracklet's last sight in the plane; NEVER_US: none."""

Stay = tuple[int, int, int, int, int, int, int, int]
"""(number of the tick in which it ended, zone, tracklet, enter_us, exit_us, observed_us, bridged_us, censored)."""


@part
def _start(guest: Any, time_us: int, x: float, y: float, inside: bool) -> None:
    guest.known, guest.time_us, guest.x, guest.y, guest.inside = True, time_us, x, y, inside
    guest.border_us, guest.starts_inside, guest.enter_us = time_us, inside, NEVER_US
    guest.observed_us = guest.bridged_us = guest.outside_us = guest.outside_bridged_us = 0


@part
def _follows(guest: Any, rules: Any, time_us: int, x: float, y: float) -> bool:
    """Whether one person can have gone from the last sight to this one."""
    step_us = time_us - guest.time_us
    if step_us > rules.max_gap_us:
        return False
    if not rules.on_floor or step_us <= rules.observed_step_us:
        return True
    return bool(math.hypot(x - guest.x, y - guest.y) <= _MAX_SPEED_M_S * step_us / 1_000_000 + _JUMP_SLACK_M)


@part
def _step(guest: Any, rules: Any, edges: Any, time_us: int, x: float, y: float, inside: bool) -> None:
    step_us = time_us - guest.time_us
    bridged = step_us > rules.observed_step_us
    if inside == guest.inside:
        _spend(guest, step_us, bridged)
    else:
        before_us = round(step_us * _border_share(edges, rules.corners, guest.x, guest.y, x, y))
        _spend(guest, before_us, bridged)
        _cross(guest, guest.time_us + before_us, inside)
        _spend(guest, step_us - before_us, bridged)
    guest.time_us, guest.x, guest.y = time_us, x, y


@part
def _spend(guest: Any, span_us: int, bridged: bool) -> None:
    if guest.inside and bridged:
        guest.bridged_us += span_us
    elif guest.inside:
        guest.observed_us += span_us
    elif guest.enter_us != NEVER_US and bridged:
        guest.outside_bridged_us += span_us
    elif guest.enter_us != NEVER_US:
        guest.outside_us += span_us


@part
def _cross(guest: Any, border_us: int, inside: bool) -> None:
    guest.inside, guest.border_us = inside, border_us
    if guest.enter_us == NEVER_US:
        guest.observed_us = guest.bridged_us = 0
        guest.starts_inside = False
    elif inside:
        # Back before it counted as an exit: the excursion belongs to the stay.
        guest.observed_us += guest.outside_us
        guest.bridged_us += guest.outside_bridged_us
    guest.outside_us = guest.outside_bridged_us = 0


@part
def _debounce(guest: Any, rules: Any, where: tuple[int, int, int], ended: list[Stay]) -> None:
    lasted_us = guest.time_us - guest.border_us
    if guest.enter_us == NEVER_US:
        if guest.inside and lasted_us >= rules.enter_after_us:
            guest.enter_us = guest.border_us
    elif not guest.inside and lasted_us >= rules.leave_after_us:
        _close(guest, rules, where, ended)


@part
def _close(guest: Any, rules: Any, where: tuple[int, int, int], ended: list[Stay]) -> None:
    """End the stay at the border if the guest was last seen outside, else where it was last seen."""
    if guest.enter_us != NEVER_US:
        exit_us = guest.time_us if guest.inside else guest.border_us
        if exit_us - guest.enter_us >= rules.min_dwell_us:
            tick, zone, who = where
            censored = int(guest.starts_inside or guest.inside)
            ended.append((tick, zone, who, guest.enter_us, exit_us, guest.observed_us, guest.bridged_us, censored))
    guest.enter_us = NEVER_US
    guest.observed_us = guest.bridged_us = guest.outside_us = guest.outside_bridged_us = 0


@part
def _work_unseen(guests: Any, rules: Any, end_us: Any, tick_us: int, ended: list[Stay]) -> None:
    """Whoever has been unseen for too long by the end of the last tick has gone."""
    for who in range(len(guests)):
        for zone in range(len(rules)):
            guest = guests[who, zone]
            if guest.known and end_us[-1] - guest.time_us > rules[zone].max_gap_us:
                tick = _unseen_tick(guest, rules[zone], end_us[0], tick_us)
                _close(guest, rules[zone], (tick, zone, who), ended)
                guest.known = False


@part
def _note_levels(guests: Any, rules: Any, end_us: Any, noted: int, until: int, levels: Any) -> int:
    """Of ticks from `noted` to `until`, behind which nobody has been worked; the latter."""
    for tick in range(noted, min(until, levels.shape[1])):
        levels[0, tick], levels[1, tick] = 0, FOREVER_US
        for who in range(len(guests)):
            for zone in range(len(rules)):
                guest = guests[who, zone]
                unseen_us = end_us[tick] - guest.time_us
                if guest.known and guest.enter_us != NEVER_US and unseen_us <= rules[zone].max_gap_us:
                    levels[0, tick, zone] += 1
                    levels[1, tick, zone] = min(levels[1, tick, zone], guest.enter_us)
    return max(noted, until)


@part
def _unseen_tick(guest: Any, rules: Any, first_end_us: int, tick_us: int) -> int:
    """Number of the first tick that ends too late for the guest to be waited for any longer."""
    return int(max(0, (guest.time_us + rules.max_gap_us - first_end_us) // tick_us + 1))


@part
def _border_share(edges: Any, corners: int, from_x: float, from_y: float, to_x: float, to_y: float) -> float:
    """Share of the way at which it meets the polygon's border; the middle of several, half where it only grazes."""
    way_x, way_y = to_x - from_x, to_y - from_y
    found = np.empty(corners)
    n = 0
    for corner in range(corners):
        x, y, edge_x, edge_y = edges[corner]
        parallel = way_x * edge_y - way_y * edge_x
        if parallel == 0:
            continue
        offset_x, offset_y = x - from_x, y - from_y
        share = (offset_x * edge_y - offset_y * edge_x) / parallel
        on_edge = (offset_x * way_y - offset_y * way_x) / parallel
        if 0 <= share <= 1 and -1e-9 <= on_edge <= 1 + 1e-9:
            at = n
            while at > 0 and found[at - 1] > share:
                found[at] = found[at - 1]
                at -= 1
            found[at] = share
            n += 1
    return float((found[(n - 1) // 2] + found[n // 2]) / 2) if n else 0.5


@compiled(
    INTS, INTS, POINTS, INTS, array_of(types.boolean, 2), array_of(GUEST, 2), array_of(SEEN), array_of(RULES),
    array_of(types.float64, 3), INTS, types.int64, array_of(types.int64, 3),
)  # fmt: skip
def work(
    first: NDArray[np.int64],
    place: NDArray[np.int64],
    points: NDArray[np.float64],
    time_us: NDArray[np.int64],
    inside: NDArray[np.bool_],
    guests: Any,
    seen: Any,
    rules: Any,
    edges: NDArray[np.float64],
    end_us: NDArray[np.int64],
    tick_us: int,
    levels: NDArray[np.int64],
) -> list[Stay]:
    """Work sights in their order; the stays that ended, in no order.

    place: (G,) tracklet of each sight. inside: (N, Z) whether each row is in each zone. guests: (K, Z), seen: (K,) of
    K tracklets, changed in place. edges: (Z, E, 4) x, y and direction. end_us: (T,) of the ticks.
    levels: (2, T, Z), filled with open stays and the time at which the oldest began, or without any tick.
    """
    ended = [(0, 0, 0, 0, 0, 0, 0, 0) for _ in range(0)]
    first_end_us, noted = end_us[0], 0
    for sight in range(len(place)):
        who, begin, stop = place[sight], first[sight], first[sight + 1]
        tick = (time_us[begin] - first_end_us) // tick_us + 1
        noted = _note_levels(guests, rules, end_us, noted, tick, levels)
        for zone in range(len(rules)):
            guest = guests[who, zone]
            if not guest.known:
                if not inside[begin:stop, zone].any():
                    continue
                if seen[who].time_us != NEVER_US:
                    _start(guest, seen[who].time_us, seen[who].x, seen[who].y, inside=False)
            for row in range(begin, stop):
                at_us, x, y, is_in = time_us[row], points[row, 0], points[row, 1], inside[row, zone]
                if guest.known and not _follows(guest, rules[zone], at_us, x, y):
                    gone = min(tick, _unseen_tick(guest, rules[zone], first_end_us, tick_us))
                    _close(guest, rules[zone], (gone, zone, who), ended)
                    guest.known = False
                if guest.known:
                    _step(guest, rules[zone], edges[zone], at_us, x, y, is_in)
                    _debounce(guest, rules[zone], (tick, zone, who), ended)
                else:
                    _start(guest, at_us, x, y, is_in)
            guest.known = guest.inside or guest.enter_us != NEVER_US
        seen[who].time_us = time_us[stop - 1]
        seen[who].x, seen[who].y = points[stop - 1, 0], points[stop - 1, 1]
    _note_levels(guests, rules, end_us, noted, len(end_us), levels)
    _work_unseen(guests, rules, end_us, tick_us, ended)
    return ended


@compiled(array_of(GUEST, 2), array_of(RULES))
def close_all(guests: Any, rules: Any) -> list[Stay]:
    """End every open stay at its last sight."""
    ended = [(0, 0, 0, 0, 0, 0, 0, 0) for _ in range(0)]
    for who in range(len(guests)):
        for zone in range(len(rules)):
            if guests[who, zone].known:
                _close(guests[who, zone], rules[zone], (0, zone, who), ended)
                guests[who, zone].known = False
    return ended
