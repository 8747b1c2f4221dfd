"""Where in a camera's picture the floor is in sight, learnt from people who stood there.

Shelves and counters do not move. Where the lower edge of a box gave an adult's height, the floor shows at that pixel,
so the next lower edge there is at the feet too, whoever it is. Where something hid the legs, it will do so again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retail_ray.core.errors import DataError

Floats = NDArray[np.float64]

STATE_FORMAT = 1
# Cells over the height and the width of a picture, whatever its size.
ROWS, COLUMNS = 20, 36
# Seconds that are imagined on each side before there is any, and those after which old ones begin to fade.
IMAGINED_S, REMEMBERED_S = 0.15, 15.0
MAX_ODDS = 20.0


class SightMap:
    """Seconds of feet in sight and of hidden ones, by cell of the lower edge."""

    def __init__(self) -> None:
        self._seconds = np.zeros((2, ROWS * COLUMNS))

    def odds(self, cell: NDArray[np.intp]) -> Floats:
        """(N,) how many times likelier than not feet are in sight in cells (N,), 1 where nobody was seen yet."""
        seen, hidden = self._seconds[:, cell] + IMAGINED_S
        return np.asarray(np.clip(seen / hidden, 1 / MAX_ODDS, MAX_ODDS))

    def learn(self, cell: NDArray[np.intp], seen_s: Floats, hidden_s: Floats) -> None:
        """Seconds (N,) of either kind in cells (N,)."""
        for of_kind, spent_s in zip(self._seconds, (seen_s, hidden_s), strict=True):
            np.add.at(of_kind, cell, spent_s)
        full = self._seconds[:, cell].sum(axis=0) > REMEMBERED_S
        self._seconds[:, np.unique(cell[full])] /= 2

    def state(self) -> dict[str, Any]:
        """Plain numbers only."""
        return {"format": STATE_FORMAT, "seconds": self._seconds.tolist()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Raises DataError when the state was written by another version."""
        if state.get("format") != STATE_FORMAT:
            raise DataError(f"sight state has format {state.get('format')!r}, need {STATE_FORMAT}")
        self._seconds = np.array(state["seconds"])


def cells(foot_px: NDArray[np.floating[Any]], native_hw: tuple[int, int]) -> NDArray[np.intp]:
    """(N,) cells of native pixels (N, 2); points outside the frame belong to its border."""
    row = np.clip(foot_px[:, 1] * ROWS / native_hw[0], 0, ROWS - 1).astype(np.intp)
    column = np.clip(foot_px[:, 0] * COLUMNS / native_hw[1], 0, COLUMNS - 1).astype(np.intp)
    return np.asarray(row * COLUMNS + column)
