"""Checks of array contracts, used by the dataclasses that cross room borders."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from retail_ray.core.errors import DataError

Array = NDArray[Any]


def require(name: str, array: Array, shape: tuple[int | None, ...], dtype: type[np.generic]) -> None:
    """Raise DataError unless `array` has this dtype and shape (None matches any length)."""
    if not isinstance(array, np.ndarray) or array.dtype != np.dtype(dtype):
        found = array.dtype if isinstance(array, np.ndarray) else type(array).__name__
        raise DataError(f"{name}: expected {np.dtype(dtype).name}, found {found}")
    matches = len(array.shape) == len(shape) and all(
        want is None or want == have for want, have in zip(shape, array.shape, strict=True)
    )
    if not matches:
        raise DataError(f"{name}: expected shape {shape}, found {array.shape}")
