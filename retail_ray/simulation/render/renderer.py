"""Pictures of one camera with the exact owner of each pixel, whichever way they are drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, Protocol

import numpy as np
from numba import njit
from numpy.typing import NDArray

from retail_ray.core.checks import require
from retail_ray.core.errors import DataError
from retail_ray.simulation.crowd import Person
from retail_ray.simulation.render.people import PosedPerson
from retail_ray.simulation.store import StoreCamera, StorePlan

Prefer = Literal["auto", "gl", "software"]
HIGHEST_ID: Final = 65535


@njit(cache=True, nogil=True)
def _occurring(ids: NDArray[np.uint16]) -> NDArray[np.bool_]:
    """(65536,) which ids other than 0 there are; several times as fast as sorting or counting them."""
    found = np.zeros(HIGHEST_ID + 1, np.bool_)
    for row in range(ids.shape[0]):
        for column in range(ids.shape[1]):
            if ids[row, column] != 0:
                found[ids[row, column]] = True
    return found


@dataclass(frozen=True, slots=True)
class Picture:
    """image: (H, W, 3) uint8 RGB. ids: (H, W) uint16, the person_id that each pixel shows, 0 for nobody."""

    image: NDArray[np.uint8]
    ids: NDArray[np.uint16]

    def __post_init__(self) -> None:
        height, width = self.ids.shape
        require("Picture.image", self.image, (height, width, 3), np.uint8)
        require("Picture.ids", self.ids, (height, width), np.uint16)

    def people(self) -> set[int]:
        """The person_ids that at least one pixel shows."""
        return set(np.flatnonzero(_occurring(self.ids)).tolist())


@dataclass(frozen=True, slots=True)
class WholeBody:
    """One person drawn alone, with nothing before him and a picture as wide as it takes.

    box_px: (4,) float32 xyxy, edges of the outermost pixels, also outside the frame. pixels: the body's size in the
    frame's pixels. corner_px: column and row of `part` in the frame. part: (h, w) bool, the body within the frame.
    """

    person_id: int
    box_px: NDArray[np.float32]
    pixels: float
    corner_px: tuple[int, int]
    part: NDArray[np.bool_]

    def mask(self, size_hw: tuple[int, int]) -> NDArray[np.bool_]:
        """(H, W) bool over the whole frame."""
        whole = np.zeros(size_hw, np.bool_)
        column, row = self.corner_px
        whole[row : row + self.part.shape[0], column : column + self.part.shape[1]] = self.part
        return whole


class Renderer(Protocol):
    """Draws any camera of one plan. One renderer belongs to one thread."""

    @property
    def name(self) -> str: ...

    def draw(self, camera: StoreCamera, people: Sequence[PosedPerson]) -> Picture: ...

    def whole_bodies(self, camera: StoreCamera, people: Sequence[PosedPerson]) -> list[WholeBody | None]:
        """One for each person in order; None for who is wholly behind the camera or outside its lens."""


def make_renderer(
    plan: StorePlan, width_px: int, height_px: int, people: Sequence[Person], prefer: Prefer = "auto"
) -> Renderer:
    """'auto' draws with OpenGL where a graphics card does it, else in software; `name` says which it became.

    OpenGL on a CPU (Mesa's llvmpipe) gives the same pictures at more than twice the cost. Raises DataError for ids
    that do not fit a pixel or sizes that are none, ModelError where 'gl' is asked for and no context can be made.
    """
    from retail_ray.simulation.render.opengl import GlRenderer, graphics_card
    from retail_ray.simulation.render.software import SoftwareRenderer
    from retail_ray.simulation.render.stage import Stage

    if width_px < 16 or height_px < 16:
        raise DataError(f"renderer: a picture of {width_px} x {height_px} px is too small; at least 16 x 16")
    wrong = [person.person_id for person in people if not 0 < person.person_id <= HIGHEST_ID]
    if wrong:
        raise DataError(f"renderer: person ids {wrong[:5]} do not fit a pixel; give ids from 1 to {HIGHEST_ID}")
    stage = Stage(plan, width_px, height_px, people)
    if prefer == "gl" or (prefer == "auto" and graphics_card() is not None):
        return GlRenderer(stage)
    return SoftwareRenderer(stage)
