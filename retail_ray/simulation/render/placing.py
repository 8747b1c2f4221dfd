"""One mesh put into the world for an instant, lit, and projected for one camera."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from retail_ray.simulation.render.light import Lighting
from retail_ray.simulation.render.mesh import BodyMesh
from retail_ray.simulation.render.raster import draw_triangles, light_vertices, pose_vertices, project_vertices
from retail_ray.simulation.render.skeleton import PARENTS, Bone, bone_motions
from retail_ray.simulation.render.view import View

NOBODY = 0


@dataclass(frozen=True, slots=True)
class PlacedBody:
    """A mesh in the world and on the screen. placed: (V, 3) float32 metres. screen: (V, 3) float32 x, y, 1/z.

    light: (V,) float32. ankles_m: (2, 3) float64. owner: the person_id, or NOBODY.
    """

    owner: int
    mesh: BodyMesh
    placed: NDArray[np.float32]
    screen: NDArray[np.float32]
    light: NDArray[np.float32]
    ankles_m: NDArray[np.float64]


def place_body(
    view: View,
    lighting: Lighting | None,
    mesh: BodyMesh,
    owner: int,
    angles: NDArray[np.float64],
    *,
    xy_m: tuple[float, float],
    heading_rad: float,
) -> PlacedBody:
    """Without `lighting` only the shape counts."""
    floor_xy = np.array(xy_m, np.float64)
    turns, shifts = bone_motions(mesh.joints, PARENTS, angles, floor_xy, heading_rad, mesh.height_m)
    placed, turned = pose_vertices(mesh.points, mesh.normals, mesh.bones, mesh.weights, turns, shifts)
    light = mesh.shade
    if lighting is not None:
        light = light_vertices(placed, turned, mesh.shade, lighting.lights_m, lighting.strength, lighting.shop_m)
    feet = (Bone.LEFT_FOOT, Bone.RIGHT_FOOT)
    ankles = np.stack([turns[foot] @ mesh.joints[foot] + shifts[foot] for foot in feet])
    return PlacedBody(owner, mesh, placed, project(view, placed), light, ankles)


def project(view: View, points_m: NDArray[np.float32]) -> NDArray[np.float32]:
    """(V, 3) world points -> (V, 3) x and y in pixels and 1/z, which is 0 for what the camera cannot see."""
    return project_vertices(
        points_m, view.rotation, view.translation_m, view.focal_px, view.centre_px, view.distortion, view.reach
    )


def mirrored(view: View, body: PlacedBody, point_m: NDArray[np.float64], normal: NDArray[np.float64]) -> PlacedBody:
    """The body as an upright mirror through `point_m` shows it; a reflection belongs to nobody."""
    away = (body.placed[:, :2] - point_m) @ normal
    placed = body.placed.copy()
    placed[:, :2] -= (2 * away[:, None] * normal).astype(np.float32)
    turned_over = replace(body.mesh, triangles=np.ascontiguousarray(body.mesh.triangles[:, ::-1]))
    return replace(body, owner=NOBODY, mesh=turned_over, placed=placed, screen=project(view, placed))


def draw_body(
    body: PlacedBody,
    tone: NDArray[np.uint8],
    near: NDArray[np.float32],
    image: NDArray[np.uint8],
    ids: NDArray[np.uint16],
) -> None:
    """Into the given picture, where nothing nearer is."""
    mesh = body.mesh
    draw_triangles(
        body.screen, body.light, mesh.coords, mesh.triangles, mesh.material, mesh.props_from, mesh.palette, mesh.paint,
        body.owner, tone, near, image, ids,
    )  # fmt: skip
