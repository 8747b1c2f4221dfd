"""All decisions of one identity session at once: what `IdentityMap` says after the last of them.

Most decisions give a new tracklet to an identity, and stand. Only merges and tracklets that change their identity are
looked at one by one.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
_NOBODY: Final = -1


@dataclass(frozen=True, slots=True)
class Assignments:
    """Decisions that give a tracklet its identity (create, assign, split), in order of sequence.

    sequence, identity, key: (N,) int64; equal keys are the same tracklet. p_same: (N,) float64, NaN where unknown.
    """

    sequence: Ints
    identity: Ints
    key: Ints
    p_same: Floats


@dataclass(frozen=True, slots=True)
class Merges:
    """Identities that were found to be one, in order of sequence: `absorbed` goes into `into`. All (M,)."""

    sequence: Ints
    into: Ints
    absorbed: Ints
    p_same: Floats


@dataclass(frozen=True, slots=True)
class Links:
    """The tracklets of every identity in the end, as `Link` has them.

    row: (L,) int64, the assignment that holds for each tracklet. identity: (L,) int64. p_same: (L,) float64. founder:
    (L,) bool. p_new: (L,) float64, NaN but for founders of identities that were absorbed.
    """

    row: Ints
    identity: Ints
    p_same: Floats
    founder: NDArray[np.bool_]
    p_new: Floats


def resolve(assigned: Assignments, merges: Merges) -> Links:
    """Tracklets, identities and links after all decisions of one session; sequences differ."""
    people, numbers = np.unique(
        np.concatenate([assigned.identity, merges.into, merges.absorbed]), return_inverse=True
    )  # fmt: skip
    of_row, into, absorbed = np.split(numbers, [len(assigned.key), len(assigned.key) + len(merges.into)])
    past = _Past(of_row, _next_of(assigned.key), assigned.p_same.copy(), len(people))
    changes = np.flatnonzero(past.previous_of != _NOBODY)
    at = np.searchsorted(assigned.sequence, merges.sequence)
    merged = [(int(place), number, _NOBODY) for number, place in enumerate(at)]
    changed = [(int(row), len(merged), int(row)) for row in changes]
    for place, number, row in sorted([*merged, *changed]):  # a merge at a row comes before it
        if row == _NOBODY:
            past.merge(int(into[number]), int(absorbed[number]), place, float(merges.p_same[number]))
        else:
            past.leave(row)
    owner, founder = past.owners()
    lasting = np.flatnonzero(past.next_of == len(of_row))
    return Links(lasting, people[owner[lasting]], past.p_same[lasting], founder[lasting], past.p_new[lasting])


def _next_of(key: Ints) -> Ints:
    """(N,) int64: the next row of the same key, N where there is none."""
    following = np.full(len(key), len(key), np.int64)
    order = np.argsort(key, kind="stable")
    same = key[order[1:]] == key[order[:-1]]
    following[order[:-1][same]] = order[1:][same]
    return following


@dataclass(slots=True)
class _Person:
    """An identity that a merge or a leaving tracklet has touched.

    rows: its own assignments. parts: rows that it absorbed. begin: from which of its own rows on it was not absorbed.
    founder: row, or _NOBODY where it is empty from row `since` until one of its own comes. absorbed_at: where it was
    absorbed, and by which `_Person` at which of that one's own absorptions.
    """

    rows: Ints
    parts: list[Ints] = field(default_factory=list)
    begin: int = 0
    founder: int = _NOBODY
    since: int = 0
    absorbed_at: list[int] = field(default_factory=list)
    absorbed_by: list[tuple[int, int]] = field(default_factory=list)


class _Past:
    """The state of one session's identities between two changes."""

    def __init__(self, of_row: Ints, next_of: Ints, p_same: Floats, people: int) -> None:
        self.next_of = next_of
        self.previous_of = np.full(len(of_row), _NOBODY, np.int64)
        again = np.flatnonzero(next_of < len(of_row))
        self.previous_of[next_of[again]] = again
        self.p_same = p_same
        self.p_new = np.full(len(of_row), np.nan)
        self._of_row = of_row
        self._by_person = np.argsort(of_row, kind="stable")
        self._bounds = np.searchsorted(of_row[self._by_person], np.arange(people + 1))
        self._touched: dict[int, _Person] = {}

    def merge(self, into: int, absorbed: int, at: int, p_same: float) -> None:
        """`absorbed` goes into `into` before row `at`."""
        lost, target = self._person(absorbed), self._person(into)
        moved = self._founder(lost, at)
        if into == absorbed or moved == _NOBODY:
            return
        if self._founder(target, at) == _NOBODY:
            target.founder = moved
        else:
            born = self.p_same[moved]
            self.p_new[moved], self.p_same[moved] = 1.0 if np.isnan(born) else born, p_same
        end = int(np.searchsorted(lost.rows, at))
        target.parts += [*lost.parts, lost.rows[lost.begin : end]]
        lost.parts, lost.begin, lost.founder, lost.since = [], end, _NOBODY, at
        lost.absorbed_at.append(at)
        lost.absorbed_by.append((into, len(target.absorbed_at)))

    def leave(self, row: int) -> None:
        """The tracklet of `row` leaves the identity that it had until then."""
        before = int(self.previous_of[row])
        person = self._person(self._owner(before))
        if self._founder(person, row) != before:
            return
        person.founder, person.since = self._first(person, row), row
        if person.founder != _NOBODY:
            self.p_same[person.founder] = self.p_new[person.founder] = np.nan

    def owners(self) -> tuple[Ints, NDArray[np.bool_]]:
        """Of each row: who has it in the end, and whether that identity began with it."""
        owner, founder = self._of_row.copy(), np.zeros(len(self._of_row), np.bool_)
        begun = self._bounds[:-1] < self._bounds[1:]
        founder[self._by_person[self._bounds[:-1][begun]]] = True
        for person in self._touched.values():
            founder[person.rows[:1]] = False
        for person in self._touched.values():
            first = self._founder(person, len(owner))
            if first != _NOBODY:
                founder[first] = True
            begin = 0
            for at, by in zip(person.absorbed_at, person.absorbed_by, strict=True):
                end = int(np.searchsorted(person.rows, at))
                owner[person.rows[begin:end]] = self._root(*by)
                begin = end
        return owner, founder

    def _person(self, number: int) -> _Person:
        if number not in self._touched:
            begin, end = self._bounds[number : number + 2]
            self._touched[number] = _Person(self._by_person[begin:end])
        return self._touched[number]

    def _founder(self, person: _Person, at: int) -> int:
        if person.founder == _NOBODY:
            place = int(np.searchsorted(person.rows, person.since))
            if place < len(person.rows) and person.rows[place] < at:
                person.founder = int(person.rows[place])
        return person.founder

    def _first(self, person: _Person, at: int) -> int:
        """The earliest row that still holds at row `at`."""
        end = int(np.searchsorted(person.rows, at))
        found = [part[self.next_of[part] > at][:1] for part in (*person.parts, person.rows[person.begin : end])]
        return min((int(row[0]) for row in found if len(row)), default=_NOBODY)

    def _owner(self, row: int) -> int:
        number = int(self._of_row[row])
        person = self._touched.get(number)
        return number if person is None else self._root(number, bisect_right(person.absorbed_at, row))

    def _root(self, number: int, absorptions: int) -> int:
        """Who has the rows that `number` had, after being absorbed so often."""
        while absorptions < len(self._touched[number].absorbed_at):
            number, absorptions = self._touched[number].absorbed_by[absorptions]
        return number
