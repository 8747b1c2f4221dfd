"""The shape of a person: skin, head, hair, clothes and what is carried, as lofts over a skeleton.

Half widths and depths are shares of the body height, from body measure tables.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from retail_ray.simulation.appearance import Appearance
from retail_ray.simulation.render import head
from retail_ray.simulation.render.loft import Part, Points, Ring, Weigh, chain, loft, rigid, smoothstep
from retail_ray.simulation.render.mesh import BodyMesh, Material, Paint, assemble
from retail_ray.simulation.render.props import bag_parts, cart_parts
from retail_ray.simulation.render.skeleton import (
    ANKLE,
    ELBOW,
    HIP,
    HIP_SIDE,
    KNEE,
    NECK,
    SHOULDER,
    WRIST,
    Bone,
    rest_joints,
)

Rows = Sequence[tuple[float, float, float]]
"""(height, half width, half depth) as shares of the body height."""
_ARM: Final[Rows] = (
    (WRIST - 0.01, 0.013, 0.017),
    (WRIST + 0.04, 0.018, 0.02),
    (ELBOW - 0.035, 0.0225, 0.024),
    (ELBOW, 0.022, 0.023),
    (ELBOW + 0.06, 0.0265, 0.029),
    (SHOULDER - 0.035, 0.03, 0.033),
    (SHOULDER, 0.03, 0.033),
    (SHOULDER + 0.02, 0.021, 0.024),
    (SHOULDER + 0.03, 0.006, 0.008),
)
_LEG: Final[Rows] = (
    (ANKLE - 0.02, 0.02, 0.022),
    (ANKLE + 0.02, 0.021, 0.023),
    (KNEE - 0.14, 0.029, 0.032),
    (KNEE - 0.07, 0.034, 0.038),
    (KNEE - 0.01, 0.032, 0.034),
    (KNEE + 0.03, 0.036, 0.038),
    (KNEE + 0.12, 0.048, 0.052),
    (HIP - 0.04, 0.053, 0.061),
    (HIP - 0.005, 0.045, 0.055),
)
_TORSO: Final[Rows] = (
    (HIP - 0.045, 0.07, 0.058),
    (HIP - 0.01, 0.099, 0.074),
    (HIP + 0.03, 0.097, 0.073),
    (HIP + 0.075, 0.086, 0.063),
    (HIP + 0.12, 0.085, 0.061),
    (HIP + 0.19, 0.097, 0.068),
    (HIP + 0.235, 0.103, 0.066),
    (HIP + 0.268, 0.107, 0.057),
    (HIP + 0.293, 0.088, 0.047),
    (HIP + 0.312, 0.05, 0.039),
    (NECK + 0.004, 0.036, 0.034),
)

_AWAY_FROM_PRINT_M: Final = 5.1
"""Added to the sleeves' way round: a whole number of pattern widths, beyond the print on the chest."""


class Detail(NamedTuple):
    """How fine the mesh is."""

    segments: int
    spacing_m: float


FINE: Final = Detail(16, 0.04)
COARSE: Final = Detail(12, 0.065)


def make_body(look: Appearance, *, pushes_trolley: bool = False, detail: Detail = FINE) -> BodyMesh:
    """The mesh of one person as the appearance says."""
    rng = np.random.default_rng(look.texture_seed)
    parts = [
        *_torso(look, detail),
        *_arms(look, detail),
        *_legs(look, detail),
        *head.head_parts(look, detail.segments, detail.spacing_m),
        *bag_parts(look, detail.segments, detail.spacing_m),
    ]
    if pushes_trolley:
        parts += cart_parts()
    return assemble(parts, _palette(look), _paints(look), rest_joints(look), look.height_m, rng=rng)


def _palette(look: Appearance) -> np.ndarray[tuple[int, int, int], np.dtype[np.float32]]:
    lips = (look.skin[0] * 0.6, look.skin[1] * 0.34, look.skin[2] * 0.36)
    hair = {"cap": look.bag_colour, "hood": look.top}.get(look.hair, look.hair_colour)
    pairs = {
        Material.SKIN: (look.skin, look.skin),
        Material.FACE: (look.skin, lips),
        Material.HAIR: (hair, hair),
        Material.TOP: (look.top, look.top_second),
        Material.BOTTOM: (look.bottom, look.bottom),
        Material.SHOES: (look.shoes, look.shoes),
        Material.BAG: (look.bag_colour, look.bag_colour),
        Material.METAL: ((0.34, 0.35, 0.37), (0.34, 0.35, 0.37)),
        Material.PLASTIC: ((0.45, 0.03, 0.03), (0.45, 0.03, 0.03)),
    }
    return np.array([pairs[material] for material in Material], np.float32)


def _paints(look: Appearance) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
    paints = np.zeros(len(Material), np.uint8)
    paints[Material.TOP] = Paint[look.top_pattern.upper()]
    paints[Material.FACE] = Paint.FACE
    paints[Material.METAL] = Paint.GRID
    return paints


def _torso(look: Appearance, detail: Detail) -> list[Part]:
    """Hips in the colour of the trousers, and above them the top, whose hem hangs over the hips."""
    top_from = HIP + 0.01
    hips = _rings([row for row in _TORSO if row[0] < HIP + 0.1], look, 0.004)
    chest = _rings([row for row in _TORSO if row[0] > top_from], look, 0.014)
    chest.insert(0, _ring((top_from, 0.1, 0.076), look, 0.021))
    if look.coat_m > 0:
        chest.insert(0, _hem(look, HIP * look.height_m - look.coat_m, 0.119, 0.1))
    back = _bent_over_thighs(look) if look.coat_m > 0.05 else _spine(look)
    parts = [
        _tube(hips, Material.BOTTOM, _spine(look), detail, exponent=2.5, folds=0.25),
        _tube(chest, Material.TOP, back, detail, exponent=2.5, folds=0.4),
    ]
    if look.legs == "skirt":
        rings = [_hem(look, (KNEE + 0.03) * look.height_m, 0.128, 0.118), _ring((HIP + 0.03, 0.1, 0.077), look, 0.012)]
        rings.insert(1, _ring((HIP - 0.03, 0.108, 0.085), look, 0.012))
        parts.append(_tube(rings, Material.BOTTOM, _bent_over_thighs(look), detail, folds=0.5))
    for part in parts:
        sides = np.abs(part.points[:, 1]) / (0.11 * look.height_m)
        under_arms = np.clip(1 - np.abs(part.points[:, 2] / look.height_m - (HIP + 0.14)) / 0.16, 0, 1)
        part.shade[:] = 1 - 0.35 * sides**2 * under_arms
    return parts


def _arms(look: Appearance, detail: Detail) -> list[Part]:
    parts: list[Part] = []
    for side, upper in ((1, Bone.LEFT_ARM), (-1, Bone.RIGHT_ARM)):
        bones = (Bone(upper), Bone(upper + 1), Bone(upper + 2))
        bend = chain(bones, (ELBOW * look.height_m, WRIST * look.height_m), 0.035 * look.height_m)
        offset = side * look.shoulder_share
        if look.sleeves == "long":
            parts.append(_limb(_ARM, look, (0.008, 0.006), Material.TOP, bend, detail=detail, offset=offset))
        else:
            parts.append(_limb(_ARM[:-3], look, (0.0, 0.0), Material.SKIN, bend, detail=detail, offset=offset))
            sleeve = ((ELBOW + 0.055, 0.03, 0.033), *_ARM[5:])
            parts.append(_limb(sleeve, look, (0.012, 0.004), Material.TOP, bend, detail=detail, offset=offset))
        parts.append(_hand(look, bones[2], offset, detail))
    for part in parts:
        part.coords[:, 0] += _AWAY_FROM_PRINT_M
        inner = np.clip(1 - np.abs(part.points[:, 1]) / (look.shoulder_share * look.height_m), 0, 1)
        part.shade[:] = 1 - np.clip(inner * 2.2, 0, 0.4)
    return parts


def _legs(look: Appearance, detail: Detail) -> list[Part]:
    parts: list[Part] = []
    height = look.height_m
    for side, thigh in ((1, Bone.LEFT_THIGH), (-1, Bone.RIGHT_THIGH)):
        bones = (Bone.PELVIS, Bone(thigh), Bone(thigh + 1), Bone(thigh + 2))
        joints = ((HIP - 0.02) * height, KNEE * height, ANKLE * height)
        bend = chain(bones, joints, 0.04 * height)
        offset = side * HIP_SIDE
        if look.legs == "trousers":
            hem = ((ANKLE - 0.022, 0.028, 0.032), (ANKLE + 0.01, 0.028, 0.032), *_LEG[2:])
            parts.append(_limb(hem, look, (0.012, 0.006), Material.BOTTOM, bend, detail=detail, offset=offset))
        else:
            parts.append(_limb(_LEG, look, (0.0, 0.0), Material.SKIN, bend, detail=detail, offset=offset))
        if look.legs == "shorts":
            shorts = ((KNEE + 0.02, 0.05, 0.055), (KNEE + 0.1, 0.052, 0.057), *_LEG[7:])
            parts.append(_limb(shorts, look, (0.012, 0.008), Material.BOTTOM, bend, detail=detail, offset=offset))
        parts.append(_shoe(look, bones[3], offset, detail))
    for part in parts:
        inner = np.clip(1 - np.abs(part.points[:, 1]) / (HIP_SIDE * height), 0, 1)
        up = np.clip(part.points[:, 2] / (HIP * height), 0, 1)
        part.shade[:] = 1 - 0.4 * inner * up - 0.12 * (1 - up)
    return parts


def _hand(look: Appearance, bone: Bone, offset: float, detail: Detail) -> Part:
    rows = (
        (WRIST - 0.1, 0.006, 0.012),
        (WRIST - 0.085, 0.011, 0.02),
        (WRIST - 0.045, 0.014, 0.026),
        (WRIST - 0.015, 0.012, 0.018),
        (WRIST + 0.01, 0.011, 0.015),
    )
    rings = [_ring(row, look, 0.0, offset) for row in rows]
    return _tube(rings, Material.SKIN, rigid(bone), detail)


def _shoe(look: Appearance, bone: Bone, offset: float, detail: Detail) -> Part:
    rows = (
        (-0.045, 0.01, 0.018),
        (-0.04, 0.021, 0.03),
        (0.0, 0.024, 0.034),
        (0.05, 0.027, 0.024),
        (0.085, 0.027, 0.017),
        (0.11, 0.018, 0.013),
        (0.117, 0.006, 0.008),
    )
    rings = [Ring(x * look.height_m, w * look.height_m, d * look.height_m, d * look.height_m) for x, w, d in rows]
    moved = [ring._replace(side=offset * look.height_m) for ring in rings]
    return loft(moved, Material.SHOES, rigid(bone), segments=detail.segments, spacing_m=0.05, exponent=2.6,
                axis="forward")  # fmt: skip


def _limb(
    rows: Rows,
    look: Appearance,
    cloth_m: tuple[float, float],
    material: Material,
    weigh: Weigh,
    *,
    detail: Detail,
    offset: float,
) -> Part:
    """A tube whose cloth stands off by cloth_m[0] at its lower end and cloth_m[1] at its upper one."""
    shares = np.linspace(0, 1, len(rows))
    cloth = cloth_m[0] + (cloth_m[1] - cloth_m[0]) * shares
    rings = [_ring(row, look, off, offset) for row, off in zip(rows, cloth, strict=True)]
    return _tube(rings, material, weigh, detail, folds=0.45 if max(cloth_m) > 0 else 0.05)


def _tube(
    rings: list[Ring], material: Material, weigh: Weigh, detail: Detail, *, exponent: float = 2.0, folds: float = 0.05
) -> Part:
    return loft(
        rings,
        material,
        weigh,
        segments=detail.segments,
        spacing_m=detail.spacing_m,
        exponent=exponent,
        folds=folds,
    )


def _rings(rows: Rows, look: Appearance, cloth_m: float) -> list[Ring]:
    return [_ring(row, look, cloth_m) for row in rows]


def _ring(row: tuple[float, float, float], look: Appearance, cloth_m: float, offset: float = 0.0) -> Ring:
    at, width, depth = row
    height, build = look.height_m, look.build
    shoulders = 1 + (look.shoulder_share / 0.104 - 1) * float(np.clip((at - HIP - 0.1) / 0.1, 0, 1))
    belly = 1 + 1.1 * max(build - 1, 0) * float(np.clip(1 - abs(at - HIP - 0.09) / 0.1, 0, 1)) * (offset == 0)
    return Ring(
        at * height,
        width * height * build * (shoulders if offset == 0 else 1) + cloth_m,
        depth * height * build * belly + cloth_m,
        0.0,
        offset * height,
    )


def _hem(look: Appearance, at_m: float, width: float, depth: float) -> Ring:
    return Ring(at_m, width * look.height_m * look.build, depth * look.height_m * look.build)


def _spine(look: Appearance) -> Weigh:
    height = look.height_m
    return chain((Bone.CHEST, Bone.PELVIS), ((HIP + 0.1) * height,), 0.08 * height)


def _bent_over_thighs(look: Appearance) -> Weigh:
    """As the spine, and below the hips each side swings half-way with its thigh."""
    spine, height = _spine(look), look.height_m

    def weigh(points: Points) -> Points:
        weights = spine(points)
        swing = 0.9 * smoothstep((HIP * height - points[:, 2]) / (0.16 * height))
        left = np.clip(0.5 + points[:, 1] / (0.2 * height), 0, 1)
        weights *= (1 - swing)[:, None]
        weights[:, Bone.LEFT_THIGH] += swing * left
        weights[:, Bone.RIGHT_THIGH] += swing * (1 - left)
        return weights

    return weigh
