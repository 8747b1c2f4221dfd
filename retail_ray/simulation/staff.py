"""What staff and passers-by do, each as a script that the world runs step by step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from retail_ray.simulation.crowd import Activity
from retail_ray.simulation.lanes import Lane
from retail_ray.simulation.places import Doorway, Spot
from retail_ray.simulation.queueing import Shop
from retail_ray.simulation.store import Point
from retail_ray.simulation.world import Go, Script, Scripted, Stand, walk_until_there

_BREAK_AFTER_S = (5_400.0, 12_600.0)
_BREAK_S = (300.0, 900.0)


@dataclass(slots=True)
class Cashier:
    """Stays behind one checkout's counter, which is open from then on."""

    shop: Shop
    rng: np.random.Generator
    lane: Lane

    def work(self, me: int) -> Script:  # noqa: ARG002
        checkout = self.lane.checkout
        yield Go(checkout.cashier_at_m, near_m=0.1)
        self.lane.open = True
        while True:
            yield Stand(self.rng.uniform(4.0, 20.0), Activity.WORK, checkout.served_at_m)
            yield Stand(self.rng.uniform(2.0, 6.0), Activity.STAND, checkout.lane_m[-1])


@dataclass(slots=True)
class Assistant:
    """Fills shelves, is in the staff zone now and then, and has a break outside every few hours.

    `again` lets the same person come back at a time, with a script.
    """

    shop: Shop
    rng: np.random.Generator
    doorway: Doorway
    home_m: Point
    again: Callable[[float, Scripted], None]

    def work(self, me: int) -> Script:
        pause_s = self.shop.world.now_s + self.rng.uniform(*_BREAK_AFTER_S)
        while self.shop.world.now_s < pause_s:
            if self.shop.places.staff_spots and self.rng.random() < 0.25:
                yield from self._be_at(self._any(self.shop.places.staff_spots), self.rng.uniform(20.0, 150.0))
            else:
                yield from self._fill_shelf(me)
        yield from walk_until_there(self.shop.world, me, self.doorway.inside_m[1], 0.7)
        yield from walk_until_there(self.shop.world, me, self.doorway.outside_m[1], 0.6)
        yield from walk_until_there(self.shop.world, me, self.home_m, 0.35)
        self.again(self.shop.world.now_s + self.rng.uniform(*_BREAK_S), self._come_back)

    def _come_back(self, me: int) -> Script:
        yield Go(self.doorway.outside_m[1], near_m=0.7, brakes=False)
        yield Go(self.doorway.inside_m[1], near_m=0.6, brakes=False)
        yield from self.work(me)

    def _fill_shelf(self, me: int) -> Script:
        places = self.shop.places
        wanted = places.take(int(self.rng.integers(len(places.spots)))) if places.spots else None
        if wanted is None:
            yield Stand(5.0)
            return
        yield from self._be_at(places.spots[wanted], self.rng.uniform(12.0, 90.0), me)
        places.release(wanted)

    def _be_at(self, spot: Spot, seconds: float, me: int | None = None) -> Script:
        yield Go(spot.at_m)
        if me is None or not self.shop.world.gave_up(me):
            yield Stand(seconds, Activity.WORK, spot.look_at_m)

    def _any(self, spots: tuple[Spot, ...]) -> Spot:
        return spots[int(self.rng.integers(len(spots)))]


@dataclass(slots=True)
class PasserBy:
    """Walks along the pavement; some keep close to the door, and a few of them stop to look in."""

    rng: np.random.Generator
    doorway: Doorway
    to_m: Point
    close: bool

    def walk(self, me: int) -> Script:  # noqa: ARG002
        if self.close:
            place = int(self.rng.integers(len(self.doorway.passing_m)))
            stops = bool(self.rng.random() < 0.2)
            yield Go(self.doorway.passing_m[place], near_m=0.3, brakes=stops)
            if stops:
                yield Stand(self.rng.uniform(1.5, 6.0), Activity.STAND, self.doorway.inside_m[place])
        yield Go(self.to_m, near_m=0.35, brakes=False)
