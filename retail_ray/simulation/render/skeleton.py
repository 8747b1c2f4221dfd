"""Joints of a person: where they are at rest, and where they go when the bones turn.

The body's own frame has x forward, y left, z up and its origin on the floor between the feet. At rest a person
stands upright with straight limbs and arms that hang down.
"""

# ruff: noqa: PLR0917 - compiled loops take plain numbers and arrays

from __future__ import annotations

from enum import IntEnum
from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from retail_ray.simulation.appearance import Appearance

Array = NDArray[np.float64]

ANKLE: Final = 0.045
KNEE: Final = ANKLE + 0.246
HIP: Final = KNEE + 0.245
SHOULDER: Final = HIP + 0.275
NECK: Final = HIP + 0.315
HEAD: Final = NECK + 0.088
ELBOW: Final = SHOULDER - 0.172
WRIST: Final = ELBOW - 0.15
HIP_SIDE: Final = 0.05
"""Heights of the joints and the hips' half distance, as shares of the body height."""


class Bone(IntEnum):
    """Rigid pieces; each turns about its upper joint. PROP hangs upright from the right hand, CART stands ahead."""

    PELVIS = 0
    CHEST = 1
    HEAD = 2
    LEFT_ARM = 3
    LEFT_FOREARM = 4
    LEFT_HAND = 5
    RIGHT_ARM = 6
    RIGHT_FOREARM = 7
    RIGHT_HAND = 8
    LEFT_THIGH = 9
    LEFT_SHANK = 10
    LEFT_FOOT = 11
    RIGHT_THIGH = 12
    RIGHT_SHANK = 13
    RIGHT_FOOT = 14
    PROP = 15
    CART = 16


PARENTS: Final = np.array([-1, 0, 1, 1, 3, 4, 1, 6, 7, 0, 9, 10, 0, 12, 13, -1, -1])


def rest_joints(look: Appearance) -> Array:
    """(17, 3) float64 metres in the body's frame."""
    shoulder = look.shoulder_share
    rows: dict[Bone, tuple[float, float, float]] = {
        Bone.PELVIS: (0, 0, HIP),
        Bone.CHEST: (0, 0, HIP + 0.1),
        Bone.HEAD: (0, 0, NECK),
        Bone.PROP: (0, -shoulder, WRIST - 0.06),
        Bone.CART: (0, 0, 0),
    }
    limbs = ((1, Bone.LEFT_ARM, Bone.LEFT_THIGH), (-1, Bone.RIGHT_ARM, Bone.RIGHT_THIGH))
    for side, arm, thigh in limbs:
        for offset, height in enumerate((SHOULDER, ELBOW, WRIST)):
            rows[Bone(arm + offset)] = (0, side * shoulder, height)
        for offset, height in enumerate((HIP, KNEE, ANKLE)):
            rows[Bone(thigh + offset)] = (0, side * HIP_SIDE, height)
    return np.array([rows[bone] for bone in Bone]) * look.height_m


@njit(cache=True, nogil=True)
def bone_motions(
    joints: Array, parents: NDArray[np.int64], angles: Array, xy_m: Array, heading_rad: float, height_m: float
) -> tuple[Array, Array]:
    """(17, 3, 3) rotations and (17, 3) shifts that take rest points of each bone to the world.

    angles: (17, 3) radians: bending forward, towards the left, about the vertical, each against the parent bone.
    The body stands with its lowest heel or toe on the floor at `xy_m`.
    """
    bones = len(joints)
    turns, places = np.empty((bones, 3, 3)), np.zeros((bones, 3))
    for bone in range(bones):
        parent = parents[bone]
        if parent >= 0:
            turns[bone] = turns[parent] @ _turn(angles[bone])
            places[bone] = places[parent] + turns[parent] @ (joints[bone] - joints[parent])
        else:
            turns[bone] = _turn(np.array([0.0, 0.0, heading_rad]))
            if bone == 0:
                turns[bone] = turns[bone] @ _turn(angles[bone])
    _stand(turns, places, height_m)
    places[:, 0] += xy_m[0]
    places[:, 1] += xy_m[1]
    places[15] = places[8] + turns[8] @ np.array([0.0, 0.0, -0.05 * height_m])
    places[16, :2], places[16, 2] = xy_m, 0.0
    shifts = np.empty((bones, 3))
    for bone in range(bones):
        shifts[bone] = places[bone] - turns[bone] @ joints[bone]
    return turns, shifts


@njit(cache=True, nogil=True)
def _stand(turns: Array, places: Array, height_m: float) -> None:
    lowest = 1e9
    for foot in (11, 14):
        for ahead in (-0.04, 0.075, 0.11):
            sole = places[foot] + turns[foot] @ np.array([ahead * height_m, 0.0, -0.045 * height_m])
            lowest = min(lowest, sole[2])
    places[:, 2] -= lowest


@njit(cache=True, nogil=True)
def _turn(angles: Array) -> Array:
    """About the vertical after leaning to the left after bending forward."""
    cf, sf = np.cos(angles[0]), np.sin(angles[0])
    cl, sl = np.cos(angles[1]), np.sin(angles[1])
    cv, sv = np.cos(angles[2]), np.sin(angles[2])
    bend = np.array([[cf, 0.0, -sf], [0.0, 1.0, 0.0], [sf, 0.0, cf]])
    lean = np.array([[1.0, 0.0, 0.0], [0.0, cl, -sl], [0.0, sl, cl]])
    yaw = np.array([[cv, -sv, 0.0], [sv, cv, 0.0], [0.0, 0.0, 1.0]])
    turn: Array = yaw @ lean @ bend
    return turn
