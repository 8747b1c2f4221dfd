"""The records of the motion model: one for each agent, one for each row of the crowd, and what they move on."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

STAND, GO, FOLLOW = 0, 1, 2
"""Modes of an agent: keep the place until `wake`; walk to the goal; stay beside the leader."""
NOTHING, ARRIVED, AWAKE, GAVE_UP = 0, 1, 2, 3
"""Events that end a mode."""

AGENT = np.dtype(
    [
        ("present", "i1"),
        ("mode", "i1"),
        ("event", "i1"),
        ("activity", "u1"),
        ("brakes", "i1"),
        ("person", "i4"),
        ("way", "i4"),
        ("leader", "i4"),
        ("wake", "i8"),
        ("x", "f8"),
        ("y", "f8"),
        ("vx", "f8"),
        ("vy", "f8"),
        ("heading", "f8"),
        ("face", "f8"),
        ("walked", "f8"),
        ("usual_pace", "f8"),
        ("pace", "f8"),
        ("goal_x", "f8"),
        ("goal_y", "f8"),
        ("near", "f8"),
        ("side", "f8"),
        ("stuck_s", "f8"),
    ],
    align=True,
)
ROW = np.dtype(
    [
        ("tick", "i4"),
        ("person", "i4"),
        ("x", "f4"),
        ("y", "f4"),
        ("heading", "f4"),
        ("speed", "f4"),
        ("walked", "f4"),
        ("activity", "u1"),
    ],
    align=True,
)

Floats = NDArray[np.float64]
Records = NDArray[Any]


class Stage(NamedTuple):
    """What the agents move on; see `navigation.Ground` for the arrays.

    origin_m: (2,). size_m: (4,) the floor's x0, y0, x1, y1. next_cell: (goals, cells), see `navigation.Ways`.
    """

    origin_m: Floats
    size_m: Floats
    clearance_m: Floats
    boxes: Floats
    discs: Floats
    next_cell: NDArray[np.int32]
    tick_s: float


class Span(NamedTuple):
    """From `tick` to `until`; rows are written from `record_from` on, counted from there."""

    tick: int
    until: int
    record_from: int
