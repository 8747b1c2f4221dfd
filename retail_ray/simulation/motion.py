"""How people move from tick to tick: along their way, around fixtures and each other, never through anything.

Numba's cache looks at this file only: touch it after a change to the constants that it imports.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from retail_ray.simulation.agents import (
    ARRIVED,
    AWAKE,
    FOLLOW,
    GAVE_UP,
    GO,
    NOTHING,
    Floats,
    Records,
    Span,
    Stage,
)
from retail_ray.simulation.crowd import Activity
from retail_ray.simulation.navigation import BODY_RADIUS_M, CELL_M, clearance_of

WALKS, STANDS = int(Activity.WALK), int(Activity.STAND)
MAX_SPEED_MPS = 1.9
_STILL_MPS = 0.08
_ACCELERATION = 2.2
_BRAKING = 3.5
_MAKE_ROOM_MPS = 0.3
_TURN_RATE = 3.6
_APART_M = 0.44
_SQUEEZE_M = 0.24
_HORIZON_S = 1.6
_SIGHT_M = 2.6
_LOOK_CELLS = 16
_GIVE_UP_S = 20.0
_BODY_M = BODY_RADIUS_M + 1e-3
_ANGLES = np.radians(np.array([0.0, -16.0, 16.0, -34.0, 34.0, -56.0, 56.0, -85.0, 85.0, -125.0, 125.0]))
_SPEED_SHARES = np.array([1.0, 0.55, 0.2])


@njit(cache=True)
def advance(agents: Records, stage: Stage, span: Span, rows: Records, row: int) -> tuple[int, int]:
    """Tick by tick until somebody needs a decision, the span ends or `rows` is full; (tick, rows used)."""
    tick = span.tick
    while tick < span.until and row + len(agents) <= len(rows):
        tick += 1
        decision = False
        for i in range(len(agents)):
            if agents[i].present == 0:
                continue
            _step(agents, i, stage)
            _notice(agents, i, tick, stage.tick_s)
            decision = decision or agents[i].event != NOTHING
        if tick >= span.record_from:
            row = _record(agents, tick - span.record_from, rows, row)
        if decision:
            break
    return tick, row


@njit(cache=True)
def _record(agents: Records, tick: int, rows: Records, row: int) -> int:
    for i in range(len(agents)):
        a = agents[i]
        if a.present == 0:
            continue
        out = rows[row]
        out.tick = tick
        out.person = a.person
        out.x = a.x
        out.y = a.y
        out.heading = a.heading
        out.speed = np.hypot(a.vx, a.vy)
        out.walked = a.walked
        out.activity = STANDS if a.activity == WALKS and out.speed < _STILL_MPS else a.activity
        row += 1
    return row


@njit(cache=True)
def _notice(agents: Records, i: int, tick: int, tick_s: float) -> None:
    a = agents[i]
    speed = np.hypot(a.vx, a.vy)
    if a.mode == GO:
        if np.hypot(a.goal_x - a.x, a.goal_y - a.y) <= a.near:
            a.event = ARRIVED
        a.stuck_s = a.stuck_s + tick_s if speed < 0.12 else max(0.0, a.stuck_s - 2.0 * tick_s)
        if a.stuck_s > _GIVE_UP_S:
            a.event = GAVE_UP
            a.stuck_s = 0.0
    else:
        a.stuck_s = 0.0
    if tick >= a.wake and a.event == NOTHING:
        a.event = AWAKE


@njit(cache=True)
def _step(agents: Records, i: int, stage: Stage) -> None:
    a = agents[i]
    want_x, want_y = 0.0, 0.0
    if a.mode == GO:
        want_x, want_y = _towards_goal(a, stage)
    elif a.mode == FOLLOW:
        want_x, want_y = _beside_leader(agents, i, stage)
    if want_x != 0.0 or want_y != 0.0:
        want_x, want_y = _around_people(agents, i, want_x, want_y, stage)
    elif a.mode != GO:
        want_x, want_y = _make_room(agents, i)
    vx, vy = _accelerate(a.vx, a.vy, want_x, want_y, stage.tick_s)
    if abs(vx) + abs(vy) > 1e-3:
        _move(agents, i, vx, vy, stage)
    else:
        a.vx, a.vy = 0.0, 0.0
    _turn(a, stage.tick_s)


@njit(cache=True)
def _make_room(agents: Records, i: int) -> tuple[float, float]:
    """Slowly away from whoever stands too close."""
    a = agents[i]
    away_x, away_y = 0.0, 0.0
    for j in range(len(agents)):
        if j == i or agents[j].present == 0:
            continue
        dx, dy = a.x - agents[j].x, a.y - agents[j].y
        gap = np.hypot(dx, dy)
        if 1e-6 < gap < _APART_M:
            away_x += dx / gap
            away_y += dy / gap
    length = np.hypot(away_x, away_y)
    if length < 0.1:
        return 0.0, 0.0
    return _MAKE_ROOM_MPS * away_x / length, _MAKE_ROOM_MPS * away_y / length


@njit(cache=True)
def _clear_at(x: float, y: float, stage: Stage) -> float:
    """Clearance between the cells' centres (bilinear)."""
    rows, columns = stage.clearance_m.shape
    column = min(max((x - stage.origin_m[0]) / CELL_M - 0.5, 0.0), columns - 1.001)
    row = min(max((y - stage.origin_m[1]) / CELL_M - 0.5, 0.0), rows - 1.001)
    c, r = int(column), int(row)
    p, q = column - c, row - r
    low = stage.clearance_m[r, c] * (1.0 - p) + stage.clearance_m[r, c + 1] * p
    high = stage.clearance_m[r + 1, c] * (1.0 - p) + stage.clearance_m[r + 1, c + 1] * p
    return float(low * (1.0 - q) + high * q)


@njit(cache=True)
def _straight(x0: float, y0: float, x1: float, y1: float, stage: Stage) -> bool:
    """Whether a body fits all along the straight way."""
    away = np.hypot(x1 - x0, y1 - y0)
    done = 0.15
    while done < away:
        share = done / away
        room = _clear_at(x0 + share * (x1 - x0), y0 + share * (y1 - y0), stage)
        if room < BODY_RADIUS_M + 0.01 and away - done > 0.2:
            return False
        done += max(0.1, room - BODY_RADIUS_M)
    return True


@njit(cache=True)
def _waypoint(x: float, y: float, way: int, stage: Stage) -> tuple[float, float]:
    """The farthest place on the way that can be walked to straight."""
    rows, columns = stage.clearance_m.shape
    column = min(max(int((x - stage.origin_m[0]) / CELL_M), 0), columns - 1)
    row = min(max(int((y - stage.origin_m[1]) / CELL_M), 0), rows - 1)
    cell = row * columns + column
    best_x, best_y = x, y
    for step in range(_LOOK_CELLS):
        following = stage.next_cell[way, cell]
        if following < 0 or following == cell:
            break
        cell = following
        cx = stage.origin_m[0] + (cell % columns + 0.5) * CELL_M
        cy = stage.origin_m[1] + (cell // columns + 0.5) * CELL_M
        if step > 1 and step % 2 == 0:
            continue
        if step > 0 and not _straight(x, y, cx, cy, stage):
            break
        best_x, best_y = cx, cy
    return best_x, best_y


@njit(cache=True)
def _towards(a: Any, x: float, y: float, pace: float) -> tuple[float, float]:
    dx, dy = x - a.x, y - a.y
    away = np.hypot(dx, dy)
    if away < 1e-6:
        return 0.0, 0.0
    return pace * dx / away, pace * dy / away


@njit(cache=True)
def _towards_goal(a: Any, stage: Stage) -> tuple[float, float]:
    away = np.hypot(a.goal_x - a.x, a.goal_y - a.y)
    if away < 6.0 and _straight(a.x, a.y, a.goal_x, a.goal_y, stage):
        pace = min(a.pace, 0.12 + np.sqrt(2.0 * away)) if a.brakes else a.pace
        pace = min(pace, 0.12 + 1.6 * away) if a.brakes else pace
        return _towards(a, a.goal_x, a.goal_y, pace)
    x, y = _waypoint(a.x, a.y, a.way, stage)
    return _towards(a, x, y, a.pace)


@njit(cache=True)
def _beside_leader(agents: Records, i: int, stage: Stage) -> tuple[float, float]:
    a = agents[i]
    leader = agents[a.leader]
    away = np.hypot(leader.x - a.x, leader.y - a.y)
    leader_speed = np.hypot(leader.vx, leader.vy)
    if not _straight(a.x, a.y, leader.x, leader.y, stage):
        x, y = _waypoint(a.x, a.y, leader.way, stage)
        return _towards(a, x, y, min(a.pace * 1.25, MAX_SPEED_MPS))
    if leader_speed < 0.25:
        stands = np.hypot(a.vx, a.vy) < 0.1
        if away < (1.7 if stands else 1.1):
            return 0.0, 0.0
        return _towards(a, leader.x, leader.y, min(a.pace, 0.2 + away - 1.0))
    cos, sin = np.cos(leader.heading), np.sin(leader.heading)
    x = leader.x + 0.15 * cos - a.side * sin
    y = leader.y + 0.15 * sin + a.side * cos
    if not _straight(leader.x, leader.y, x, y, stage):
        x, y = leader.x - abs(a.side) * 1.25 * cos, leader.y - abs(a.side) * 1.25 * sin
    off = np.hypot(x - a.x, y - a.y)
    pace = min(max(leader_speed + 0.9 * (off - 0.1), 0.0), a.pace * 1.3, MAX_SPEED_MPS)
    along = leader.vx / leader_speed * (x - a.x) + leader.vy / leader_speed * (y - a.y)
    if along < -0.1:
        pace = min(pace, 0.6 * leader_speed)
        return pace * cos, pace * sin
    x, y = x + leader.vx * 0.5, y + leader.vy * 0.5
    return _towards(a, x, y, pace)


@njit(cache=True)
def _around_people(agents: Records, i: int, want_x: float, want_y: float, stage: Stage) -> tuple[float, float]:
    """The velocity nearest to the wanted one that meets nobody within the horizon (sampled)."""
    a = agents[i]
    if _danger(agents, i, want_x, want_y) == 0.0:
        return want_x, want_y
    best, best_x, best_y = 0.9 + _danger(agents, i, 0.0, 0.0), 0.0, 0.0
    room_here = _clear_at(a.x, a.y, stage)
    for angle in _ANGLES:
        cos, sin = np.cos(angle), np.sin(angle)
        ux, uy = want_x * cos - want_y * sin, want_x * sin + want_y * cos
        for share in _SPEED_SHARES:
            vx, vy = ux * share, uy * share
            room = min(
                _clear_at(a.x + 0.35 * vx, a.y + 0.35 * vy, stage),
                _clear_at(a.x + 0.8 * vx, a.y + 0.8 * vy, stage),
            )
            if room < min(BODY_RADIUS_M + 0.02, room_here):
                continue
            cost = 0.35 * abs(angle) + 0.45 * (1.0 - share) + (0.04 if angle > 0 else 0.0)
            cost += 0.12 * np.hypot(vx - a.vx, vy - a.vy)
            if cost < best:
                cost += _danger(agents, i, vx, vy)
            if cost < best:
                best, best_x, best_y = cost, vx, vy
    return best_x, best_y


@njit(cache=True)
def _kept_apart(a: Any) -> float:
    return float(max(_SQUEEZE_M, _APART_M - 0.04 * max(0.0, a.stuck_s - 1.5)))


@njit(cache=True)
def _danger(agents: Records, i: int, vx: float, vy: float) -> float:
    """0 where nobody comes close within the horizon, growing as the meeting is sooner."""
    a = agents[i]
    apart = _kept_apart(a)
    worst = 0.0
    for j in range(len(agents)):
        b = agents[j]
        if j == i or b.present == 0:
            continue
        dx, dy = b.x - a.x, b.y - a.y
        if abs(dx) > _SIGHT_M or abs(dy) > _SIGHT_M:
            continue
        company = (a.mode == FOLLOW and a.leader == j) or (b.mode == FOLLOW and b.leader == i)
        reach = apart + (0.04 if company or a.stuck_s > 1.5 else 0.14)
        rx, ry = vx - b.vx, vy - b.vy
        closing = dx * rx + dy * ry
        gap2 = dx * dx + dy * dy
        if gap2 < reach * reach:
            if closing > 1e-9:
                worst = max(worst, 2.0 + closing / np.sqrt(gap2 + 1e-9))
            continue
        speed2 = rx * rx + ry * ry
        if closing <= 0.0 or speed2 < 1e-9:
            continue
        root = closing * closing - speed2 * (gap2 - reach * reach)
        if root <= 0.0:
            continue
        meet_s = (closing - np.sqrt(root)) / speed2
        if meet_s < _HORIZON_S:
            worst = max(worst, 1.8 * (1.0 - meet_s / _HORIZON_S) + 0.2)
    return worst


@njit(cache=True)
def _accelerate(vx: float, vy: float, want_x: float, want_y: float, tick_s: float) -> tuple[float, float]:
    dx, dy = want_x - vx, want_y - vy
    change = np.hypot(dx, dy)
    slows = want_x * vx + want_y * vy < vx * vx + vy * vy
    most = (_BRAKING if slows else _ACCELERATION) * tick_s
    if change > most:
        dx, dy = dx * most / change, dy * most / change
    vx, vy = vx + dx, vy + dy
    speed = np.hypot(vx, vy)
    if speed > MAX_SPEED_MPS:
        vx, vy = vx * MAX_SPEED_MPS / speed, vy * MAX_SPEED_MPS / speed
    return vx, vy


@njit(cache=True)
def _move(agents: Records, i: int, vx: float, vy: float, stage: Stage) -> None:
    """Take the step, or as much of it as nobody and nothing stands in the way of."""
    a = agents[i]
    share = 1.0
    for _ in range(4):
        x, y = _out_of_things(
            a.x + share * vx * stage.tick_s, a.y + share * vy * stage.tick_s, stage.boxes, stage.discs
        )
        step = np.hypot(x - a.x, y - a.y)
        fits = (
            step <= MAX_SPEED_MPS * stage.tick_s
            and stage.size_m[0] <= x <= stage.size_m[2]
            and stage.size_m[1] <= y <= stage.size_m[3]
        )
        if fits and clearance_of(x, y, stage.boxes, stage.discs) >= BODY_RADIUS_M and not _bumps(agents, i, x, y):
            a.vx, a.vy = (x - a.x) / stage.tick_s, (y - a.y) / stage.tick_s
            a.x, a.y = x, y
            a.walked += step
            return
        share *= 0.5
    a.vx, a.vy = 0.0, 0.0


@njit(cache=True)
def _out_of_things(x: float, y: float, boxes: Floats, discs: Floats) -> tuple[float, float]:
    """The nearest place that a body does not reach into anything; pushed out twice, for corners."""
    for _ in range(2):
        for k in range(len(boxes)):
            nx = min(max(x, boxes[k, 0]), boxes[k, 2])
            ny = min(max(y, boxes[k, 1]), boxes[k, 3])
            away = np.hypot(x - nx, y - ny)
            if 1e-9 < away < _BODY_M:
                x, y = nx + (x - nx) * _BODY_M / away, ny + (y - ny) * _BODY_M / away
        for k in range(len(discs)):
            away = np.hypot(x - discs[k, 0], y - discs[k, 1])
            reach = discs[k, 2] + _BODY_M
            if 1e-9 < away < reach:
                x = discs[k, 0] + (x - discs[k, 0]) * reach / away
                y = discs[k, 1] + (y - discs[k, 1]) * reach / away
    return x, y


@njit(cache=True)
def _bumps(agents: Records, i: int, x: float, y: float) -> bool:
    """Whether the place comes too close to somebody, and closer than now; who is stuck for long squeezes by."""
    a = agents[i]
    apart = _kept_apart(a)
    for j in range(len(agents)):
        if j == i or agents[j].present == 0:
            continue
        gap = np.hypot(agents[j].x - x, agents[j].y - y)
        if gap < apart and gap < np.hypot(agents[j].x - a.x, agents[j].y - a.y) - 1e-9:
            return True
    return False


@njit(cache=True)
def _turn(a: Any, tick_s: float) -> None:
    speed = np.hypot(a.vx, a.vy)
    if speed > 0.2:
        target = np.arctan2(a.vy, a.vx)
    elif np.isnan(a.face) or a.mode == GO:
        return
    else:
        target = a.face
    off = (target - a.heading + np.pi) % (2.0 * np.pi) - np.pi
    most = _TURN_RATE * tick_s
    a.heading += min(max(off, -most), most)
    a.heading = (a.heading + np.pi) % (2.0 * np.pi) - np.pi
