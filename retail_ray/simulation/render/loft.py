"""Closed surfaces through rings: every part of a body is one.

Rings are super-ellipses along the vertical (or the forward) axis, made denser by Catmull-Rom.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from retail_ray.simulation.render.skeleton import Bone

Points = NDArray[np.float64]
Weigh = Callable[[Points], NDArray[np.float64]]
"""(V, 3) rest points -> (V, 17) weights of the bones, rows sum to 1."""


class Ring(NamedTuple):
    """Place along the axis, half width (left-right), half of the other extent, and the centre's offsets."""

    at: float
    half_width: float
    half_depth: float
    forward: float = 0.0
    side: float = 0.0


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of surface. points: (V, 3). triangles: (T, 3), counter-clockwise from outside. weights: (V, 17).

    coords: (V, 2) metres on the cloth (round, along), where patterns are painted. shade: (V,) 0 to 1.
    """

    material: int
    points: Points
    triangles: NDArray[np.int64]
    weights: NDArray[np.float64]
    coords: Points
    shade: NDArray[np.float64]
    folds: float = 0.0
    is_prop: bool = False


def loft(
    rings: Sequence[Ring],
    material: int,
    weigh: Weigh,
    *,
    segments: int,
    spacing_m: float,
    exponent: float = 2.0,
    axis: Literal["up", "forward"] = "up",
    folds: float = 0.0,
    open_ends: bool = False,
    is_prop: bool = False,
) -> Part:
    """The surface through `rings`, which go upwards (or forwards); closed by caps unless `open_ends`."""
    dense = _dense(np.array(rings, np.float64), spacing_m)
    angle = np.arange(segments) * (2 * np.pi / segments)
    deep = np.sign(np.cos(angle)) * np.abs(np.cos(angle)) ** (2 / exponent)
    wide = np.sign(np.sin(angle)) * np.abs(np.sin(angle)) ** (2 / exponent)
    depth = dense[:, 3, None] + dense[:, 2, None] * deep
    width = dense[:, 4, None] + dense[:, 1, None] * wide
    along = np.broadcast_to(dense[:, 0, None], depth.shape)
    order = (depth, width, along) if axis == "up" else (along, width, depth)
    points = np.stack(order, axis=-1).reshape(-1, 3)
    radius = np.maximum(dense[:, 1], dense[:, 2])[:, None]
    signed = np.where(angle > np.pi, angle - 2 * np.pi, angle)
    coords = np.stack([radius * signed, along], axis=-1).reshape(-1, 2)
    triangles = _sides(len(dense), segments, open_ends)
    if axis == "forward":
        triangles = triangles[:, ::-1]
    if not open_ends:
        points, coords = _with_tips(points, segments), _with_tips(coords, segments)
    return Part(material, points, triangles, weigh(points), coords, np.ones(len(points)), folds, is_prop)


def rigid(bone: Bone) -> Weigh:
    """Everything turns with one bone."""

    def weigh(points: Points) -> NDArray[np.float64]:
        weights = np.zeros((len(points), len(Bone)))
        weights[:, bone] = 1
        return weights

    return weigh


def chain(bones: Sequence[Bone], heights_m: Sequence[float], reach_m: float) -> Weigh:
    """From the uppermost bone down; bone i passes to bone i + 1 around `heights_m[i]`, within `reach_m` each way."""

    def weigh(points: Points) -> NDArray[np.float64]:
        weights = np.zeros((len(points), len(Bone)))
        left = np.ones(len(points))
        for upper, height in zip(bones, heights_m, strict=False):
            share = smoothstep((points[:, 2] - height + reach_m) / (2 * reach_m))
            weights[:, upper] = left * share
            left = left * (1 - share)
        weights[:, bones[-1]] += left
        return weights

    return weigh


def smoothstep(x: Points) -> Points:
    bounded = np.clip(x, 0, 1)
    return np.asarray(bounded * bounded * (3 - 2 * bounded))


def _dense(rings: Points, spacing_m: float) -> Points:
    """Catmull-Rom between the rings, at about this distance."""
    padded = np.concatenate([2 * rings[:1] - rings[1:2], rings, 2 * rings[-1:] - rings[-2:-1]])
    pieces = []
    for i in range(1, len(padded) - 2):
        p0, p1, p2, p3 = padded[i - 1 : i + 3]
        steps = max(1, int(np.ceil(np.abs(p2[[0, 3, 4]] - p1[[0, 3, 4]]).max() / spacing_m)))
        t = (np.arange(steps) / steps)[:, None]
        pieces.append(
            0.5 * (2 * p1 + (p2 - p0) * t + (2 * p0 - 5 * p1 + 4 * p2 - p3) * t**2 + (3 * p1 - p0 - 3 * p2 + p3) * t**3)
        )
    dense = np.concatenate([*pieces, rings[-1:]])
    dense[:, 1:3] = np.maximum(dense[:, 1:3], 1e-4)
    return dense


def _sides(rings: int, segments: int, open_ends: bool) -> NDArray[np.int64]:
    ring, segment = np.meshgrid(np.arange(rings - 1), np.arange(segments), indexing="ij")
    after = (segment + 1) % segments
    a, b = ring * segments + segment, ring * segments + after
    c, d = a + segments, b + segments
    sides = np.concatenate([np.stack(three, axis=-1).reshape(-1, 3) for three in ((a, b, d), (a, d, c))])
    if open_ends:
        return np.concatenate([sides, sides[:, ::-1]])
    first, after_first = np.arange(segments), (np.arange(segments) + 1) % segments
    low, high = rings * segments, rings * segments + 1
    top = (rings - 1) * segments
    bottom_cap = np.stack([np.full(segments, low), after_first, first], axis=-1)
    top_cap = np.stack([np.full(segments, high), top + first, top + after_first], axis=-1)
    return np.concatenate([sides, bottom_cap, top_cap])


def _with_tips(values: Points, segments: int) -> Points:
    low, high = values[:segments].mean(axis=0), values[-segments:].mean(axis=0)
    return np.concatenate([values, [low, high]])
