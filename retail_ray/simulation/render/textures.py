"""What the store's surfaces look like: albedo from places, made of hashed cells."""

# ruff: noqa: PLR0917, PLR0911, C901 - compiled tables of surfaces: plain numbers in, one return for each

from __future__ import annotations

import numpy as np
from numba import njit

Colour = tuple[float, float, float]


@njit(cache=True, nogil=True, inline="always")
def chance(a: int, b: int, c: int) -> float:
    """0 to 1, the same for the same three whole numbers."""
    mixed = (np.uint32(a) * np.uint32(374761393)) ^ (np.uint32(b) * np.uint32(668265263))
    mixed = np.uint32(mixed ^ (np.uint32(c) * np.uint32(2246822519)))
    mixed = np.uint32((mixed ^ (mixed >> np.uint32(13))) * np.uint32(1274126177))
    mixed = np.uint32((mixed ^ (mixed >> np.uint32(16))) * np.uint32(2654435761))
    return np.float64(np.uint32(mixed ^ (mixed >> np.uint32(15)))) / 4294967296.0


@njit(cache=True, nogil=True)
def floor_albedo(x: float, y: float, inside: bool, seed: int) -> Colour:
    """Tiles inside, paving outside."""
    size = 0.6 if inside else 0.4
    i, j = int(np.floor(x / size)), int(np.floor(y / size))
    joint = min(x / size - i, y / size - j) < (0.012 if inside else 0.03)
    tint = 0.93 + 0.1 * chance(i, j, seed)
    fleck = 0.97 + 0.06 * chance(int(np.floor(x * 40)), int(np.floor(y * 40)), seed)
    base = 0.36 + 0.18 * chance(seed, 3, 1) if inside else 0.27
    warm = 0.9 + 0.16 * chance(seed, 5, 2)
    value = base * tint * fleck * (0.72 if joint else 1.0)
    return value * warm, value, value * (1.93 - warm) * 0.97


@njit(cache=True, nogil=True)
def wall_albedo(u: float, z: float, seed: int) -> Colour:
    """Paint, a skirting board, a coloured band."""
    if z < 0.09:
        return 0.2, 0.19, 0.18
    tone = 0.5 + 0.14 * chance(seed, 11, 4)
    grain = 0.985 + 0.03 * chance(int(np.floor(u * 25)), int(np.floor(z * 25)), seed)
    if 2.25 < z < 2.55:
        return 0.2 + 0.4 * chance(seed, 1, 9), 0.16 + 0.3 * chance(seed, 2, 9), 0.15 + 0.35 * chance(seed, 3, 9)
    return tone * grain, tone * grain * 0.98, tone * grain * 0.94


@njit(cache=True, nogil=True)
def product_colour(group: int, board: int, seed: int) -> Colour:
    hue, depth = chance(group, board, seed + 31), chance(group, board, seed + 67)
    if depth < 0.3:
        grey = 0.1 + 0.5 * hue
        return grey, grey * 0.97, grey * 0.9
    turn = hue * 6.0
    strong = 0.25 + 0.4 * chance(group, board, seed + 5)
    weak = strong * (0.12 + 0.5 * chance(group, board, seed + 8))
    rise = weak + (strong - weak) * (1 - abs(turn % 2.0 - 1))
    if turn < 1:
        return strong, rise, weak
    if turn < 2:
        return rise, strong, weak
    if turn < 3:
        return weak, strong, rise
    if turn < 4:
        return weak, rise, strong
    if turn < 5:
        return rise, weak, strong
    return strong, weak, rise


@njit(cache=True, nogil=True)
def shelf_albedo(u: float, z: float, height: float, seed: int) -> Colour:
    """Boards with products side by side, the dark gap above them, price labels on the edges."""
    boards = max(1, round(height / 0.38))
    gap = height / boards
    board = int(z / gap)
    up = z / gap - board
    if up < 0.1:
        labelled = (u / 0.21) % 1.0 < 0.3 and chance(int(np.floor(u / 0.21)), board, seed) < 0.7
        return (0.7, 0.7, 0.62) if labelled and up > 0.02 else (0.3, 0.3, 0.31)
    cell_m = 0.075 + 0.09 * chance(board, int(np.floor(u / 1.1)), seed)
    cell = int(np.floor(u / cell_m))
    group = int(np.floor(u / (cell_m * 4)))
    top = 0.58 + 0.34 * chance(group, board, seed + 3) + 0.04 * chance(cell, board, seed + 4)
    across = u / cell_m - cell
    missing = chance(cell, board, seed + 12) < 0.05
    if up > top or missing:
        return 0.035, 0.034, 0.033
    if across < 0.05:
        return 0.03, 0.03, 0.03
    red, green, blue = product_colour(group, board, seed)
    low = (up - 0.1) / (top - 0.1)
    round_off = 1.0 - 0.5 * abs(across - 0.52) ** 1.5 * 2
    if 0.25 < low < 0.62 and chance(group, board, seed + 9) < 0.75:
        lines = 0.75 if (low * 11) % 1.0 < 0.4 and 0.2 < across < 0.8 else 1.0
        red, green, blue = 0.55 * lines, 0.53 * lines, 0.48 * lines
    elif low > 0.86:
        red, green, blue = red * 0.5 + 0.1, green * 0.5 + 0.1, blue * 0.5 + 0.1
    light = round_off * (1.0 - 0.45 * up * up)
    return red * light, green * light, blue * light


@njit(cache=True, nogil=True)
def box_albedo(surface: int, u: float, z: float, height: float, face: int, length: float, seed: int) -> Colour:
    """A fixture's side (face 0: the long side, 1: the short one) or top (face 2, where u and z lie on the plan)."""
    if surface == 0:
        if face == 0:
            return shelf_albedo(u, z, height, seed)
        if face == 1:
            return _end_panel(u, z, height, length, seed)
        return 0.25, 0.25, 0.25
    if surface == 1:
        if face == 2:
            return 0.12, 0.11, 0.11
        plank = 0.9 + 0.2 * chance(int(np.floor(u / 0.3)), 0, seed)
        return (0.05, 0.05, 0.05) if z < 0.1 else (0.3 * plank, 0.21 * plank, 0.13 * plank)
    if surface == 2:
        if face == 2:
            frosty = 0.1 + 0.5 * chance(int(np.floor(u / 0.12)), int(np.floor(z / 0.16)), seed)
            red, green, blue = product_colour(int(np.floor(u / 0.24)), int(np.floor(z / 0.32)), seed)
            return 0.3 * frosty + 0.6 * red, 0.32 * frosty + 0.6 * green, 0.36 * frosty + 0.6 * blue
        return (0.1, 0.1, 0.11) if z < 0.12 or z > height - 0.08 else (0.6, 0.62, 0.64)
    if surface == 3:
        if face == 2:
            red, green, blue = product_colour(int(np.floor(u / 0.35)), int(np.floor(z / 0.3)), seed)
            edge = min((u / 0.35) % 1.0, (z / 0.3) % 1.0) < 0.16
            return (0.36, 0.27, 0.17) if edge else (red, green, blue)
        return (0.33, 0.24, 0.15) if z > height - 0.08 else (0.1, 0.08, 0.06)
    if surface == 4:
        return 0.52, 0.51, 0.49
    red, green, blue = product_colour(1, 2, seed)
    return (red, green, blue) if face != 2 else (red * 0.4, green * 0.4, blue * 0.4)


@njit(cache=True, nogil=True)
def _end_panel(u: float, z: float, height: float, length: float, seed: int) -> Colour:
    red, green, blue = product_colour(7, 7, seed)
    if 0.15 < u / max(length, 0.1) < 0.85 and 0.45 < z / height < 0.85:
        white = (z * 9) % 1.0 < 0.35 and chance(int(np.floor(u * 9)), int(np.floor(z * 9)), seed) < 0.6
        return (0.6, 0.6, 0.58) if white else (red, green, blue)
    return 0.34, 0.34, 0.35


@njit(cache=True, nogil=True)
def outside_light(height: float, dx: float, dy: float, dz: float) -> Colour:
    """Daylight along a direction: the road, house fronts with windows some metres away, the sky."""
    level = np.sqrt(dx * dx + dy * dy)
    rise = dz / max(level, 1e-9)
    if rise < 0 and -height / rise < 11.0:
        kerb = -height / rise < 4.5
        return (0.34, 0.335, 0.32) if kerb else (0.2, 0.2, 0.205)
    up, azimuth = height + rise * 11.0, np.arctan2(dy, dx)
    if up > 9.0:
        return 0.95, 1.0, 1.08
    house = int(np.floor(azimuth * 5))
    tone = 0.28 + 0.4 * chance(house, 2, 77)
    window = (azimuth * 34) % 1.0 < 0.5 and 0.25 < (up / 3.0) % 1.0 < 0.75
    if window:
        glass = 0.12 + 0.2 * chance(int(np.floor(azimuth * 34)), int(np.floor(up / 3.0)), 5)
        return glass * 0.9, glass, glass * 1.1
    return tone, tone * (0.86 + 0.1 * chance(house, 4, 7)), tone * 0.8
