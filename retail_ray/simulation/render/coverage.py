"""How large a whole body is on the screen, whatever hides it and wherever the frame ends."""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from retail_ray.simulation.render.placing import PlacedBody
from retail_ray.simulation.render.raster import cover_triangles
from retail_ray.simulation.render.renderer import WholeBody
from retail_ray.simulation.render.view import View

CAREFUL_BELOW_PX: Final = 2000
"""Larger bodies are counted at a coarser scale."""


def whole_body(view: View, body: PlacedBody) -> WholeBody | None:
    """None where nothing of the body is ahead of the camera. Props do not count."""
    own = body.mesh.triangles[: body.mesh.props_from]
    left, top, right, bottom = _reach(body.screen, body.mesh.props_points_from)
    if right < left:
        return None
    scale = min(1.0, CAREFUL_BELOW_PX / max(right - left + 1, bottom - top + 1))
    covered = np.zeros((int((bottom - top) * scale) + 2, int((right - left) * scale) + 2), np.bool_)
    cover_triangles(_shifted(body.screen, left, top, scale), own, covered)
    pixels, *box = _extent(covered)
    if pixels == 0:
        return None
    if scale < 1.0:
        corner, part = (0, 0), np.zeros((view.height_px, view.width_px), np.bool_)
        cover_triangles(body.screen, own, part)
    else:
        corner, part = _within_frame(view, covered, left, top)
    box_px = np.array(box, np.float64) / scale + (left, top, left, top)
    return WholeBody(body.owner, box_px.astype(np.float32), pixels / scale**2, corner, part)


@njit(cache=True, nogil=True)
def _reach(screen: NDArray[np.float32], points: int) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of what is ahead of the camera; right < left where nothing is."""
    left, top, right, bottom = 1e9, 1e9, -1e9, -1e9
    for v in range(points):
        if screen[v, 2] > 0:
            left, right = min(left, screen[v, 0]), max(right, screen[v, 0])
            top, bottom = min(top, screen[v, 1]), max(bottom, screen[v, 1])
    return int(np.floor(left)), int(np.floor(top)), int(np.ceil(right)), int(np.ceil(bottom))


@njit(cache=True, nogil=True)
def _shifted(screen: NDArray[np.float32], left: int, top: int, scale: float) -> NDArray[np.float32]:
    moved = screen.copy()
    for v in range(len(screen)):
        moved[v, 0], moved[v, 1] = (screen[v, 0] - left) * scale, (screen[v, 1] - top) * scale
    return moved


@njit(cache=True, nogil=True)
def _extent(covered: NDArray[np.bool_]) -> tuple[int, int, int, int, int]:
    """The number of covered pixels, and x0, y0, x1, y1 around them."""
    pixels, x0, y0, x1, y1 = 0, covered.shape[1], covered.shape[0], 0, 0
    for row in range(covered.shape[0]):
        for column in range(covered.shape[1]):
            if covered[row, column]:
                pixels += 1
                x0, x1 = min(x0, column), max(x1, column + 1)
                y0, y1 = min(y0, row), max(y1, row + 1)
    return pixels, x0, y0, x1, y1


def _within_frame(
    view: View, covered: NDArray[np.bool_], left: int, top: int
) -> tuple[tuple[int, int], NDArray[np.bool_]]:
    """The corner in the frame, and the piece of `covered` (whose corner is at left, top) that lies in the frame."""
    column, row = min(max(left, 0), view.width_px), min(max(top, 0), view.height_px)
    return (column, row), covered[
        row - top : max(view.height_px - top, 0), column - left : max(view.width_px - left, 0)
    ]
