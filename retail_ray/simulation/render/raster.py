"""Triangles to pixels with a depth buffer, in compiled loops that hold no interpreter lock.

Depth is kept as 1/z: larger is nearer, 0 is infinitely far, and it is linear across a triangle on the screen.
"""

# ruff: noqa: PLR0917 - compiled loops take plain numbers and arrays

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from retail_ray.simulation.render.light import TONE_RANGE, TONE_STEPS, irradiance
from retail_ray.simulation.render.view import lens_terms

Floats = NDArray[np.float32]
NEAREST_M: Final = 0.12
NEARER: Final = 1.0008
"""People win against a surface that they touch: soles against the floor, hands against a shelf."""


@njit(cache=True, nogil=True)
def pose_vertices(
    points: Floats, normals: Floats, bones: NDArray[np.uint8], weights: Floats,
    turns: NDArray[np.float64], shifts: NDArray[np.float64],
) -> tuple[Floats, Floats]:  # fmt: skip
    """(V, 3) world points and (V, 3) unit normals: linear blend of up to three bones."""
    placed, turned = np.empty_like(points), np.empty_like(points)
    for v in range(len(points)):
        for axis in range(3):
            place, turn = 0.0, 0.0
            for k in range(3):
                weight = weights[v, k]
                if weight > 0:
                    bone = bones[v, k]
                    along, facing = shifts[bone, axis], 0.0
                    for j in range(3):
                        along += turns[bone, axis, j] * points[v, j]
                        facing += turns[bone, axis, j] * normals[v, j]
                    place += weight * along
                    turn += weight * facing
            placed[v, axis], turned[v, axis] = place, turn
        length = np.sqrt(turned[v, 0] ** 2 + turned[v, 1] ** 2 + turned[v, 2] ** 2) + 1e-9
        for axis in range(3):
            turned[v, axis] /= length
    return placed, turned


@njit(cache=True, nogil=True)
def light_vertices(
    placed: Floats, turned: Floats, shade: Floats,
    lights: NDArray[np.float64], strength: float, shop: tuple[float, float, float, float],
) -> Floats:  # fmt: skip
    """(V,) light times shade."""
    out = np.empty(len(placed), np.float32)
    for v in range(len(placed)):
        out[v] = shade[v] * irradiance(
            placed[v, 0], placed[v, 1], placed[v, 2], turned[v, 0], turned[v, 1], turned[v, 2], lights, strength, shop
        )
    return out


@njit(cache=True, nogil=True)
def project_vertices(
    placed: Floats, rotation: NDArray[np.float64], translation: NDArray[np.float64],
    focal: NDArray[np.float64], centre: NDArray[np.float64], distortion: NDArray[np.float64], reach: float,
) -> Floats:  # fmt: skip
    """(V, 3): x and y in pixels and 1/z; 1/z is 0 for what is behind the camera or outside the lens."""
    out = np.zeros((len(placed), 3), np.float32)
    for v in range(len(placed)):
        x = rotation[0, 0] * placed[v, 0] + rotation[0, 1] * placed[v, 1] + rotation[0, 2] * placed[v, 2]
        y = rotation[1, 0] * placed[v, 0] + rotation[1, 1] * placed[v, 1] + rotation[1, 2] * placed[v, 2]
        z = rotation[2, 0] * placed[v, 0] + rotation[2, 1] * placed[v, 1] + rotation[2, 2] * placed[v, 2]
        x, y, z = x + translation[0], y + translation[1], z + translation[2]
        if z < NEAREST_M:
            continue
        x, y = x / z, y / z
        if x * x + y * y > reach:
            continue
        radial, shift_x, shift_y = lens_terms(x, y, distortion)
        out[v, 0] = (x * radial + shift_x) * focal[0] + centre[0]
        out[v, 1] = (y * radial + shift_y) * focal[1] + centre[1]
        out[v, 2] = 1.0 / z
    return out


@njit(cache=True, nogil=True)
def draw_triangles(
    screen: Floats, light: Floats, coords: Floats, triangles: NDArray[np.int32], material: NDArray[np.uint8],
    props_from: int, palette: Floats, paint: NDArray[np.uint8], person_id: int, tone: NDArray[np.uint8],
    near: Floats, image: NDArray[np.uint8], ids: NDArray[np.uint16],
) -> None:  # fmt: skip
    """Draw one mesh into `image`, `ids` and the depth buffer `near`; props clear the id that they hide."""
    height, width = near.shape
    for t in range(len(triangles)):
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        if screen[a, 2] == 0 or screen[b, 2] == 0 or screen[c, 2] == 0:
            continue
        ax, ay, bx = np.float64(screen[a, 0]), np.float64(screen[a, 1]), np.float64(screen[b, 0])
        by, cx, cy = np.float64(screen[b, 1]), np.float64(screen[c, 0]), np.float64(screen[c, 1])
        area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        if area >= 0:
            continue
        x_from, x_to = max(int(np.ceil(min(ax, bx, cx))), 0), min(int(np.floor(max(ax, bx, cx))), width - 1)
        y_from, y_to = max(int(np.ceil(min(ay, by, cy))), 0), min(int(np.floor(max(ay, by, cy))), height - 1)
        owner = person_id if t < props_from else 0
        share = 1.0 / area
        code = material[t]
        style = paint[code]
        step_a, step_b = (by - cy) * share, (cy - ay) * share
        for y in range(y_from, y_to + 1):
            wa = ((bx - x_from) * (cy - y) - (by - y) * (cx - x_from)) * share - step_a
            wb = ((cx - x_from) * (ay - y) - (cy - y) * (ax - x_from)) * share - step_b
            for x in range(x_from, x_to + 1):
                wa += step_a
                wb += step_b
                wc = 1.0 - wa - wb
                if wa < 0 or wb < 0 or wc < 0:
                    continue
                inverse = (wa * screen[a, 2] + wb * screen[b, 2] + wc * screen[c, 2]) * NEARER
                if inverse <= near[y, x]:
                    continue
                u = wa * coords[a, 0] + wb * coords[b, 0] + wc * coords[c, 0]
                v = wa * coords[a, 1] + wb * coords[b, 1] + wc * coords[c, 1]
                second = second_share(style, u, v)
                if second < 0:
                    continue
                near[y, x] = inverse
                ids[y, x] = owner
                bright = wa * light[a] + wb * light[b] + wc * light[c]
                for channel in range(3):
                    colour = palette[code, 0, channel] * (1 - second) + palette[code, 1, channel] * second
                    step = int(colour * bright * (TONE_STEPS / TONE_RANGE))
                    image[y, x, channel] = tone[min(max(step, 0), TONE_STEPS - 1)]


@njit(cache=True, nogil=True)
def cover_triangles(screen: Floats, triangles: NDArray[np.int32], covered: NDArray[np.bool_]) -> None:
    """Mark in `covered` every pixel of these triangles."""
    height, width = covered.shape
    for t in range(len(triangles)):
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        if screen[a, 2] == 0 or screen[b, 2] == 0 or screen[c, 2] == 0:
            continue
        ax, ay, bx = np.float64(screen[a, 0]), np.float64(screen[a, 1]), np.float64(screen[b, 0])
        by, cx, cy = np.float64(screen[b, 1]), np.float64(screen[c, 0]), np.float64(screen[c, 1])
        area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        if area >= 0:
            continue
        x_from, x_to = max(int(np.ceil(min(ax, bx, cx))), 0), min(int(np.floor(max(ax, bx, cx))), width - 1)
        y_from, y_to = max(int(np.ceil(min(ay, by, cy))), 0), min(int(np.floor(max(ay, by, cy))), height - 1)
        share = 1.0 / area
        step_a, step_b = (by - cy) * share, (cy - ay) * share
        for y in range(y_from, y_to + 1):
            wa = ((bx - x_from) * (cy - y) - (by - y) * (cx - x_from)) * share - step_a
            wb = ((cx - x_from) * (ay - y) - (cy - y) * (ax - x_from)) * share - step_b
            for x in range(x_from, x_to + 1):
                wa += step_a
                wb += step_b
                if wa >= 0 and wb >= 0 and wa + wb <= 1.0:
                    covered[y, x] = True


@njit(cache=True, nogil=True, inline="always")
def second_share(style: int, u: float, v: float) -> float:
    """How much of a material's second colour is at cloth point (u, v); -1 where there is a hole."""
    if style == 0:
        return 0.0
    if style == 1:
        return 1.0 if (v / 0.065) % 1.0 < 0.42 else 0.0
    if style == 2:
        across, along = (u / 0.085) % 1.0 < 0.45, (v / 0.085) % 1.0 < 0.45
        return 0.85 if across and along else (0.4 if across or along else 0.0)
    if style == 3:
        du, dv = (u / 0.06) % 1.0 - 0.5, (v / 0.06) % 1.0 - 0.5
        return 1.0 if du * du + dv * dv < 0.06 else 0.0
    if style == 4:
        return _logo(u, v)
    if style == 5:
        return _face(u, v)
    return 0.0 if (u / 0.055) % 1.0 < 0.28 or (v / 0.055) % 1.0 < 0.28 else -1.0


@njit(cache=True, nogil=True, inline="always")
def _logo(u: float, v: float) -> float:
    """A print on the chest, about 1.25 m above the floor."""
    if abs(u) > 0.11 or v < 1.14 or v > 1.3:
        return 0.0
    if v > 1.18:
        return 0.95 if (u / 0.07 + v / 0.05) % 1.0 < 0.62 else 0.0
    return 0.8 if (u / 0.025) % 1.0 < 0.6 and v > 1.15 else 0.0


@njit(cache=True, nogil=True, inline="always")
def _face(u: float, v: float) -> float:
    """Eyes, brows and mouth, by the angle from the nose and the height in half heads."""
    side = abs(u)
    if 0.22 < side < 0.55 and abs(v - 0.1) < 0.055:
        return 2.5
    if 0.18 < side < 0.62 and 0.21 < v < 0.29:
        return 2.2
    if side < 0.34 and abs(v + 0.5) < 0.05:
        return 1.0
    return 0.12 if side < 0.5 and -0.75 < v < -0.3 else 0.0
