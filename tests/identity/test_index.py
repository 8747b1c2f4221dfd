from __future__ import annotations

import pickle
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retail_ray.core.errors import DataError, WriterError
from retail_ray.identity.index import PrototypeIndex
from tests.support.embeddings import Looks


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
    with pytest.raises(DataError, match="8 numbers, query 0 has 32"):
        index.search(kept[:1], 1)
    assert index.add(1, vectors(0, d=8)) == []


# Lists instead of an exact search from here on: 240 prototypes of 24 people, trained at 100, so never outgrown.
LIMIT = 100


def crowd(people: int = 24, views: int = 10, d: int = 32) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Prototypes (10 in a row for each person), as many queries as people, and whose they are."""
    rng = np.random.default_rng(5)
    looks = Looks.draw(people, rng, d)
    return (
        looks.views(np.repeat(np.arange(people), views), rng),
        looks.views(np.arange(people), rng),
        np.arange(people),
    )


def crowded(limit: int = LIMIT, people: int = 24) -> PrototypeIndex:
    index, kept = PrototypeIndex(exact_limit=limit), crowd(people)[0]
    for person in range(people):
        index.add(person, kept[10 * person : 10 * person + 10])
    return index


def same_answers(one: PrototypeIndex, other: PrototypeIndex, queries: np.ndarray) -> bool:
    return all(
        all(np.array_equal(a, b) for a, b in zip(one.search(queries, k), other.search(queries, k), strict=True))
        for k in (1, 7, 1000)
    )


def test_it_changes_form_by_size() -> None:
    index = crowded()
    assert index.form == "lists"
    index.remove(range(189))
    assert (index.form, len(index)) == ("lists", 51)  # not at once: no flapping at the limit
    index.remove([189, 190])
    assert (index.form, len(index)) == ("exact", 49)
    index.add(1, vectors(51))
    assert index.form == "lists"
    index.clear()
    assert index.form == "exact"


def test_lists_find_nearly_what_an_exact_search_finds_and_give_the_same_cosines() -> None:
    _kept, asked, owner = crowd(400)
    lists, exact = crowded(1000, 400), crowded(10**6, 400)
    assert (lists.form, exact.form) == ("lists", "exact")
    found, cosines = lists.search(asked, 5)
    best, best_cosines = exact.search(asked, 5)
    assert np.mean(cosines[:, 0] == best_cosines[:, 0]) > 0.9
    assert np.mean(found[:, 0] == owner) > np.mean(best[:, 0] == owner) - 0.05
    assert (cosines <= best_cosines).all()
    # Asked for all of them, it looks into all lists.
    for a, b in zip(lists.search(asked[:5], 4000), exact.search(asked[:5], 4000), strict=True):
        assert np.array_equal(a, b)


def test_retrained_when_it_outgrows_itself() -> None:
    kept, asked, _ = crowd(90)
    index = crowded(people=90)
    grown = PrototypeIndex(exact_limit=400)  # trains once, at the 400 at which the other trains again
    for person in range(90):
        grown.add(person, kept[10 * person : 10 * person + 10])
    assert same_answers(index, grown, asked)


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([40, LIMIT, 10**6]))
def test_answers_do_not_depend_on_batches_threads_or_restarts(seed: int, limit: int) -> None:
    """The same adds, moves and removals: one by one and in one thread, or in batches, two threads and a restart."""
    rng = np.random.default_rng(seed)
    kept, asked, _ = crowd()
    plain, other = PrototypeIndex(1, limit), PrototypeIndex(2, limit)
    for _ in range(12):
        person = int(rng.integers(24))
        new = kept[rng.permutation(len(kept))[: int(rng.integers(1, 40))]]
        for vector in new:
            plain.add(person, vector[None])
        other.add(person, new)
        ids = rng.integers(0, 300, 12).tolist()
        plain.move(ids[:2], 5)
        other.move(ids[:2], 5)
        for number in ids[2:]:
            plain.remove([number])
        other.remove(ids[:1:-1])
        if rng.random() < 0.3:
            other = pickle.loads(pickle.dumps(other))
    assert other.snapshot() == plain.snapshot()
    assert other.form == plain.form
    together = plain.search(asked, 6)
    for row, query in enumerate(asked):
        alone = other.search(query[None], 6)
        assert np.array_equal(alone[0][0], together[0][row])
        assert np.array_equal(alone[1][0], together[1][row])


def test_many_equal_vectors_come_in_the_order_of_their_ids() -> None:
    index = PrototypeIndex()
    for person in range(200):
        index.add(person, vectors(1))
    index.remove([3])
    assert index.search(vectors(1), 4)[0].tolist() == [[0, 1, 2, 4]]
    assert index.search(np.repeat(vectors(1), 30, axis=0), 150)[0][7].tolist() == [p for p in range(151) if p != 3]


def test_expiry_by_person_and_by_time() -> None:
    index, kept = PrototypeIndex(), vectors(9)
    index.add(1, kept[:3], time_us=50)
    index.add(2, kept[3:6], time_us=20)
    index.add(1, kept[6:], time_us=70)
    again = PrototypeIndex()
    again.restore(index.snapshot())
    for one in (index, again):
        one.expire(50)
        assert (len(one), one.people) == (6, {1})
        one.expire(51)
        assert one.owners.tolist() == [1, 1, 1]
        one.remove_person(1)
        one.remove_person(1)
        assert (len(one), one.people) == (0, set())
        assert one.search(kept, 3)[0].shape == (9, 0)


def nan(vector: np.ndarray) -> None:
    vector[1, 3] = np.nan


def doubled(vector: np.ndarray) -> None:
    vector[1] *= 2


def nothing(vector: np.ndarray) -> None:
    vector[1] = 0


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (nan, "vector 1 of 3: a number is not finite"),
        (doubled, "vector 1 of 3 has length 2: divide"),
        (nothing, "vector 1 of 3 has length 0"),
    ],
)
def test_bad_vectors_are_refused_by_name_and_change_nothing(damage: Callable[[np.ndarray], None], said: str) -> None:
    index, _ = filled()
    before = index.snapshot()
    bad = vectors(3)
    damage(bad)
    with pytest.raises(DataError, match=f"person 8: {said}"):
        index.add(8, bad)
    with pytest.raises(DataError, match=said.replace("vector", "query")):
        index.search(bad, 2)
    with pytest.raises(DataError, match="expected float32, found float64"):
        index.add(8, vectors(3).astype(np.float64))
    assert index.snapshot() == before


def test_there_is_one_writer_until_it_hands_over() -> None:
    index, kept = filled()
    with ThreadPoolExecutor(1, "other") as other:
        for change in (
            lambda: index.add(1, kept[:1]),
            lambda: index.move([1], 2),
            lambda: index.remove([1]),
            lambda: index.expire(1),
            index.clear,
            lambda: index.restore(index.snapshot()),
            index.hand_over,
        ):
            with pytest.raises(WriterError, match="thread 'other_0' wants to write, its writer is thread 'MainThread'"):
                other.submit(change).result()
        assert len(index) == 60
        assert other.submit(index.search, kept, 3).result()[0].shape == (60, 3)
        index.hand_over()
        assert other.submit(index.add, 1, kept[:1]).result() == [60]
        with pytest.raises(WriterError, match="MainThread"):
            index.add(1, kept[:1])
    assert index.add(1, kept[:1]) == [61]  # the other thread has ended


@pytest.mark.parametrize("limit", [LIMIT, 10**6])
def test_readers_beside_the_writer_see_whole_changes(limit: int) -> None:
    """The writer swaps a person's ten prototypes in one removal and one adding; readers see ten or none."""
    kept, _, _ = crowd()
    index, stop = crowded(limit), threading.Event()

    def read() -> set[int]:
        seen = set()
        while not stop.is_set():
            people, cosines = index.search(kept[:1], 240)
            seen.add(int((people == 0).sum()))
            assert np.isfinite(cosines).all()
        return seen

    with ThreadPoolExecutor(3) as readers:
        reading = [readers.submit(read) for _ in range(3)]
        for _ in range(60):
            index.remove_person(0)
            index.add(0, kept[:10])
        stop.set()
        for one in reading:
            assert one.result() <= {0, 10}
