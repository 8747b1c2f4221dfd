"""The simulated store: floor plan, fixtures, door, checkouts, zones and cameras. All lengths in metres.

The floor is z = 0 with x to the right and y up on the plan; headings are radians counted from +x towards +y.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from retail_ray.core.errors import GeometryError

Point = tuple[float, float]
Rectangle = tuple[float, float, float, float]
"""x0, y0, x1, y1 with x0 < x1 and y0 < y1."""

FixtureKind = Literal["shelf", "counter", "freezer", "table", "pillar", "bin"]
DecoyKind = Literal["mannequin", "poster", "mirror", "trolley"]
ZoneKind = Literal["aisle", "promotion", "entrance", "service", "staff"]


@dataclass(frozen=True, slots=True)
class Wall:
    """A straight wall; openings are simply where no wall is."""

    start_m: Point
    end_m: Point
    height_m: float = 3.0


@dataclass(frozen=True, slots=True)
class Fixture:
    """An upright box that people walk around and that hides what stands behind it."""

    kind: FixtureKind
    area_m: Rectangle
    height_m: float


@dataclass(frozen=True, slots=True)
class Decoy:
    """Something that looks like a person or moves like one and is none; never part of the people in the truth."""

    kind: DecoyKind
    at_m: Point
    heading_rad: float = 0.0


@dataclass(frozen=True, slots=True)
class Door:
    """The counting line of the entrance; who passes towards `inside_m` comes in."""

    id: str
    start_m: Point
    end_m: Point
    inside_m: Point


@dataclass(frozen=True, slots=True)
class Checkout:
    """A lane: the queue's way from tail to head, where the served customer stands, and where the cashier stands."""

    id: str
    lane_m: tuple[Point, ...]
    service_m: tuple[Point, ...]
    served_at_m: Point
    cashier_at_m: Point


@dataclass(frozen=True, slots=True)
class StoreZone:
    """A polygon on the floor whose stays are in the truth; staff zones are where only staff stay long."""

    id: str
    name: str
    kind: ZoneKind
    corners_m: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class StoreCamera:
    """A pinhole camera with lens distortion (Brown-Conrady, OpenCV's order k1, k2, p1, p2, k3)."""

    id: str
    position_m: tuple[float, float, float]
    look_at_m: tuple[float, float, float]
    horizontal_fov_deg: float = 80.0
    distortion: tuple[float, float, float, float, float] = (0.0, 0.0, 0.0, 0.0, 0.0)

    def rotation(self) -> NDArray[np.float64]:
        """(3, 3) world to camera axes: x right, y down, z forward."""
        forward = np.subtract(self.look_at_m, self.position_m)
        length = float(np.linalg.norm(forward))
        if length < 1e-6 or float(np.hypot(forward[0], forward[1])) < 1e-6 * length:
            raise GeometryError(f"camera '{self.id}': it may not look at itself or straight down")
        forward = forward / length
        right = np.cross(forward, (0.0, 0.0, 1.0))
        right /= np.linalg.norm(right)
        return np.stack([right, np.cross(forward, right), forward])

    def translation_m(self) -> NDArray[np.float64]:
        """(3,) so that x_camera = rotation @ x_world + translation."""
        return np.asarray(-self.rotation() @ np.asarray(self.position_m), np.float64)

    def matrix(self, width_px: int, height_px: int) -> NDArray[np.float64]:
        """(3, 3) intrinsics for a picture of this size; square pixels, principal point in the middle."""
        focal = width_px / 2 / np.tan(np.radians(self.horizontal_fov_deg) / 2)
        return np.array([[focal, 0, (width_px - 1) / 2], [0, focal, (height_px - 1) / 2], [0, 0, 1.0]])


@dataclass(frozen=True, slots=True)
class StorePlan:
    """One store. `floor_m` covers the shop and the pavement before it; people appear and vanish at
    `pavement_ends_m`."""

    name: str
    floor_m: Rectangle
    shop_m: Rectangle
    walls: tuple[Wall, ...]
    fixtures: tuple[Fixture, ...]
    doors: tuple[Door, ...]
    checkouts: tuple[Checkout, ...]
    zones: tuple[StoreZone, ...]
    cameras: tuple[StoreCamera, ...]
    decoys: tuple[Decoy, ...] = ()
    pavement_ends_m: tuple[Point, ...] = field(default=())
    """Where passers-by and visitors enter and leave the simulated floor, outside the shop."""
