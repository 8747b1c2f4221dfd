"""What is known of people on the floor and of their tracklets: records that compiled loops change in place."""

from __future__ import annotations

from typing import Final

import numpy as np

NOBODY: Final = -1
NEVER_US: Final = -(2**62)

RULES: Final = np.dtype(
    [(name, np.float64) for name in ("near_m", "together_us", "apart_m", "apart_us", "reach_m", "reach_m_s")]
    + [("walk_gap_s", np.float64), ("max_gap_us", np.int64), ("max_gap_s", np.float64)],
    align=True,
)
"""FollowSettings."""

PERSON: Final = np.dtype(
    [("number", np.int64), ("last_us", np.int64), ("x_m", np.float64), ("y_m", np.float64), ("here", np.bool_)],
    align=True,
)
"""here: False for who is no more."""

VIEW: Final = np.dtype(
    [("key", np.int64), ("person", np.int64)]
    + [(name, np.int64) for name in ("first_us", "last_us", "apart_us")]
    + [("x_m", np.float64), ("y_m", np.float64)],
    align=True,
)
"""One tracklet as last seen. person: place of its person, or NOBODY. apart_us: since when it is far from the person's
others, NEVER_US: it is not."""

NEAR: Final = np.dtype(
    [("younger", np.int64), ("elder", np.int64), ("since_us", np.int64), ("ticks", np.int64), ("sum_m", np.float64)],
    align=True,
)
"""Places of two people who are at the same place: since when, in how many ticks, and the distances in all."""

SAMPLE: Final = np.dtype(
    [(name, np.int64) for name in ("person", "time_us", "track")]
    + [(name, np.float64) for name in ("x_m", "y_m")]
    + [(name, np.bool_) for name in ("alone",)],
    align=True,
)
"""Where one person was in one tick: mean of all sights. track: key of the longest tracklet in sight. alone: False while
it may turn out to be a person who has a sample of its own."""
