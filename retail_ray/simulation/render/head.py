"""Head, neck and hair."""

from __future__ import annotations

from typing import Final

import numpy as np

from retail_ray.simulation.appearance import Appearance
from retail_ray.simulation.render.loft import Part, Ring, chain, loft, rigid
from retail_ray.simulation.render.mesh import Material
from retail_ray.simulation.render.skeleton import HEAD, NECK, Bone

_HALF_HEIGHT: Final = 0.067
_ROWS: Final = (
    (-1.0, 0.30, 0.28, 0.26), (-0.92, 0.55, 0.48, 0.2), (-0.7, 0.78, 0.75, 0.06), (-0.4, 0.9, 0.92, 0.0),
    (0.0, 0.98, 1.0, 0.0), (0.35, 1.0, 1.0, -0.03), (0.65, 0.86, 0.86, -0.05), (0.88, 0.55, 0.56, -0.06),
    (1.0, 0.12, 0.12, -0.06),
)  # fmt: skip
"""Height, half width, half depth and forward offset, as shares of the head's half height, width, depth, depth."""


def head_parts(look: Appearance, segments: int, spacing_m: float) -> list[Part]:
    """Neck, head with a nose, and hair, cap or hood."""
    parts = [_neck(look, segments), _face(look, segments, spacing_m)]
    if look.hair != "bald":
        parts.append(_hair(look, segments, spacing_m))
    if look.hair == "cap":
        parts.append(_visor(look, segments))
    return parts


def _size(look: Appearance) -> tuple[float, float, float, float]:
    """Centre height, half height, half width and half depth in metres."""
    scale = look.height_m * look.head_scale
    half = _HALF_HEIGHT * scale
    centre = (HEAD - _HALF_HEIGHT) * look.height_m + half
    return centre, half, 0.047 * scale, 0.057 * scale


def _neck(look: Appearance, segments: int) -> Part:
    height = look.height_m
    rings = [
        Ring((NECK - 0.025) * height, 0.05 * height, 0.042 * height, -0.004 * height),
        Ring(NECK * height, 0.035 * height, 0.035 * height, -0.003 * height),
        Ring((HEAD - 0.03) * height, 0.033 * height, 0.034 * height),
    ]
    weigh = chain((Bone.HEAD, Bone.CHEST), (NECK * height,), 0.03 * height)
    part = loft(rings, Material.SKIN, weigh, segments=segments, spacing_m=0.04)
    part.shade[:] = 0.72
    return part


def _face(look: Appearance, segments: int, spacing_m: float) -> Part:
    """Painted by angle from the nose and by height in half heads."""
    centre, half, width, depth = _size(look)
    rings = [Ring(centre + up * half, w * width, d * depth, f * depth) for up, w, d, f in _ROWS]
    part = loft(rings, Material.FACE, rigid(Bone.HEAD), segments=max(segments, 14), spacing_m=min(spacing_m, 0.03),
                exponent=2.2)  # fmt: skip
    up = (part.points[:, 2] - centre) / half
    angle = np.arctan2(part.points[:, 1] / width, part.points[:, 0] / depth)
    nose = np.clip(1 - np.abs(angle) / 0.32, 0, 1) * np.clip(1 - np.abs(up + 0.18) / 0.3, 0, 1)
    part.points[:, 0] += 0.16 * depth * nose
    part.coords[:, 0], part.coords[:, 1] = angle, up
    part.shade[:] = 1 - 0.3 * np.clip(-0.55 - up, 0, 0.5) / 0.5
    return part


def _hair(look: Appearance, segments: int, spacing_m: float) -> Part:
    """A shell over the head that sinks below the skin where the face is."""
    centre, half, width, depth = _size(look)
    thick = {"short": 1.07, "long": 1.13, "cap": 1.08, "hood": 1.17}[look.hair]
    low = {"short": -0.45, "long": -1.9, "cap": 0.1, "hood": -1.05}[look.hair]
    rows = [row for row in _ROWS if row[0] > max(low, -0.75)]
    rings = [Ring(centre + up * half * thick, w * width * thick, d * depth * thick, f * depth) for up, w, d, f in rows]
    if low < -0.75:
        below = 0.95 if look.hair == "long" else 0.9
        rings.insert(0, Ring(centre + low * half, below * width, 0.5 * depth, -0.45 * depth))
        rings.insert(1, Ring(centre - 0.9 * half, width * thick, 0.75 * depth, -0.25 * depth))
    part = loft(rings, Material.HAIR, rigid(Bone.HEAD), segments=max(segments, 14), spacing_m=min(spacing_m, 0.03),
                folds=0.25)  # fmt: skip
    up = (part.points[:, 2] - centre) / half
    ahead = part.points[:, 0] / depth
    brow = {"short": 0.5, "long": 0.55, "cap": 0.3, "hood": 0.6}[look.hair]
    face = np.clip((brow - up) / 0.2, 0, 1) * np.clip((ahead - (-0.05 if look.hair == "short" else 0.25)) / 0.25, 0, 1)
    part.points[:, 0] -= face * ahead * depth * 0.3
    part.points[:, 1] *= 1 - 0.25 * face
    return part


def _visor(look: Appearance, segments: int) -> Part:
    centre, half, width, depth = _size(look)
    at = centre + 0.32 * half
    rings = [
        Ring(0.75 * depth, 0.85 * width, 0.012, at),
        Ring(1.3 * depth, 0.85 * width, 0.01, at - 0.06 * half),
        Ring(1.75 * depth, 0.45 * width, 0.006, at - 0.12 * half),
    ]
    return loft(rings, Material.HAIR, rigid(Bone.HEAD), segments=segments, spacing_m=0.04, axis="forward")
