"""Who comes and when: Poisson arrivals with a day's shape, groups, shopping lists, staff and passers-by."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from retail_ray.simulation.crowd import NO_GROUP, PersonKind
from retail_ray.simulation.navigation import WALKABLE_M
from retail_ray.simulation.places import Doorway, Spot
from retail_ray.simulation.queueing import Shop
from retail_ray.simulation.settings import ScenarioSettings
from retail_ray.simulation.staff import Assistant, Cashier, PasserBy
from retail_ray.simulation.store import Point
from retail_ray.simulation.visitors import Party, Visitor
from retail_ray.simulation.world import Script, Scripted, Start

_GROUP_SIZES = (2, 3, 4)
_GROUP_WEIGHTS = (0.68, 0.22, 0.10)
_SIDES_M = (0.62, -0.62, 1.15)
_BESIDE_M = ((0.0, 0.65), (0.0, -0.65), (0.65, 0.0))
_NEXT_IN_GROUP_S = 0.5


@dataclass(frozen=True, slots=True)
class Known:
    """One person of the scenario; `id` counts from 0 in order of planning."""

    id: int
    kind: PersonKind
    group: int = NO_GROUP
    pushes_trolley: bool = False
    turns_back: bool = False


@dataclass(slots=True)
class Population:
    """Plans every arrival before the simulation starts; each person has a random stream of their own."""

    shop: Shop
    seed: int
    people: list[Known] = field(default_factory=list)
    _groups: int = 0

    def plan_all(self) -> None:
        """Everybody who comes from the begin of the warm-up to the end."""
        settings, rng = self.shop.settings, self._stream(0)
        self._staff()
        for at_s in arrival_times(settings, settings.arrivals_per_hour, rng):
            self._visitors(at_s, rng)
        for at_s in arrival_times(settings, settings.passers_by_per_hour, rng):
            self._passer_by(at_s, rng)
        latest = max(settings.warm_up_s - 1.0, 0.0)
        for _ in range(settings.initial_shoppers):
            self._already_inside(rng.uniform(max(0.0, latest - 60.0), latest))

    def _stream(self, *key: int) -> np.random.Generator:
        return np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=key))

    def _person(self, kind: PersonKind, group: int = NO_GROUP, **marks: bool) -> Known:
        known = Known(len(self.people), kind, group, **marks)
        self.people.append(known)
        return known

    def _staff(self) -> None:
        lanes = self.shop.lanes
        for number in range(self.shop.settings.staff):
            known = self._person("staff")
            rng = self._stream(1, known.id)
            if number < len(lanes):
                cashier = Cashier(self.shop, rng, lanes[number])
                self._enter_at(0.0, known, lanes[number].checkout.cashier_at_m, cashier.work, rng=rng)
            else:
                spots = self.shop.places.staff_spots or self.shop.places.spots
                self._start_among(0.0, spots, known, self._assistant(known, rng).work, rng=rng)

    def _assistant(self, known: Known, rng: np.random.Generator) -> Assistant:
        home = self._end(rng)

        def again(at_s: float, script: Scripted) -> None:
            self._enter_at(at_s, known, home, script, rng=rng)

        return Assistant(self.shop, rng, self._doorway(rng), home, again)

    def _visitors(self, at_s: float, rng: np.random.Generator) -> None:
        settings = self.shop.settings
        kind = rng.random()
        if kind < settings.uturn_share:
            self._alone(at_s, rng, turns_back=True)
        elif kind < settings.uturn_share + settings.bounce_share:
            self._alone(at_s, rng, bounces=True)
        elif rng.random() < settings.group_share:
            self._group(at_s, int(rng.choice(_GROUP_SIZES, p=_GROUP_WEIGHTS)))
        else:
            self._alone(at_s, rng)

    def _alone(self, at_s: float, rng: np.random.Generator, *, turns_back: bool = False, bounces: bool = False) -> None:
        trolley = not turns_back and bool(rng.random() < self.shop.settings.trolley_share)
        known = self._person("shopper", pushes_trolley=trolley, turns_back=turns_back)
        own = self._stream(1, known.id)
        visitor = self._visitor(known, Party((known.id,)), own, bounces=bounces)
        script = visitor.turn_back if turns_back else visitor.visit
        again = not turns_back and bool(own.random() < self.shop.settings.reentry_share)
        self._enter_at(at_s, known, self._end(own), self._coming_back(script, known, own) if again else script, rng=own)

    def _coming_back(self, script: Scripted, known: Known, rng: np.random.Generator) -> Scripted:
        """The visit, and a second one some minutes later."""

        def both(me: int) -> Script:
            yield from script(me)
            again = self._visitor(known, Party((known.id,)), rng)
            later = self.shop.world.now_s + self.shop.settings.away_s * float(np.clip(rng.exponential(), 0.2, 4.0))
            self._enter_at(later, known, self._end(rng), again.visit, rng=rng)

        return both

    def _group(self, at_s: float, size: int) -> None:
        members = [self._person("shopper", self._groups) for _ in range(size)]
        self._groups += 1
        party = Party(tuple(known.id for known in members))
        streams = [self._stream(1, known.id) for known in members]
        leader = self._visitor(members[0], party, streams[0])
        home = self._end(streams[0])
        pace = min(_pace(streams[0]), 1.3)
        self._enter_at(at_s, members[0], home, leader.visit, rng=streams[0], pace_mps=pace)
        for number, (known, own) in enumerate(zip(members[1:], streams[1:], strict=True)):
            companion = self._visitor(known, party, own, like=leader)
            side = _SIDES_M[number] * (1.0 if own.random() < 0.5 or number else -1.0)
            when, start = at_s + _NEXT_IN_GROUP_S * (number + 1), self._beside(home, number)
            self._enter_at(when, known, start, companion.accompany, rng=own, pace_mps=pace, side_m=side)

    def _beside(self, end_m: Point, number: int) -> Point:
        """The place of the next in a group: beside the pavement's end where that is floor, else at it."""
        dx, dy = _BESIDE_M[number]
        x0, y0, x1, y1 = self.shop.world.plan.floor_m
        place = (end_m[0] + dx, end_m[1] + dy)
        on_floor = x0 < place[0] < x1 and y0 < place[1] < y1
        return place if on_floor and self.shop.world.ground.clearance_at(place) > WALKABLE_M else end_m

    def _already_inside(self, at_s: float) -> None:
        known = self._person("shopper")
        own = self._stream(1, known.id)
        visitor = self._visitor(known, Party((known.id,)), own)
        visitor.stops = visitor.stops[: 1 + int(own.integers(max(1, len(visitor.stops))))]
        self._start_among(at_s, self.shop.places.spots, known, visitor.shopping, rng=own)

    def _start_among(
        self, at_s: float, spots: Sequence[Spot], known: Known, script: Scripted, *, rng: np.random.Generator
    ) -> None:
        """Begin at some spot that is free at that time; where none is, the person never comes."""

        def start() -> None:
            places = [spots[int(number)].at_m for number in rng.permutation(len(spots))]
            free = next((place for place in places if self.shop.world.is_free(place)), None)
            if free is not None:
                self._enter_at(at_s, known, free, script, rng=rng)

        self.shop.world.at(at_s, start)

    def _passer_by(self, at_s: float, rng: np.random.Generator) -> None:
        known = self._person("passer_by")
        own = self._stream(1, known.id)
        ends = self.shop.world.plan.pavement_ends_m
        start = self._end(own)
        others = sorted(ends, key=lambda end: -math.dist(end, start))[: max(1, len(ends) // 2)]
        target = others[int(own.integers(len(others)))]
        close = bool(rng.random() < self.shop.settings.near_door_share)
        self._enter_at(at_s, known, start, PasserBy(own, self._doorway(own), target, close).walk, rng=own)

    def _visitor(
        self,
        known: Known,
        party: Party,
        rng: np.random.Generator,
        *,
        bounces: bool = False,
        like: Visitor | None = None,
    ) -> Visitor:
        doorway = like.doorway if like else self._doorway(rng)
        lateral = int(rng.integers(len(doorway.inside_m)))
        stops = () if bounces or like else self._shopping_list(rng)
        buys = bool(rng.random() < (0.5 if like else self.shop.settings.buyer_share)) and bool(stops or like)
        loiters = bool(rng.random() < self.shop.settings.loiter_share)
        home = like.home_m if like else self._end(rng)
        return Visitor(self.shop, rng, known.id, party, doorway, lateral, home, stops, buys, loiters)

    def _shopping_list(self, rng: np.random.Generator) -> tuple[int, ...]:
        """Spots by popularity, in the order of a walk from each to one of the nearest that are left."""
        places = self.shop.places
        count = min(1 + int(rng.poisson(max(self.shop.settings.stops_mean - 1.0, 0.0))), len(places.spots) // 2)
        if count < 1:
            return ()
        wanted = [int(s) for s in rng.choice(len(places.spots), count, replace=False, p=places.popularity)]
        here, tour = places.doorways[0].inside_m[1], []
        while wanted:
            wanted.sort(key=lambda spot: math.dist(places.spots[spot].at_m, here))
            tour.append(wanted.pop(0 if rng.random() < 0.75 else int(rng.integers(len(wanted)))))
            here = places.spots[tour[-1]].at_m
        return tuple(tour)

    def _doorway(self, rng: np.random.Generator) -> Doorway:
        return self.shop.places.doorways[int(rng.integers(len(self.shop.places.doorways)))]

    def _end(self, rng: np.random.Generator) -> Point:
        ends = self.shop.world.plan.pavement_ends_m
        return ends[int(rng.integers(len(ends)))]

    def _enter_at(
        self,
        at_s: float,
        known: Known,
        at_m: Point,
        script: Scripted,
        *,
        rng: np.random.Generator,
        pace_mps: float | None = None,
        side_m: float = 0.0,
    ) -> None:
        pace = _pace(rng) if pace_mps is None else pace_mps
        start = Start(known.id, at_m, self._facing(at_m), pace, side_m, script)
        self.shop.world.at(at_s, lambda: self.shop.world.enter(start))

    def _facing(self, at_m: Point) -> float:
        x0, _, x1, _ = self.shop.world.plan.floor_m
        return 0.0 if at_m[0] < (x0 + x1) / 2 else math.pi


def arrival_times(settings: ScenarioSettings, per_hour: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Seconds since the begin of the warm-up: a Poisson process whose rate follows the hours of the day."""
    end_s = settings.warm_up_s + settings.duration_s
    start_s = settings.start_hour * 3600.0 - settings.warm_up_s
    times: list[float] = []
    for hour in range(math.floor(start_s / 3600.0), math.ceil((start_s + end_s) / 3600.0)):
        low, high = max(hour * 3600.0, start_s), min((hour + 1) * 3600.0, start_s + end_s)
        expected = per_hour * settings.hour_shape[hour % 24] * (high - low) / 3600.0
        times.extend(rng.uniform(low - start_s, high - start_s, int(rng.poisson(expected))))
    return np.sort(np.array(times, np.float64))


def _pace(rng: np.random.Generator) -> float:
    return float(np.clip(rng.normal(1.2, 0.2), 0.7, 1.7))
