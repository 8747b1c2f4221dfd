"""Which prototype belongs to whom, and until when it is kept. Every change costs what it changes, not what is there."""

from __future__ import annotations

import heapq
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray


class PrototypeOwners:
    """Prototype ids count up from 0 and are never used again; each belongs to one person."""

    def __init__(self) -> None:
        self.next_id = 0
        self._owner_of: dict[int, int] = {}  # in order of id: ids count up
        self._ids_of: dict[int, set[int]] = {}
        self._ages: list[tuple[int, int, int]] = []  # heap of (time_us, first id, number of ids), one for each call

    def __len__(self) -> int:
        return len(self._owner_of)

    @property
    def owners(self) -> NDArray[np.int64]:
        """(P,) the person of each prototype, in order of prototype id."""
        return np.fromiter(self._owner_of.values(), np.int64, len(self._owner_of))

    @property
    def ids(self) -> NDArray[np.int64]:
        """(P,) ascending."""
        return np.fromiter(self._owner_of, np.int64, len(self._owner_of))

    @property
    def people(self) -> frozenset[int]:
        return frozenset(self._ids_of)

    def ids_of(self, person: int) -> list[int]:
        """Ascending."""
        return sorted(self._ids_of.get(person, ()))

    def of(self, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """Owners of an array of ids, in its shape."""
        owners = [self._owner_of[number] for number in ids.ravel().tolist()]
        return np.array(owners, np.int64).reshape(ids.shape)

    def add(self, person: int, number: int, time_us: int) -> list[int]:
        """New ids for so many prototypes of a person."""
        ids = list(range(self.next_id, self.next_id + number))
        self.next_id += number
        self._owner_of |= dict.fromkeys(ids, person)
        self._ids_of.setdefault(person, set()).update(ids)
        heapq.heappush(self._ages, (time_us, ids[0], number))
        return ids

    def move(self, ids: Iterable[int], person: int) -> None:
        """Ids that are not there are ignored."""
        for number in ids:
            if number in self._owner_of:
                self._drop(number)
                self._owner_of[number] = person
                self._ids_of.setdefault(person, set()).add(number)

    def remove(self, ids: Iterable[int]) -> list[int]:
        """The ids that were there, each once."""
        gone = []
        for number in ids:
            if number in self._owner_of:
                self._drop(number)
                del self._owner_of[number]
                gone.append(number)
        return gone

    def older_than(self, time_us: int) -> list[int]:
        """Ids of what was added with an earlier time; they are told once."""
        old: list[int] = []
        while self._ages and self._ages[0][0] < time_us:
            _, first, number = heapq.heappop(self._ages)
            old += range(first, first + number)
        return old

    def clear(self) -> None:
        """Forget all; no id is used again."""
        self._owner_of, self._ids_of, self._ages = {}, {}, []

    def state(self) -> tuple[int, bytes, bytes, bytes]:
        """next_id, and the (P,) int64 ids, owners and times: what is there, not the way to it."""
        time_of = {n: time_us for time_us, first, number in self._ages for n in range(first, first + number)}
        times_us = np.fromiter((time_of[n] for n in self._owner_of), np.int64, len(self))
        return self.next_id, self.ids.tobytes(), self.owners.tobytes(), times_us.tobytes()

    def restore(self, state: tuple[int, bytes, bytes, bytes]) -> None:
        self.next_id = state[0]
        ids, owners, times_us = (np.frombuffer(column, np.int64).tolist() for column in state[1:])
        self._owner_of = dict(zip(ids, owners, strict=True))
        self._ids_of = {}
        for number, person in self._owner_of.items():
            self._ids_of.setdefault(person, set()).add(number)
        self._ages = sorted((time_us, number, 1) for time_us, number in zip(times_us, ids, strict=True))

    def _drop(self, number: int) -> None:
        person = self._owner_of[number]
        self._ids_of[person].remove(number)
        if not self._ids_of[person]:
            del self._ids_of[person]
