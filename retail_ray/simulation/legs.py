"""A crowd's ways as straight legs from tick to tick: what all exact times are cut from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retail_ray.simulation.crowd import Crowd

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Legs:
    """The straight ways from tick to tick, ordered by person and time; `a_m` and `b_m` are (N, 2)."""

    person_id: NDArray[np.int32]
    start_s: Floats
    a_m: Floats
    b_m: Floats
    tick_s: float

    def at(self, index: NDArray[np.int64]) -> Legs:
        return Legs(self.person_id[index], self.start_s[index], self.a_m[index], self.b_m[index], self.tick_s)


def legs_of(crowd: Crowd) -> Legs:
    order = np.lexsort((crowd.tick, crowd.person_id))
    tick, person = crowd.tick[order], crowd.person_id[order]
    joined = np.flatnonzero((np.diff(tick) == 1) & (np.diff(person) == 0))
    xy = crowd.xy_m[order].astype(np.float64)
    return Legs(
        person[joined], tick[joined].astype(np.float64) * crowd.tick_s, xy[joined], xy[joined + 1], crowd.tick_s
    )
