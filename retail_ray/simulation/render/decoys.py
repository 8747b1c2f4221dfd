"""What looks like people and is none: mannequins, parked trolleys, and the people on posters."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from retail_ray.simulation.appearance import Appearance, draw_appearances
from retail_ray.simulation.crowd import Activity, Person
from retail_ray.simulation.render.body import COARSE, FINE, make_body
from retail_ray.simulation.render.gait import joint_angles
from retail_ray.simulation.render.light import Lighting, tone_curve
from retail_ray.simulation.render.mesh import BodyMesh, Material, Paint, assemble
from retail_ray.simulation.render.people import PosedPerson
from retail_ray.simulation.render.placing import NOBODY, PlacedBody, draw_body, place_body
from retail_ray.simulation.render.props import HANDLE_AHEAD_M, cart_parts
from retail_ray.simulation.render.scene import POSTER_M
from retail_ray.simulation.render.skeleton import Bone
from retail_ray.simulation.render.view import View, make_view
from retail_ray.simulation.store import Decoy, StoreCamera, StorePlan

_PLASTER: Final = (0.5, 0.49, 0.47)
_PRINT_HEIGHT_PX: Final = 240
_UPRIGHT: Final = np.zeros((len(Bone), 3))


def place_decoys(plan: StorePlan, view: View, lighting: Lighting) -> list[PlacedBody]:
    """Mannequins and trolleys of the plan, standing still."""
    placed = []
    for index, decoy in enumerate(plan.decoys):
        if decoy.kind == "mannequin":
            mesh, angles = _mannequin(index)
            placed.append(
                place_body(view, lighting, mesh, NOBODY, angles, xy_m=decoy.at_m, heading_rad=decoy.heading_rad)
            )
        elif decoy.kind == "trolley":
            placed.append(
                place_body(
                    view, lighting, _trolley(), NOBODY, _UPRIGHT, xy_m=_behind(decoy), heading_rad=decoy.heading_rad
                )
            )
    return placed


def print_posters(plan: StorePlan, lighting: Lighting) -> NDArray[np.float32]:
    """(N, h, w, 3) float32 albedo, one for each poster of the plan: a person before a plain colour."""
    posters = [index for index, decoy in enumerate(plan.decoys) if decoy.kind == "poster"]
    wide = round(_PRINT_HEIGHT_PX * POSTER_M[0] / (POSTER_M[2] - POSTER_M[1]))
    prints = [_print(index, wide, replace(lighting, shop_m=(-10, -10, 10, 10))) for index in posters]
    return np.array(prints, np.float32).reshape(-1, _PRINT_HEIGHT_PX, wide, 3)


def _print(index: int, wide: int, lighting: Lighting) -> NDArray[np.float32]:
    rng = np.random.default_rng([index, 0xB0])
    camera = StoreCamera("poster", (3.4, 0.0, 1.15), (0.0, 0.0, 0.95), 26.0)
    view = make_view(camera, wide, _PRINT_HEIGHT_PX)
    posed = PosedPerson.at(Person(1, "shopper", _look(rng)), (0.0, 0.0), float(rng.uniform(-0.5, 0.5)))
    mesh, angles = make_body(posed.person.appearance), joint_angles(posed)
    body = place_body(view, lighting, mesh, NOBODY, angles, xy_m=posed.xy_m, heading_rad=posed.heading_rad)
    image = np.empty((_PRINT_HEIGHT_PX, wide, 3), np.uint8)
    image[:] = rng.integers(60, 230, 3)
    image[: _PRINT_HEIGHT_PX // 6, wide // 8 : -wide // 8] = rng.integers(20, 250, 3)
    near, ids = np.zeros(image.shape[:2], np.float32), np.zeros(image.shape[:2], np.uint16)
    draw_body(body, tone_curve(), near, image, ids)
    return np.asarray((image / 255.0) ** 2.2 * 0.75, np.float32)


def _mannequin(index: int) -> tuple[BodyMesh, NDArray[np.float64]]:
    """Clothed plaster without a face, in a pose of its own."""
    rng = np.random.default_rng([index, 0xA0])
    look = replace(_look(rng), skin=_PLASTER, hair="bald", bag="none", shoes=_PLASTER, height_m=1.78)
    mesh = make_body(look, detail=FINE)
    paint = mesh.paint.copy()
    paint[Material.FACE] = Paint.PLAIN
    activity = Activity.REACH if rng.uniform() < 0.2 else Activity.STAND
    posed = PosedPerson.at(Person(1, "shopper", look), (0.0, 0.0), activity=activity, time_s=float(rng.uniform(0, 60)))
    return replace(mesh, paint=paint), joint_angles(posed)


def _trolley() -> BodyMesh:
    model = make_body(_look(np.random.default_rng(0)), detail=COARSE)
    return assemble(
        cart_parts(), model.palette, model.paint, model.joints, model.height_m, rng=np.random.default_rng(0)
    )


def _behind(decoy: Decoy) -> tuple[float, float]:
    """Where the one would stand who pushes this trolley."""
    back = HANDLE_AHEAD_M + 0.45
    return (
        decoy.at_m[0] - back * float(np.cos(decoy.heading_rad)),
        decoy.at_m[1] - back * float(np.sin(decoy.heading_rad)),
    )


def _look(rng: np.random.Generator) -> Appearance:
    return draw_appearances(rng, [1], staff=[False], uniform=0, twin_share=0.0)[0]
