"""What both renderers share: views, backgrounds and meshes made once, and people posed for an instant."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from retail_ray.core.errors import DataError
from retail_ray.simulation.crowd import Person
from retail_ray.simulation.render.background import Backdrop, cast_backdrop
from retail_ray.simulation.render.body import COARSE, FINE, make_body
from retail_ray.simulation.render.coverage import whole_body
from retail_ray.simulation.render.decoys import place_decoys, print_posters
from retail_ray.simulation.render.gait import joint_angles
from retail_ray.simulation.render.light import make_lighting, tone_curve
from retail_ray.simulation.render.mesh import BodyMesh
from retail_ray.simulation.render.people import PosedPerson
from retail_ray.simulation.render.placing import PlacedBody, draw_body, mirrored, place_body, project
from retail_ray.simulation.render.renderer import WholeBody
from retail_ray.simulation.render.scene import make_scene
from retail_ray.simulation.render.shadows import cast_shadows
from retail_ray.simulation.render.view import View, make_view
from retail_ray.simulation.store import StoreCamera, StorePlan

COARSE_BELOW_PX = 230
MIRROR_REACH_M = 9.0


class Stage:
    """One plan at one picture size. Bodies and backgrounds are kept by person and camera."""

    def __init__(self, plan: StorePlan, width_px: int, height_px: int, people: Sequence[Person]) -> None:
        self.width_px, self.height_px = width_px, height_px
        self.tone = tone_curve()
        self._plan = plan
        self._lighting = make_lighting(plan)
        self._scene = make_scene(plan, self._lighting, print_posters(plan, self._lighting))
        self._people = {person.person_id: person for person in people}
        self._meshes: dict[tuple[int, bool], BodyMesh] = {}
        self._views: dict[StoreCamera, View] = {}
        self._backdrops: dict[StoreCamera, Backdrop] = {}
        self._latest: tuple[StoreCamera | None, dict[int, tuple[PosedPerson, PlacedBody]]] = (None, {})

    def view(self, camera: StoreCamera) -> View:
        if camera not in self._views:
            self._views[camera] = make_view(camera, self.width_px, self.height_px)
        return self._views[camera]

    def backdrop(self, camera: StoreCamera) -> Backdrop:
        """The empty store with everything that stands still."""
        if camera not in self._backdrops:
            view = self.view(camera)
            backdrop = cast_backdrop(self._scene, view)
            decoys = place_decoys(self._plan, view, self._lighting)
            cast_shadows(view, backdrop.image, backdrop.floor_m, decoys)
            ids = np.zeros(backdrop.near.shape, np.uint16)
            for decoy in decoys:
                draw_body(decoy, self.tone, backdrop.near, backdrop.image, ids)
            self._backdrops[camera] = backdrop
        return self._backdrops[camera]

    def place(self, camera: StoreCamera, people: Sequence[PosedPerson]) -> list[PlacedBody]:
        """Whoever may be in the picture, posed and projected."""
        view = self.view(camera)
        seen = [posed for posed in people if _may_be_seen(view, posed)]
        bodies = [self._place(view, posed, lit=True) for posed in seen]
        self._latest = (camera, {id(posed): (posed, body) for posed, body in zip(seen, bodies, strict=True)})
        return bodies

    def empty_picture(
        self, camera: StoreCamera, people: Sequence[PosedPerson], bodies: Sequence[PlacedBody]
    ) -> NDArray[np.uint8]:
        """A fresh copy of the background with the shadows of `bodies`, and with people in its mirrors."""
        backdrop = self.backdrop(camera)
        image = backdrop.image.copy()
        cast_shadows(self.view(camera), image, backdrop.floor_m, bodies)
        for index in backdrop.mirrors:
            self._reflect(camera, people, index, image)
        return image

    def whole_bodies(self, camera: StoreCamera, people: Sequence[PosedPerson]) -> list[WholeBody | None]:
        """As `Renderer.whole_bodies`; who was just placed for this camera is not posed again."""
        view = self.view(camera)
        of_camera, placed = self._latest
        known = placed if of_camera == camera else {}
        bodies: list[WholeBody | None] = []
        for posed in people:
            before, body = known.get(id(posed), (None, None))
            if body is None or before is not posed:
                body = self._place(view, posed, lit=False)
            bodies.append(whole_body(view, body) if _is_ahead(view, posed) else None)
        return bodies

    def _place(self, view: View, posed: PosedPerson, *, lit: bool) -> PlacedBody:
        mesh = self._mesh(posed.person, coarse=_height_px(view, posed.person, np.asarray(posed.xy_m)) < COARSE_BELOW_PX)
        lighting = self._lighting if lit else None
        owner = posed.person.person_id
        angles = joint_angles(posed)
        return place_body(view, lighting, mesh, owner, angles, xy_m=posed.xy_m, heading_rad=posed.heading_rad)

    def _mesh(self, person: Person, *, coarse: bool) -> BodyMesh:
        if person.person_id not in self._people:
            raise DataError(f"renderer: person {person.person_id} was not named when it was made; give everybody then")
        key = (person.person_id, coarse)
        if key not in self._meshes:
            detail = COARSE if coarse else FINE
            self._meshes[key] = make_body(person.appearance, pushes_trolley=person.pushes_trolley, detail=detail)
        return self._meshes[key]

    def _reflect(
        self, camera: StoreCamera, people: Sequence[PosedPerson], index: int, image: NDArray[np.uint8]
    ) -> None:
        """Draw the people before one mirror into its pixels."""
        backdrop, view = self.backdrop(camera), self.view(camera)
        panel = self._scene.panels[index]
        along = panel[2:4] - panel[:2]
        normal = np.array([-along[1], along[0]]) / np.hypot(*along)
        if (view.position_m[:2] - panel[:2]) @ normal < 0:
            normal = -normal
        rows, columns = np.nonzero(backdrop.mirror == index + 1)
        window = slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1)
        shown = backdrop.mirror[window] == index + 1
        near = np.where(shown, backdrop.behind[window], np.inf).astype(np.float32)
        ids = np.zeros(near.shape, np.uint16)
        corner = np.array([window[1].start, window[0].start, 0], np.float32)
        for posed in people:
            ahead = float((np.asarray(posed.xy_m) - panel[:2]) @ normal)
            image_xy = np.asarray(posed.xy_m) - 2 * ahead * normal
            beside = _beside_px(view, image_xy, window[1])
            if 0.1 < ahead < MIRROR_REACH_M and beside < 1.5 * _height_px(view, posed.person, image_xy):
                body = mirrored(view, self._place(view, posed, lit=True), panel[:2], normal)
                body.screen[:] -= corner
                draw_body(body, self.tone, near, image[window], ids)


def _height_px(view: View, person: Person, xy_m: NDArray[np.float64]) -> float:
    away = np.linalg.norm(view.position_m[:2] - xy_m)
    return float(view.focal_px[1] * person.appearance.height_m / max(away, 0.3))


def _beside_px(view: View, xy_m: NDArray[np.float64], columns: slice) -> float:
    """How far beside these columns somebody at a place is seen; infinite behind the camera."""
    column, _, near = project(view, np.array([[*xy_m, 1.0]], np.float32))[0]
    return float(max(columns.start - column, column - columns.stop, 0)) if near > 0 else np.inf


def _is_ahead(view: View, posed: PosedPerson) -> bool:
    return float(_middle(view, posed)[2]) > 0.15


def _middle(view: View, posed: PosedPerson) -> NDArray[np.float64]:
    middle = np.array([*posed.xy_m, posed.person.appearance.height_m * 0.55])
    return np.asarray(view.rotation @ middle + view.translation_m)


def _may_be_seen(view: View, posed: PosedPerson) -> bool:
    """Whether a sphere around the person and what he pushes touches the picture's wedge."""
    x, y, z = _middle(view, posed)
    radius = 2.0 if posed.person.pushes_trolley else 1.2
    slope = np.sqrt(view.reach) if np.any(view.distortion) else np.inf
    half_x = min(slope, 1.35 * (view.width_px / 2) / view.focal_px[0])
    half_y = min(slope, 1.35 * (view.height_px / 2) / view.focal_px[1])
    inside_x = abs(x) <= half_x * max(z, 0) + radius * np.hypot(1, half_x)
    inside_y = abs(y) <= half_y * max(z, 0) + radius * np.hypot(1, half_y)
    return bool(z > -radius and inside_x and inside_y)
