"""Gives a YOLO network that was exported with one fixed input shape another shape.

An exported head holds the old grid in constants: the anchor points (column + 0.5, row + 0.5 of each cell, in cells),
the stride of each anchor, and the shapes of its reshapes. `GridChange` recognises each by its exact values and
recomputes it; whatever it does not recognise is left alone, and the caller checks the shape that comes out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retail_ray.core.errors import ModelError

STRIDES = (8, 16, 32)


def anchor_grid(input_hw: tuple[int, int]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Anchor points (2, A) as x, y in cells and the strides (A,) of all levels, finest level first."""
    points, strides = [], []
    for stride in STRIDES:
        rows, columns = np.mgrid[0 : input_hw[0] // stride, 0 : input_hw[1] // stride].astype(np.float32) + 0.5
        points.append(np.stack([columns.ravel(), rows.ravel()]))
        strides.append(np.full(rows.size, stride, np.float32))
    return np.concatenate(points, axis=1), np.concatenate(strides)


def check_input_hw(input_hw: tuple[int, int]) -> None:
    """Raise ModelError unless both sides are positive multiples of the coarsest stride."""
    if min(input_hw) <= 0 or any(side % STRIDES[-1] for side in input_hw):
        raise ModelError(f"detector input {input_hw[0]}x{input_hw[1]}: both sides must be multiples of {STRIDES[-1]}")


@dataclass(frozen=True, slots=True)
class GridChange:
    """From the grid of one input size to the grid of another."""

    old_hw: tuple[int, int]
    new_hw: tuple[int, int]

    def lengths(self) -> dict[int, int]:
        """Cells of each level and of all levels together: old count -> new count."""
        old = [(self.old_hw[0] // s) * (self.old_hw[1] // s) for s in STRIDES]
        new = [(self.new_hw[0] // s) * (self.new_hw[1] // s) for s in STRIDES]
        return {**dict(zip(old, new, strict=True)), sum(old): sum(new)}

    def shape_pattern(self, pattern: NDArray[np.int64]) -> NDArray[np.int64]:
        """The constant of a Reshape; space is always last: (…, rows, columns) or (…, cells)."""
        changed = pattern.copy()
        for stride in STRIDES:
            old_grid = (self.old_hw[0] // stride, self.old_hw[1] // stride)
            if len(pattern) == 4 and tuple(pattern[-2:]) == old_grid:
                changed[-2:] = self.new_hw[0] // stride, self.new_hw[1] // stride
                return changed
        if len(pattern) >= 3:
            changed[-1] = self.lengths().get(int(pattern[-1]), int(pattern[-1]))
        return changed

    def constant(self, values: NDArray[Any]) -> NDArray[Any] | None:
        """The new anchor points or strides, if `values` are exactly the old ones."""
        for old, new in zip(anchor_grid(self.old_hw), anchor_grid(self.new_hw), strict=True):
            if values.size == old.size and np.array_equal(values.reshape(old.shape), old):
                return np.ascontiguousarray(new.reshape(*values.shape[:-1], -1).astype(values.dtype))
        return None
