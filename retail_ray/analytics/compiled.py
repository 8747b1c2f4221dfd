"""Loops in machine code, for what numpy's calls would cost more than its work."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
from numba import from_dtype, njit, types

Compiled = TypeVar("Compiled", bound=Callable[..., Any])


def compiled(*arguments: Any) -> Callable[[Compiled], Compiled]:
    """Machine code for arguments of these types, made when the module is imported, never while a stream waits; kept
    on disk where that can be, until the function's file changes: what it calls must lie in that file too."""

    def compile_it(function: Compiled) -> Compiled:
        try:
            return cast("Compiled", njit(arguments, cache=True, nogil=True)(function))
        except RuntimeError:
            # Neither this package's folder nor a cache folder of the user can be written: seconds more at every start.
            return cast("Compiled", njit(arguments, nogil=True)(function))

    return compile_it


def part(function: Compiled) -> Compiled:
    """A step of a compiled function in the same module."""
    return cast("Compiled", njit(nogil=True)(function))


def array_of(kind: Any, dimensions: int = 1) -> Any:
    """Type of a contiguous array; kind: a type of numba, or the dtype of records."""
    if isinstance(kind, np.dtype):
        kind = from_dtype(kind)
    return types.Array(kind, dimensions, "C")


FLOATS = array_of(types.float64)
INTS = array_of(types.int64)
FLAGS = array_of(types.boolean)
POINTS = array_of(types.float64, 2)
"""(N, 2) float64."""
