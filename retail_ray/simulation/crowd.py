"""Who is in the store and where everybody is at each tick: what the motion model gives to renderer and truth."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from retail_ray.core.checks import require
from retail_ray.simulation.appearance import Appearance

PersonKind = Literal["shopper", "staff", "passer_by"]
NO_GROUP = -1


class Activity(IntEnum):
    """What a person does; decides the pose."""

    WALK = 0
    STAND = 1
    REACH = 2
    QUEUE = 3
    SERVED = 4
    WORK = 5


@dataclass(frozen=True, slots=True)
class Person:
    """One human being for the whole scenario, also when leaving and coming back. Ids count from 1."""

    person_id: int
    kind: PersonKind
    appearance: Appearance
    group_id: int = NO_GROUP
    pushes_trolley: bool = False


@dataclass(frozen=True, slots=True)
class Crowd:
    """Everybody at every tick, as parallel arrays ordered by (tick, person_id); absent people have no row.

    tick: (N,) int32, time = tick × tick_s. person_id: (N,) int32. xy_m: (N, 2) float32.
    heading_rad: (N,) float32. speed_mps: (N,) float32. walked_m: (N,) float32, way since the person appeared; it
    drives the walking cycle. activity: (N,) uint8, see Activity.
    """

    tick_s: float
    ticks: int
    people: tuple[Person, ...]
    tick: NDArray[np.int32]
    person_id: NDArray[np.int32]
    xy_m: NDArray[np.float32]
    heading_rad: NDArray[np.float32]
    speed_mps: NDArray[np.float32]
    walked_m: NDArray[np.float32]
    activity: NDArray[np.uint8]

    def __post_init__(self) -> None:
        n = len(self.tick)
        require("Crowd.tick", self.tick, (n,), np.int32)
        require("Crowd.person_id", self.person_id, (n,), np.int32)
        require("Crowd.xy_m", self.xy_m, (n, 2), np.float32)
        require("Crowd.heading_rad", self.heading_rad, (n,), np.float32)
        require("Crowd.speed_mps", self.speed_mps, (n,), np.float32)
        require("Crowd.walked_m", self.walked_m, (n,), np.float32)
        require("Crowd.activity", self.activity, (n,), np.uint8)

    def __len__(self) -> int:
        return len(self.tick)

    @property
    def duration_s(self) -> float:
        return self.ticks * self.tick_s

    def rows_at(self, tick: int) -> slice:
        """The rows of one tick."""
        low, high = np.searchsorted(self.tick, [tick, tick + 1])
        return slice(int(low), int(high))
