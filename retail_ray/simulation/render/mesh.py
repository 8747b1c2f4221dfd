"""One person's mesh at rest, made once, ready to be posed for every frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from retail_ray.core.checks import require
from retail_ray.simulation.render.loft import Part, Points
from retail_ray.simulation.render.skeleton import Bone

BONES_PER_VERTEX: Final = 3


class Material(IntEnum):
    """What a triangle is made of; the row of the palette."""

    SKIN = 0
    FACE = 1
    HAIR = 2
    TOP = 3
    BOTTOM = 4
    SHOES = 5
    BAG = 6
    METAL = 7
    PLASTIC = 8


class Paint(IntEnum):
    """How a material's two colours are laid out."""

    PLAIN = 0
    STRIPES = 1
    CHECKS = 2
    DOTS = 3
    LOGO = 4
    FACE = 5
    GRID = 6


@dataclass(frozen=True, slots=True)
class BodyMesh:
    """points, normals: (V, 3) float32 at rest. bones: (V, 3) uint8 with weights (V, 3) float32.

    coords: (V, 2) float32 metres on the cloth. shade: (V,) float32. triangles: (T, 3) int32, the person's own first,
    then from `props_from` on (points from `props_points_from`) what does not count as the person. material: (T,) uint8.
    palette: (9, 2, 3) float32 linear colours. paint: (9,) uint8. joints: (17, 3) float64.
    """

    points: NDArray[np.float32]
    normals: NDArray[np.float32]
    bones: NDArray[np.uint8]
    weights: NDArray[np.float32]
    coords: NDArray[np.float32]
    shade: NDArray[np.float32]
    triangles: NDArray[np.int32]
    material: NDArray[np.uint8]
    props_from: int
    props_points_from: int
    palette: NDArray[np.float32]
    paint: NDArray[np.uint8]
    joints: NDArray[np.float64]
    height_m: float

    def __post_init__(self) -> None:
        v, t = len(self.points), len(self.triangles)
        require("BodyMesh.points", self.points, (v, 3), np.float32)
        require("BodyMesh.normals", self.normals, (v, 3), np.float32)
        require("BodyMesh.bones", self.bones, (v, BONES_PER_VERTEX), np.uint8)
        require("BodyMesh.weights", self.weights, (v, BONES_PER_VERTEX), np.float32)
        require("BodyMesh.coords", self.coords, (v, 2), np.float32)
        require("BodyMesh.shade", self.shade, (v,), np.float32)
        require("BodyMesh.triangles", self.triangles, (t, 3), np.int32)
        require("BodyMesh.material", self.material, (t,), np.uint8)
        require("BodyMesh.palette", self.palette, (len(Material), 2, 3), np.float32)
        require("BodyMesh.paint", self.paint, (len(Material),), np.uint8)
        require("BodyMesh.joints", self.joints, (len(Bone), 3), np.float64)


def assemble(
    parts: Sequence[Part],
    palette: NDArray[np.float32],
    paint: NDArray[np.uint8],
    joints: NDArray[np.float64],
    height_m: float,
    *,
    rng: np.random.Generator,
) -> BodyMesh:
    """All parts as one mesh; `rng` lays the folds of the cloth."""
    ordered = [p for p in parts if not p.is_prop] + [p for p in parts if p.is_prop]
    starts = np.cumsum([0] + [len(p.points) for p in ordered])
    bones, weights = _strongest(np.concatenate([p.weights for p in ordered]))
    triangles = np.concatenate([p.triangles + start for p, start in zip(ordered, starts, strict=False)])
    return BodyMesh(
        points=np.concatenate([p.points for p in ordered]).astype(np.float32),
        normals=np.concatenate([_normals(p, rng) for p in ordered]).astype(np.float32),
        bones=bones,
        weights=weights,
        coords=np.concatenate([p.coords for p in ordered]).astype(np.float32),
        shade=np.concatenate([p.shade for p in ordered]).astype(np.float32),
        triangles=triangles.astype(np.int32),
        material=np.concatenate([np.full(len(p.triangles), p.material, np.uint8) for p in ordered]),
        props_from=sum(len(p.triangles) for p in ordered if not p.is_prop),
        props_points_from=sum(len(p.points) for p in ordered if not p.is_prop),
        palette=palette,
        paint=paint,
        joints=joints,
        height_m=height_m,
    )


def _strongest(weights: Points) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    bones = np.argsort(-weights, axis=1, kind="stable")[:, :BONES_PER_VERTEX]
    kept = np.take_along_axis(weights, bones, axis=1)
    return bones.astype(np.uint8), (kept / kept.sum(axis=1, keepdims=True)).astype(np.float32)


def _normals(part: Part, rng: np.random.Generator) -> Points:
    """(V, 3) unit normals, bent by the slope of a few waves where the cloth folds."""
    corners = part.points[part.triangles]
    faces = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals = np.zeros_like(part.points)
    open_sheet = len(part.triangles) and bool((part.triangles[0] == part.triangles[len(faces) // 2][::-1]).all())
    for corner in range(3):
        used = slice(None, len(faces) // 2) if open_sheet else slice(None)
        np.add.at(normals, part.triangles[used, corner], faces[used])
    normals += part.folds * np.linalg.norm(normals, axis=1, keepdims=True) * _fold_slopes(part.points, rng)
    return np.asarray(normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12))


def _fold_slopes(points: Points, rng: np.random.Generator) -> Points:
    slopes = np.zeros_like(points)
    for _ in range(7):
        direction = rng.normal(size=3) * (0.8, 0.8, 1.0)
        direction /= np.linalg.norm(direction)
        wavelength_m = rng.uniform(0.07, 0.22)
        phase = points @ direction * (2 * np.pi / wavelength_m) + rng.uniform(0, 2 * np.pi)
        slopes += np.cos(phase)[:, None] * direction * 0.38
    return slopes
