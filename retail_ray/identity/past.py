"""People whose tracklets have left memory: when and where they were last seen. Their looks stay in the index."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from retail_ray.core.time import US_PER_S
from retail_ray.identity.evidence import Floats, in_turn, too_fast
from retail_ray.identity.index import PrototypeIndex
from retail_ray.identity.looks import LooksModel
from retail_ray.identity.settings import GallerySettings
from retail_ray.identity.tracklets import Place, Tracklet


@dataclass(slots=True)
class Remembered:
    """last_us, last: the latest tracklet that has left memory and its last place. spans_us: of all of them."""

    last_us: int
    last: Place
    spans_us: list[tuple[int, int]] = field(default_factory=list)

    def add(self, first_us: int, last_us: int, last: Place) -> None:
        self.spans_us.append((first_us, last_us))
        if last_us >= self.last_us:
            self.last_us, self.last = last_us, last

    def join(self, other: Remembered) -> None:
        self.spans_us = sorted([*self.spans_us, *other.spans_us])
        if other.last_us >= self.last_us:
            self.last_us, self.last = other.last_us, other.last


def recognised(
    tracklets: Sequence[Tracklet],
    first: Floats,
    past: Mapping[int, Remembered],
    index: PrototypeIndex,
    *,
    looks: LooksModel,
    area_m2: float,
    settings: GallerySettings,
) -> tuple[NDArray[np.int64], Floats]:
    """(P,) people out of memory who look like any of T tracklets, and (T, P) nats for each; -inf where not possible.

    first: (T, 6) first places of the tracklets.
    """
    means = {row: mean for row, t in enumerate(tracklets) if (mean := t.mean()) is not None}
    if not means or not past or not len(index) or not settings.use_looks:
        return np.zeros(0, np.int64), np.zeros((len(tracklets), 0))
    owners, cosines = index.search(np.stack(list(means.values())), settings.search_neighbours)
    people = np.array([p for p in np.unique(owners).tolist() if p in past], np.int64)
    score = np.full((len(tracklets), len(people)), -np.inf)
    for found, row in enumerate(means):
        for column, person in enumerate(people.tolist()):
            mine = cosines[found][owners[found] == person]
            if not len(mine):
                continue
            known = past[person]
            evidence = float(looks.evidence(np.array(mine.max() - settings.usual_likeness)))
            score[row, column] = evidence + _way(known, tracklets[row], first[row], area_m2, settings)
    return people, score


def _way(known: Remembered, tracklet: Tracklet, first: Floats, area_m2: float, settings: GallerySettings) -> float:
    gap_s = (tracklet.first_us - known.last_us) / US_PER_S
    if gap_s <= 0:
        return -np.inf
    offset_m = float(np.hypot(first[1] - known.last[1], first[2] - known.last[2]))
    if not np.isfinite(offset_m):
        return 0.0
    gap, distance, variance = (
        np.array(gap_s),
        np.array(offset_m),
        np.array(0.5 * (first[3] + first[5] + known.last[3] + known.last[5])),
    )
    if too_fast(gap, distance, variance, settings):
        return -np.inf
    return float(in_turn(gap, distance, variance, area_m2, settings)) if settings.use_transit else 0.0
