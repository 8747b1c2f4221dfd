"""What people carry and push. Backpack and shoulder bag belong to the person, basket and trolley do not."""

from __future__ import annotations

from typing import Final

from retail_ray.simulation.appearance import Appearance
from retail_ray.simulation.render.loft import Part, Ring, loft, rigid
from retail_ray.simulation.render.mesh import Material
from retail_ray.simulation.render.skeleton import HIP, WRIST, Bone

HANDLE_AHEAD_M: Final = 0.42
HANDLE_HEIGHT_M: Final = 1.0


def bag_parts(look: Appearance, segments: int, spacing_m: float) -> list[Part]:
    height = look.height_m
    if look.bag == "backpack":
        deep = -0.125 * height * look.build
        rows = (
            (0.03, 0.05, 0.028),
            (0.05, 0.082, 0.045),
            (0.17, 0.085, 0.05),
            (0.24, 0.075, 0.036),
            (0.27, 0.04, 0.02),
        )
        rings = [Ring((HIP + z) * height, w * height, d * height, deep) for z, w, d in rows]
        return [loft(rings, Material.BAG, rigid(Bone.CHEST), segments=segments, spacing_m=spacing_m, exponent=3.5)]
    if look.bag == "shoulder":
        side = -(0.115 * look.build + 0.035) * height
        pouch = ((-0.07, 0.022, 0.07), (-0.06, 0.03, 0.085), (0.05, 0.026, 0.08), (0.06, 0.012, 0.06))
        rings = [Ring((HIP + z) * height, w * height, d * height, -0.01, side) for z, w, d in pouch]
        return [loft(rings, Material.BAG, rigid(Bone.PELVIS), segments=segments, spacing_m=0.06, exponent=4.0)]
    if look.bag == "basket":
        return _basket(look, segments)
    return []


def _basket(look: Appearance, segments: int) -> list[Part]:
    handle = (WRIST - 0.06) * look.height_m
    side = -look.shoulder_share * look.height_m
    rings = [
        Ring(handle - 0.42, 0.11, 0.17, 0.0, side),
        Ring(handle - 0.3, 0.13, 0.2, 0.0, side),
        Ring(handle - 0.2, 0.145, 0.22, 0.0, side),
    ]
    rod = [Ring(handle - 0.2, 0.145, 0.012, 0.0, side), Ring(handle - 0.06, 0.1, 0.012, 0.0, side),
           Ring(handle, 0.02, 0.012, 0.0, side)]  # fmt: skip
    hang = rigid(Bone.PROP)
    body = loft(rings, Material.PLASTIC, hang, segments=segments, spacing_m=0.1, exponent=5.0, is_prop=True)
    return [body, loft(rod, Material.PLASTIC, hang, segments=8, spacing_m=0.1, open_ends=True, is_prop=True)]


def cart_parts() -> list[Part]:
    """A wire trolley ahead of the body, its handle at `HANDLE_AHEAD_M`."""
    stand = rigid(Bone.CART)
    ahead = HANDLE_AHEAD_M + 0.5
    basket = [Ring(0.5, 0.2, 0.36, ahead + 0.02), Ring(0.75, 0.24, 0.42, ahead), Ring(0.95, 0.27, 0.46, ahead)]
    parts = [
        loft(basket, Material.METAL, stand, segments=24, spacing_m=0.12, exponent=6.0, open_ends=True, is_prop=True)
    ]
    parts.append(_bar(HANDLE_AHEAD_M, 0.27, HANDLE_HEIGHT_M, Material.PLASTIC))
    for x in (HANDLE_AHEAD_M + 0.12, HANDLE_AHEAD_M + 0.85):
        parts += [_post(x, side) for side in (-0.24, 0.24)]
    frame = [Ring(0.15, 0.25, 0.4, ahead - 0.03), Ring(0.19, 0.25, 0.4, ahead - 0.03)]
    parts.append(
        loft(frame, Material.BAG, stand, segments=16, spacing_m=0.2, exponent=6.0, open_ends=True, is_prop=True)
    )
    return parts


def _bar(x: float, half_width_m: float, z: float, material: Material) -> Part:
    rings = [Ring(x - 0.018, half_width_m, 0.018, z), Ring(x + 0.018, half_width_m, 0.018, z)]
    return loft(
        rings, material, rigid(Bone.CART), segments=12, spacing_m=0.2, exponent=4.0, axis="forward", is_prop=True
    )


def _post(x: float, side: float) -> Part:
    rings = [Ring(0.0, 0.03, 0.05, x, side), Ring(0.12, 0.03, 0.05, x, side), Ring(0.15, 0.015, 0.015, x, side),
             Ring(0.55, 0.012, 0.015, x, side)]  # fmt: skip
    return loft(rings, Material.SHOES, rigid(Bone.CART), segments=8, spacing_m=0.3, is_prop=True)
