"""Random stores and moments to train on, drawn by a generator of their own.

No store of a test comes from here, and people stand and walk anywhere: what is trained on these pictures has seen
neither the layouts nor the motion that it is tested with.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from retail_ray.simulation.appearance import draw_appearances
from retail_ray.simulation.crowd import Activity, Person
from retail_ray.simulation.layout_parts import box, camera, decoy, floor_around, front_door, outer_walls, pavement_ends
from retail_ray.simulation.render.people import PosedPerson
from retail_ray.simulation.store import Decoy, DecoyKind, Fixture, FixtureKind, Point, Rectangle, StoreCamera, StorePlan

CAMERAS: Final = 4
_BODY_M = 0.3
_APART_M = 0.42
_TRIES = 60
_OUTSIDE_SHARE = 0.12
_NEXT_TO_SOMEBODY_SHARE = 0.35
_ACTIVITIES: Final[tuple[tuple[Activity, float], ...]] = (
    (Activity.WALK, 0.45),
    (Activity.STAND, 0.2),
    (Activity.REACH, 0.15),
    (Activity.QUEUE, 0.1),
    (Activity.SERVED, 0.05),
    (Activity.WORK, 0.05),
)


def training_store(seed: int) -> StorePlan:
    """A room with rows of shelves, some tables, freezers and pillars, decoys, and four cameras at its walls."""
    random = np.random.default_rng([seed, 1])
    width, depth = float(random.uniform(7, 15)), float(random.uniform(6, 13))
    shop = (0.0, 0.0, round(width, 2), round(depth, 2))
    opening = float(random.uniform(1.4, 2.6))
    door_x = float(random.uniform(0.8, width - 0.8 - opening))
    fixtures = (*_shelves(shop, random), *_others(shop, random))
    return StorePlan(
        name=f"training-{seed}",
        floor_m=floor_around(shop),
        shop_m=shop,
        walls=outer_walls(shop, (door_x, door_x + opening)),
        fixtures=fixtures,
        doors=(front_door("door", door_x, door_x + opening),),
        checkouts=(),
        zones=(),
        cameras=tuple(_camera(number, shop, random) for number in range(CAMERAS)),
        decoys=tuple(_decoy(shop, fixtures, random) for _ in range(int(random.integers(0, 5)))),
        pavement_ends_m=pavement_ends(shop),
    )


def training_people(seed: int, count: int) -> tuple[Person, ...]:
    """Shoppers and some staff, near-twins among them."""
    random = np.random.default_rng([seed, 2])
    staff = [bool(random.random() < 0.1) for _ in range(count)]
    looks = draw_appearances(random, range(1, count + 1), staff=staff, uniform=seed, twin_share=0.25)
    return tuple(
        Person(number, "staff" if works else "shopper", look, pushes_trolley=bool(random.random() < 0.06))
        for number, works, look in zip(range(1, count + 1), staff, looks, strict=True)
    )


def training_moment(
    plan: StorePlan, people: tuple[Person, ...], count: int, random: np.random.Generator
) -> list[PosedPerson]:
    """Some of the people somewhere on the floor, each busy with something; fewer than `count` where it is full."""
    chosen = sorted(random.choice(len(people), min(count, len(people)), replace=False).tolist())
    taken: list[Point] = []
    posed = []
    for index in chosen:
        spot = _spot(plan, taken, random)
        if spot is not None:
            taken.append(spot)
            posed.append(_posed(people[index], spot, random))
    return posed


def _shelves(shop: Rectangle, random: np.random.Generator) -> list[Fixture]:
    """Parallel rows, along or across the room, with gaps."""
    _, _, width, depth = shop
    across = bool(random.random() < 0.5)
    room, length = (depth, width) if across else (width, depth)
    aisle, thick = float(random.uniform(1.4, 3.0)), float(random.uniform(0.5, 0.9))
    shelves: list[Fixture] = []
    at = float(random.uniform(1.6, 3.4))
    while at + thick < room - 1.0 and len(shelves) < 4:
        start, end = float(random.uniform(0.8, 3.0)), length - float(random.uniform(0.8, 3.0))
        height = float(random.choice([1.3, 1.5, 1.7, 1.9]))
        if end - start > 1.0 and random.random() < 0.7:
            own = (start, at, end, at + thick) if across else (at, start, at + thick, end)
            shelves.append(box("shelf", height, *own))
        at += thick + aisle
    back = float(random.choice([1.8, 2.0, 2.2]))
    return [*shelves, box("shelf", back, 0.4, depth - 0.5, width - 0.4, depth - 0.05)]


def _others(shop: Rectangle, random: np.random.Generator) -> list[Fixture]:
    kinds: list[tuple[FixtureKind, float, float]] = [
        ("counter", 0.95, 2.0), ("freezer", 1.9, 1.6), ("table", 0.85, 1.2), ("pillar", 3.0, 0.4), ("bin", 0.8, 0.6),
    ]  # fmt: skip
    found = []
    for _ in range(int(random.integers(1, 5))):
        kind, height, length = kinds[int(random.integers(len(kinds)))]
        x, y = random.uniform(0.3, shop[2] - length - 0.3), random.uniform(0.6, shop[3] - 1.5)
        found.append(box(kind, height, float(x), float(y), float(x + length), float(y + min(length, 0.7))))
    return found


def _camera(number: int, shop: Rectangle, random: np.random.Generator) -> StoreCamera:
    """At a wall, looking into the room or at the door."""
    _, _, width, depth = shop
    along = float(random.uniform(0.1, 0.9))
    at = [(along * width, 0.3), (width - 0.3, along * depth), (along * width, depth - 0.3), (0.3, along * depth)][
        number
    ]
    if random.random() < 0.4:
        corners = [(0.3, 0.3), (width - 0.3, 0.3), (width - 0.3, depth - 0.3), (0.3, depth - 0.3)]
        at = corners[number]
    towards = (float(random.uniform(0.25, 0.75)) * width, float(random.uniform(0.15, 0.75)) * depth)
    if math.dist(at, towards) < 1.5:
        towards = (width - at[0], depth - at[1])
    height, down = float(random.uniform(2.4, 3.1)), float(random.uniform(20, 38))
    return camera(f"camera-{number + 1}", (*at, height), towards, float(random.uniform(68, 95)), down)


def _decoy(shop: Rectangle, fixtures: tuple[Fixture, ...], random: np.random.Generator) -> Decoy:
    kinds: tuple[DecoyKind, ...] = ("mannequin", "poster", "mirror", "trolley")
    kind = kinds[int(random.integers(len(kinds)))]
    _, _, width, depth = shop
    if kind in {"poster", "mirror"}:
        right = bool(random.random() < 0.5)
        y = float(random.uniform(0.8, depth - 1.2))
        return decoy(kind, width - 0.03 if right else 0.03, y, 180 if right else 0)
    for _ in range(_TRIES):
        spot = (float(random.uniform(0.4, width - 0.4)), float(random.uniform(0.4, depth - 0.8)))
        if _is_free(spot, fixtures, 0.3):
            return decoy(kind, *spot, float(random.uniform(0, 360)))
    return decoy("poster", 0.03, depth / 2, 0)


def _spot(plan: StorePlan, taken: list[Point], random: np.random.Generator) -> Point | None:
    _, _, width, depth = plan.shop_m
    for _ in range(_TRIES):
        x, y = float(random.uniform(0.35, width - 0.35)), float(random.uniform(0.35, depth - 0.35))
        if random.random() < _OUTSIDE_SHARE:
            y = float(random.uniform(plan.floor_m[1] + 0.4, 0.0))
        elif taken and random.random() < _NEXT_TO_SOMEBODY_SHARE:
            near, angle = taken[int(random.integers(len(taken)))], random.uniform(0, 2 * math.pi)
            away = random.uniform(_APART_M, 1.2)
            x, y = float(near[0] + away * math.cos(angle)), float(near[1] + away * math.sin(angle))
        inside = 0.3 < x < width - 0.3 and plan.floor_m[1] < y < depth - 0.3
        if inside and _is_free((x, y), plan.fixtures, _BODY_M) and all(math.dist((x, y), o) >= _APART_M for o in taken):
            return x, y
    return None


def _is_free(spot: Point, fixtures: tuple[Fixture, ...], room_m: float) -> bool:
    x, y = spot
    return not any(
        f.area_m[0] - room_m < x < f.area_m[2] + room_m and f.area_m[1] - room_m < y < f.area_m[3] + room_m
        for f in fixtures
    )


def _posed(person: Person, spot: Point, random: np.random.Generator) -> PosedPerson:
    activities, shares = zip(*_ACTIVITIES, strict=True)
    activity = activities[int(random.choice(len(activities), p=np.array(shares)))]
    walks = activity is Activity.WALK
    return PosedPerson.at(
        person,
        spot,
        float(random.uniform(-math.pi, math.pi)),
        speed_mps=float(random.uniform(0.4, 1.6)) if walks else 0.0,
        way_m=float(random.uniform(0, 20)),
        activity=activity,
        time_s=float(random.uniform(0, 60)),
    )


def shown(ids: NDArray[np.uint16], people: list[PosedPerson]) -> list[PosedPerson]:
    """Those of whom a picture shows anything."""
    present = set(np.unique(ids).tolist())
    return [posed for posed in people if posed.person.person_id in present]
