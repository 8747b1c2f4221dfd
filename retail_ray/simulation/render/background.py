"""The empty store as one camera sees it, with depth: cast ray by ray, once for each camera."""

# ruff: noqa: PLR0917, C901 - compiled loops take plain numbers and arrays

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from retail_ray.simulation.render.light import TONE_RANGE, TONE_STEPS, irradiance, tone_curve
from retail_ray.simulation.render.scene import Scene
from retail_ray.simulation.render.textures import box_albedo, chance, floor_albedo, outside_light, wall_albedo
from retail_ray.simulation.render.view import View, pixel_rays

Array = NDArray[np.float64]
Triple = tuple[float, float, float]
Bounds = tuple[float, float, float, float]
FLOOR, MIRROR, FAR_M = 9, 8, 1e6
SUBPIXELS: Final = ((-0.25, -0.125), (0.125, -0.25), (0.25, 0.125), (-0.125, 0.25))


@dataclass(frozen=True, slots=True)
class Backdrop:
    """image: (H, W, 3) uint8. near: (H, W) float32, 1/z. floor_m: (H, W, 2) float32, where on the floor each pixel
    is, NaN where it shows something else.

    mirror: (H, W) uint16, which panel of the scene, counted from 1, a pixel shows if it is a mirror, else 0.
    behind: (H, W) float32, 1/z of what the mirror shows. mirrors: the panels that occur in `mirror`.
    """

    image: NDArray[np.uint8]
    near: NDArray[np.float32]
    floor_m: NDArray[np.float32]
    mirror: NDArray[np.uint16]
    behind: NDArray[np.float32]
    mirrors: tuple[int, ...]


def cast_backdrop(scene: Scene, view: View) -> Backdrop:
    """Colours are the mean of four rays a pixel, depth and surface are those of its centre."""
    size_hw = (view.height_px, view.width_px)
    rays, to_world = pixel_rays(view), np.ascontiguousarray(view.rotation.T)
    linear = np.zeros((*size_hw, 3), np.float32)
    near, behind = np.zeros(size_hw, np.float32), np.zeros(size_hw, np.float32)
    floor, mirror = np.full((*size_hw, 2), np.nan, np.float32), np.zeros(size_hw, np.uint16)
    x, y, z = view.position_m.tolist()
    surfaces = (scene.boxes, scene.panels, scene.shop, scene.floor, scene.ceiling_m)
    _measure(rays, to_world, (x, y, z), *surfaces, near, floor, mirror, behind)
    lighting = (scene.lighting.lights_m, scene.lighting.strength)
    offsets = np.array(SUBPIXELS) / view.focal_px
    _paint(rays, offsets, to_world, (x, y, z), *surfaces, *lighting, scene.prints, scene.seed, linear)
    steps = np.minimum(linear * (TONE_STEPS / TONE_RANGE), TONE_STEPS - 1).astype(np.int32)
    mirrors = tuple(int(panel) - 1 for panel in np.unique(mirror) if panel > 0)
    return Backdrop(tone_curve()[steps], near, floor, mirror, behind, mirrors)


@njit(cache=True, nogil=True)
def _measure(
    rays: NDArray[np.float32], to_world: Array, eye: Triple, boxes: Array, panels: Array, shop: Bounds, floor: Bounds,
    ceiling: float, near: NDArray[np.float32], floor_m: NDArray[np.float32], mirror: NDArray[np.uint16],
    behind: NDArray[np.float32],
) -> None:  # fmt: skip
    """Depth and surface at the centre of each pixel."""
    for row in range(rays.shape[0]):
        for column in range(rays.shape[1]):
            way = _turned(to_world, rays[row, column, 0], rays[row, column, 1])
            kind, index, _, away = _first_hit(eye, way, boxes, panels, shop, floor, ceiling)
            if kind == FLOOR:
                floor_m[row, column, 0], floor_m[row, column, 1] = eye[0] + away * way[0], eye[1] + away * way[1]
            near[row, column] = 1.0 / away if away < FAR_M else 0.0
            if kind == MIRROR:
                mirror[row, column] = index + 1
                bounced = _bounced(way, panels[index])
                start = _along(eye, way, away)
                _, _, _, beyond = _first_hit(start, bounced, boxes, panels, shop, floor, ceiling)
                behind[row, column] = 1.0 / (away + beyond)


@njit(cache=True, nogil=True)
def _paint(
    rays: NDArray[np.float32], subpixels: Array, to_world: Array, eye: Triple, boxes: Array, panels: Array,
    shop: Bounds, floor: Bounds, ceiling: float, lights: Array, strength: float, prints: NDArray[np.float32],
    seed: int, linear: NDArray[np.float32],
) -> None:  # fmt: skip
    """Mean light of a pixel's sub-pixels, whose offsets are given in slopes; through at most one mirror."""
    share = 1.0 / len(subpixels)
    for row in range(rays.shape[0]):
        for column in range(rays.shape[1]):
            for k in range(len(subpixels)):
                start, dim = eye, share
                way = _turned(to_world, rays[row, column, 0] + subpixels[k, 0], rays[row, column, 1] + subpixels[k, 1])
                kind, index, face, away = _first_hit(start, way, boxes, panels, shop, floor, ceiling)
                if kind == MIRROR:
                    start, way = _along(start, way, away), _bounced(way, panels[index])
                    dim *= 0.82
                    kind, index, face, away = _first_hit(start, way, boxes, panels, shop, floor, ceiling)
                red, green, blue = _lit(
                    kind, index, face, start, way, away, boxes, panels, shop, lights, strength, prints, seed
                )
                linear[row, column, 0] += red * dim
                linear[row, column, 1] += green * dim
                linear[row, column, 2] += blue * dim


@njit(cache=True, nogil=True, inline="always")
def _turned(to_world: Array, x: float, y: float) -> Triple:
    return (
        to_world[0, 0] * x + to_world[0, 1] * y + to_world[0, 2],
        to_world[1, 0] * x + to_world[1, 1] * y + to_world[1, 2],
        to_world[2, 0] * x + to_world[2, 1] * y + to_world[2, 2],
    )


@njit(cache=True, nogil=True, inline="always")
def _along(start: Triple, way: Triple, away: float) -> Triple:
    return start[0] + away * way[0], start[1] + away * way[1], start[2] + away * way[2]


@njit(cache=True, nogil=True, inline="always")
def _bounced(way: Triple, panel: Array) -> Triple:
    """The direction after an upright mirror."""
    ex, ey = panel[2] - panel[0], panel[3] - panel[1]
    length = np.sqrt(ex * ex + ey * ey)
    nx, ny = ey / length, -ex / length
    along = way[0] * nx + way[1] * ny
    return way[0] - 2 * along * nx, way[1] - 2 * along * ny, way[2]


@njit(cache=True, nogil=True)
def _first_hit(
    eye: Triple, way: Triple, boxes: Array, panels: Array, shop: Bounds, floor: Bounds, ceiling: float
) -> tuple[int, int, int, float]:
    """Surface, index, face (0, 1 sides along x and y, 2 top) and distance in units of `way`."""
    kind, index, face, best = 11, 0, 0, FAR_M
    if way[2] < 0:
        away = -eye[2] / way[2]
        x, y = eye[0] + away * way[0], eye[1] + away * way[1]
        if floor[0] <= x <= floor[2] and floor[1] <= y <= floor[3]:
            kind, best = FLOOR, away
    elif way[2] > 0:
        away = (ceiling - eye[2]) / way[2]
        x, y = eye[0] + away * way[0], eye[1] + away * way[1]
        if away > 0 and shop[0] <= x <= shop[2] and shop[1] <= y <= shop[3]:
            kind, best = 10, away
    over_x, over_y, over_z = 1 / _safe(way[0]), 1 / _safe(way[1]), 1 / _safe(way[2])
    for b in range(len(boxes)):
        x_in, x_out = _ordered((boxes[b, 0] - eye[0]) * over_x, (boxes[b, 3] - eye[0]) * over_x)
        if x_in > best or x_out <= 0:
            continue
        y_in, y_out = _ordered((boxes[b, 1] - eye[1]) * over_y, (boxes[b, 4] - eye[1]) * over_y)
        z_in, z_out = _ordered((boxes[b, 2] - eye[2]) * over_z, (boxes[b, 5] - eye[2]) * over_z)
        enter, side = x_in, 0
        if y_in > enter:
            enter, side = y_in, 1
        if z_in > enter:
            enter, side = z_in, 2
        if 1e-4 < enter < best and enter <= min(x_out, y_out, z_out):
            kind, index, face, best = int(boxes[b, 6]), b, side, enter
    for p in range(len(panels)):
        away = _panel_hit(eye, way, panels[p])
        if 1e-4 < away < best:
            kind, index, face, best = int(panels[p, 6]), p, 0, away
    return kind, index, face, best


@njit(cache=True, nogil=True, inline="always")
def _safe(value: float) -> float:
    return value if abs(value) > 1e-12 else 1e-12


@njit(cache=True, nogil=True, inline="always")
def _ordered(one: float, two: float) -> tuple[float, float]:
    return (one, two) if one < two else (two, one)


@njit(cache=True, nogil=True, inline="always")
def _panel_hit(eye: Triple, way: Triple, panel: Array) -> float:
    ex, ey = panel[2] - panel[0], panel[3] - panel[1]
    bottom = way[0] * ey - way[1] * ex
    if abs(bottom) < 1e-12:
        return -1.0
    fx, fy = panel[0] - eye[0], panel[1] - eye[1]
    away = (fx * ey - fy * ex) / bottom
    share = (fx * way[1] - fy * way[0]) / bottom
    z = eye[2] + away * way[2]
    return away if away > 0 and 0 <= share <= 1 and panel[4] <= z <= panel[5] else -1.0


@njit(cache=True, nogil=True)
def _lit(
    kind: int, index: int, face: int, start: Triple, way: Triple, away: float, boxes: Array, panels: Array,
    shop: Bounds, lights: Array, strength: float, prints: NDArray[np.float32], seed: int,
) -> Triple:  # fmt: skip
    """Linear light that comes back along a ray."""
    if kind == 11:
        return outside_light(start[2], way[0], way[1], way[2])
    at = _along(start, way, away)
    if kind == 10:
        return _ceiling(at, lights)
    nx, ny, nz, shine = 0.0, 0.0, 0.0, 0.0
    if kind == FLOOR:
        inside = shop[0] <= at[0] <= shop[2] and shop[1] <= at[1] <= shop[3]
        red, green, blue = floor_albedo(at[0], at[1], inside, seed)
        nz, dark = 1.0, _floor_occlusion(at, boxes, panels)
        red, green, blue = red * dark, green * dark, blue * dark
        shine = _gleam(at, way, lights) * dark if inside else 0.0
    elif kind >= 6:
        panel = panels[index]
        ex, ey = panel[2] - panel[0], panel[3] - panel[1]
        length = np.sqrt(ex * ex + ey * ey)
        nx, ny = ey / length, -ex / length
        if nx * way[0] + ny * way[1] > 0:
            nx, ny = -nx, -ny
        u = ((at[0] - panel[0]) * ex + (at[1] - panel[1]) * ey) / length
        red, green, blue = _panel_albedo(kind, u, at[2], length, panel, prints)
    else:
        nx, ny, nz = _face_normal(face, way)
        red, green, blue = _fixture_albedo(kind, face, at, boxes[index])
        dark = 1.0 if face == 2 else 0.6 + 0.4 * min(at[2] / 0.35, 1.0)
        red, green, blue = red * dark, green * dark, blue * dark
    light = irradiance(at[0], at[1], at[2], nx, ny, nz, lights, strength, shop)
    return red * light + shine, green * light + shine, blue * light + shine


@njit(cache=True, nogil=True, inline="always")
def _face_normal(face: int, way: Triple) -> Triple:
    if face == 0:
        return (-1.0, 0.0, 0.0) if way[0] > 0 else (1.0, 0.0, 0.0)
    if face == 1:
        return (0.0, -1.0, 0.0) if way[1] > 0 else (0.0, 1.0, 0.0)
    return (0.0, 0.0, -1.0) if way[2] > 0 else (0.0, 0.0, 1.0)


@njit(cache=True, nogil=True)
def _fixture_albedo(kind: int, face: int, at: Triple, box: Array) -> Triple:
    wide_x = box[3] - box[0] >= box[4] - box[1]
    if face == 2:
        return box_albedo(kind, at[0] - box[0], at[1] - box[1], box[5], 2, 1.0, int(box[7]))
    u, length = (at[1] - box[1], box[4] - box[1]) if face == 0 else (at[0] - box[0], box[3] - box[0])
    is_long = (face == 1) == wide_x
    return box_albedo(kind, u, at[2], box[5], 0 if is_long else 1, length, int(box[7]) + face * 13)


@njit(cache=True, nogil=True)
def _panel_albedo(kind: int, u: float, z: float, length: float, panel: Array, prints: NDArray[np.float32]) -> Triple:
    if kind != 7 or len(prints) == 0:
        return wall_albedo(u, z, int(panel[7]))
    which = int(panel[7]) % len(prints)
    high, wide = prints.shape[1], prints.shape[2]
    row = min(int((panel[5] - z) / (panel[5] - panel[4]) * high), high - 1)
    column = min(int((1 - u / length) * wide), wide - 1)
    return prints[which, row, column, 0], prints[which, row, column, 1], prints[which, row, column, 2]


@njit(cache=True, nogil=True)
def _floor_occlusion(at: Triple, boxes: Array, panels: Array) -> float:
    """Darker in the corners that fixtures and walls make with the floor."""
    dark = 1.0
    for b in range(len(boxes)):
        dx = max(boxes[b, 0] - at[0], at[0] - boxes[b, 3], 0.0)
        dy = max(boxes[b, 1] - at[1], at[1] - boxes[b, 4], 0.0)
        away = np.hypot(dx, dy)
        reach = min(0.25 + 0.3 * boxes[b, 5], 0.8)
        if away < reach:
            dark *= 1 - 0.5 * (1 - away / reach) ** 2
    for p in range(len(panels)):
        ex, ey = panels[p, 2] - panels[p, 0], panels[p, 3] - panels[p, 1]
        share = ((at[0] - panels[p, 0]) * ex + (at[1] - panels[p, 1]) * ey) / (ex * ex + ey * ey)
        share = min(max(share, 0.0), 1.0)
        away = np.hypot(at[0] - panels[p, 0] - share * ex, at[1] - panels[p, 1] - share * ey)
        if away < 0.4 and panels[p, 4] < 0.3:
            dark *= 1 - 0.35 * (1 - away / 0.4) ** 2
    return dark


@njit(cache=True, nogil=True)
def _gleam(at: Triple, way: Triple, lights: Array) -> float:
    """The ceiling lights mirrored in polished tiles."""
    total = 0.0
    for i in range(len(lights)):
        up = lights[i, 2] / max(-way[2], 1e-6)
        dx, dy = at[0] + up * way[0] - lights[i, 0], at[1] + up * way[1] - lights[i, 1]
        total += np.exp(-(dx * dx + dy * dy) / 0.5)
    return 0.16 * total


@njit(cache=True, nogil=True)
def _ceiling(at: Triple, lights: Array) -> Triple:
    for i in range(len(lights)):
        if abs(at[0] - lights[i, 0]) < 0.6 and abs(at[1] - lights[i, 1]) < 0.15:
            return 2.5, 2.5, 2.4
    rim = min((at[0] / 0.6) % 1.0, (at[1] / 0.6) % 1.0) < 0.04
    tone = 0.3 if rim else 0.42 + 0.02 * chance(int(np.floor(at[0] / 0.6)), int(np.floor(at[1] / 0.6)), 3)
    return tone, tone, tone * 0.98
