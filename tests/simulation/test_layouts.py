from __future__ import annotations

import numpy as np
import pytest

from retail_ray.core.errors import ConfigError
from retail_ray.simulation.layout_generator import random_layout
from retail_ray.simulation.layouts import ready_layouts
from retail_ray.simulation.plan_checks import check_plan
from retail_ray.simulation.store import StoreCamera, StorePlan, Wall

READY = ready_layouts()
WIDTH_PX, HEIGHT_PX = 1280, 720
HEAD_M, KNEE_M = 1.5, 0.4


def sees(plan: StorePlan, camera: StoreCamera, x: float, y: float, z: float) -> bool:
    """Whether the point is in the picture and no fixture or wall is on the way to it."""
    point = np.array([x, y, z])
    at = camera.rotation() @ point + camera.translation_m()
    if at[2] <= 0.0:
        return False
    u, v, _ = camera.matrix(WIDTH_PX, HEIGHT_PX) @ (at / at[2])
    if not (15 < u < WIDTH_PX - 15 and 15 < v < HEIGHT_PX - 15):
        return False
    way = np.linspace(np.array(camera.position_m), point, 400)[:-4]
    for fixture in plan.fixtures:
        x0, y0, x1, y1 = fixture.area_m
        inside = (way[:, 0] > x0) & (way[:, 0] < x1) & (way[:, 1] > y0) & (way[:, 1] < y1)
        if (inside & (way[:, 2] < fixture.height_m)).any():
            return False
    return not any(_walled_off(camera.position_m[:2], (x, y), wall) for wall in plan.walls)


def _walled_off(a: tuple[float, ...], b: tuple[float, float], wall: Wall) -> bool:
    def left(p: tuple[float, ...], q: tuple[float, ...], r: tuple[float, ...]) -> bool:
        return (q[0] - p[0]) * (r[1] - p[1]) > (q[1] - p[1]) * (r[0] - p[0])

    c, d = wall.start_m, wall.end_m
    return left(a, b, c) != left(a, b, d) and left(c, d, a) != left(c, d, b)


def sees_door(plan: StorePlan, camera: StoreCamera) -> bool:
    """Heads and knees of people on both sides of the whole line."""
    door = plan.doors[0]
    (x0, y), (x1, _) = door.start_m, door.end_m
    places = [(x0 + share * (x1 - x0), y + away) for share in (0.2, 0.5, 0.8) for away in (-0.6, 0.0, 1.0)]
    return all(sees(plan, camera, *place, z) for place in places for z in (KNEE_M, HEAD_M))


@pytest.mark.parametrize("plan", READY.values(), ids=READY)
def test_a_ready_store_is_possible_and_a_camera_sees_its_door(plan: StorePlan) -> None:
    assert check_plan(plan) is plan
    assert any(sees_door(plan, camera) for camera in plan.cameras)


@pytest.mark.parametrize("plan", READY.values(), ids=READY)
def test_ready_cameras_look_as_shop_cameras_do(plan: StorePlan) -> None:
    assert 4 <= len(plan.cameras) <= 6
    for camera in plan.cameras:
        forward = camera.rotation()[2]
        assert 2.4 <= camera.position_m[2] <= 3.2
        assert 20.0 <= np.degrees(np.arcsin(-forward[2])) <= 40.0
        assert 65.0 <= camera.horizontal_fov_deg <= 95.0
        assert camera.distortion != (0.0,) * 5


def floor_seen(plan: StorePlan, camera: StoreCamera) -> set[tuple[int, int]]:
    x0, y0, x1, y1 = plan.shop_m
    return {
        (i, j)
        for i, x in enumerate(np.arange(x0 + 0.5, x1, 0.8))
        for j, y in enumerate(np.arange(y0 + 0.5, y1, 0.8))
        if sees(plan, camera, float(x), float(y), 1.0)
    }


def shared(plan: StorePlan) -> dict[tuple[str, str], float]:
    """For each pair of cameras the part of the smaller view that the other sees as well."""
    seen = {camera.id: floor_seen(plan, camera) for camera in plan.cameras}
    ids = sorted(seen)
    return {
        (a, b): len(seen[a] & seen[b]) / max(1, min(len(seen[a]), len(seen[b])))
        for i, a in enumerate(ids)
        for b in ids[i + 1 :]
    }


def test_views_overlap_in_the_small_shops_and_are_disjoint_between_two_rooms() -> None:
    for name in ("convenience", "corner-shop"):
        assert min(shared(READY[name]).values()) > 0.4
    rooms = shared(READY["two-rooms"])
    assert rooms["door", "room-front"] == rooms["door", "room-back"] == rooms["room-front", "till"] == 0.0
    assert rooms["room-back", "room-front"] > 0.5
    mixed = shared(READY["supermarket"])
    assert mixed["door", "fresh"] < 0.1 < 0.9 < mixed["front", "tills"]


def test_random_stores_are_possible_different_and_the_same_for_the_same_seed() -> None:
    plans = [random_layout(seed) for seed in range(30)]
    for plan in plans:
        check_plan(plan)
        assert any(sees_door(plan, camera) for camera in plan.cameras), plan.name
    assert len({(plan.shop_m, plan.fixtures) for plan in plans}) == 30
    assert {plan.name for plan in plans}.isdisjoint(READY)
    assert plans[7] == random_layout(7)
    assert {plan.doors[0].start_m[0] < plan.shop_m[2] / 2 for plan in plans} == {True, False}


def test_a_seed_below_zero_is_refused() -> None:
    with pytest.raises(ConfigError, match="seed is -1"):
        random_layout(-1)
