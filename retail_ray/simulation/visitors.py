"""What shoppers and their company do, each as a script that the world runs step by step."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from retail_ray.simulation.crowd import Activity
from retail_ray.simulation.lanes import Lane
from retail_ray.simulation.places import Doorway
from retail_ray.simulation.queueing import Shop, join, pick_lane, wait_and_pay
from retail_ray.simulation.store import Point
from retail_ray.simulation.world import Follow, Go, Script, Stand, walk_until_there

_BROWSING = 0.8
_LANE_TRIES = 4


@dataclass(slots=True)
class Party:
    """People who came together, the leader first; `errand` is the lane at which the leader pays just now.

    `slots` are those who are on the floor, `busy` the slots of company that pays or waits at the errand's lane.
    """

    persons: tuple[int, ...]
    leader: int | None = None
    errand: Lane | None = None
    looking_at_m: Point | None = None
    slots: dict[int, int] = field(default_factory=dict)
    busy: set[int] = field(default_factory=set)

    def company(self) -> list[int]:
        return [slot for person, slot in self.slots.items() if person != self.persons[0]]


@dataclass(slots=True)
class Visitor:
    """One person's plan for one visit; `stops` are numbers of spots."""

    shop: Shop
    rng: np.random.Generator
    person: int
    party: Party
    doorway: Doorway
    lateral: int
    home_m: Point
    stops: tuple[int, ...] = ()
    buys: bool = False
    loiters: bool = False

    def visit(self, me: int) -> Script:
        """In by the door, from spot to spot, through the checkout, and away."""
        self._arrive(me)
        yield from self._come_in()
        yield from self.shopping(me)

    def shopping(self, me: int) -> Script:
        """The rest of the visit of somebody who is inside."""
        self._arrive(me)
        yield from self._look_around()
        for number, stop in enumerate(self.stops):
            if self.loiters and number == len(self.stops) // 2:
                yield from self._loiter()
            yield from self._shop_at(me, stop)
        if self.buys:
            yield from self._pay_together(me)
        yield from self._go_home(me)

    def turn_back(self, me: int) -> Script:
        """Over the door line and out again at once."""
        self._arrive(me)
        yield Go(self.doorway.outside_m[self.lateral], near_m=0.7, brakes=False)
        yield Go(self.doorway.inside_m[self.lateral], near_m=1.0 - self.rng.uniform(0.08, 0.3), brakes=False)
        yield from self._go_away(me)

    def accompany(self, me: int) -> Script:
        """Come in, stay with the leader, pay or wait at the checkout, and go home when the leader does."""
        self.party.slots[self.person] = me
        yield from self._come_in()
        while self.party.leader is not None:
            lane = self.party.errand
            if lane is not None and me in self.party.busy:
                yield from self._wait_or_pay(me, lane)
                self.party.busy.discard(me)
            if self.party.leader is not None:
                yield self._stay_beside(self.party.leader)
        yield from self._go_home(me)

    def _arrive(self, me: int) -> None:
        self.party.slots[self.person] = me
        self.party.leader = me

    def _come_in(self) -> Script:
        yield Go(self.doorway.outside_m[self.lateral], near_m=0.7, brakes=False)
        yield Go(self.doorway.inside_m[self.lateral], near_m=0.6, brakes=False)

    def _go_home(self, me: int) -> Script:
        if self.party.leader == me:
            self.party.leader = None
            self._wake_company()
        yield from walk_until_there(self.shop.world, me, self.doorway.inside_m[self.lateral], 0.7)
        yield from self._go_away(me)

    def _go_away(self, me: int) -> Script:
        yield from walk_until_there(self.shop.world, me, self.doorway.outside_m[self.lateral], 0.6)
        yield from walk_until_there(self.shop.world, me, self.home_m, 0.35)
        self.party.slots.pop(self.person, None)

    def _wake_company(self) -> None:
        for slot in self.party.company():
            self.shop.world.wake(slot)

    def _stay_beside(self, leader: int) -> Follow:
        look = self.party.looking_at_m
        reaches = look is not None and self.rng.random() < 0.25
        activity = Activity.REACH if reaches else Activity.WALK
        return Follow(leader, self.rng.uniform(1.5, 3.5 if reaches else 8.0), look, activity)

    def _look_around(self) -> Script:
        """Who has no list stays near the door for a moment."""
        if not self.stops:
            yield Go(self.doorway.inside_m[(self.lateral + 1) % len(self.doorway.inside_m)], give_up_after_s=10.0)
            yield Stand(self.rng.uniform(2.5, 9.0))

    def _shop_at(self, me: int, stop: int) -> Script:
        places = self.shop.places
        spot = places.take(stop)
        if spot is None:
            yield Stand(self.rng.uniform(1.0, 4.0))
            return
        here = places.spots[spot]
        yield Go(here.at_m, pace_share=_BROWSING)
        if not self.shop.world.gave_up(me):
            self.party.looking_at_m = here.look_at_m
            for _ in range(1 + int(self.rng.random() < 0.35)):
                yield Stand(self._a_while(), Activity.STAND, here.look_at_m)
                yield Stand(self.rng.uniform(1.4, 3.6), Activity.REACH, here.look_at_m)
        self.party.looking_at_m = None
        places.release(spot)

    def _a_while(self) -> float:
        return float(np.clip(self.shop.settings.stop_s * self.rng.lognormal(-0.2, 0.8), 0.8, 120.0))

    def _loiter(self) -> Script:
        """Stand about on a zone's border, now on this side of it and now on that."""
        borders = self.shop.places.borders
        if not borders:
            return
        pair = borders[int(self.rng.integers(len(borders)))]
        for step in range(int(self.rng.integers(2, 6))):
            spot = pair[step % 2]
            yield Go(spot.at_m, near_m=0.15, pace_share=0.5, give_up_after_s=20.0)
            yield Stand(self.rng.uniform(0.5, 6.0), Activity.STAND, spot.look_at_m)

    def _pay_together(self, me: int) -> Script:
        for _ in range(_LANE_TRIES):
            lane = pick_lane(self.shop, me)
            visit = None if lane is None else (yield from join(self.shop, me, self.person, lane))
            if lane is None or visit is None:
                yield Stand(self.rng.uniform(3.0, 12.0))
                continue
            self.party.errand = lane
            self.party.busy = set(self.party.company())
            self._wake_company()
            yield from wait_and_pay(self.shop, me, lane, visit, rng=self.rng, service_s=self._service_s())
            self.party.errand = None
            if self.party.busy:
                yield from self._wait_for_company(lane)
            return

    def _wait_for_company(self, lane: Lane) -> Script:
        self._wake_company()
        yield from self._step_aside(lane)
        until = self.shop.world.now_s + 60.0
        while self.party.busy and self.shop.world.now_s < until:
            yield Stand(2.0, Activity.STAND, lane.checkout.served_at_m)

    def _wait_or_pay(self, me: int, lane: Lane) -> Script:
        visit = (yield from join(self.shop, me, self.person, lane)) if self.buys else None
        if visit is not None:
            service_s = self.rng.uniform(2.5, 6.0)
            yield from wait_and_pay(self.shop, me, lane, visit, rng=self.rng, service_s=service_s)
            return
        yield from self._step_aside(lane)
        while self.party.errand is lane and self.party.leader is not None:
            yield Stand(5.0, Activity.STAND, lane.checkout.served_at_m)

    def _step_aside(self, lane: Lane) -> Script:
        choice = self.shop.waiting_m[lane.checkout.id]
        if choice:
            yield Go(choice[int(self.rng.integers(len(choice)))], near_m=0.3, give_up_after_s=15.0)

    def _service_s(self) -> float:
        return float(np.clip(self.shop.settings.service_s * self.rng.lognormal(-0.1, 0.45), 3.0, 240.0))
