"""What truly happened in a scenario, as the columns of `lake/truth.py`; times interpolated between ticks.

People move straight from tick to tick, so that every crossing is the exact meeting of two straight lines. Whatever
began before the scenario's start bears the start as its time; `visits` say -1 there. A queue visit that had begun
before the start is censored whatever came of it.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retail_ray.simulation.crossings import Crossing, crossings_of
from retail_ray.simulation.crowd import NO_GROUP, Activity, Crowd
from retail_ray.simulation.legs import Floats, Legs, legs_of
from retail_ray.simulation.scenario import Scenario
from retail_ray.simulation.stays import stays_in

Columns = dict[str, NDArray[Any]]


def happenings(scenario: Scenario, start_us: int, *, positions_every: int = 1) -> dict[str, Columns]:
    """The tables people, positions, visits, crossings, zone_stays, queue_visits and groups.

    `positions_every`: one tick in so many is written to positions.
    """
    legs = legs_of(scenario.crowd)
    crossings = crossings_of(scenario.plan.doors, legs)
    return {
        "people": _people(scenario.crowd),
        "positions": _positions(scenario.crowd, start_us, positions_every),
        "visits": _visits(scenario, legs, crossings, start_us),
        "crossings": _crossing_columns(crossings, start_us),
        "zone_stays": _zone_stays(scenario, legs, start_us),
        "queue_visits": _queue_visits(scenario, start_us),
        "groups": _groups(scenario.crowd),
    }


def _crossing_columns(crossings: list[Crossing], start_us: int) -> Columns:
    return {
        "line_id": np.array([c.line_id for c in crossings], np.str_),
        "person_id": np.array([c.person_id for c in crossings], np.int32),
        "time_us": _us(np.array([c.time_s for c in crossings], np.float64), start_us),
        "direction": np.array(["in" if c.inwards else "out" for c in crossings], np.str_),
        "turned_back": np.array([c.turned_back for c in crossings], np.bool_),
    }


def _visits(scenario: Scenario, legs: Legs, crossings: list[Crossing], start_us: int) -> Columns:
    by_person: dict[int, list[Crossing]] = defaultdict(list)
    for crossing in crossings:
        if not crossing.turned_back:
            by_person[crossing.person_id].append(crossing)
    inside = _inside_at_first(scenario, legs)
    stays = [
        (person, *stay)
        for person in sorted(inside)
        for stay in _stays_inside(by_person[person], begins_inside=inside[person])
    ]
    served = [_is_served(scenario, *stay) for stay in stays]
    return {
        "person_id": np.array([stay[0] for stay in stays], np.int32),
        "enter_us": _us_or_none([stay[1] for stay in stays], start_us),
        "exit_us": _us_or_none([stay[2] for stay in stays], start_us),
        "served": np.array(served, np.bool_),
    }


def _inside_at_first(scenario: Scenario, legs: Legs) -> dict[int, bool]:
    people, first = np.unique(legs.person_id, return_index=True)
    x0, y0, x1, y1 = scenario.plan.shop_m
    x, y = legs.a_m[first].T
    inside = (x >= x0) & (x <= x1) & (y >= y0) & (y <= y1)
    return {int(person): bool(flag) for person, flag in zip(people, inside, strict=True)}


def _stays_inside(crossings: list[Crossing], *, begins_inside: bool) -> list[tuple[float | None, float | None]]:
    """From each entry to the next exit; None for what lies before the start or after the end."""
    stays: list[tuple[float | None, float | None]] = []
    is_in, since = begins_inside, None
    for crossing in crossings:
        if crossing.inwards and not is_in:
            is_in, since = True, crossing.time_s
        elif not crossing.inwards and is_in:
            stays.append((since, crossing.time_s))
            is_in, since = False, None
    return [*stays, (since, None)] if is_in else stays


def _is_served(scenario: Scenario, person: int, enter_s: float | None, exit_s: float | None) -> bool:
    low, high = enter_s or -np.inf, np.inf if exit_s is None else exit_s
    return any(
        visit.person == person and visit.outcome == "served" and low <= (visit.leave_s or 0.0) <= high
        for visit in scenario.queue_visits
    )


def _zone_stays(scenario: Scenario, legs: Legs, start_us: int) -> Columns:
    zones = scenario.plan.zones
    stays = [stays_in(np.array(zone.corners_m, np.float64), legs) for zone in zones]
    enter_s = np.concatenate([np.empty(0), *(stay.enter_s for stay in stays)])
    leave_s = np.concatenate([np.empty(0), *(stay.leave_s for stay in stays)])
    end_s = (scenario.crowd.ticks - 1) * scenario.crowd.tick_s
    return {
        "zone_id": np.repeat(np.array([zone.id for zone in zones], np.str_), [len(stay.person_id) for stay in stays]),
        "person_id": np.concatenate([np.empty(0, np.int32), *(stay.person_id for stay in stays)]),
        "enter_us": _us(enter_s, start_us),
        "exit_us": _us(leave_s, start_us),
        "censored": (enter_s <= 1e-9) | (leave_s >= end_s - 1e-9),
    }


def _queue_visits(scenario: Scenario, start_us: int) -> Columns:
    visits = sorted(scenario.queue_visits, key=lambda visit: (visit.join_s, visit.lane_id, visit.person))
    return {
        "lane_id": np.array([visit.lane_id for visit in visits], np.str_),
        "person_id": np.array([visit.person for visit in visits], np.int32),
        "join_us": _us_or_none([max(visit.join_s, 0.0) for visit in visits], start_us),
        "service_us": _us_or_none([_from_start(visit.service_s) for visit in visits], start_us),
        "leave_us": _us_or_none([visit.leave_s for visit in visits], start_us),
        "outcome": np.array(["censored" if v.join_s < 0.0 else v.outcome for v in visits], np.str_),
    }


def _from_start(time_s: float | None) -> float | None:
    return None if time_s is None else max(time_s, 0.0)


def _people(crowd: Crowd) -> Columns:
    return {
        "person_id": np.array([p.person_id for p in crowd.people], np.int32),
        "kind": np.array([p.kind for p in crowd.people], np.str_),
        "group_id": np.array([p.group_id for p in crowd.people], np.int32),
        "height_m": np.array([p.appearance.height_m for p in crowd.people], np.float32),
        "cluster": np.array([p.appearance.cluster for p in crowd.people], np.int32),
        "twin_of": np.array([-1 if (t := p.appearance.twin_of) is None else t for p in crowd.people], np.int32),
    }


def _groups(crowd: Crowd) -> Columns:
    members = [(p.group_id, p.person_id) for p in crowd.people if p.group_id != NO_GROUP]
    pairs = np.array(sorted(members), np.int32).reshape(-1, 2)
    return {"group_id": pairs[:, 0], "person_id": pairs[:, 1]}


def _positions(crowd: Crowd, start_us: int, every: int) -> Columns:
    names = np.array([activity.name.lower() for activity in Activity], np.str_)
    rows = np.flatnonzero(crowd.tick % every == 0)
    return {
        "time_us": _us(crowd.tick[rows].astype(np.float64) * crowd.tick_s, start_us),
        "person_id": crowd.person_id[rows],
        "x_m": crowd.xy_m[rows, 0],
        "y_m": crowd.xy_m[rows, 1],
        "heading_rad": crowd.heading_rad[rows],
        "speed_mps": crowd.speed_mps[rows],
        "activity": names[crowd.activity[rows]],
    }


def _us(times_s: Floats, start_us: int) -> NDArray[np.int64]:
    return start_us + np.rint(times_s * 1e6).astype(np.int64)


def _us_or_none(times_s: list[float | None], start_us: int) -> NDArray[np.int64]:
    return np.array([-1 if time is None else start_us + round(time * 1e6) for time in times_s], np.int64)
