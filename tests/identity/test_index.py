from __future__ import annotations

import pickle

import numpy as np
import pytest

from retail_ray.core.errors import DataError
from retail_ray.identity.index import PrototypeIndex


def vectors(n: int, seed: int = 0, d: int = 32) -> np.ndarray:
    drawn = np.random.default_rng(seed).normal(size=(n, d))
    return (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)


def filled() -> tuple[PrototypeIndex, np.ndarray]:
    index, kept = PrototypeIndex(), vectors(60)
    for person in range(6):
        index.add(person, kept[10 * person : 10 * person + 10])
    return index, kept


@pytest.mark.parametrize("queries", [1, 50])  # FAISS takes another way from 20 queries on
def test_search_is_exact(queries: int) -> None:
    index, kept = filled()
    asked = vectors(queries, seed=1)
    people, cosines = index.search(asked, 7)
    exact = asked.astype(np.float64) @ kept.T.astype(np.float64)
    order = np.argsort(-exact, axis=1)[:, :7]
    assert np.array_equal(people, order // 10)
    assert np.allclose(cosines, np.take_along_axis(exact, order, axis=1), atol=1e-4)


def test_removed_and_moved_prototypes() -> None:
    index, kept = filled()
    index.remove([0, 1, 2, 999])
    index.move([3, 4], 5)
    assert len(index) == 57
    people, cosines = index.search(kept[[0, 3]], 1)
    assert cosines[0, 0] < 0.99  # its own vector is gone
    assert people[1, 0] == 5
    assert np.allclose(index.vectors_of(5)[:2], kept[3:5], atol=1e-6)
    assert len(index.vectors_of(99)) == 0
    assert index.add(7, vectors(1, seed=9)) == [60]  # ids are not used again


def test_snapshot_restores_the_same_answers_and_bytes() -> None:
    index, kept = filled()
    index.remove([5, 17])
    again = PrototypeIndex()
    again.restore(index.snapshot())
    assert again.snapshot() == index.snapshot()
    pickled = pickle.loads(pickle.dumps(index))
    for copy in (again, pickled):
        assert np.array_equal(copy.search(kept, 5)[0], index.search(kept, 5)[0])
        assert copy.add(1, vectors(1, seed=3)) == [60]
    again.move([60], 2)
    assert again.owners[-1] == 2


def test_cleared_index_finds_nobody_and_takes_another_dimension() -> None:
    index, kept = filled()
    index.clear()
    assert index.search(kept[:2], 3)[0].shape == (2, 0)
    assert index.add(1, vectors(1, d=8)) == [60]
    with pytest.raises(DataError, match="8 numbers"):
        index.add(1, kept[:1])
    with pytest.raises(DataError, match="8 numbers, the query has 32"):
        index.search(kept[:1], 1)
    assert index.add(1, vectors(0, d=8)) == []
