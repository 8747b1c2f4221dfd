from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from retail_ray.core.errors import ConfigError, GeometryError
from retail_ray.simulation.layouts import convenience
from retail_ray.simulation.plan_checks import check_plan
from retail_ray.simulation.scenario import simulate
from retail_ray.simulation.settings import ScenarioSettings
from retail_ray.simulation.store import Fixture, StorePlan, StoreZone, Wall


def with_fixture(*area: float) -> Callable[[StorePlan], StorePlan]:
    x0, y0, x1, y1 = area
    return lambda plan: replace(plan, fixtures=(*plan.fixtures, Fixture("shelf", (x0, y0, x1, y1), 1.5)))


def with_checkout(**changes: object) -> Callable[[StorePlan], StorePlan]:
    return lambda plan: replace(plan, checkouts=(replace(plan.checkouts[0], **changes),))  # type: ignore[arg-type]


def with_camera(**changes: object) -> Callable[[StorePlan], StorePlan]:
    return lambda plan: replace(plan, cameras=(replace(plan.cameras[0], **changes),))  # type: ignore[arg-type]


def with_zone(*corners: tuple[float, float]) -> Callable[[StorePlan], StorePlan]:
    return lambda plan: replace(plan, zones=(StoreZone("corner", "Corner", "aisle", corners),))


IMPOSSIBLE: dict[str, tuple[Callable[[StorePlan], StorePlan], str]] = {
    "a shelf stands in the door": (with_fixture(0.8, 0.1, 3.2, 1.2), "door 'door' cannot be reached: its inside"),
    "a shelf cuts the shop in two": (with_fixture(0.55, 2.3, 8.95, 2.6), "cannot be reached from the entrance"),
    "two shelves in each other": (with_fixture(3.0, 3.3, 4.0, 3.5), "stand in each other"),
    "a shelf outside": (with_fixture(8.0, 7.96, 9.5, 8.4), "does not stand in the shop"),
    "a shelf turned inside out": (with_fixture(4.0, 2.2, 3.5, 2.4), "is no rectangle"),
    "the till in a shelf": (with_checkout(served_at_m=(5.1, 3.4), service_m=((4, 3), (6, 3), (6, 4))), "served_at_m"),
    "the cashier in the counter": (with_checkout(cashier_at_m=(5.1, 1.2)), "cashier_at_m (5.1, 1.2) is inside"),
    "the lane through a shelf": (with_checkout(lane_m=((4.0, 4.4), (6.0, 1.98))), "its lane runs through"),
    "served beside the service area": (with_checkout(served_at_m=(7.7, 2.3)), "lies outside service_m"),
    "a service area that crosses itself": (
        with_checkout(service_m=((4.5, 1.5), (5.7, 2.5), (5.7, 1.5), (4.5, 2.5))),
        "crosses itself",
    ),
    "a camera in the street": (with_camera(position_m=(4.0, -1.0, 2.8)), "camera 'door' at .* outside the shop"),
    "a camera above the ceiling": (with_camera(position_m=(4.0, 2.0, 5.0)), "outside the shop"),
    "a camera in a shelf": (with_camera(position_m=(4.0, 3.4, 1.2)), "is inside a shelf"),
    "a camera that looks straight down": (with_camera(look_at_m=(2.2, 4.45, 0.0)), "straight down"),
    "a camera that sees all around": (with_camera(horizontal_fov_deg=200.0), "horizontal_fov_deg 200"),
    "a zone under a shelf": (with_zone((2.2, 3.2), (6.0, 3.2), (6.0, 3.7), (2.2, 3.7)), "zone 'corner' has no place"),
    "a zone of two corners": (with_zone((1.0, 1.0), (2.0, 1.0)), "at least 3 corners"),
    "a hole in the wall": (lambda p: replace(p, walls=p.walls[1:]), "can be entered beside its doors"),
    "a wall across the pavement": (
        lambda p: replace(p, walls=(*p.walls, Wall((5.0, -4.0), (5.0, 0.0)))),
        "nobody can walk from pavement end",
    ),
    "a pavement end in the shop": (lambda p: replace(p, pavement_ends_m=((4.0, 2.4), (5.0, -1.0))), "inside the shop"),
    "a pavement end off the floor": (
        lambda p: replace(p, pavement_ends_m=((40.0, -1.0), (5.0, -1.0))),
        "off the floor",
    ),
    "the shop larger than the floor": (lambda p: replace(p, shop_m=(0.0, 0.0, 9.0, 18.0)), "must lie within floor_m"),
    "a narrow door": (lambda p: replace(p, doors=(replace(p.doors[0], end_m=(1.2, 0.0)),)), "narrower than"),
    "a door without a side": (lambda p: replace(p, doors=(replace(p.doors[0], inside_m=(2.0, 0.0)),)), "on its line"),
}


@pytest.mark.parametrize(("change", "message"), IMPOSSIBLE.values(), ids=IMPOSSIBLE)
def test_an_impossible_store_is_refused_and_says_why(change: Callable[[StorePlan], StorePlan], message: str) -> None:
    with pytest.raises(GeometryError, match=message.replace("(", "[(]").replace(")", "[)]")) as caught:
        check_plan(change(convenience()))
    assert str(caught.value).startswith(("layout 'convenience': ", "camera 'door': "))


INCOMPLETE: dict[str, tuple[Callable[[StorePlan], StorePlan], str]] = {
    "no door": (lambda p: replace(p, doors=()), "no door"),
    "no name": (lambda p: replace(p, name=""), "needs a name"),
    "one pavement end": (lambda p: replace(p, pavement_ends_m=p.pavement_ends_m[:1]), "at least two places"),
    "two zones of one id": (lambda p: replace(p, zones=(p.zones[0], p.zones[0])), "zone id 'entrance'"),
    "a lane of no place": (with_checkout(lane_m=()), "lane_m needs at least one place"),
}


@pytest.mark.parametrize(("change", "message"), INCOMPLETE.values(), ids=INCOMPLETE)
def test_an_incomplete_store_is_refused(change: Callable[[StorePlan], StorePlan], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_plan(change(convenience()))


def test_nothing_is_simulated_in_an_impossible_store() -> None:
    with pytest.raises(GeometryError, match="cannot be reached"):
        simulate(with_fixture(0.55, 2.3, 8.95, 2.6)(convenience()), ScenarioSettings(duration_s=1.0), 1)
