"""Drawing without OpenGL: the same meshes, light and background through the compiled depth buffer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from retail_ray.simulation.render.people import PosedPerson
from retail_ray.simulation.render.placing import draw_body
from retail_ray.simulation.render.renderer import Picture, WholeBody
from retail_ray.simulation.render.stage import Stage
from retail_ray.simulation.store import StoreCamera


class SoftwareRenderer:
    """Needs nothing but a CPU; gives the same bytes on every machine of one architecture."""

    name = "software"

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    def draw(self, camera: StoreCamera, people: Sequence[PosedPerson]) -> Picture:
        bodies = self._stage.place(camera, people)
        image = self._stage.empty_picture(camera, people, bodies)
        near = self._stage.backdrop(camera).near.copy()
        ids = np.zeros(near.shape, np.uint16)
        for body in bodies:
            draw_body(body, self._stage.tone, near, image, ids)
        return Picture(image, ids)

    def whole_bodies(self, camera: StoreCamera, people: Sequence[PosedPerson]) -> list[WholeBody | None]:
        return self._stage.whole_bodies(camera, people)
