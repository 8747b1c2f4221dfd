"""Joint angles of a person who walks, stands, reaches, queues, is served or works."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from retail_ray.simulation.crowd import Activity
from retail_ray.simulation.render.people import PosedPerson
from retail_ray.simulation.render.skeleton import Bone

Angles = NDArray[np.float64]
FULL_SPEED_MPS: Final = 0.45
STRIDE: Final = 0.72
"""Two steps, as a share of the body height; the walking cycle turns once on this way."""

_HIP: Final = np.array([28.0, 26, 18, 8, -2, -10, -7, 10, 24, 30])
_KNEE: Final = np.array([5.0, 17, 17, 10, 6, 10, 36, 60, 50, 18])
_FOOT: Final = np.array([20.0, 3, 0, 0, -3, -18, -48, -40, -8, 14])
"""Degrees at every tenth of the cycle from heel strike: hip bent forward, knee bent, toes above the horizontal."""


def joint_angles(posed: PosedPerson) -> Angles:
    """(17, 3) radians for `bone_motions`."""
    habit = _habits(posed.person.appearance.texture_seed)
    walking = _smooth(posed.speed_mps / FULL_SPEED_MPS)
    angles = np.zeros((len(Bone), 3))
    if walking > 0:
        angles += walking * _walk(posed, habit)
    if walking < 1:
        angles += (1 - walking) * _still(posed, habit)
    if posed.person.pushes_trolley:
        _grip(angles)
    elif posed.person.appearance.bag == "basket":
        angles[Bone.RIGHT_ARM], angles[Bone.RIGHT_FOREARM] = (8 + 3 * walking * habit[0], -14, 0), (14, 0, 0)
    return np.asarray(np.radians(angles))


@lru_cache(maxsize=4096)
def _habits(seed: int) -> Angles:
    """(8,) from -1 to 1: small differences in how people move."""
    return np.random.default_rng(seed).uniform(-1, 1, 8)


def _walk(posed: PosedPerson, habit: Angles) -> Angles:
    angles = np.zeros((len(Bone), 3))
    phase = posed.way_m / (STRIDE * posed.person.appearance.height_m) + habit[0]
    size = min(1.0, 0.55 + 0.45 * posed.speed_mps / 1.0)
    for side, thigh, arm in ((0.0, Bone.LEFT_THIGH, Bone.LEFT_ARM), (0.5, Bone.RIGHT_THIGH, Bone.RIGHT_ARM)):
        hip, knee, toes = (_cycle(table, phase + side) * size for table in (_HIP, _KNEE, _FOOT))
        angles[thigh, 0], angles[thigh + 1, 0] = hip, -knee
        angles[thigh + 2, 0] = toes - hip + knee
        swing = -(19 + 5 * habit[1]) * size * np.cos(2 * np.pi * (phase + side))
        outward = 1 if arm == Bone.LEFT_ARM else -1
        angles[arm] = (swing, outward * (7 + 2 * habit[2]), 0)
        angles[arm + 1, 0] = 18 + 6 * habit[3] + 0.4 * swing
    turn = np.cos(2 * np.pi * phase)
    angles[Bone.PELVIS] = (-2, 1.5 * np.sin(2 * np.pi * phase), -5 * turn * size)
    angles[Bone.CHEST] = (-3, 0, 11 * turn * size)
    angles[Bone.HEAD] = (1 - 4 * max(habit[4], 0), 0, -6 * turn * size + 6 * habit[5])
    # The thighs hang from the pelvis: what it leans and yaws must not move the feet off their line.
    for thigh in (Bone.LEFT_THIGH, Bone.RIGHT_THIGH):
        angles[thigh, 0] += 2
        angles[thigh, 2] = 5 * turn * size
    return angles


def _still(posed: PosedPerson, habit: Angles) -> Angles:
    poses = {
        Activity.WALK: _stand,
        Activity.STAND: _stand,
        Activity.REACH: _reach,
        Activity.QUEUE: _stand,
        Activity.SERVED: _pay,
        Activity.WORK: _work,
    }
    angles = np.zeros((len(Bone), 3))
    for activity, pose in poses.items():
        if posed.busy[activity] > 0:
            angles += float(posed.busy[activity]) * pose(posed, habit)
    return angles


def _stand(posed: PosedPerson, habit: Angles) -> Angles:
    """Weight on one leg, swaying slowly, looking around."""
    angles = np.zeros((len(Bone), 3))
    slow = posed.time_s * 2 * np.pi / (5.5 + habit[0]) + 9 * habit[1]
    sway = 1.6 * np.sin(slow)
    rest = 3.0 * np.sign(habit[2])
    angles[Bone.PELVIS] = (-1, rest + sway, 0)
    angles[Bone.CHEST] = (-2 - np.abs(habit[3]), -rest - 0.8 * sway, 6 * np.sin(0.7 * slow))
    angles[Bone.HEAD] = (-7 + 6 * habit[4] + 3 * np.sin(0.9 * slow), 0, 22 * np.sin(0.43 * slow + habit[5]))
    for outward, thigh, arm in ((1, Bone.LEFT_THIGH, Bone.LEFT_ARM), (-1, Bone.RIGHT_THIGH, Bone.RIGHT_ARM)):
        bend = 4 + 7 * max(0.0, -outward * habit[2])
        angles[thigh] = (bend, outward * 3 - rest - sway, outward * 7)
        angles[thigh + 1, 0] = -1.7 * bend
        angles[thigh + 2] = (0.7 * bend, 0, 0)
        angles[arm] = (3 + 6 * habit[6] + sway, outward * (7 + 2 * habit[7]), 0)
        angles[arm + 1, 0] = 16 + 9 * habit[3]
    return angles


def _reach(posed: PosedPerson, habit: Angles) -> Angles:
    """One arm towards a shelf; every few seconds for another board."""
    angles = _stand(posed, habit)
    board = np.sin(posed.time_s * 0.9 + 20 * habit[1])
    lift = 72 + 26 * board
    arm = Bone.RIGHT_ARM if habit[6] > -0.6 else Bone.LEFT_ARM
    outward = 1 if arm == Bone.LEFT_ARM else -1
    angles[arm] = (lift, outward * 6, -outward * 6)
    angles[arm + 1, 0] = 14 + 16 * np.abs(np.sin(posed.time_s * 1.7))
    lean = 6 - 9 * min(board, 0)
    angles[Bone.CHEST, 0] -= lean
    angles[Bone.PELVIS, 0] -= lean / 2
    angles[Bone.LEFT_THIGH, 0] += lean / 2
    angles[Bone.RIGHT_THIGH, 0] += lean / 2
    angles[Bone.HEAD] = (4 * board, 0, 0)
    return angles


def _pay(posed: PosedPerson, habit: Angles) -> Angles:
    angles = _stand(posed, habit)
    angles[Bone.RIGHT_ARM] = (32, -6, 0)
    angles[Bone.RIGHT_FOREARM, 0] = 55 + 18 * np.sin(posed.time_s * 1.3 + habit[0])
    angles[Bone.HEAD] = (-16, 0, 5)
    return angles


def _work(posed: PosedPerson, habit: Angles) -> Angles:
    """Both hands busy before the belly."""
    angles = _stand(posed, habit)
    beat = posed.time_s * 2.1 + habit[0]
    for outward, arm, late in ((1, Bone.LEFT_ARM, 0.0), (-1, Bone.RIGHT_ARM, 1.9)):
        angles[arm] = (24 + 9 * np.sin(beat + late), outward * 7, 0)
        angles[arm + 1] = (66 + 14 * np.sin(1.3 * beat + late), 0, -outward * 16)
    angles[Bone.HEAD] = (-18, 0, 10 * np.sin(0.5 * beat))
    angles[Bone.CHEST, 0] -= 5
    return angles


def _grip(angles: Angles) -> None:
    """Hands on the trolley's handle."""
    for outward, arm in ((1, Bone.LEFT_ARM), (-1, Bone.RIGHT_ARM)):
        angles[arm] = (26, outward * 8, 0)
        angles[arm + 1] = (44, 0, 0)
    angles[Bone.CHEST, 0] = -6


def _cycle(table: Angles, phase: float) -> float:
    """Periodic Catmull-Rom through ten points."""
    at = (phase % 1.0) * len(table)
    i, t = int(at), at - int(at)
    p0, p1, p2, p3 = (float(table[(i + k) % len(table)]) for k in (-1, 0, 1, 2))
    return 0.5 * (2 * p1 + (p2 - p0) * t + (2 * p0 - 5 * p1 + 4 * p2 - p3) * t**2 + (3 * p1 - p0 - 3 * p2 + p3) * t**3)


def _smooth(x: float) -> float:
    bounded = min(max(x, 0.0), 1.0)
    return bounded * bounded * (3 - 2 * bounded)
