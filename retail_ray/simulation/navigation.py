"""Where people can walk: clearance of the floor, and for each goal the next cell of the cheapest way to it."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numba import njit
from numpy.typing import NDArray

from retail_ray.simulation.store import Point, StorePlan, Wall

CELL_M = 0.2
BODY_RADIUS_M = 0.22
WALKABLE_M = 0.25
_WALL_HALF_M = 0.05
_DECOY_RADIUS_M = {"mannequin": 0.25, "trolley": 0.35, "poster": 0.0, "mirror": 0.0}
_COMFORT_M = 0.6
_LANE_COST = 2.5
_GOAL_REACH_M = 0.5
_NO_CELL = -1

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Ground:
    """The floor as a grid of square cells. `boxes` (N, 4) x0, y0, x1, y1; `discs` (N, 3) x, y, radius, all in metres.

    clearance_m: (rows, columns) distance of each cell's centre to the nearest obstacle, negative inside one.
    cost: (rows, columns) how much dearer than open floor a metre is here; infinite where nobody can walk.
    """

    origin_m: Point
    boxes: Floats
    discs: Floats
    clearance_m: Floats
    cost: Floats

    def cell(self, point_m: Point) -> tuple[int, int]:
        """Row and column, held inside the grid."""
        rows, columns = self.clearance_m.shape
        row = int((point_m[1] - self.origin_m[1]) / CELL_M)
        column = int((point_m[0] - self.origin_m[0]) / CELL_M)
        return min(max(row, 0), rows - 1), min(max(column, 0), columns - 1)

    def clearance_at(self, point_m: Point) -> float:
        """Exact distance to the nearest obstacle, negative inside one."""
        return float(clearance_of(point_m[0], point_m[1], self.boxes, self.discs))


def ground_of(plan: StorePlan) -> Ground:
    """The plan's floor; the queueing lanes are dear, so that people who do not queue go around them."""
    x0, y0, x1, y1 = plan.floor_m
    solids = [[*fixture.area_m] for fixture in plan.fixtures]
    solids += [piece for wall in plan.walls for piece in _slabs(wall)]
    boxes = np.array(solids, np.float64).reshape(-1, 4)
    discs = np.array(
        [[*thing.at_m, radius] for thing in plan.decoys if (radius := _DECOY_RADIUS_M[thing.kind]) > 0.0], np.float64
    ).reshape(-1, 3)
    rows, columns = int(np.ceil((y1 - y0) / CELL_M)), int(np.ceil((x1 - x0) / CELL_M))
    clearance = _clearance_grid((x0, y0), (rows, columns), boxes, discs)
    cost = 1.0 + 1.5 * np.clip(1.0 - clearance / _COMFORT_M, 0.0, 1.0)
    _make_lanes_dear(plan, (x0, y0), cost)
    cost[clearance < WALKABLE_M] = np.inf
    return Ground((x0, y0), boxes, discs, clearance, cost)


def _slabs(wall: Wall) -> list[list[float]]:
    """A wall as thin boxes: one, or a row of short ones where it is slanted."""
    start, end = np.array(wall.start_m, np.float64), np.array(wall.end_m, np.float64)
    slant = float(np.abs(end - start).min())
    pieces = max(1, int(np.ceil(slant / _WALL_HALF_M)))
    corners = [start + (end - start) * k / pieces for k in range(pieces + 1)]
    low = [np.minimum(a, b) - _WALL_HALF_M for a, b in pairwise(corners)]
    high = [np.maximum(a, b) + _WALL_HALF_M for a, b in pairwise(corners)]
    return [[*map(float, a), *map(float, b)] for a, b in zip(low, high, strict=True)]


def _make_lanes_dear(plan: StorePlan, origin_m: Point, cost: Floats) -> None:
    rows, columns = np.indices(cost.shape)
    x, y = origin_m[0] + (columns + 0.5) * CELL_M, origin_m[1] + (rows + 0.5) * CELL_M
    for checkout in plan.checkouts:
        way = (*checkout.lane_m, checkout.served_at_m)
        for start, end in pairwise(way):
            length2 = (end[0] - start[0]) ** 2 + (end[1] - start[1]) ** 2 + 1e-12
            share = ((x - start[0]) * (end[0] - start[0]) + (y - start[1]) * (end[1] - start[1])) / length2
            share = np.clip(share, 0.0, 1.0)
            away = np.hypot(x - start[0] - share * (end[0] - start[0]), y - start[1] - share * (end[1] - start[1]))
            cost[away < 0.5] = np.maximum(cost[away < 0.5], _LANE_COST)


@dataclass(slots=True)
class Ways:
    """The flow fields, one a goal, made when first asked for. `next_cell` is (goals, cells) int32."""

    ground: Ground
    next_cell: NDArray[np.int32] = field(init=False)
    _known: dict[tuple[int, int], int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.next_cell = np.empty((16, self.ground.cost.size), np.int32)

    def to(self, goal_m: Point) -> int:
        """The number of the field that leads to this place."""
        key = (round(goal_m[0] * 100), round(goal_m[1] * 100))
        number = self._known.get(key)
        if number is None:
            number = self._known[key] = len(self._known)
            if number == len(self.next_cell):
                self.next_cell = np.concatenate([self.next_cell, np.empty_like(self.next_cell)])
            self.next_cell[number] = flow_field(self.ground, goal_m)[0]
        return number


def flow_field(ground: Ground, goal_m: Point) -> tuple[NDArray[np.int32], Floats]:
    """(cells,) next cell on the way to the goal, -1 where none leads there, and (cells,) the way's cost."""
    near = ground_cells_near(ground, goal_m)
    return _dijkstra(ground.cost, ground.clearance_m, np.array(near, np.int64))


def ground_cells_near(ground: Ground, point_m: Point, reach_m: float = _GOAL_REACH_M) -> list[int]:
    """Walkable cells at this place: the own cell or, where that is too close to something, those around it."""
    rows, columns = ground.cost.shape
    row, column = ground.cell(point_m)
    if np.isfinite(ground.cost[row, column]):
        return [row * columns + column]
    steps = int(np.ceil(reach_m / CELL_M))
    cells = ((r, c) for r in range(row - steps, row + steps + 1) for c in range(column - steps, column + steps + 1))
    inside = [(r, c) for r, c in cells if 0 <= r < rows and 0 <= c < columns and np.isfinite(ground.cost[r, c])]
    return [r * columns + c for r, c in inside if _can_see(ground, point_m, r, c)]


def _can_see(ground: Ground, point_m: Point, row: int, column: int) -> bool:
    x = ground.origin_m[0] + (column + 0.5) * CELL_M
    y = ground.origin_m[1] + (row + 0.5) * CELL_M
    shares = np.linspace(0.0, 1.0, 6)
    way: Iterable[Point] = ((point_m[0] + s * (x - point_m[0]), point_m[1] + s * (y - point_m[1])) for s in shares)
    return all(ground.clearance_at(point) > BODY_RADIUS_M - 0.02 for point in way)


@njit(cache=True)
def clearance_of(x: float, y: float, boxes: Floats, discs: Floats) -> float:
    """Distance to the nearest box or disc, negative inside one."""
    nearest = 1e9
    for i in range(len(boxes)):
        dx = max(boxes[i, 0] - x, 0.0, x - boxes[i, 2])
        dy = max(boxes[i, 1] - y, 0.0, y - boxes[i, 3])
        away = np.sqrt(dx * dx + dy * dy)
        if away == 0.0:
            away = -min(x - boxes[i, 0], boxes[i, 2] - x, y - boxes[i, 1], boxes[i, 3] - y)
        nearest = min(nearest, away)
    for i in range(len(discs)):
        nearest = min(nearest, np.sqrt((x - discs[i, 0]) ** 2 + (y - discs[i, 1]) ** 2) - discs[i, 2])
    return nearest


@njit(cache=True)
def _clearance_grid(origin_m: Point, shape: tuple[int, int], boxes: Floats, discs: Floats) -> Floats:
    (x0, y0), (rows, columns) = origin_m, shape
    grid = np.empty((rows, columns))
    for row in range(rows):
        for column in range(columns):
            grid[row, column] = clearance_of(x0 + (column + 0.5) * CELL_M, y0 + (row + 0.5) * CELL_M, boxes, discs)
    return grid


@njit(cache=True)
def _dijkstra(cost: Floats, clearance: Floats, goals: NDArray[np.int64]) -> tuple[NDArray[np.int32], Floats]:
    rows, columns = cost.shape
    way = np.full(rows * columns, np.inf)
    next_cell = np.full(rows * columns, _NO_CELL, np.int32)
    heap = [(0.0, np.int64(-1))]
    heap.pop()
    for goal in goals:
        way[goal] = 0.0
        next_cell[goal] = goal
        heapq.heappush(heap, (0.0, goal))
    while len(heap) > 0:
        so_far, cell = heapq.heappop(heap)
        if so_far > way[cell]:
            continue
        row, column = cell // columns, cell % columns
        for dr in range(-1, 2):
            for dc in range(-1, 2):
                r, c = row + dr, column + dc
                if (dr == 0 and dc == 0) or r < 0 or c < 0 or r >= rows or c >= columns or np.isinf(cost[r, c]):
                    continue
                if dr != 0 and dc != 0 and (np.isinf(cost[row, c]) or np.isinf(cost[r, column])):
                    continue
                total = so_far + np.sqrt(dr * dr + dc * dc) * CELL_M * 0.5 * (cost[r, c] + cost[row, column])
                other = r * columns + c
                if total < way[other] - 1e-9:
                    way[other] = total
                    next_cell[other] = cell
                    heapq.heappush(heap, (total, np.int64(other)))
    _lead_out(cost, clearance, way, next_cell)
    return next_cell, way


@njit(cache=True)
def _lead_out(cost: Floats, clearance: Floats, way: Floats, next_cell: NDArray[np.int32]) -> None:
    """Cells too close to something are nobody's way, but who stands there must find out again."""
    rows, columns = cost.shape
    for row in range(rows):
        for column in range(columns):
            if not np.isinf(cost[row, column]) or clearance[row, column] < 0.0:
                continue
            best = np.inf
            for r in range(max(row - 2, 0), min(row + 3, rows)):
                for c in range(max(column - 2, 0), min(column + 3, columns)):
                    if np.isinf(cost[r, c]) or clearance[(r + row) // 2, (c + column) // 2] < 0.0:
                        continue
                    total = way[r * columns + c] + 3.0 * np.sqrt((r - row) ** 2 + (c - column) ** 2) * CELL_M
                    if total < best:
                        best = total
                        next_cell[row * columns + column] = r * columns + c
