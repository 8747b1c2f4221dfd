"""Second thoughts: which people to join, and which tracklets to give to somebody else, now that more is known.

Local search on the sum of evidence within people (correlation clustering, Bansal et al., 2004): the best joins and
moves are made until none gains enough.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from retail_ray.identity.association import Evidence, between, fold
from retail_ray.identity.evidence import Flags, Floats, needed_nats
from retail_ray.identity.settings import GallerySettings

# Far more than a good beginning needs.
_MOST_ROUNDS = 50


@dataclass(frozen=True, slots=True)
class Change:
    """merge: person `other` becomes part of `person`. move: tracklet `row` leaves `other` for `person`, -1: a new one.

    gain: nats by which it makes things likelier.
    """

    kind: Literal["merge", "move"]
    person: int
    other: int
    row: int
    gain: float


def revise(
    evidence: Evidence, person_of: NDArray[np.int64], new_person: int, settings: GallerySettings
) -> list[Change]:
    """Changes in the order in which to make them. person_of: (N,) of all rows; new people count from `new_person`.

    A move to a new person names its number, so that later changes can speak of it. A tracklet moves once at most: what
    people say together is no sum over their tracklets, so that a join and a move may undo each other for ever.
    """
    labels, moved = person_of.copy(), np.zeros(len(person_of), np.bool_)
    changes: list[Change] = []
    for _ in range(_MOST_ROUNDS):
        made = _joins(evidence, labels, settings)
        for change in made:
            labels[labels == change.other] = change.person
        moves = _moves(evidence, labels, ~moved, new_person, settings)
        for move in moves:
            labels[move.row], moved[move.row] = move.person, True
            new_person = max(new_person, move.person + 1)
        changes += [*made, *moves]
        if not made and not moves:
            break
    return changes


def _joins(evidence: Evidence, labels: NDArray[np.int64], settings: GallerySettings) -> list[Change]:
    people, rows = fold(evidence, labels)
    _, folded = between(rows, labels)
    score = folded.score() - needed_nats(settings.false_merge_budget) - settings.revise_margin
    np.fill_diagonal(score, -np.inf)
    taken: set[int] = set()
    changes = []
    for i, j in _best_first(score):
        if i < j and not taken & {i, j}:
            taken |= {i, j}
            changes.append(Change("merge", int(people[i]), int(people[j]), -1, float(score[i, j])))
    return changes


def _moves(
    evidence: Evidence, labels: NDArray[np.int64], may: Flags, new_person: int, settings: GallerySettings
) -> list[Change]:
    """Each person gives or takes at most one tracklet in a round. may: (N,) rows that may move."""
    people, folded = fold(evidence, labels)
    if not len(people):
        return []
    known = np.flatnonzero(labels >= 0)
    own = np.searchsorted(people, labels[known])
    score = folded.score()[known]
    size = np.bincount(own, minlength=len(people))[own]
    stay = score[np.arange(len(known)), own] + _saved_by_others(evidence, known, own)
    stay -= needed_nats(settings.false_merge_budget)
    score[np.arange(len(known)), own] = -np.inf
    best = score.max(axis=1, initial=-np.inf) - needed_nats(settings.false_merge_budget)
    # Alone is worth nothing; somebody who is alone already cannot leave.
    target = np.where(best > 0, score.argmax(axis=1) if len(people) else 0, -1)
    gain = np.where((size > 1) & may[known], np.maximum(best, 0.0) - stay, -np.inf) - settings.revise_margin
    taken: set[int] = set()
    changes = []
    for at in np.argsort(-gain, kind="stable").tolist():
        if not gain[at] > 0:
            break
        involved = {int(own[at])} | ({int(target[at])} if target[at] >= 0 else set())
        if taken & involved:
            continue
        taken |= involved
        to = int(people[target[at]]) if target[at] >= 0 else new_person
        new_person += target[at] < 0
        changes.append(Change("move", to, int(people[own[at]]), int(known[at]), float(gain[at])))
    return changes


def _saved_by_others(evidence: Evidence, known: NDArray[np.intp], own: NDArray[np.intp]) -> Floats:
    """(K,) what the births of tracklets `known` save against the others of their person, beyond what they do against
    all of them: whoever is the first of a person is not the later one of the two."""
    first_us, birth = evidence.first_us[1][known], evidence.birth[1][known]
    order = np.lexsort((-birth, first_us, own))
    starts = np.flatnonzero(np.diff(own[order], prepend=-1))
    more = np.diff([*starts.tolist(), len(order)]) > 1
    first, second = order[starts[more]], order[starts[more] + 1]
    found = np.zeros(len(known))
    earlier = first_us[first] < first_us[second]
    found[first[earlier]] = (birth[second] - birth[first])[earlier]
    return found


def _best_first(score: Floats) -> list[tuple[int, int]]:
    i, j = np.nonzero(score > 0)
    order = np.lexsort((j, i, -score[i, j]))
    return list(zip(i[order].tolist(), j[order].tolist(), strict=True))
