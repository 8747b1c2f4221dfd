"""The vectors of prototypes: kept without holes, checked when they come, compared so that nothing else matters."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from retail_ray.core.checks import require
from retail_ray.core.errors import DataError

Vectors = NDArray[np.float32]

DECIMALS = 6
"""Of the cosines that are told."""
_UNIT_TOLERANCE = 1e-3
_FIRST_ROWS = 64


class PrototypeRows:
    """Vectors in one growing array; a removed row is filled with the last one, so that rows never have holes."""

    def __init__(self, dimension: int) -> None:
        self.dimension = dimension
        self._vectors = np.zeros((_FIRST_ROWS, dimension), np.float32)
        self._ids = np.zeros(_FIRST_ROWS, np.int64)
        self._row_of: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._row_of)

    @property
    def vectors(self) -> Vectors:
        return self._vectors[: len(self)]

    @property
    def ids(self) -> NDArray[np.int64]:
        """(N,) of the vectors, in their order."""
        return self._ids[: len(self)]

    def add(self, ids: list[int], vectors: Vectors) -> None:
        low, high = len(self), len(self) + len(ids)
        if high > len(self._ids):
            more = max(high, 2 * len(self._ids)) - low
            self._vectors = np.concatenate([self.vectors, np.zeros((more, self.dimension), np.float32)])
            self._ids = np.concatenate([self._ids[:low], np.zeros(more, np.int64)])
        self._vectors[low:high], self._ids[low:high] = vectors, ids
        self._row_of.update(zip(ids, range(low, high), strict=True))

    def remove(self, ids: list[int]) -> None:
        for number in ids:
            row = self._row_of.pop(number)
            last = len(self)
            if row != last:
                self._vectors[row], self._ids[row] = self._vectors[last], self._ids[last]
                self._row_of[int(self._ids[last])] = row

    def of(self, ids: Iterable[int]) -> Vectors:
        """(N, D) a copy, in the order of the ids."""
        return self._vectors[[self._row_of[int(number)] for number in ids]]


def exact_cosines(query: Vectors, vectors: Vectors) -> NDArray[np.float64]:
    """(N,) cosines in double precision, six decimals; each summed alone, so it never depends on its neighbours."""
    products = vectors.astype(np.float64) * query.astype(np.float64)
    return np.asarray(np.round(products.sum(axis=1), DECIMALS), np.float64)


def check_vectors(vectors: Vectors, what: str, rows: PrototypeRows | None) -> None:
    require(f"the index of prototypes, {what}s", vectors, (None, None), np.float32)
    if not len(vectors):
        return
    if rows is not None and vectors.shape[1] != rows.dimension:
        raise DataError(f"the index holds embeddings of {rows.dimension} numbers, {what} 0 has {vectors.shape[1]}")
    finite = np.isfinite(vectors).all(axis=1)
    if not finite.all():
        row = int(np.flatnonzero(~finite)[0])
        raise DataError(
            f"the index of prototypes, {what} {row} of {len(vectors)}: a number is not finite; leave it out"
        )
    length = np.linalg.norm(vectors, axis=1)
    wrong = np.abs(length - 1.0) > _UNIT_TOLERANCE
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise DataError(
            f"the index of prototypes, {what} {row} of {len(vectors)} has length {length[row]:.4g}: "
            "divide it by its length; of a vector of length zero leave it out"
        )
