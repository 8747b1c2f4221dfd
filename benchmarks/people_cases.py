"""Hours of simulated stores without video, as floor paths with true kinds and groups, and what trackers make of them.

Development seeds only: some for fitting the weights, others, looked at once, for the figures.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retail_ray.analytics.staff import StaffAreas
from retail_ray.core.floor_paths import DoorCrossings, FloorPaths, floor_paths
from retail_ray.core.time import US_PER_S
from retail_ray.simulation.happenings import happenings
from retail_ray.simulation.layout_files import plan_by_name
from retail_ray.simulation.scenario import simulate
from retail_ray.simulation.seeds import DEVELOPMENT
from retail_ray.simulation.settings import ScenarioSettings
from retail_ray.simulation.site_file import cashier_place
from retail_ray.simulation.store import StorePlan

HOURS = 4.0
CASES_EACH = 6
_LAYOUTS = ("convenience", "corner-shop", "boutique", "two-rooms", "random", "supermarket")
_FIRST_SEED = 100_000
_HELD_OUT_SEED = 100_100
_NOISE_M = 0.25
_LOST = 0.1
_MISSED_CROSSINGS = 0.02
_BREAK_EVERY_S = 240.0

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class People:
    """Identities of one store and who they are. person: (I,) int64. staff: (P,) bool and group: (P,) int64 by person;
    group -1: alone."""

    layout: str
    seed: int
    areas: StaffAreas
    paths: FloorPaths
    crossings: DoorCrossings
    person: Ints
    staff: NDArray[np.bool_]
    group: Ints

    @property
    def identities(self) -> int:
        return len(self.person)

    def until(self, seconds: float) -> People:
        """What is known after this time."""
        end_us = round(seconds * US_PER_S)
        seen, crossed = self.paths.time_us < end_us, self.crossings.time_us < end_us
        return replace(self, paths=_rows(self.paths, seen), crossings=_crossed(self.crossings, crossed))

    def seen(self) -> Ints:
        """Identities with a position."""
        return np.unique(self.paths.identity)


def cases(*, held_out: bool) -> Iterator[People]:
    """Stores to fit on, or those held out."""
    for number in range(CASES_EACH):
        seed = DEVELOPMENT.seed((_HELD_OUT_SEED if held_out else _FIRST_SEED) + number)
        yield true_people(_LAYOUTS[number], seed, 200.0 if number % 2 else 120.0)


def true_people(name: str, seed: int, arrivals_per_hour: float, hours: float = HOURS) -> People:
    """One identity for each person, at the exact place."""
    layout = f"random:{seed}" if name == "random" else name
    plan = plan_by_name(layout)
    settings = ScenarioSettings(
        duration_s=hours * 3600,
        warm_up_s=600.0,
        staff=len(plan.checkouts) + 2,
        arrivals_per_hour=arrivals_per_hour,
    )
    truth = happenings(simulate(plan, settings, seed), 0, positions_every=5)
    return people_of(truth, plan, layout, seed)


def people_of(truth: dict[str, dict[str, NDArray[Any]]], plan: StorePlan, layout: str, seed: int) -> People:
    """Tables of the truth as floor paths; numbers of identities are those of persons."""
    people, positions, crossings = truth["people"], truth["positions"], truth["crossings"]
    count = int(people["person_id"].max(initial=0)) + 1
    staff, group = np.zeros(count, np.bool_), np.full(count, -1, np.int64)
    staff[people["person_id"]] = people["kind"] == "staff"
    group[people["person_id"]] = people["group_id"]
    xy_m = np.stack([positions["x_m"], positions["y_m"]], axis=1).astype(np.float64)
    lines = np.unique(crossings["line_id"], return_inverse=True)[1].astype(np.int64)
    passed = DoorCrossings(
        crossings["person_id"].astype(np.int64), lines, crossings["time_us"], crossings["direction"] == "in"
    )
    return People(
        layout,
        seed,
        StaffAreas(
            tuple(zone.corners_m for zone in plan.zones if zone.kind == "staff"),
            tuple(cashier_place(checkout) for checkout in plan.checkouts),
        ),
        floor_paths(positions["person_id"].astype(np.int64), positions["time_us"], xy_m),
        _crossed(passed, ~crossings["turned_back"]),
        np.arange(count),
        staff,
        group,
    )


def noisy(people: People, rng: np.random.Generator) -> People:
    """Positions 0.25 m off in each axis, a tenth of them and 2 % of the crossings missing; identities whole."""
    paths = people.paths
    moved = FloorPaths(paths.identity, paths.time_us, paths.xy_m + rng.normal(0, _NOISE_M, paths.xy_m.shape))
    kept, counted = rng.random(len(paths)) >= _LOST, rng.random(len(people.crossings)) >= _MISSED_CROSSINGS
    return replace(people, paths=_rows(moved, kept), crossings=_crossed(people.crossings, counted))


def fragmented(people: People, rng: np.random.Generator) -> People:
    """Noisy, and each identity ends and another begins every four minutes on average."""
    people = noisy(people, rng)
    paths, crossings = people.paths, people.crossings
    own, crossed, person = paths.identity.copy(), crossings.identity.copy(), list[int]()
    for identity in range(people.identities):
        rows, doors = paths.of(identity), crossings.identity == identity
        cuts = _cuts(paths.time_us[rows], rng)
        own[rows] = len(person) + np.searchsorted(cuts, paths.time_us[rows])
        crossed[doors] = len(person) + np.searchsorted(cuts, crossings.time_us[doors])
        person += [int(people.person[identity])] * (len(cuts) + 1)
    return replace(
        people,
        paths=replace(paths, identity=own),
        crossings=replace(crossings, identity=crossed),
        person=np.array(person, np.int64),
    )


def shuffled_entries(people: People, rng: np.random.Generator) -> People:
    """A control: crossings keep their times and are given to other identities."""
    return replace(people, crossings=replace(people.crossings, identity=rng.permutation(people.crossings.identity)))


def _cuts(time_us: Ints, rng: np.random.Generator) -> NDArray[np.float64]:
    if not len(time_us):
        return np.zeros(0)
    span_us = float(time_us[-1] - time_us[0])
    return np.sort(time_us[0] + rng.uniform(0, span_us, rng.poisson(span_us / US_PER_S / _BREAK_EVERY_S)))


def _rows(paths: FloorPaths, kept: NDArray[np.bool_]) -> FloorPaths:
    return FloorPaths(paths.identity[kept], paths.time_us[kept], paths.xy_m[kept])


def _crossed(crossings: DoorCrossings, kept: NDArray[np.bool_]) -> DoorCrossings:
    return DoorCrossings(
        crossings.identity[kept], crossings.line[kept], crossings.time_us[kept], crossings.inwards[kept]
    )
