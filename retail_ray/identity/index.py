"""FAISS index of prototype embeddings: exact while small, inverted lists beyond. The only file that knows FAISS.

An answer depends on the prototypes alone, whatever FAISS did in single precision: candidates are scored again in
double precision, and more are asked for until no other one can belong to the answer. So the number of queries, the
number of threads, the order of removals and a restart change nothing, and neither do the batches of adding.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import faiss
import numpy as np
from numpy.typing import NDArray

from retail_ray.core.errors import DataError
from retail_ray.core.event_time import pack_state, unpack_state
from retail_ray.identity.one_writer import OneWriter
from retail_ray.identity.prototype_owners import PrototypeOwners
from retail_ray.identity.prototype_rows import DECIMALS, PrototypeRows, Vectors, check_vectors, exact_cosines

Form = Literal["exact", "lists"]

# Its stubs lack much of what it has.
_FAISS: Any = faiss

EXACT_LIMIT = 50_000
"""From so many prototypes on, lists are searched; measured, see docs/identity.md."""
_STATE_VERSION = 2
_SPARE = 16
_SEED = 20
_PROBED = 4
_NEVER = 2**31 - 1


class PrototypeIndex:
    """Prototypes with ids that count up, each owned by one person.

    The first thread that adds is the only one that may write (WriterError else); any number of threads may search
    meanwhile. threads: of FAISS for one search. exact_limit: prototypes from which on inverted lists are searched,
    trained on what is there, and again whenever there are four times as many; below half of it all is exact again.
    """

    def __init__(self, threads: int = 1, exact_limit: int = EXACT_LIMIT) -> None:
        self._threads, self._exact_limit = threads, exact_limit
        self._gate = OneWriter("the index of prototypes")
        self._owned = PrototypeOwners()
        self._rows: PrototypeRows | None = None
        self._lists: _Lists | None = None

    def __len__(self) -> int:
        return len(self._owned)

    @property
    def form(self) -> Form:
        return "exact" if self._lists is None else "lists"

    @property
    def owners(self) -> NDArray[np.int64]:
        """(P,) the person of each prototype, in order of prototype id."""
        with self._gate.reading():
            return self._owned.owners

    @property
    def people(self) -> frozenset[int]:
        """Everybody who owns a prototype."""
        with self._gate.reading():
            return self._owned.people

    def add(self, person: int, vectors: Vectors, time_us: int = 0) -> list[int]:
        """Keep (N, D) float32 normalised vectors of one person; gives their prototype ids.

        time_us: event time for `expire`. DataError names the vector that is not finite or not normalised.
        """
        with self._gate.writing():
            check_vectors(vectors, f"person {person}: vector", self._rows)
            if not len(vectors):
                return []
            if self._rows is None:
                self._rows = PrototypeRows(vectors.shape[1])
            ids = self._owned.add(person, len(vectors), time_us)
            done = 0
            while done < len(ids):
                part = slice(done, done + self._room())
                self._rows.add(ids[part], vectors[part])
                if self._lists is not None:
                    self._lists.add(ids[part], vectors[part], self._threads)
                done = min(part.stop, len(ids))
                self._train_if_outgrown()
            return ids

    def vectors_of(self, person: int) -> Vectors:
        """(P, D) prototypes of one person, in order of prototype id."""
        with self._gate.reading():
            if self._rows is None:
                return np.zeros((0, 0), np.float32)
            return self._rows.of(self._owned.ids_of(person))

    def ids_of(self, person: int) -> list[int]:
        """Prototype ids of one person."""
        with self._gate.reading():
            return list(self._owned.ids_of(person))

    def move(self, prototype_ids: Iterable[int], person: int) -> None:
        """Give prototypes to another person; ids that are not there are ignored."""
        with self._gate.writing():
            self._owned.move(prototype_ids, person)

    def remove(self, prototype_ids: Iterable[int]) -> None:
        """Forget prototypes; ids that are not there are ignored."""
        with self._gate.writing():
            self._remove(prototype_ids)

    def remove_person(self, person: int) -> None:
        """Forget all prototypes of a person."""
        with self._gate.writing():
            self._remove(self._owned.ids_of(person))

    def expire(self, before_us: int) -> None:
        """Forget all prototypes that were added with an earlier time, whoever owns them now."""
        with self._gate.writing():
            self._remove(self._owned.older_than(before_us))

    def search(self, queries: Vectors, k: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """(Q, D) normalised queries -> (Q, K) persons and cosines, best first, K = min(k, len(self)).

        Cosines have six decimals; of equal ones the older prototype comes first.
        """
        with self._gate.reading():
            check_vectors(queries, "query", self._rows)
            k = min(k, len(self))
            if k == 0 or not len(queries) or self._rows is None:
                return np.zeros((len(queries), 0), np.int64), np.zeros((len(queries), 0))
            ids, cosines = _answer(np.ascontiguousarray(queries), k, self._rows, self._lists, self._threads)
            return self._owned.of(ids), cosines

    def clear(self) -> None:
        """Embeddings expire: forget all of them, but no id is used again."""
        with self._gate.writing():
            self._owned.clear()
            self._rows = self._lists = None

    def hand_over(self) -> None:
        """Let the next thread that writes be the writer; WriterError unless called by the present one."""
        self._gate.hand_over()

    def snapshot(self) -> bytes:
        """What is there, not how it came to be: the same prototypes give the same bytes."""
        with self._gate.reading():
            rows = None if self._rows is None else (self._rows.dimension, self._rows.of(self._owned.ids).tobytes())
            lists = None if self._lists is None else (self._lists.trained_on, self._lists.centroids.tobytes())
            return pack_state((_STATE_VERSION, self._owned.state(), rows, lists))

    def restore(self, snapshot: bytes) -> None:
        with self._gate.writing():
            version, owned, rows, lists = unpack_state(snapshot)
            if version != _STATE_VERSION:
                raise DataError(
                    f"the saved index of prototypes has version {version}, this is {_STATE_VERSION}: start without it"
                )
            self._owned.restore(owned)
            self._rows = self._lists = None
            if rows is None:
                return
            dimension, raw = rows
            ids, vectors = self._owned.ids.tolist(), np.frombuffer(raw, np.float32).reshape(-1, dimension)
            self._rows = PrototypeRows(dimension)
            self._rows.add(ids, vectors)
            if lists is not None:
                trained_on, centroids = lists
                self._lists = _Lists(np.frombuffer(centroids, np.float32).reshape(-1, dimension), trained_on)
                self._lists.add(ids, vectors, self._threads)

    def __getstate__(self) -> tuple[int, int, bytes]:
        return self._threads, self._exact_limit, self.snapshot()

    def __setstate__(self, state: tuple[int, int, bytes]) -> None:
        threads, exact_limit, snapshot = state
        PrototypeIndex.__init__(self, threads, exact_limit)
        self.restore(snapshot)
        self.hand_over()

    def _room(self) -> int:
        """How many more fit before lists are trained: the same moment for one big batch and for many small ones."""
        assert self._rows is not None
        return max(self._train_at() - len(self._rows), 1)

    def _train_at(self) -> int:
        return self._exact_limit if self._lists is None else 4 * self._lists.trained_on

    def _train_if_outgrown(self) -> None:
        assert self._rows is not None
        if len(self._rows) < self._train_at():
            return
        ids = self._owned.ids
        ids = ids[: len(self._rows)]  # of the batch that is being added, those that have a row
        vectors = self._rows.of(ids)
        self._lists = _Lists(_centroids(vectors, self._threads), len(ids))
        self._lists.add(ids.tolist(), vectors, self._threads)

    def _remove(self, prototype_ids: Iterable[int]) -> None:
        gone = self._owned.remove(prototype_ids)
        if not gone or self._rows is None:
            return
        self._rows.remove(gone)
        if self._lists is not None:
            self._lists.remove(gone)
            if 2 * len(self._rows) < self._exact_limit:
                self._lists = None


class _Lists:
    """Half-precision copies in inverted lists around fixed centroids; they only find candidates."""

    def __init__(self, centroids: Vectors, trained_on: int) -> None:
        self.centroids, self.trained_on = centroids, trained_on
        number, dimension = centroids.shape
        self._quantizer = _FAISS.IndexFlatIP(dimension)
        self._quantizer.add(centroids)
        by_residual = False
        self._index = _FAISS.IndexIVFScalarQuantizer(
            self._quantizer,
            dimension,
            number,
            _FAISS.ScalarQuantizer.QT_fp16,
            _FAISS.METRIC_INNER_PRODUCT,
            by_residual,
        )
        self._index.is_trained = True
        self._index.set_direct_map_type(_FAISS.DirectMap.Hashtable)

    @property
    def probes(self) -> int:
        return max(len(self.centroids) // _PROBED, 1)

    def add(self, ids: list[int], vectors: Vectors, threads: int) -> None:
        _use(threads)
        self._index.add_with_ids(np.ascontiguousarray(vectors), np.array(ids, np.int64))

    def remove(self, ids: list[int]) -> None:
        self._index.remove_ids(_FAISS.IDSelectorArray(np.array(ids, np.int64)))

    def candidates(
        self, queries: Vectors, k: int, probes: int, threads: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """(Q, K) ids and rounded cosines of the best in the nearest lists; -1 and -inf where they hold fewer."""
        _use(threads)
        cosines, ids = self._index.search(queries, k, params=_FAISS.SearchParametersIVF(nprobe=probes))
        return ids, np.where(ids < 0, -np.inf, cosines)


def _answer(
    queries: Vectors, k: int, rows: PrototypeRows, lists: _Lists | None, threads: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """(Q, K) ids and cosines, proven best among all rows, or among those of the probed lists."""
    found_ids = np.zeros((len(queries), k), np.int64)
    found_cosines = np.zeros((len(queries), k))
    open_queries = np.arange(len(queries))
    ask, probes = k + _SPARE, 0 if lists is None else lists.probes
    # A dot product of D terms in single precision is off by at most D x 2^-24, half-precision copies by 2^-10.
    error = queries.shape[1] * 2.0**-24 + 2.0 * 10.0**-DECIMALS + (0.0 if lists is None else 2.0**-10)
    while len(open_queries):
        ask = min(ask, len(rows))
        asked = queries[open_queries]
        if lists is None:
            ids, rough = _nearest_rows(asked, ask, rows, threads)
        else:
            ids, rough = lists.candidates(asked, ask, probes, threads)
        still = []
        for query, found, worst in zip(open_queries.tolist(), ids, rough[:, -1].tolist(), strict=True):
            its_ids = found[found >= 0]
            exact = exact_cosines(queries[query], rows.of(its_ids))
            order = np.lexsort((its_ids, -exact))[:k]
            if len(order) == k and (ask == len(rows) or exact[order[-1]] > worst + error):
                found_ids[query], found_cosines[query] = its_ids[order], exact[order]
            else:
                still.append(query)
        open_queries = np.array(still, np.intp)
        ask *= 2
        if lists is not None:
            probes = min(2 * probes, len(lists.centroids))
    return found_ids, found_cosines


def _nearest_rows(
    queries: Vectors, k: int, rows: PrototypeRows, threads: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """(Q, K) ids and single-precision cosines of the best of all."""
    _use(threads)
    cosines, found = _FAISS.knn(queries, rows.vectors, k, metric=_FAISS.METRIC_INNER_PRODUCT)
    return rows.ids[found], cosines


def _centroids(vectors: Vectors, threads: int) -> Vectors:
    """(L, D) by k-means on the sphere from a fixed seed, L the power of two nearest to the root of N."""
    number = 2 ** round(float(np.log2(np.sqrt(len(vectors)))))
    _use(threads)
    means = _FAISS.Kmeans(
        vectors.shape[1], number, niter=8, seed=_SEED, spherical=True, max_points_per_centroid=32, gpu=False
    )
    means.cp.min_points_per_centroid = 1
    means.train(vectors)
    return np.array(means.centroids, np.float32)


def _use(threads: int) -> None:
    """Set FAISS for the calls of this thread.

    FAISS compares large batches with BLAS, whose last bits differ: a vector between two lists would fall into the
    one or the other by who comes with it. So it compares one by one, in the whole process; this file is alone in it.
    """
    _FAISS.omp_set_num_threads(threads)
    _FAISS.cvar.distance_compute_blas_threshold = _NEVER
