"""The running simulation: agents whose scripts say what they do next, moved by the motion model tick by tick."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retail_ray.simulation.agents import AGENT, AWAKE, FOLLOW, GAVE_UP, GO, NOTHING, ROW, STAND, Span, Stage
from retail_ray.simulation.crowd import Activity
from retail_ray.simulation.motion import advance
from retail_ray.simulation.navigation import Ways, ground_of
from retail_ray.simulation.store import Point, StorePlan

_ROWS_PER_BLOCK = 1 << 17
_NEVER = np.iinfo(np.int64).max
_APART_AT_START_M = 0.6
_TRY_AGAIN_S = 0.7


@dataclass(frozen=True, slots=True)
class Go:
    """Walk to a place; done within `near_m` of it. Without brakes the walk goes on through the place."""

    to_m: Point
    near_m: float = 0.12
    brakes: bool = True
    activity: Activity = Activity.WALK
    pace_share: float = 1.0
    give_up_after_s: float = 90.0


@dataclass(frozen=True, slots=True)
class Stand:
    """Keep the place for a while (or until woken), looking at `look_at_m`."""

    seconds: float = math.inf
    activity: Activity = Activity.STAND
    look_at_m: Point | None = None


@dataclass(frozen=True, slots=True)
class Follow:
    """Stay beside the leader of the group until woken."""

    leader: int
    seconds: float = math.inf
    look_at_m: Point | None = None
    activity: Activity = Activity.WALK


Command = Go | Stand | Follow
Script = Iterator[Command]
"""Yields what to do next; ends when the agent leaves the floor."""

Scripted = Callable[[int], Script]
"""A script that waits to be told its agent's slot."""


@dataclass(frozen=True, slots=True)
class Start:
    """An agent to be: who, where, how fast, and the script to run once it stands on the floor."""

    person: int
    at_m: Point
    heading_rad: float
    pace_mps: float
    side_m: float
    script: Scripted


class World:
    """Agents by slot; the slot of who left is used again."""

    def __init__(self, plan: StorePlan, tick_s: float, record_from: int) -> None:
        self.plan = plan
        self.tick_s = tick_s
        self.tick = -1
        self.ground = ground_of(plan)
        self.ways = Ways(self.ground)
        self._record_from = record_from
        self._agents: NDArray[Any] = np.zeros(64, AGENT)
        self._scripts: list[Script | None] = [None] * 64
        self._count = 0
        self._plans: list[tuple[int, int, Callable[[], None]]] = []
        self._planned = 0
        self._blocks: list[NDArray[Any]] = []

    @property
    def now_s(self) -> float:
        return self.tick * self.tick_s

    def at(self, seconds: float, happening: Callable[[], None]) -> None:
        """Let this happen at a time (now, where that is past)."""
        self._planned += 1
        tick = max(self.tick, math.ceil(seconds / self.tick_s))
        heapq.heappush(self._plans, (tick, self._planned, happening))

    def enter(self, start: Start) -> None:
        """Put an agent on the floor, or a little later where somebody stands in its place."""
        if not self.is_free(start.at_m):
            self.at(self.now_s + _TRY_AGAIN_S, lambda: self.enter(start))
            return
        slot = self._free_slot()
        agent = self._agents[slot]
        agent["present"], agent["person"], agent["event"] = 1, start.person, NOTHING
        agent["x"], agent["y"] = start.at_m
        agent["vx"] = agent["vy"] = agent["walked"] = agent["stuck_s"] = 0.0
        agent["heading"], agent["face"] = start.heading_rad, math.nan
        agent["usual_pace"], agent["side"], agent["leader"] = start.pace_mps, start.side_m, slot
        self._scripts[slot] = start.script(slot)
        self._next(slot)

    def is_free(self, place_m: Point) -> bool:
        """Whether nobody stands too close for one more."""
        there = self._agents[: self._count]
        away = np.hypot(there["x"] - place_m[0], there["y"] - place_m[1])
        return not bool(((away < _APART_AT_START_M) & (there["present"] == 1)).any())

    def place_m(self, slot: int) -> Point:
        return float(self._agents[slot]["x"]), float(self._agents[slot]["y"])

    def away_m(self, slot: int, place_m: Point) -> float:
        return math.dist(self.place_m(slot), place_m)

    def gave_up(self, slot: int) -> bool:
        """Whether the last walk ended without arriving."""
        return int(self._agents[slot]["event"]) in (GAVE_UP, AWAKE)

    def wake(self, slot: int, after_s: float = 0.0) -> None:
        """End what the agent stands or follows for; a walk goes on to its end."""
        if self._agents[slot]["mode"] != GO:
            tick = self.tick + max(1, round(after_s / self.tick_s))
            self._agents[slot]["wake"] = min(int(self._agents[slot]["wake"]), tick)

    def run(self, ticks: int) -> NDArray[Any]:
        """Go on to this tick; the rows of `motion.ROW` of everybody from `record_from` on."""
        block, used = np.zeros(_ROWS_PER_BLOCK, ROW), 0
        while self.tick < ticks:
            self._happen()
            if used + self._count > len(block):
                self._blocks.append(block[:used])
                block, used = np.zeros(max(_ROWS_PER_BLOCK, 4 * self._count), ROW), 0
            until = min(ticks, self._plans[0][0] - 1) if self._plans else ticks
            used = self._advance(until, block, used)
            self._decide()
        return np.concatenate([*self._blocks, block[:used]])

    def _happen(self) -> None:
        while self._plans and self._plans[0][0] <= self.tick + 1:
            heapq.heappop(self._plans)[2]()

    def _advance(self, until: int, block: NDArray[Any], used: int) -> int:
        ground = self.ground
        stage = Stage(
            np.array(ground.origin_m, np.float64),
            np.array(self.plan.floor_m, np.float64),
            ground.clearance_m,
            ground.boxes,
            ground.discs,
            self.ways.next_cell,
            self.tick_s,
        )
        span = Span(self.tick, until, self._record_from)
        self.tick, used = advance(self._agents[: self._count], stage, span, block, used)
        return int(used)

    def _decide(self) -> None:
        for slot in np.flatnonzero(self._agents["event"][: self._count]):
            self._next(int(slot))

    def _next(self, slot: int) -> None:
        script = self._scripts[slot]
        command = None if script is None else next(script, None)
        agent = self._agents[slot]
        agent["event"] = NOTHING
        if command is None:
            agent["present"] = 0
            self._scripts[slot] = None
        else:
            self._obey(slot, command)

    def _obey(self, slot: int, command: Command) -> None:
        agent = self._agents[slot]
        agent["activity"] = command.activity
        if isinstance(command, Go):
            agent["mode"] = GO
            agent["goal_x"], agent["goal_y"] = command.to_m
            agent["near"], agent["brakes"] = command.near_m, command.brakes
            agent["pace"] = agent["usual_pace"] * command.pace_share
            agent["way"] = self.ways.to(command.to_m)
            agent["wake"] = self._tick_in(command.give_up_after_s)
            return
        look = command.look_at_m
        agent["face"] = math.nan if look is None else math.atan2(look[1] - agent["y"], look[0] - agent["x"])
        agent["wake"] = self._tick_in(command.seconds)
        agent["mode"] = STAND
        if isinstance(command, Follow):
            agent["mode"], agent["leader"], agent["pace"] = FOLLOW, command.leader, agent["usual_pace"]

    def _tick_in(self, seconds: float) -> int:
        return _NEVER if math.isinf(seconds) else self.tick + max(1, math.ceil(seconds / self.tick_s))

    def _free_slot(self) -> int:
        free = np.flatnonzero(self._agents["present"][: self._count] == 0)
        if len(free):
            return int(free[0])
        if self._count == len(self._agents):
            self._agents = np.concatenate([self._agents, np.zeros_like(self._agents)])
            self._scripts += [None] * self._count
        self._count += 1
        return self._count - 1


def walk_until_there(world: World, me: int, place_m: Point, near_m: float) -> Script:
    """On and on without stopping at the place, however long others stand in the way."""
    yield Go(place_m, near_m, brakes=False)
    while world.gave_up(me):
        yield Go(place_m, near_m, brakes=False)
