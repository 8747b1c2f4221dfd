"""A small shop for the renderer's tests: one room, one shelf, a mirror, two cameras."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from retail_ray.simulation.appearance import draw_appearances
from retail_ray.simulation.crowd import Activity, Person
from retail_ray.simulation.render.people import PosedPerson
from retail_ray.simulation.store import Decoy, Fixture, StoreCamera, StorePlan, Wall

SIZE = (320, 180)
STRAIGHT = StoreCamera("straight", (0.5, 4.0, 2.6), (6.0, 4.0, 0.9), 78.0)
BENT = StoreCamera("bent", (0.5, 0.5, 2.7), (5.0, 4.5, 0.8), 84.0, (-0.12, 0.025, 0.001, -0.0015, 0.0))
CAMERAS = (STRAIGHT, BENT)
HIGH_SHELF = Fixture("shelf", (5.0, 1.0, 5.4, 3.0), 2.3)
LOW_SHELF = Fixture("shelf", (5.0, 5.0, 5.4, 7.0), 1.0)


def plan(*decoys: Decoy) -> StorePlan:
    corners = ((0.0, 0.0), (10.0, 0.0), (10.0, 8.0), (0.0, 8.0))
    walls = tuple(Wall(a, b) for a, b in zip(corners, (*corners[1:], corners[0]), strict=True))
    room = (0.0, 0.0, 10.0, 8.0)
    return StorePlan("test", room, room, walls, (HIGH_SHELF, LOW_SHELF), (), (), (), CAMERAS, tuple(decoys))


def people(number: int, seed: int = 0, **changes: Any) -> list[Person]:
    looks = draw_appearances(
        np.random.default_rng(seed), range(1, number + 1), staff=[False] * number, uniform=0, twin_share=0.2
    )
    return [Person(i + 1, "shopper", look, **changes) for i, look in enumerate(looks)]


def standing(person: Person, x_m: float, y_m: float, heading_deg: float = 180.0) -> PosedPerson:
    return PosedPerson.at(person, (x_m, y_m), math.radians(heading_deg), activity=Activity.STAND, time_s=1.0)
