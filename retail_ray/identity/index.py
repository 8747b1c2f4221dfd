"""FAISS index of prototype embeddings: exact inner product, one writer. The only file that knows FAISS."""

from __future__ import annotations

from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from retail_ray.core.errors import DataError
from retail_ray.core.event_time import pack_state, unpack_state

Vectors = NDArray[np.float32]


class PrototypeIndex:
    """Prototypes with ids that count up, each owned by one person.

    `threads` is FAISS's own pool, which is one per process. Safe for several readers, not beside the writer.
    """

    def __init__(self, threads: int = 1) -> None:
        faiss.omp_set_num_threads(threads)
        self._index: Any = None
        self._next_id = 0
        self._ids = np.zeros(0, np.int64)
        self._owners = np.zeros(0, np.int64)

    def __len__(self) -> int:
        return len(self._ids)

    @property
    def owners(self) -> NDArray[np.int64]:
        """(P,) the person of each prototype, in order of prototype id."""
        return self._owners

    def add(self, person: int, vectors: Vectors) -> list[int]:
        """Keep (N, D) float32 normalised vectors of one person; gives their prototype ids."""
        if not len(vectors):
            return []
        if self._index is None:
            self._index = faiss.IndexIDMap2(faiss.IndexFlatIP(vectors.shape[1]))
        if vectors.shape[1] != self._index.d:
            raise DataError(f"the index holds embeddings of {self._index.d} numbers, found {vectors.shape[1]}")
        ids = np.arange(self._next_id, self._next_id + len(vectors), dtype=np.int64)
        self._next_id += len(vectors)
        self._index.add_with_ids(np.ascontiguousarray(vectors), ids)
        self._ids = np.concatenate([self._ids, ids])
        self._owners = np.concatenate([self._owners, np.full(len(ids), person, np.int64)])
        return ids.tolist()

    def vectors_of(self, person: int) -> Vectors:
        """(P, D) prototypes of one person, in order of prototype id."""
        ids = self._ids[self._owners == person]
        if not len(ids):
            return np.zeros((0, 0 if self._index is None else self._index.d), np.float32)
        return np.asarray(self._index.reconstruct_batch(ids), np.float32)

    def ids_of(self, person: int) -> list[int]:
        """Prototype ids of one person."""
        ids: list[int] = self._ids[self._owners == person].tolist()
        return ids

    def move(self, prototype_ids: list[int], person: int) -> None:
        """Give prototypes to another person."""
        self._owners[np.isin(self._ids, prototype_ids)] = person

    def remove(self, prototype_ids: list[int]) -> None:
        """Forget prototypes; ids that are not there are ignored."""
        gone = np.isin(self._ids, prototype_ids)
        if gone.any():
            self._index.remove_ids(self._ids[gone])
            self._ids, self._owners = self._ids[~gone], self._owners[~gone]

    def search(self, queries: Vectors, k: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """(Q, D) normalised queries -> (Q, K) persons and cosines, best first, K = min(k, len(self))."""
        k = min(k, len(self))
        if k == 0 or not len(queries):
            return np.zeros((len(queries), 0), np.int64), np.zeros((len(queries), 0))
        if queries.shape[1] != self._index.d:
            raise DataError(f"the index holds embeddings of {self._index.d} numbers, the query has {queries.shape[1]}")
        cosines, ids = self._index.search(np.ascontiguousarray(queries, np.float32), k)
        # Rounded so that the last bits, which depend on the number of queries, decide nothing.
        return self._owners[np.searchsorted(self._ids, ids)], np.round(cosines.astype(np.float64), 4)

    def clear(self) -> None:
        """Embeddings expire: forget all of them, but no id is used again."""
        self._index = None
        self._ids, self._owners = np.zeros(0, np.int64), np.zeros(0, np.int64)

    def snapshot(self) -> bytes:
        raw = None if self._index is None else faiss.serialize_index(self._index).tobytes()
        return pack_state((self._next_id, self._ids.tobytes(), self._owners.tobytes(), raw))

    def restore(self, snapshot: bytes) -> None:
        self._next_id, ids, owners, raw = unpack_state(snapshot)
        self._ids = np.frombuffer(ids, np.int64).copy()
        self._owners = np.frombuffer(owners, np.int64).copy()
        self._index = None if raw is None else faiss.deserialize_index(np.frombuffer(raw, np.uint8))

    def __getstate__(self) -> bytes:
        return self.snapshot()

    def __setstate__(self, state: bytes) -> None:
        self.restore(state)
