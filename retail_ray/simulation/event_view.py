"""What one camera can see of a crowd: boxes and visible shares by geometry alone, without drawing a picture.

A person is an upright body of their height; fixtures, walls and nearer people hide parts of it. The body is
sampled in `LEVELS` rows from the feet up and `COLUMNS` columns across.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from retail_ray.simulation.store import StoreCamera, StorePlan

LEVELS: Final = 8
COLUMNS: Final = 4
CELL_M: Final = 0.2
_BODY_HEIGHT_M: Final = 1.7
_HALF_WIDTH_M: Final = 0.26
_NEAREST_M: Final = 0.5
_EDGE_M: Final = 0.05
_SOLID_SHARE: Final = 0.8
_WIDER_THAN_PICTURE: Final = 1.2


class Eye(NamedTuple):
    """A camera in numbers, with what its store hides from it.

    rotation: (3, 3). translation_m: (3,). lens: (8,) focal_px, cx_px, cy_px, k1, k2, p1, p2, k3. frame_hw_px: picture.
    seen_levels: (ny, nx) uint8, bit i set where level i of a body standing in that floor cell is in sight.
    origin_m: corner of cell (0, 0). widest: largest |x / z| of the picture's corners before distortion.
    """

    rotation: NDArray[np.float64]
    translation_m: NDArray[np.float64]
    lens: NDArray[np.float64]
    frame_hw_px: tuple[int, int]
    seen_levels: NDArray[np.uint8]
    origin_m: tuple[float, float]
    widest: tuple[float, float]


class Views(NamedTuple):
    """People in view, as parallel arrays in the crowd's order.

    row: (N,) int64 row of the crowd. full_xyxy_px: (N, 4) float32, the whole body also where hidden or outside.
    depth_m: (N,) float32. seen: (N,) uint8 visible samples of LEVELS * COLUMNS. lowest, highest: (N,) uint8 the
    lowest and highest level with a visible sample.
    """

    row: NDArray[np.int64]
    full_xyxy_px: NDArray[np.float32]
    depth_m: NDArray[np.float32]
    seen: NDArray[np.uint8]
    lowest: NDArray[np.uint8]
    highest: NDArray[np.uint8]


def eye_of(plan: StorePlan, camera: StoreCamera, frame_hw_px: tuple[int, int]) -> Eye:
    """Precompute what the fixtures and walls of the store hide from a camera."""
    height, width = frame_hw_px
    matrix = camera.matrix(width, height)
    x0, y0, x1, y1 = plan.floor_m
    margin = _WIDER_THAN_PICTURE / matrix[0, 0]
    things = _Things(
        np.array([(*fixture.area_m, fixture.height_m) for fixture in plan.fixtures], np.float64).reshape(-1, 5),
        np.array([(*wall.start_m, *wall.end_m, wall.height_m) for wall in plan.walls], np.float64).reshape(-1, 5),
    )
    grid = (int(np.ceil((y1 - y0) / CELL_M)), int(np.ceil((x1 - x0) / CELL_M)))
    return Eye(
        camera.rotation(),
        camera.translation_m(),
        np.array([matrix[0, 0], matrix[0, 2], matrix[1, 2], *camera.distortion]),
        frame_hw_px,
        _seen_levels(np.array(camera.position_m), things, (x0, y0), grid),
        (x0, y0),
        (width / 2 * margin, height / 2 * margin),
    )


def look(
    eye: Eye, tick: NDArray[np.int32], xy_m: NDArray[np.float32], height_m: NDArray[np.float32], first_row: int
) -> Views:
    """People of crowd rows ordered by tick that are at least partly in the picture. height_m: (N,) of each row."""
    n = len(tick)
    bytes_of = [np.empty(n, np.uint8) for _ in range(3)]
    views = Views(np.empty(n, np.int64), np.empty((n, 4), np.float32), np.empty(n, np.float32), *bytes_of)
    found = _look(eye, tick, xy_m, height_m, views)
    views.row[:found] += first_row
    return Views._make(column[:found] for column in views)


class _Things(NamedTuple):
    """boxes: (B, 5) x0, y0, x1, y1, height of fixtures. walls: (W, 5) x0, y0, x1, y1, height."""

    boxes: NDArray[np.float64]
    walls: NDArray[np.float64]


@njit(cache=True, nogil=True)
def _seen_levels(camera: Any, things: _Things, origin: Any, grid: tuple[int, int]) -> NDArray[np.uint8]:
    seen = np.zeros(grid, np.uint8)
    for j in range(grid[0]):
        for i in range(grid[1]):
            x, y = origin[0] + (i + 0.5) * CELL_M, origin[1] + (j + 0.5) * CELL_M
            for level in range(LEVELS):
                z = (level + 0.5) / LEVELS * _BODY_HEIGHT_M
                way = (x - camera[0], y - camera[1], z - camera[2])
                if not (_behind_fixture(camera, way, things.boxes) or _behind_wall(camera, way, things.walls)):
                    seen[j, i] |= 1 << level
    return seen


@njit(cache=True, nogil=True)
def _behind_fixture(camera: Any, way: Any, boxes: Any) -> bool:
    """Whether the straight way from the camera meets an upright box before its end."""
    last = 1.0 - _EDGE_M / max(np.sqrt(way[0] ** 2 + way[1] ** 2 + way[2] ** 2), 0.1)
    for b in range(len(boxes)):
        low, high = 0.0, last
        for axis in range(3):
            near, far = (0.0, boxes[b, 4]) if axis == 2 else (boxes[b, axis], boxes[b, 2 + axis])
            if abs(way[axis]) < 1e-9:
                if camera[axis] < near or camera[axis] > far:
                    low = 2.0
                continue
            a, c = (near - camera[axis]) / way[axis], (far - camera[axis]) / way[axis]
            low, high = max(low, min(a, c)), min(high, max(a, c))
        if low < high:
            return True
    return False


@njit(cache=True, nogil=True)
def _behind_wall(camera: Any, way: Any, walls: Any) -> bool:
    last = 1.0 - _EDGE_M / max(np.sqrt(way[0] ** 2 + way[1] ** 2 + way[2] ** 2), 0.1)
    for w in range(len(walls)):
        ex, ey = walls[w, 2] - walls[w, 0], walls[w, 3] - walls[w, 1]
        cross = way[0] * ey - way[1] * ex
        if abs(cross) < 1e-12:
            continue
        ox, oy = walls[w, 0] - camera[0], walls[w, 1] - camera[1]
        share, along = (ox * ey - oy * ex) / cross, (ox * way[1] - oy * way[0]) / cross
        if 1e-6 < share < last and 0.0 <= along <= 1.0 and camera[2] + share * way[2] < walls[w, 4]:
            return True
    return False


@njit(cache=True, nogil=True)
def _look(eye: Eye, tick: Any, xy: Any, heights: Any, views: Views) -> int:
    found = first_of_tick = 0
    for i in range(len(tick)):
        if i > 0 and tick[i] != tick[i - 1]:
            _hide(eye, views, first_of_tick, found)
            first_of_tick = found
        levels = _levels_at(eye, xy[i, 0], xy[i, 1])
        if levels > 0 and _box(eye, (xy[i, 0], xy[i, 1]), heights[i], views, found):
            views.row[found], views.seen[found] = i, levels
            found += 1
    _hide(eye, views, first_of_tick, found)
    return _visible_first(views, found)


@njit(cache=True, nogil=True)
def _visible_first(views: Views, found: int) -> int:
    """Move those with a visible sample to the front; their number."""
    kept = 0
    for i in range(found):
        if views.seen[i] > 0:
            for column in (views.seen, views.lowest, views.highest):
                column[kept] = column[i]
            views.row[kept], views.depth_m[kept] = views.row[i], views.depth_m[i]
            views.full_xyxy_px[kept] = views.full_xyxy_px[i]
            kept += 1
    return kept


@njit(cache=True, nogil=True, inline="always")
def _levels_at(eye: Eye, x: float, y: float) -> int:
    column, row = int((x - eye.origin_m[0]) / CELL_M), int((y - eye.origin_m[1]) / CELL_M)
    if 0 <= row < eye.seen_levels.shape[0] and 0 <= column < eye.seen_levels.shape[1]:
        return int(eye.seen_levels[row, column])
    return 0


@njit(cache=True, nogil=True, inline="always")
def _in_camera(eye: Eye, x: float, y: float, z: float) -> tuple[float, float, float]:
    r, t = eye.rotation, eye.translation_m
    return (
        r[0, 0] * x + r[0, 1] * y + r[0, 2] * z + t[0],
        r[1, 0] * x + r[1, 1] * y + r[1, 2] * z + t[1],
        r[2, 0] * x + r[2, 1] * y + r[2, 2] * z + t[2],
    )


@njit(cache=True, nogil=True, inline="always")
def _pixel(eye: Eye, x: float, y: float, z: float) -> tuple[float, float, float]:
    """u, v, depth of a point in the world."""
    xc, yc, zc = _in_camera(eye, x, y, z)
    focal, cx, cy, k1, k2, p1, p2, k3 = eye.lens
    a, b = xc / max(zc, 0.05), yc / max(zc, 0.05)
    r2 = a * a + b * b
    radial = 1.0 + r2 * (k1 + r2 * (k2 + r2 * k3))
    u = a * radial + 2 * p1 * a * b + p2 * (r2 + 2 * a * a)
    v = b * radial + p1 * (r2 + 2 * b * b) + 2 * p2 * a * b
    return u * focal + cx, v * focal + cy, zc


@njit(cache=True, nogil=True)
def _box(eye: Eye, at_m: Any, height: float, views: Views, place: int) -> bool:
    """Write box and depth of a body; False where it cannot be in the picture."""
    x, y = at_m
    xc, yc, zc = _in_camera(eye, x, y, height / 2)
    slack = height / 2 + _HALF_WIDTH_M
    if zc < _NEAREST_M or abs(xc) > eye.widest[0] * zc + slack or abs(yc) > eye.widest[1] * zc + slack:
        return False
    foot_u, foot_v, foot_depth = _pixel(eye, x, y, 0.0)
    _, head_v, head_depth = _pixel(eye, x, y, height)
    side_x, side_y = eye.rotation[0, 0] * _HALF_WIDTH_M, eye.rotation[0, 1] * _HALF_WIDTH_M
    left, _, _ = _pixel(eye, x - side_x, y - side_y, height * 0.7)
    right, _, _ = _pixel(eye, x + side_x, y + side_y, height * 0.7)
    if min(foot_depth, head_depth) < _NEAREST_M / 2 or foot_v <= head_v:
        return False
    half_foot = 0.5 * (right - left) * 0.7
    box = views.full_xyxy_px[place]
    box[0], box[1] = min(left, foot_u - half_foot), head_v
    box[2], box[3] = max(right, foot_u + half_foot), foot_v
    views.depth_m[place] = zc
    return True


@njit(cache=True, nogil=True)
def _hide(eye: Eye, views: Views, start: int, stop: int) -> None:
    """Turn the static levels in `seen` into counts of visible samples of the people of one tick."""
    levels = views.seen[start:stop].copy()
    for i in range(start, stop):
        box = views.full_xyxy_px[i]
        width, height = box[2] - box[0], box[3] - box[1]
        count, low, high = 0, LEVELS, 0
        for level in range(LEVELS):
            v = box[3] - (level + 0.5) / LEVELS * height
            if not levels[i - start] >> level & 1 or v < 0 or v >= eye.frame_hw_px[0]:
                continue
            for column in range(COLUMNS):
                u = box[0] + (column + 0.5) / COLUMNS * width
                if 0 <= u < eye.frame_hw_px[1] and not _covered(views, (u, v), i, start, stop):
                    count, low, high = count + 1, min(low, level), max(high, level)
        views.seen[i], views.lowest[i], views.highest[i] = count, low, high


@njit(cache=True, nogil=True, inline="always")
def _covered(views: Views, at_px: Any, i: int, start: int, stop: int) -> bool:
    """Whether somebody nearer than person i covers this pixel."""
    u, v = at_px
    for k in range(start, stop):
        box = views.full_xyxy_px[k]
        if views.depth_m[k] >= views.depth_m[i] or v < box[1] or v > box[3]:
            continue
        if abs(u - (box[0] + box[2]) / 2) < (box[2] - box[0]) / 2 * _SOLID_SHARE:
            return True
    return False
