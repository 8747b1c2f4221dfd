"""People whose tracklets have left memory: when and where they were seen. Their looks stay in the index."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retail_ray.core.time import US_PER_S
from retail_ray.identity.evidence import Floats, in_turn, needed_nats, too_fast
from retail_ray.identity.index import PrototypeIndex
from retail_ray.identity.looks import LooksModel
from retail_ray.identity.revision import Change
from retail_ray.identity.settings import GallerySettings
from retail_ray.identity.tracklets import Place, Tracklet


@dataclass(frozen=True, slots=True)
class Presence:
    """Where and when somebody was seen. spans_us: (first, last) of each tracklet, ordered; first, last: the places at
    both ends of them all."""

    spans_us: tuple[tuple[int, int], ...]
    first: Place
    last: Place

    def __add__(self, other: Presence) -> Presence:
        spans = tuple(sorted((*self.spans_us, *other.spans_us)))
        first = self.first if self.spans_us[0][0] <= other.spans_us[0][0] else other.first
        last = self.last if self.last_us >= other.last_us else other.last
        return Presence(spans, first, last)

    @property
    def last_us(self) -> int:
        return max(end_us for _, end_us in self.spans_us)

    def meets(self, other: Presence) -> bool:
        """Whether both were seen at once."""
        return any(a <= d and c <= b for a, b in self.spans_us for c, d in other.spans_us)


@dataclass(frozen=True, slots=True)
class Recogniser:
    """Looks up people by prototypes. area_m2: floor on which anybody was seen."""

    index: PrototypeIndex
    looks: LooksModel
    area_m2: float
    settings: GallerySettings

    def recognise(
        self, tracklets: Sequence[Tracklet], first: Floats, past: Mapping[int, Presence]
    ) -> tuple[NDArray[np.int64], Floats]:
        """(P,) people of the past who look like any of T tracklets, and (T, P) nats for each; -inf where impossible.

        first: (T, 6) first places of the tracklets. A newcomer may be any one of the past with equal right, so with
        their number more likeness is needed.
        """
        means = {row: mean for row, t in enumerate(tracklets) if (mean := t.mean()) is not None}
        if not means or not past or not len(self.index):
            return np.zeros(0, np.int64), np.zeros((len(tracklets), 0))
        owners, cosines = self.index.search(np.stack(list(means.values())), self.settings.search_neighbours)
        people = np.array([person for person in np.unique(owners).tolist() if person in past], np.int64)
        score = np.full((len(tracklets), len(people)), -np.inf)
        for found, row in enumerate(means):
            for column, person in enumerate(people.tolist()):
                mine = cosines[found][owners[found] == person]
                if len(mine):
                    known = past[person]
                    way = self._way(known.last_us, known.last, tracklets[row].first_us, tuple(first[row].tolist()))
                    score[row, column] = self._likeness(float(mine.max())) - np.log(len(past)) + way
        return people, score

    def reunite(self, people: Mapping[int, Presence], past: Mapping[int, Presence]) -> list[Change]:
        """Joins of two people who were never seen at once and look alike, of whom one at least is of the past.

        The best first, each person in one join at most.
        """
        needed = needed_nats(self.settings.false_merge_budget) + self.settings.revise_margin + np.log(max(len(past), 1))
        found = []
        for person, here in sorted(people.items()):
            vectors = self.index.vectors_of(person)
            if not len(vectors):
                continue
            mean = vectors.mean(axis=0, dtype=np.float64)
            query = (mean / np.linalg.norm(mean)).astype(np.float32)[None]
            owners, cosines = self.index.search(query, len(vectors) + self.settings.search_neighbours)
            for other in np.unique(owners[0]).tolist():
                there = people.get(other)
                if other == person or there is None or not {person, other} & past.keys() or here.meets(there):
                    continue
                (early, late) = (here, there) if here.last_us <= there.spans_us[0][0] else (there, here)
                way = self._way(early.last_us, early.last, late.spans_us[0][0], late.first)
                likeness = self._likeness(float(cosines[0][owners[0] == other].max()))
                found.append((likeness + way - needed, min(person, other), max(person, other)))
        return _one_each(found)

    def _likeness(self, cosine: float) -> float:
        return float(self.looks.evidence(np.array(cosine - self.settings.usual_likeness)))

    def _way(self, left_us: int, left: Place, came_us: int, came: Place) -> float:
        """Nats of a way; 0 where a place is unknown or the stays are interleaved, -inf where nobody is so fast."""
        gap_s = (came_us - left_us) / US_PER_S
        offset_m = float(np.hypot(came[1] - left[1], came[2] - left[2]))
        if gap_s <= 0 or not np.isfinite(offset_m):
            return 0.0
        gap, distance = np.array(gap_s), np.array(offset_m)
        variance = np.array(0.5 * (left[3] + left[5] + came[3] + came[5]))
        if too_fast(gap, distance, variance, self.settings):
            return -np.inf
        return float(in_turn(gap, distance, variance, self.area_m2, self.settings))


def _one_each(found: list[tuple[float, int, int]]) -> list[Change]:
    taken: set[int] = set()
    changes = []
    for gain, into, other in sorted(found, key=lambda one: (-one[0], one[1], one[2])):
        if gain > 0 and not taken & {into, other}:
            taken |= {into, other}
            changes.append(Change("merge", into, other, -1, gain))
    return changes
