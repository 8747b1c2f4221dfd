"""Going through a checkout: choose a lane, join its tail, move up, be served, or lose patience."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

import numpy as np

from retail_ray.simulation.crowd import Activity
from retail_ray.simulation.lanes import Lane, QueueVisit
from retail_ray.simulation.places import Places
from retail_ray.simulation.settings import ScenarioSettings
from retail_ray.simulation.store import Point
from retail_ray.simulation.world import Command, Go, Script, Stand, World

_JOIN_M = 0.45
_AT_PLACE_M = 0.3
_TRIES = 12


@dataclass(slots=True)
class Shop:
    """What all scripts share; `waiting_m` has the places beside each checkout for company that does not queue."""

    world: World
    places: Places
    settings: ScenarioSettings
    lanes: tuple[Lane, ...]
    waiting_m: dict[str, tuple[Point, ...]]


def pick_lane(shop: Shop, me: int) -> Lane | None:
    """The open lane with the shortest queue, the nearest of equals; None where none has room."""
    lanes = [lane for lane in shop.lanes if lane.open and lane.has_room]
    return min(lanes, key=lambda lane: (lane.length, shop.world.away_m(me, lane.slots_m[0])), default=None)


def join(shop: Shop, me: int, person: int, lane: Lane) -> Generator[Command, None, QueueVisit | None]:
    """Walk to the tail until standing there; None where the lane filled up or cannot be got to."""
    for _ in range(_TRIES):
        if not lane.has_room:
            return None
        place = len(lane.members)
        yield Go(lane.slots_m[place], near_m=_JOIN_M, pace_share=0.9)
        if shop.world.gave_up(me):
            return None
        if len(lane.members) <= place and shop.world.away_m(me, lane.slots_m[len(lane.members)]) < 2 * _JOIN_M:
            return lane.join(me, person, shop.world.now_s)
    return None


def wait_and_pay(
    shop: Shop, me: int, lane: Lane, visit: QueueVisit, *, rng: np.random.Generator, service_s: float
) -> Generator[Command, None, bool]:
    """Move up as the queue does, then be served; False for who loses patience first."""
    patience = visit.join_s + shop.settings.patience_s * rng.uniform(0.5, 1.5)
    while not lane.may_step_up(me):
        if shop.world.now_s >= patience and lane.members[0] != me:
            lane.abandon(me, visit, shop.world.now_s)
            _move_up(shop, lane, rng)
            return False
        yield from _keep_place(shop, me, lane, patience)
    lane.step_up(me)
    _move_up(shop, lane, rng)
    yield Go(lane.checkout.served_at_m, near_m=0.15, pace_share=0.7, activity=Activity.QUEUE)
    lane.serve(visit, shop.world.now_s)
    yield Stand(service_s, Activity.SERVED, lane.checkout.cashier_at_m)
    lane.finish(visit, shop.world.now_s)
    _move_up(shop, lane, rng)
    return True


def _keep_place(shop: Shop, me: int, lane: Lane, patience_s: float) -> Script:
    place = lane.members.index(me)
    ahead = lane.slots_m[place - 1] if place else lane.checkout.served_at_m
    if shop.world.away_m(me, lane.slots_m[place]) > _AT_PLACE_M:
        yield Go(lane.slots_m[place], 0.12, activity=Activity.QUEUE, pace_share=0.6, give_up_after_s=6.0)
    else:
        left = patience_s - shop.world.now_s
        yield Stand(left if left > 0.0 else 2.0, Activity.QUEUE, ahead)


def _move_up(shop: Shop, lane: Lane, rng: np.random.Generator) -> None:
    delay = 0.0
    for slot in lane.members:
        shop.world.wake(slot, delay)
        delay += float(rng.uniform(0.25, 0.8))
