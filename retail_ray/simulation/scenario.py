"""A simulated stretch of time in a store: the crowd, and what the state machines recorded of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retail_ray.core.errors import ConfigError
from retail_ray.simulation.appearance import draw_appearances
from retail_ray.simulation.crowd import NO_GROUP, Crowd, Person
from retail_ray.simulation.lanes import Lane, QueueVisit
from retail_ray.simulation.places import places_of
from retail_ray.simulation.plan_checks import check_plan
from retail_ray.simulation.population import Known, Population
from retail_ray.simulation.queueing import Shop
from retail_ray.simulation.settings import ScenarioSettings
from retail_ray.simulation.store import StorePlan
from retail_ray.simulation.world import World


@dataclass(frozen=True, slots=True)
class Scenario:
    """Times of `queue_visits` in seconds since the scenario's start (negative: before it), persons by person_id.

    turned_back: the person_ids whose plan was a U-turn on the door line.
    """

    plan: StorePlan
    settings: ScenarioSettings
    seed: int
    crowd: Crowd
    queue_visits: tuple[QueueVisit, ...]
    turned_back: frozenset[int]


def simulate(plan: StorePlan, settings: ScenarioSettings, seed: int) -> Scenario:
    """Run the store from its warm-up to the end; the same plan, settings and seed give the same bytes.

    Raises GeometryError or ConfigError where the plan is impossible, see `plan_checks.check_plan`.
    """
    if seed < 0:
        raise ConfigError(f"scenario: seed is {seed}; it must be 0 or more")
    check_plan(plan)
    world = World(plan, settings.tick_s, settings.warm_up_ticks)
    places = places_of(plan, world.ground)
    lanes = tuple(Lane(checkout) for checkout in plan.checkouts)
    waiting = {lane.checkout.id: places.waiting_spots(lane.checkout) for lane in lanes}
    population = Population(Shop(world, places, settings, lanes, waiting), seed)
    population.plan_all()
    rows = world.run(settings.warm_up_ticks + settings.ticks - 1)
    ids = _person_ids(rows, len(population.people))
    known = sorted((one for one in population.people if ids[one.id]), key=lambda one: int(ids[one.id]))
    crowd = _crowd(settings, _people(known, settings, seed), rows, ids)
    turned_back = frozenset(int(ids[one.id]) for one in known if one.turns_back)
    return Scenario(plan, settings, seed, crowd, _queue_visits(lanes, settings.warm_up_s, ids), turned_back)


def _person_ids(rows: NDArray[Any], count: int) -> NDArray[np.int32]:
    """(count,) ids from 1 on in order of appearance; 0 for who never was on the floor after the warm-up."""
    rows = rows[np.lexsort((rows["person"], rows["tick"]))]
    seen, first = np.unique(rows["person"], return_index=True)
    ids = np.zeros(count, np.int32)
    ids[seen[np.argsort(first, kind="stable")]] = np.arange(1, len(seen) + 1)
    return ids


def _people(known: list[Known], settings: ScenarioSettings, seed: int) -> tuple[Person, ...]:
    person_ids = range(1, len(known) + 1)
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(2,)))
    staff = [person.kind == "staff" for person in known]
    looks = draw_appearances(rng, person_ids, staff=staff, uniform=seed, twin_share=settings.twin_share)
    groups: dict[int, int] = {}
    for person in known:
        if person.group != NO_GROUP:
            groups.setdefault(person.group, len(groups) + 1)
    return tuple(
        Person(number, person.kind, look, groups.get(person.group, NO_GROUP), person.pushes_trolley)
        for number, person, look in zip(person_ids, known, looks, strict=True)
    )


def _crowd(settings: ScenarioSettings, people: tuple[Person, ...], rows: NDArray[Any], ids: NDArray[np.int32]) -> Crowd:
    person = ids[rows["person"]]
    order = np.lexsort((person, rows["tick"]))
    rows, person = rows[order], person[order]
    return Crowd(
        settings.tick_s,
        settings.ticks,
        people,
        rows["tick"].copy(),
        person,
        np.stack([rows["x"], rows["y"]], axis=1),
        rows["heading"].copy(),
        rows["speed"].copy(),
        rows["walked"].copy(),
        rows["activity"].copy(),
    )


def _queue_visits(lanes: tuple[Lane, ...], start_s: float, ids: NDArray[np.int32]) -> tuple[QueueVisit, ...]:
    return tuple(
        _since_start(visit, start_s, int(ids[visit.person]))
        for lane in lanes
        for visit in lane.visits
        if ids[visit.person] and (visit.leave_s is None or visit.leave_s >= start_s)
    )


def _since_start(visit: QueueVisit, start_s: float, person_id: int) -> QueueVisit:
    def shifted(time_s: float | None) -> float | None:
        return None if time_s is None else time_s - start_s

    return QueueVisit(
        visit.lane_id,
        person_id,
        visit.join_s - start_s,
        shifted(visit.service_s),
        shifted(visit.leave_s),
        visit.outcome,
    )
